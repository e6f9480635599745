"""Features [B, C, h, w] to one vector [B, C]: the ways of fast-reid, AGW and open-metric-learning.

Our own `models.gem` guards against powers that lose all digits and has another name for its power; here files of
other projects are run as they were written.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

_SMALLEST = 1e-6  # fast-reid's layers/pooling.py, AGW's layer/gem_pool.py, open-metric-learning's resnet/pooling.py


class AveragePool(nn.Module):
    """The mean over all places."""

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C]."""
        return features.mean((2, 3))


class MaximumPool(nn.Module):
    """The largest over all places."""

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C]."""
        return features.amax((2, 3))


class AverageMaximumPool(nn.Module):
    """Mean plus largest: fast-reid's AdaptiveAvgMaxPool."""

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C]."""
        return features.mean((2, 3)) + features.amax((2, 3))


class ClippedAveragePool(nn.Module):
    """The mean, between 0 and 1: fast-reid's ClipGlobalAvgPool."""

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C]."""
        return features.mean((2, 3)).clamp(0, 1)


class GeneralisedMeanPool(nn.Module):
    """GeM (Radenovic et al. 2018), with the power of the file.

    Args:
        power: First value; `p` is a tensor of the file where `learned`.
        learned: fast-reid's GeneralizedMeanPoolingP (a tensor), else its GeneralizedMeanPooling (a number).
    """

    def __init__(self, power: float = 3.0, learned: bool = True) -> None:
        super().__init__()
        value = torch.full((1,), float(power))
        if learned:
            self.p = nn.Parameter(value)
        else:
            self.register_buffer("p", value, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C]."""
        return features.clamp(min=_SMALLEST).pow(self.p).mean((2, 3)).pow(1.0 / self.p)


POOLS: dict[str, Callable[[], nn.Module]] = {  # by the names of fast-reid's MODEL.HEADS.POOL_LAYER
    "GlobalAvgPool": AveragePool,
    "FastGlobalAvgPool": AveragePool,
    "GlobalMaxPool": MaximumPool,
    "AdaptiveAvgMaxPool": AverageMaximumPool,
    "ClipGlobalAvgPool": ClippedAveragePool,
    "GeneralizedMeanPooling": lambda: GeneralisedMeanPool(learned=False),
    "GeneralizedMeanPoolingP": GeneralisedMeanPool,
    "Identity": AveragePool,  # before a head whose input is one place already
}
