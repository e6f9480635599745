"""The tensors of a backbone out of any project's checkpoint, by timm's names: the first weights of a training run."""

from pathlib import Path

import torch
from torch import Tensor

from lookalike.errors import ModelError
from lookalike.recognition.backbones import Match, find_backbones
from lookalike.recognition.contents import read_contents
from lookalike.recognition.questions import ask_student
from lookalike.recognition.refusals import refuse_foreign_tensors
from lookalike.recognition.timm_network import own_matches

_ALONE = "save the one that is meant as a file of its own"


def first_weights(file: Path, backbone: str) -> dict[str, Tensor]:
    """The tensors of a backbone, whatever library's names they have and whatever stands before them.

    Args:
        file: A checkpoint.
        backbone: timm's name.

    Returns:
        Name in timm -> tensor; those of the file as they are where this backbone is not wholly in it.

    Raises:
        TensorsError: It cannot be read.
        ModelError: It is quantised or an adapter, or several networks in it are of this backbone.
    """
    contents = read_contents(file)
    refuse_foreign_tensors(contents)
    tensors, name = contents.tensors, backbone.partition(".")[0]
    matches, _ = find_backbones({place: tuple(tensor.shape) for place, tensor in tensors.items()}, name)
    fitting = [match for match in matches if name in (match.architecture, *match.same, *match.others)]
    own = own_matches(fitting)
    places = [contents.key, *(match.view.prefix.rstrip(".") for match in fitting)]
    has_student = any("student" in place.split(".") for place in places)
    if has_student and ask_student(contents.key, [*contents.others, *places]):
        raise ModelError(f"{file}: a student and a teacher in it: {_ALONE}")
    if len(own) > 1:
        where = ", ".join(match.view.prefix.rstrip(".") or "no prefix" for match in own)
        raise ModelError(f"{file}: several {name} in it, under {where}: {_ALONE}")
    return _tensors(own[0], tensors) if own else tensors


def _tensors(match: Match, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """By timm's names."""
    return {
        name: torch.cat([tensors[part] for part in place.names]).reshape(place.shape)
        for name, place in match.places.items()
    }
