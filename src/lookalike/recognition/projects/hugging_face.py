"""transformers 5: a folder of save_pretrained, with config.json and preprocessor_config.json beside the weights."""

from lookalike.recognition.contents import Contents
from lookalike.recognition.projects.project import Project


def _shown_by(contents: Contents) -> str:
    return "model_type in config.json" if "model_type" in contents.beside.get("config.json", {}) else ""


HUGGING_FACE = Project(
    name="transformers",
    version="5",
    shown_by=_shown_by,
    facts={
        "taken": (
            "the class token or mean behind the last norm",
            "last_hidden_state, pooler_output of CLIP and ConvNeXt",
        ),
        "antialias": (True, "image_transforms.py"),
        "channels": ("RGB", "image_utils.py"),
        "flip": ("none", "image processors of its models"),
    },
    left_out=r"(classifier|head)\.(weight|bias)|(embeddings\.)?mask_token|pooler\..*|decoder\..*|text_model\..*|text_projection\..*",
    settings={
        "height": ("crop_size.height", "size.height", "size.shortest_edge", "crop_size", "size"),
        "width": ("crop_size.width", "size.width", "size.shortest_edge", "crop_size", "size"),
        "mean": ("image_mean",),
        "std": ("image_std",),
        "shorter_side": ("size.shortest_edge",),
        "crop_pct": ("crop_pct",),
        "resample": ("resample",),
        "do_center_crop": ("do_center_crop",),
    },
)
