"""torchreid 0.2.5: ResNet, DenseNet, OSNet and others; `fc` before the classifier, whose output is the embedding."""

from lookalike.recognition.contents import Contents
from lookalike.recognition.conventions.convention import IMAGENET, Convention, Step


def _shown_by(contents: Contents) -> str:
    return "entries state_dict and rank1" if {"state_dict", "rank1"} <= contents.keys else ""


TORCHREID = Convention(
    project="torchreid",
    version="0.2.5",
    shown_by=_shown_by,
    facts={
        "last_stride": (2, "models/resnet.py"),
        "pooling": ("avg", "models/resnet.py"),
        "taken": ("before the classifier", "models/resnet.py"),
        "height": (256, "data/datamanager.py"),
        "width": (128, "data/datamanager.py"),
        "resize": ("stretch", "data/transforms.py"),
        "interpolation": ("bilinear", "data/transforms.py"),
        "antialias": (True, "data/transforms.py"),
        "mean": (IMAGENET["mean"], "data/transforms.py"),
        "std": (IMAGENET["std"], "data/transforms.py"),
        "channels": ("RGB", "utils/tools.py"),
        "flip": (False, "engine/engine.py"),
    },
    steps=(Step(r"fc\.\d+", {"batch norm": "relu"}),),
    left_out=r"classifier\..*",
)
