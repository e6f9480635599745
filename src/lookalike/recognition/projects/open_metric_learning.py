"""open-metric-learning 4.0.0: extractors of torchvision's ResNet, DINO and CLIP, saved by its Lightning module."""

from lookalike.recognition.contents import Contents
from lookalike.recognition.projects.project import IMAGENET, Project


def _shown_by(contents: Contents) -> str:
    if any("'OVERALL/" in name or "OVERALL/" in name for name in contents.callbacks):
        return "checkpoint callback on OVERALL/..."
    return ""


OPEN_METRIC_LEARNING = Project(
    name="open-metric-learning",
    version="4.0.0",
    shown_by=_shown_by,
    facts={
        "taken": ("behind the network", "models/resnet/extractor.py, models/vit_dino/extractor.py"),
        "height": (224, "im_size of its examples"),
        "width": (224, "im_size of its examples"),
        "resize": ("pad", "get_normalisation_resize_albu of transforms/images/albumentations.py"),
        "border": (255, "PAD_COLOR of const.py"),
        "interpolation": ("bilinear", "transforms/images/albumentations.py"),
        "antialias": (False, "transforms/images/albumentations.py"),
        "mean": (IMAGENET["mean"], "const.py"),
        "std": (IMAGENET["std"], "const.py"),
        "channels": ("RGB", "utils/io.py"),
        "flip": ("none", "lightning/modules/extractor.py"),
    },
    left_out=r"(model\.)*fc\..*|criterion\..*",
)
