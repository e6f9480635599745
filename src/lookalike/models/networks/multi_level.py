"""MLFN (Chang et al. 2018, "Multi-level factorisation net"), with torchreid's tensor names (models/mlfn.py, 1.4.0).

Letters in shapes: B batch, C channels, h and w of the features, G groups, D embedding.
"""

import torch
from torch import Tensor, nn

_GROUPS = 32
_STAGES = ((3, 1, (128, 64)), (4, 2, (256, 128)), (6, 2, (512, 128)), (3, 2, (512, 128)))  # blocks, stride, selection


class FactorBlock(nn.Module):
    """A grouped residual block whose groups are weighed by what its input holds.

    Args:
        channels: Of its input.
        out: Of its output.
        stride: Of its 3 x 3 convolution.
        selection: Channels of the two layers that make the weights.
    """

    def __init__(self, channels: int, out: int, stride: int, selection: tuple[int, int]) -> None:
        super().__init__()
        inner = out // 2
        self.fm_conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.fm_bn1 = nn.BatchNorm2d(inner)
        self.fm_conv2 = nn.Conv2d(inner, inner, 3, stride, 1, groups=_GROUPS, bias=False)
        self.fm_bn2 = nn.BatchNorm2d(inner)
        self.fm_conv3 = nn.Conv2d(inner, out, 1, bias=False)
        self.fm_bn3 = nn.BatchNorm2d(out)
        steps: list[nn.Module] = [nn.AdaptiveAvgPool2d(1)]
        for before, after in zip((channels, *selection), (*selection, _GROUPS), strict=True):
            steps += [nn.Conv2d(before, after, 1), nn.BatchNorm2d(after), nn.ReLU()]
        self.fsm = nn.Sequential(*steps[:-1], nn.Sigmoid())
        self.downsample: nn.Module = nn.Identity()
        if channels != out or stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """[B, channels, h, w] -> [B, out, h / stride, w / stride], and the weights [B, G, 1, 1]."""
        weights: Tensor = self.fsm(features)
        inside: Tensor = self.fm_bn1(self.fm_conv1(features)).relu()
        inside = self.fm_bn2(self.fm_conv2(inside)).relu()
        inside = inside * weights.repeat_interleave(inside.shape[1] // _GROUPS, 1)
        inside = self.fm_bn3(self.fm_conv3(inside)).relu()
        summed: Tensor = self.downsample(features) + inside
        return summed.relu(), weights


class MultiLevelNetwork(nn.Module):
    """Sixteen blocks, whose weights are a part of the embedding: normalised RGB [B, 3, H, W] -> [B, D].

    Args:
        channels: Of the stem and the four stages.
        size: D.
    """

    def __init__(self, channels: tuple[int, ...] = (64, 256, 512, 1024, 2048), size: int = 1024) -> None:
        super().__init__()
        self._size = size
        self.conv1 = nn.Conv2d(3, channels[0], 7, 2, 3)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        blocks: list[nn.Module] = []
        for before, after, (count, stride, selection) in zip(channels[:-1], channels[1:], _STAGES, strict=True):
            blocks.append(FactorBlock(before, after, stride, selection))
            blocks += [FactorBlock(after, after, 1, selection) for _ in range(count - 1)]
        self.feature = nn.ModuleList(blocks)
        self.fc_x, self.fc_s = (
            nn.Sequential(nn.Conv2d(width, size, 1, bias=False), nn.BatchNorm2d(size), nn.ReLU())
            for width in (channels[-1], _GROUPS * len(blocks))
        )

    @property
    def embedding_size(self) -> int:
        """D."""
        return self._size

    def forward(self, pixels: Tensor) -> Tensor:
        """The embedding, before any normalisation."""
        features: Tensor = self.maxpool(self.bn1(self.conv1(pixels)).relu())
        selected = []
        for block in self.feature:
            features, weights = block(features)
            selected.append(weights)
        seen: Tensor = self.fc_x(features.mean((2, 3), keepdim=True))
        chosen: Tensor = self.fc_s(torch.cat(selected, 1))
        return ((seen + chosen) * 0.5).flatten(1)
