"""layumi/Person_reID_baseline_pytorch: torchvision's ResNet under `model.`, a block of layers before each classifier.

Letters in shapes: B batch, C channels, H and W of the image, D embedding, S stripes.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from lookalike.models.networks.pooled_residual import striped
from lookalike.models.networks.residual import ResidualOptions, ResidualTrunk


class ClassBlock(nn.Module):
    """What stands before a classifier: linear layer, batch norm, in old versions leaky relu; [B, C] -> [B, D].

    Args:
        channels: C.
        size: D, None for no linear layer.
        relu: model.py until 2020 has a leaky relu of 0.1 in `ft_net` by default; it leaves no tensor.
    """

    def __init__(self, channels: int, size: int | None = 512, relu: bool = False) -> None:
        super().__init__()
        self.embedding_size = size or channels
        steps: list[nn.Module] = [nn.Linear(channels, size)] if size else []
        steps += [nn.BatchNorm1d(self.embedding_size), *([nn.LeakyReLU(0.1)] if relu else [])]
        self.add_block = nn.Sequential(*steps)

    def forward(self, pooled: Tensor) -> Tensor:
        """The embedding."""
        embedding: Tensor = self.add_block(pooled)
        return embedding


class FtNet(nn.Module):
    """`ft_net`: trunk, mean, block: normalised RGB [B, 3, H, W] -> [B, D].

    Args:
        options: Of the trunk; `last_stride` is its `stride`, `ibn="a"` its `ibn`.
        size: D of the block (`linear_num`), None for no linear layer.
        taken: `block`: test.py takes off `classifier.classifier`. `pooled`: versions of 2018 take off `classifier`
            as a whole (test.py at 017b163), so that the embedding is the mean.
        relu: See `ClassBlock`.
    """

    def __init__(
        self,
        options: ResidualOptions | None = None,
        size: int | None = 512,
        taken: Literal["block", "pooled"] = "block",
        relu: bool = False,
    ) -> None:
        super().__init__()
        self.model = ResidualTrunk(options)
        self.classifier = ClassBlock(self.model.options.channels, size, relu)
        self.taken = taken

    @property
    def embedding_size(self) -> int:
        """D."""
        return self.classifier.embedding_size if self.taken == "block" else self.model.options.channels

    def forward(self, pixels: Tensor) -> Tensor:
        """The embedding, before any normalisation."""
        pooled: Tensor = self.model(pixels).mean((2, 3))
        if self.taken == "pooled":
            return pooled
        embedding: Tensor = self.classifier(pooled)
        return embedding


class PartNet(nn.Module):
    """`PCB` and `PCB_test`: stripes of the last features: normalised RGB [B, 3, H, W] -> [B, C x S].

    They are as they come: test.py adds those of the mirrored image before it gives each stripe unit length
    (`InferenceRules(flip="sum", parts=S)`).

    Args:
        options: Of the trunk.
        stripes: S.
    """

    def __init__(self, options: ResidualOptions | None = None, stripes: int = 6) -> None:
        super().__init__()
        self.model = ResidualTrunk(options or ResidualOptions(last_stride=1))
        self.stripes = stripes

    @property
    def embedding_size(self) -> int:
        """C x S."""
        return self.model.options.channels * self.stripes

    def forward(self, pixels: Tensor) -> Tensor:
        """All stripes of the first channel, then of the second, and so on."""
        return torch.flatten(striped(self.model(pixels), self.stripes), 1)
