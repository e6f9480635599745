"""fast-reid's Baseline: a backbone under `backbone.`, pooling and neck under `heads.` (modeling/, 1.4.0).

Letters in shapes: B batch, C channels, H and W of the image, h and w of the features, D embedding.
"""

from torch import Tensor, nn

from lookalike.errors import ModelError, did_you_mean
from lookalike.models.networks.pooling import POOLS


class EmbeddingHead(nn.Module):
    """Pooling, perhaps a 1 x 1 convolution, perhaps batch norm (modeling/heads/embedding_head.py).

    What is tested comes from behind the batch norm, whatever MODEL.HEADS.NECK_FEAT says: that one serves the losses.

    Args:
        channels: C.
        pool: A name of MODEL.HEADS.POOL_LAYER.
        reduced: D of the convolution (MODEL.HEADS.EMBEDDING_DIM), None for none.
        neck: Whether there is a batch norm (MODEL.HEADS.WITH_BNNECK).

    Raises:
        ModelError: No such pooling.
    """

    def __init__(
        self, channels: int, pool: str = "GlobalAvgPool", reduced: int | None = None, neck: bool = True
    ) -> None:
        super().__init__()
        if pool not in POOLS:
            raise ModelError(
                f"MODEL.HEADS.POOL_LAYER={pool}: expected one of fast-reid 1.4.0{did_you_mean(pool, list(POOLS))}: "
                f"give one of {', '.join(POOLS)}"
            )
        self.pool_layer = POOLS[pool]()
        self.embedding_size = reduced or channels
        steps: list[nn.Module] = [nn.Conv2d(channels, reduced, 1, bias=False)] if reduced else []
        self.bottleneck = nn.Sequential(*steps, *([nn.BatchNorm2d(self.embedding_size)] if neck else []))

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, D]."""
        pooled: Tensor = self.pool_layer(features)
        embedding: Tensor = self.bottleneck(pooled[:, :, None, None])
        return embedding.flatten(1)


class FastReidNetwork(nn.Module):
    """Backbone and head: normalised RGB [B, 3, H, W] -> [B, D].

    Args:
        backbone: Makes [B, C, h, w], or [B, C].
        head: Makes the embedding of it.
    """

    def __init__(self, backbone: nn.Module, head: EmbeddingHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = head

    @property
    def embedding_size(self) -> int:
        """D."""
        return self.heads.embedding_size

    def forward(self, pixels: Tensor) -> Tensor:
        """The embedding, before any normalisation."""
        features: Tensor = self.backbone(pixels)
        embedding: Tensor = self.heads(features if features.ndim == 4 else features[:, :, None, None])
        return embedding
