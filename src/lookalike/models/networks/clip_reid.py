"""CLIP-ReID (Li et al. 2023): CLIP's image tower under `image_encoder.`, two batch norms, a side embedding.

Letters in shapes: B batch, C width of the tower, D its projection, H and W of the image.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from lookalike.models.networks.clip_towers import ClipResidual, ClipTransformer
from lookalike.models.networks.side_transformer import chosen_sides


class ClipReid(nn.Module):
    """`build_transformer` without the text: normalised RGB [B, 3, H, W] -> [B, C + D].

    Args:
        tower: The image tower.
        taken: From before or behind the batch norms (TEST.NECK_FEAT; `before` in all configurations).
        sides: Rows of the side embedding: cameras, views, or cameras x views; 0 for none.
        side_weight: What it is multiplied by (SIE_COE).
    """

    def __init__(
        self,
        tower: ClipTransformer | ClipResidual,
        taken: Literal["before", "after"] = "before",
        sides: int = 0,
        side_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.image_encoder = tower
        width, projection = tower.widths
        self.bottleneck = nn.BatchNorm1d(width)
        self.bottleneck_proj = nn.BatchNorm1d(projection)
        self.cv_embed = nn.Parameter(torch.zeros(sides, width)) if sides else None
        self.taken, self.side_weight = taken, side_weight

    @property
    def embedding_size(self) -> int:
        """C + D."""
        return sum(self.image_encoder.widths)

    def forward(self, pixels: Tensor, sides: Tensor | None = None) -> Tensor:
        """The embedding, before any normalisation.

        Args:
            pixels: [B, 3, H, W].
            sides: int64 [B], rows of the side embedding; none where it has none.

        Raises:
            ModelError: It has a side embedding and no sides are given.
        """
        side = None if self.cv_embed is None else self.side_weight * chosen_sides(self.cv_embed, sides)
        token, projected = self.image_encoder(pixels, side)
        if self.taken == "after":
            token, projected = self.bottleneck(token), self.bottleneck_proj(projected)
        return torch.cat([token, projected], 1)
