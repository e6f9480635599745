"""Bag of tricks and its children: a backbone under `base.`, a batch norm `bottleneck` behind the pooling.

    reid-strong-baseline (michuanhaohao)    mean; tested before or behind the batch norm (TEST.NECK_FEAT)
    AGW (mangye16/ReID-Survey)              GeM `global_pool.p`, non-local blocks; tested behind it
    TransReID (damo-cv), resnet50           as the first

Letters in shapes: B batch, C channels, H and W of the image.
"""

from typing import Literal

from torch import Tensor, nn

from lookalike.models.networks.pooling import AveragePool, GeneralisedMeanPool
from lookalike.models.networks.residual import ResidualTrunk


class StrongBaseline(nn.Module):
    """Trunk, pooling, batch norm: normalised RGB [B, 3, H, W] -> [B, C].

    Args:
        trunk: Makes [B, C, h, w]. reid-strong-baseline's own ResNet has `stem_relu=False`, its ResNet-IBN-a has it.
        gem: GeM with a learned power instead of the mean.
        taken: Embedding from before or behind the batch norm.
    """

    def __init__(self, trunk: ResidualTrunk, gem: bool = False, taken: Literal["before", "after"] = "after") -> None:
        super().__init__()
        self.base = trunk
        self.global_pool = GeneralisedMeanPool() if gem else AveragePool()
        self.bottleneck = nn.BatchNorm1d(trunk.options.channels)
        self.taken = taken

    @property
    def embedding_size(self) -> int:
        """C."""
        return self.base.options.channels

    def forward(self, pixels: Tensor) -> Tensor:
        """The embedding, before any normalisation."""
        pooled: Tensor = self.global_pool(self.base(pixels))
        if self.taken == "before":
            return pooled
        embedding: Tensor = self.bottleneck(pooled)
        return embedding
