"""lookalike itself: weights without the settings that its checkpoints hold."""

from lookalike.recognition.contents import Contents
from lookalike.recognition.projects.project import Project, Step, has


def _shown_by(contents: Contents) -> str:
    if "lookalike" in contents.keys:
        return "entry lookalike"
    whole = all(name.split(".")[0] in ("backbone", "head", "neck") for name in contents.tensors)
    return "names backbone.* and head.*" if whole and has(contents, r"backbone\.", r"head\.") else ""


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
