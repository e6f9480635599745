"""All projects that are known, those that a file shows most surely first."""

from lookalike.recognition.contents import Contents
from lookalike.recognition.projects.clip import CLIP
from lookalike.recognition.projects.hugging_face import HUGGING_FACE
from lookalike.recognition.projects.lookalike import LOOKALIKE
from lookalike.recognition.projects.open_metric_learning import OPEN_METRIC_LEARNING
from lookalike.recognition.projects.project import Project
from lookalike.recognition.projects.pytorch_metric_learning import PYTORCH_METRIC_LEARNING
from lookalike.recognition.projects.timm import TIMM
from lookalike.recognition.projects.torchvision import TORCHVISION
from lookalike.recognition.projects.unknown import UNKNOWN

PROJECTS = (LOOKALIKE, OPEN_METRIC_LEARNING, PYTORCH_METRIC_LEARNING, TIMM, HUGGING_FACE, TORCHVISION, CLIP)


def project_of(contents: Contents) -> tuple[Project, str]:
    """The project that wrote a file, and what shows it; what is usual where nothing does.

    Args:
        contents: Of the checkpoint.
    """
    for project in PROJECTS:
        if shown := project.shown_by(contents):
            return project, shown
    return UNKNOWN, ""
