"""Blocks that weigh what a residual network sees: channels (Hu et al. 2018), all places (Wang et al. 2018).

Letters in shapes: B batch, C channels, H height, W width, P places (H x W), I inner channels.
"""

import torch
from torch import Tensor, nn

_REDUCTION = 16


class SqueezeExcitation(nn.Module):
    """Channels weighed by what the whole image holds: [B, C, H, W] -> the same shape.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // _REDUCTION
        self.fc = nn.Sequential(
            nn.Linear(channels, inner, bias=False), nn.ReLU(), nn.Linear(inner, channels, bias=False), nn.Sigmoid()
        )

    def forward(self, features: Tensor) -> Tensor:
        """Times the weights of its channels."""
        weights: Tensor = self.fc(features.mean((2, 3)))
        return features * weights[:, :, None, None]


class NonLocal(nn.Module):
    """Every place takes from all others, by the product of their projections (no softmax): as AGW and fast-reid do.

    Args:
        channels: C.
        inner: I; both projects write `ratio // ratio`, so it is 1 in their files.
    """

    def __init__(self, channels: int, inner: int = 1) -> None:
        super().__init__()
        self.g = nn.Conv2d(channels, inner, 1)
        self.W = nn.Sequential(nn.Conv2d(inner, channels, 1), nn.BatchNorm2d(channels))
        self.theta = nn.Conv2d(channels, inner, 1)
        self.phi = nn.Conv2d(channels, inner, 1)

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, H, W] plus what other places give."""
        query, key, value = (part(features).flatten(2) for part in (self.theta, self.phi, self.g))  # [B, I, P]
        relation = query.transpose(1, 2) @ key / key.shape[2]  # [B, P, P]
        taken = torch.matmul(value, relation.transpose(1, 2))
        added: Tensor = self.W(taken.reshape(*taken.shape[:2], *features.shape[2:]))
        return added + features
