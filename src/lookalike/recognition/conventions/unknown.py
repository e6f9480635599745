"""What is taken where a file does not show which project wrote it: only what its names leave no doubt of."""

from lookalike.recognition.contents import Contents
from lookalike.recognition.conventions.convention import Convention


def _shown_by(_: Contents) -> str:
    return ""


UNKNOWN = Convention(
    project="unknown",
    version="",
    shown_by=_shown_by,
    facts={
        "resize": ("stretch", "what most projects of re-identification and retrieval do"),
        "antialias": (True, "Pillow and torchvision"),
        "channels": ("RGB", "Pillow and torchvision"),
        "flip": (False, "what most projects do"),
    },
)
