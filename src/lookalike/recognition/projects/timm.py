"""timm 1.0: checkpoints of its train.py, and weights of its hub; the embedding is what stands before the classifier."""

from lookalike.recognition.contents import Contents
from lookalike.recognition.projects.project import Project


def _shown_by(contents: Contents) -> str:
    if {"state_dict", "arch", "version"} <= contents.keys:  # torch's ImageNet example has arch, too
        return "entries arch and version"
    if "pretrained_cfg.input_size" in contents.beside.get("config.json", {}):
        return "pretrained_cfg in config.json"
    return ""


TIMM = Project(
    name="timm",
    version="1.0",
    shown_by=_shown_by,
    facts={
        "taken": ("before the classifier", "forward_head(pre_logits=True)"),
        "antialias": (True, "data/transforms_factory.py"),
        "channels": ("RGB", "data/dataset.py"),
        "flip": ("none", "validate.py"),
    },
    left_out=r"(fc|head\.fc|head|head_dist|classifier|classif|last_linear)\.(weight|bias)",
    settings={
        "input_size": ("pretrained_cfg.input_size", "input_size", "img_size"),
        "crop_pct": ("pretrained_cfg.crop_pct", "crop_pct"),
        "mean": ("pretrained_cfg.mean", "mean"),
        "std": ("pretrained_cfg.std", "std"),
        "interpolation": ("pretrained_cfg.interpolation", "interpolation"),
    },
)
