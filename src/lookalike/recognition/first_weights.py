"""The tensors of a backbone out of any project's checkpoint, by timm's names: the first weights of a training run."""

from pathlib import Path

import torch
from torch import Tensor

from lookalike.recognition.backbones import find_backbones
from lookalike.recognition.contents import read_contents


def first_weights(file: Path, backbone: str) -> dict[str, Tensor]:
    """The tensors of a backbone, whatever library's names they have and whatever stands before them.

    Args:
        file: A checkpoint.
        backbone: timm's name.

    Returns:
        Name in timm -> tensor; those of the file as they are where this backbone is not wholly in it.

    Raises:
        TensorsError: It cannot be read.
    """
    tensors = read_contents(file).tensors
    matches, _ = find_backbones({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    for match in matches:
        if backbone.partition(".")[0] in (match.architecture, *match.same, *match.others):
            return {
                name: torch.cat([tensors[part] for part in place.names]).reshape(place.shape)
                for name, place in match.places.items()
            }
    return tensors
