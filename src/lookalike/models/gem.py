"""Generalised mean pooling (Radenovic et al. 2018) in place of timm's average.

Letters in shapes: B batch, C channels, H height, W width.
"""

import torch
from timm.layers import SelectAdaptivePool2d
from torch import Tensor, nn

from lookalike.errors import ModelError


class GeM(nn.Module):
    """Generalised mean pooling with a learned power (Radenovic et al. 2018): [B, C, H, W] -> as timm's pooling."""

    def __init__(self, flatten: bool, dims: tuple[int, int] = (2, 3), power: float = 3.0) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.tensor(power))
        self.flatten, self.dims = flatten, dims

    def forward(self, features: Tensor) -> Tensor:
        """Pools the two `dims` of size H and W away, or to size 1 where timm's head expects that."""
        features = features.float().clamp(min=1e-6)  # powers lose too much in bf16
        top = features.detach().amax(self.dims, keepdim=True)  # 1e-6 to the power 8 would be 0, with a gradient of nan
        pooled = top * (features / top).pow(self.power).mean(self.dims, keepdim=True).pow(1 / self.power)
        return pooled.squeeze(self.dims) if self.flatten else pooled


def use_gem(backbone: nn.Module, name: str) -> None:
    """Puts GeM in the place of a backbone's average pooling.

    Raises:
        ModelError: It pools tokens.
    """
    for owner in backbone.modules():
        pool = getattr(owner, "global_pool", None)
        if isinstance(pool, SelectAdaptivePool2d):
            # timm's pooling of [B, H, W, C] keeps both facts one level deeper than that of [B, C, H, W].
            flatten = getattr(pool.pool, "flatten", not isinstance(pool.flatten, nn.Identity))
            owner.global_pool = GeM(flatten, getattr(pool.pool, "dim", (2, 3)))
            return
    raise ModelError(f"model.pooling=gem needs a convolutional backbone, {name} pools tokens: use model.pooling=avg")
