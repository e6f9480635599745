"""What is taken where a file does not show which project wrote it."""

from lookalike.recognition.contents import Contents
from lookalike.recognition.projects.project import Project


def _shown_by(_: Contents) -> str:
    return ""


UNKNOWN = Project(
    name="unknown",
    version="",
    shown_by=_shown_by,
    facts={
        "resize": ("stretch", "what most projects of retrieval and re-identification do"),
        "interpolation": ("bilinear", "what most projects of retrieval and re-identification do"),
        "antialias": (True, "Pillow and torchvision"),
        "channels": ("RGB", "Pillow and torchvision"),
        "flip": ("none", "what most projects do"),
    },
    settings={  # of args and hyper-parameters, by the names that most scripts have taken from timm's
        "usual_size": ("input_size", "img_size", "image_size"),
        "usual_mean": ("mean", "pixel_mean", "image_mean"),
        "usual_std": ("std", "pixel_std", "image_std"),
        "usual_interpolation": ("interpolation",),
    },
)
