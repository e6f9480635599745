"""open-metric-learning: extractors of torchvision's ResNet, DINO and CLIP, saved by its Lightning module.

Its ResNet loses `fc` where that is no part of the embedding, so one that is in a file is (models/resnet/extractor.py).
"""

from typing import cast

from lookalike.models.networks.conventions.open_metric_learning import OML_ALBUMENTATIONS
from lookalike.recognition.contents import Contents
from lookalike.recognition.facts import FACTS, Value
from lookalike.recognition.projects.project import Project, Step


def _shown_by(contents: Contents) -> str:
    return "checkpoint callback on OVERALL/..." if any("OVERALL/" in name for name in contents.callbacks) else ""


_READ = OML_ALBUMENTATIONS.facts()
OPEN_METRIC_LEARNING = Project(
    name=OML_ALBUMENTATIONS.project,
    version=OML_ALBUMENTATIONS.version,
    shown_by=_shown_by,
    facts={
        **{name: (cast(Value, value), where) for name, (value, where) in _READ.items() if name in FACTS},
        "border": (255, "PAD_COLOR of oml/const.py"),
    },
    steps=(Step("fc"), Step(r"fc\.0", {"linear": "relu"}), Step(r"fc\.2")),
    left_out=r"criterion\..*",
)
