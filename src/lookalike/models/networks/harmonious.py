"""HA-CNN (Li et al. 2018, "Harmonious attention network"), with torchreid's tensor names (models/hacnn.py, 1.4.0).

It runs at 160 x 64 pixels alone. Its four regions are cut out by `grid_sample` with `align_corners=False`, which torch
takes by itself since 1.3; files trained with an older torch were trained with True.

Letters in shapes: B batch, C channels, h and w of the features, R regions, D embedding of each branch.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lookalike.errors import ModelError

_SIZE = (160, 64)
_REGIONS = 4
_REGION_SIZES = ((24, 28), (12, 14), (6, 7))


class BiasedConvolution(nn.Module):
    """Convolution with bias, batch norm, relu.

    Args:
        channels: Of its input.
        out: Of its output.
        size: Side of its kernel.
        stride: Of it.
    """

    def __init__(self, channels: int, out: int, size: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, size, stride, size // 2)
        self.bn = nn.BatchNorm2d(out)

    def forward(self, features: Tensor) -> Tensor:
        """[B, channels, h, w] -> [B, out, h / stride, w / stride]."""
        made: Tensor = self.bn(self.conv(features))
        return made.relu()


class Inception(nn.Module):
    """Streams side by side: [B, channels, h, w] -> [B, out, h, w], or half as high and wide.

    Args:
        channels: Of its input.
        out: Of its output.
        halving: Halves height and width.
    """

    def __init__(self, channels: int, out: int, halving: bool) -> None:
        super().__init__()
        inner = out // 4
        step = 2 if halving else 1

        def stream(*more: BiasedConvolution) -> nn.Sequential:
            return nn.Sequential(BiasedConvolution(channels, inner), *more)

        self.stream1 = stream(BiasedConvolution(inner, inner, 3, step))
        if halving:
            self.stream2 = stream(BiasedConvolution(inner, inner, 3), BiasedConvolution(inner, inner, 3, 2))
            self.stream3 = nn.Sequential(nn.MaxPool2d(3, 2, 1), BiasedConvolution(channels, inner * 2))
        else:
            self.stream2, self.stream3 = (stream(BiasedConvolution(inner, inner, 3)) for _ in range(2))
            self.stream4 = nn.Sequential(nn.AvgPool2d(3, 1, 1), BiasedConvolution(channels, inner))

    def forward(self, features: Tensor) -> Tensor:
        """What the streams make, one behind the other."""
        return torch.cat([stream(features) for stream in self.children()], 1)


class _SpatialAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = BiasedConvolution(1, 1, 3, 2)
        self.conv2 = BiasedConvolution(1, 1)

    def forward(self, features: Tensor) -> Tensor:
        halved: Tensor = self.conv1(features.mean(1, keepdim=True))
        sides = [2 * side for side in halved.shape[2:]]
        whole: Tensor = self.conv2(functional.interpolate(halved, sides, mode="bilinear", align_corners=True))
        return whole


class _ChannelAttention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = BiasedConvolution(channels, channels // 16)
        self.conv2 = BiasedConvolution(channels // 16, channels)

    def forward(self, features: Tensor) -> Tensor:
        weights: Tensor = self.conv2(self.conv1(features.mean((2, 3), keepdim=True)))
        return weights


class _SoftAttention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial_attn = _SpatialAttention()
        self.channel_attn = _ChannelAttention(channels)
        self.conv = BiasedConvolution(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        weights: Tensor = self.conv(self.spatial_attn(features) * self.channel_attn(features))
        return weights.sigmoid()


class _HardAttention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, _REGIONS * 2)

    def forward(self, features: Tensor) -> Tensor:
        places: Tensor = self.fc(features.mean((2, 3)))
        return places.tanh().view(-1, _REGIONS, 2)


class HarmoniousAttention(nn.Module):
    """Weights of all places and channels [B, C, h, w], and the middles of the regions [B, R, 2] (x, y in -1..1).

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.soft_attn = _SoftAttention(channels)
        self.hard_attn = _HardAttention(channels)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Both."""
        return self.soft_attn(features), self.hard_attn(features)


class HarmoniousNetwork(nn.Module):
    """A branch for the whole image and one for four regions: normalised RGB [B, 3, 160, 64] -> [B, 2 D].

    Args:
        channels: Of the three stages.
        size: D.
    """

    def __init__(self, channels: tuple[int, int, int] = (128, 256, 384), size: int = 512) -> None:
        super().__init__()
        self._size = size
        self.conv = BiasedConvolution(3, 32, 3, 2)
        inputs = (32, *channels[:2])
        self.inception1, self.inception2, self.inception3 = (
            nn.Sequential(Inception(before, after, halving=False), Inception(after, after, halving=True))
            for before, after in zip(inputs, channels, strict=True)
        )
        self.ha1, self.ha2, self.ha3 = (HarmoniousAttention(after) for after in channels)
        self.local_conv1, self.local_conv2, self.local_conv3 = (
            Inception(before, after, halving=True) for before, after in zip(inputs, channels, strict=True)
        )
        self.fc_global, self.fc_local = (
            nn.Sequential(nn.Linear(width, size), nn.BatchNorm1d(size), nn.ReLU())
            for width in (channels[2], channels[2] * _REGIONS)
        )

    @property
    def embedding_size(self) -> int:
        """Twice D: both branches."""
        return 2 * self._size

    def forward(self, pixels: Tensor) -> Tensor:
        """The embeddings of both branches, of unit length each.

        Raises:
            ModelError: Images of another size.
        """
        if tuple(pixels.shape[2:]) != _SIZE:
            found_size = " x ".join(map(str, pixels.shape[2:]))
            raise ModelError(
                f"hacnn runs at 160 x 64 pixels alone, found {found_size}: give pixels.height=160 pixels.width=64"
            )
        whole: Tensor = self.conv(pixels)
        regions: list[Tensor] = []
        stages = (
            (self.inception1, self.ha1, self.local_conv1),
            (self.inception2, self.ha2, self.local_conv2),
            (self.inception3, self.ha3, self.local_conv3),
        )
        for (inception, attention, local), size in zip(stages, _REGION_SIZES, strict=True):
            before = whole
            whole = inception(before)
            weights, middles = attention(whole)
            whole = whole * weights
            cut = [_cut(before, middles[:, number], size) for number in range(_REGIONS)]
            regions = [local(part + regions[number] if regions else part) for number, part in enumerate(cut)]
        branches = (
            self.fc_global(whole.mean((2, 3))),
            self.fc_local(torch.cat([part.mean((2, 3)) for part in regions], 1)),
        )
        return torch.cat([branch / branch.norm(dim=1, keepdim=True) for branch in branches], 1)


def _cut(features: Tensor, middle: Tensor, size: tuple[int, int]) -> Tensor:
    """A region of the whole width and a quarter of the height around a middle [B, 2], scaled to a size."""
    fixed = features.new_tensor([[1.0, 0.0], [0.0, 0.25]]).expand(len(features), 2, 2)
    grid = functional.affine_grid(torch.cat([fixed, middle[:, :, None]], 2), list(features.shape), align_corners=False)
    region = functional.grid_sample(features, grid, align_corners=False)
    return functional.interpolate(region, size, mode="bilinear", align_corners=True)
