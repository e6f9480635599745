"""pytorch-metric-learning 2.9.0: its examples save `trunk_best12.pth` and, beside it, `embedder_best12.pth`.

Both together are the network: the embedder is read along with the trunk.
"""

import re
from pathlib import Path

from lookalike.recognition.contents import Contents
from lookalike.recognition.projects.project import IMAGENET, Project, Step

TRUNK = re.compile(r"trunk_(best)?\d+\.pth")  # as its hooks call it


def _shown_by(contents: Contents) -> str:
    return f"name {contents.file.name}, in its examples" if TRUNK.fullmatch(contents.file.name) else ""


PYTORCH_METRIC_LEARNING = Project(
    name="pytorch-metric-learning",
    version="2.9.0",
    shown_by=_shown_by,
    facts={
        "height": (227, "RandomResizedCrop and CenterCrop of examples/notebooks"),
        "width": (227, "RandomResizedCrop and CenterCrop of examples/notebooks"),
        "resize": ("crop", "Resize(256), CenterCrop(227) of examples/notebooks"),
        "shorter_side": (256, "Resize(256), CenterCrop(227) of examples/notebooks"),
        "interpolation": ("bilinear", "torchvision's Resize"),
        "antialias": (True, "torchvision's Resize of a picture"),
        "mean": (IMAGENET["mean"], "Normalize of examples/notebooks"),
        "std": (IMAGENET["std"], "Normalize of examples/notebooks"),
        "channels": ("RGB", "torchvision's data sets"),
        "flip": ("none", "testers/base_tester.py"),
        "taken": ("behind the embedder", "testers/base_tester.py"),
    },
    steps=(Step(r"embedder(\.net)?\.\d+"), Step("embedder")),
)


def embedder_beside(trunk: Path) -> Path | None:
    """The other half of a network whose trunk is a file of the examples; None where there is none.

    Args:
        trunk: The file.
    """
    if not TRUNK.fullmatch(trunk.name):
        return None
    embedder = trunk.with_name(trunk.name.replace("trunk", "embedder"))
    return embedder if embedder.is_file() else None
