"""lookalike itself: weights without the settings that its checkpoints hold."""

from lookalike.models.checkpoint_tensors import was_sealed
from lookalike.recognition.contents import Contents
from lookalike.recognition.projects.project import Project, Step


def _shown_by(contents: Contents) -> str:
    if "lookalike" in contents.keys:  # anybody's networks have backbone.* and head.*
        return "entry lookalike"
    sealed = contents.file.suffix == ".safetensors" and was_sealed(contents.file)
    return "its checksum among the metadata" if sealed else ""


LOOKALIKE = Project(
    name="lookalike",
    version="",
    shown_by=_shown_by,
    backbone=r"(embedder\.)?backbone\.",
    facts={
        "taken": ("behind the head", "models/embedder.py"),
        "resize": ("stretch", "configs/pixels"),
        "interpolation": ("area", "data/pixels.py"),
        "antialias": (True, "data/pixels.py"),
        "channels": ("RGB", "models/embedder.py"),
        "flip": ("none", "models/embedder.py"),
    },
    steps=(Step(r"(embedder\.)?head"), Step(r"(embedder\.)?neck")),
    left_out=r"loss\..*",
)
