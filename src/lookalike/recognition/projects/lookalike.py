"""lookalike itself: weights without the settings that its checkpoints hold."""

from lookalike.recognition.contents import Contents
from lookalike.recognition.projects.project import Project, Step


def _shown_by(contents: Contents) -> str:
    return "entry lookalike" if "lookalike" in contents.keys else ""  # anybody's networks have backbone.* and head.*


LOOKALIKE = Project(
    name="lookalike",
    version="",
    shown_by=_shown_by,
    backbone=r"(embedder\.)?backbone\.",
    facts={
        "taken": ("behind the head", "models/embedder.py"),
        "resize": ("stretch", "configs/pixels"),
        "interpolation": ("area", "data/pixels.py"),
        "channels": ("RGB", "models/embedder.py"),
        "flip": ("none", "models/embedder.py"),
    },
    steps=(Step(r"(embedder\.)?head"), Step(r"(embedder\.)?neck")),
    left_out=r"loss\..*",
)
