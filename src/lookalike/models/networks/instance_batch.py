"""Normalisation of half of the channels by image, of the others by batch (Pan et al. 2018, "Two at once", IBN-a)."""

import torch
from torch import Tensor, nn


class InstanceBatchNorm(nn.Module):
    """IBN-a: instance norm on the first half of the channels, batch norm on the rest: [B, C, H, W] -> the same shape.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.by_image = channels // 2
        self.IN = nn.InstanceNorm2d(self.by_image, affine=True)
        self.BN = nn.BatchNorm2d(channels - self.by_image)

    def forward(self, features: Tensor) -> Tensor:
        """Each half by its own norm."""
        first, rest = features[:, : self.by_image], features[:, self.by_image :]
        return torch.cat([self.IN(first), self.BN(rest)], 1)
