"""How a project makes one embedding of an image out of several runs of its network.

Letters in shapes: B batch, H height, W width, D embedding, S stripes.
"""

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn


@dataclass(frozen=True)
class InferenceRules:
    """What happens around the network.

    Attributes:
        flip: `sum` adds the embedding of the mirrored image, `mean` takes the half of that, `unit sum` gives both unit
            length before; `mean, normalised twice` is fast-reid's, whose mirrored image is normalised again as if it
            were of 0 to 255 (its preprocess_image works in place).
        scales: The image is also run at other sizes, and all embeddings are added: areas over that of the first, as
            layumi's `--ms` has them. As there each size is made of the one before it, by bicubic resampling.
        parts: S: the embedding is [D / S, S] and each of the S has unit length over the root of S; 1 for none.
        mean: Per channel, of 0 to 255, by which the mirrored image is normalised again.
        std: Same.
    """

    flip: Literal["none", "sum", "mean", "unit sum", "mean, normalised twice"] = "none"
    scales: tuple[float, ...] = (1.0,)
    parts: int = 1
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)


class WithRules(nn.Module):
    """A network and what happens around it: normalised RGB [B, 3, H, W] -> [B, D].

    Args:
        network: Makes [B, D] of [B, 3, H, W].
        rules: What happens.
    """

    def __init__(self, network: nn.Module, rules: InferenceRules) -> None:
        super().__init__()
        self.network = network
        self.rules = rules

    def forward(self, pixels: Tensor, sides: Tensor | None = None) -> Tensor:
        """The embedding, before it is given unit length as a whole.

        Args:
            pixels: [B, 3, H, W].
            sides: int64 [B], cameras for a network that embeds them.
        """
        rules = self.rules
        embedding = self._at_all_sizes(pixels, sides)
        if rules.flip != "none":
            mirrored = self._at_all_sizes(self._mirrored(pixels), sides)
            if rules.flip == "unit sum":
                embedding, mirrored = (nn.functional.normalize(part, dim=1) for part in (embedding, mirrored))
            embedding = embedding + mirrored
        if rules.flip.startswith("mean"):
            embedding = embedding / 2
        if rules.parts > 1:
            parts = nn.functional.normalize(embedding.reshape(len(embedding), -1, rules.parts), dim=1)
            embedding = parts.flatten(1) / math.sqrt(rules.parts)
        return embedding

    def _mirrored(self, pixels: Tensor) -> Tensor:
        mirrored = pixels.flip(3)
        if self.rules.flip != "mean, normalised twice":
            return mirrored
        mean, std = (mirrored.new_tensor(part).view(1, -1, 1, 1) for part in (self.rules.mean, self.rules.std))
        return (mirrored - mean) / std

    def _at_all_sizes(self, pixels: Tensor, sides: Tensor | None) -> Tensor:
        total: Tensor | None = None
        for scale in self.rules.scales:
            if scale != 1:
                pixels = nn.functional.interpolate(
                    pixels, scale_factor=math.sqrt(scale), mode="bicubic", align_corners=False
                )
            embedding: Tensor = self.network(pixels) if sides is None else self.network(pixels, sides)
            total = embedding if total is None else total + embedding
        assert total is not None, "rules without any scale"
        return total
