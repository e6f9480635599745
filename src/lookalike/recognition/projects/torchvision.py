"""torchvision 0.29: weights of its own training script (references/classification), before the classifier."""

from lookalike.recognition.contents import Contents
from lookalike.recognition.projects.project import IMAGENET, Project


def _shown_by(contents: Contents) -> str:
    entries = {"model", "optimizer", "lr_scheduler", "epoch", "args"}
    return "entries model, optimizer, lr_scheduler, epoch and args" if entries <= contents.keys else ""


TORCHVISION = Project(
    name="torchvision",
    version="0.29",
    shown_by=_shown_by,
    facts={
        "taken": ("before the classifier", "its classifier gives classes"),
        "height": (224, "--val-crop-size of references/classification/train.py"),
        "width": (224, "--val-crop-size of references/classification/train.py"),
        "resize": ("crop", "ClassificationPresetEval of references/classification/presets.py"),
        "shorter_side": (256, "--val-resize-size of references/classification/train.py"),
        "interpolation": ("bilinear", "--interpolation of references/classification/train.py"),
        "antialias": (True, "ClassificationPresetEval of references/classification/presets.py"),
        "mean": (IMAGENET["mean"], "ClassificationPresetEval of references/classification/presets.py"),
        "std": (IMAGENET["std"], "ClassificationPresetEval of references/classification/presets.py"),
        "channels": ("RGB", "torchvision's ImageFolder"),
        "flip": ("none", "evaluate of references/classification/train.py"),
    },
    left_out=r"(fc|classifier(\.\d+)?|head|heads\.head)\.(weight|bias)",
    settings={
        "height": ("val_crop_size",),
        "width": ("val_crop_size",),
        "shorter_side": ("val_resize_size",),
        "interpolation": ("interpolation",),
    },
)
