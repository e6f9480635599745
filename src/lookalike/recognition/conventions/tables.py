"""All projects that are known, those that a file shows most surely first."""

from lookalike.recognition.contents import Contents
from lookalike.recognition.conventions.convention import Convention
from lookalike.recognition.conventions.fast_reid import FAST_REID
from lookalike.recognition.conventions.person_baseline import PERSON_BASELINE
from lookalike.recognition.conventions.timm import TIMM
from lookalike.recognition.conventions.torchreid import TORCHREID
from lookalike.recognition.conventions.unknown import UNKNOWN

CONVENTIONS = (FAST_REID, PERSON_BASELINE, TORCHREID, TIMM)


def convention_of(contents: Contents) -> tuple[Convention, str]:
    """The project that wrote a file, and what shows it; what is usual where nothing does.

    Args:
        contents: Of the checkpoint.
    """
    for convention in CONVENTIONS:
        if shown := convention.shown_by(contents):
            return convention, shown
    return UNKNOWN, ""
