"""Residual networks with what torchreid puts behind them: the mean, perhaps a linear layer; and parts (PCB).

Letters in shapes: B batch, C channels, H and W of the image, D embedding, S stripes.
"""

import torch
from torch import Tensor, nn

from lookalike.models.networks.residual import ResidualOptions, ResidualTrunk


class PooledResidual(ResidualTrunk):
    """Trunk, mean, and perhaps a linear layer, batch norm and relu: normalised RGB [B, 3, H, W] -> [B, D].

    torchreid's `resnet50`, `resnet50_fc512`, `resnext101_32x8d`, `resnet50_ibn_a`, `resnet50_ibn_b` and the like
    (models/resnet.py, resnet_ibn_a.py, resnet_ibn_b.py, 1.4.0); without linear layer also torchvision's own.

    Args:
        options: Of the trunk.
        linear: D of the linear layer, None for no such layer.
    """

    def __init__(self, options: ResidualOptions | None = None, linear: int | None = None) -> None:
        super().__init__(options)
        self.fc: nn.Module = nn.Identity()
        if linear is not None:
            self.fc = nn.Sequential(
                nn.Linear(self.options.channels, linear), nn.BatchNorm1d(linear), nn.ReLU(inplace=False)
            )
        self._size = linear or self.options.channels

    @property
    def embedding_size(self) -> int:
        """D."""
        return self._size

    def forward(self, pixels: Tensor) -> Tensor:
        """The embedding, before any normalisation."""
        embedding: Tensor = self.fc(self.features(pixels).mean((2, 3)))
        return embedding


def striped(features: Tensor, stripes: int) -> Tensor:
    """Means over horizontal stripes: [B, C, h, w] -> [B, C, S]."""
    return nn.functional.adaptive_avg_pool2d(features, (stripes, 1)).squeeze(3)


class StripedResidual(ResidualTrunk):
    """PCB (Sun et al. 2018) as torchreid tests it: stripes of unit length each: [B, 3, H, W] -> [B, C x S].

    Its convolution to 256 channels (`conv5`) and the classifiers serve training alone (models/pcb.py, 1.4.0).

    Args:
        options: Of the trunk.
        stripes: S.
    """

    def __init__(self, options: ResidualOptions | None = None, stripes: int = 6) -> None:
        super().__init__(options or ResidualOptions(last_stride=1))
        self.stripes = stripes

    @property
    def embedding_size(self) -> int:
        """C x S."""
        return self.options.channels * self.stripes

    def forward(self, pixels: Tensor) -> Tensor:
        """All stripes of the first channel, then of the second, and so on."""
        unit: Tensor = nn.functional.normalize(striped(self.features(pixels), self.stripes), dim=1)
        return torch.flatten(unit, 1)
