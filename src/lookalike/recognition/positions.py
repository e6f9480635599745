"""Position embeddings brought to another size of images, as the library does it whose network they are of.

Letters in shapes: N places, C channels, g side of the grid.
"""

from math import isqrt

import torch
from timm.layers import resample_abs_pos_embed
from torch import Tensor

from lookalike.errors import ModelError
from lookalike.recognition.facts import Blueprint


def at_size(name: str, value: Tensor, here: Tensor, blueprint: Blueprint) -> Tensor:
    """A tensor of a file in the shape that the network has.

    Args:
        name: In the network.
        value: In the file.
        here: In the network.
        blueprint: Of the network.

    Raises:
        ModelError: It is for another size of images, and cannot be brought to this one.
    """
    if value.numel() == here.numel():
        return value.reshape(here.shape)
    grid = _grid(value.shape[1], here) if name.endswith("pos_embed") and value.ndim == 3 else None
    if grid is None:
        raise ModelError(
            f"{', '.join(blueprint.tensors.get(name.removeprefix('backbone.'), (name,)))}: expected the shape "
            f"{list(here.shape)} of images of this size, found {list(value.shape)}, which is for another one: give "
            "pixels.height and pixels.width of its training"
        )
    tokens, old, new = grid
    if blueprint.library == "transformers":
        places = value[:, tokens:].reshape(1, old, old, -1).permute(0, 3, 1, 2)
        smooth = "reg_token" in blueprint.tensors  # as Dinov2WithRegistersEmbeddings has it, and no other
        places = torch.nn.functional.interpolate(places, new, mode="bicubic", align_corners=False, antialias=smooth)
        return torch.cat([value[:, :tokens], places.flatten(2).transpose(1, 2)], 1)
    resampled: Tensor = resample_abs_pos_embed(value, list(new), (old, old), tokens)
    return resampled


def _grid(places: int, here: Tensor) -> tuple[int, int, tuple[int, int]] | None:
    """Tokens before the grid, its old side, and its new sides, where both are square; else None."""
    for tokens in range(6):
        old, new = isqrt(places - tokens), isqrt(here.shape[1] - tokens)
        if old * old == places - tokens and new * new == here.shape[1] - tokens:
            return tokens, old, (new, new)
    return None
