"""OSNet (Zhou et al. 2019, 2021) with torchreid's tensor names: plain, with instance norms (IBN), and AIN.

Letters in shapes: B batch, C channels, H and W of the image, h and w of the features, D embedding.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

_STREAMS = 4  # of 1, 2, 3 and 4 light convolutions
_AIN_INSIDE = ((True, True), (False, True), (True, False))  # which blocks of OSNet-AIN have an instance norm inside


@dataclass(frozen=True)
class OmniScaleOptions:
    """What an OSNet is made of.

    Attributes:
        channels: Of the stem and the three stages.
        kind: `plain`; `ibn`: instance norms in the stem and behind the blocks of the first stage; `ain`.
        embedding_size: D of the linear layer behind the pooling.
    """

    channels: tuple[int, ...] = (64, 256, 384, 512)
    kind: Literal["plain", "ibn", "ain"] = "plain"
    embedding_size: int = 512


class ConvolutionNorm(nn.Module):
    """Convolution without bias, norm, and perhaps relu: [B, C, h, w] -> [B, out, h / stride, w / stride].

    Args:
        channels: C.
        out: Channels that it makes.
        size: Side of its kernel.
        stride: Of it.
        by_image: Instance norm instead of batch norm.
        norm: Whether there is a norm.
        relu: Whether there is one.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        size: int = 1,
        stride: int = 1,
        by_image: bool = False,
        norm: bool = True,
        relu: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, size, stride, size // 2, bias=False)
        self.bn: nn.Module = nn.InstanceNorm2d(out, affine=True) if by_image else nn.BatchNorm2d(out)
        if not norm:
            self.bn = nn.Identity()
        self.relu = relu

    def forward(self, features: Tensor) -> Tensor:
        """All of it."""
        made: Tensor = self.bn(self.conv(features))
        return made.relu() if self.relu else made


class LightConvolution(nn.Module):
    """A 1 x 1 convolution, a 3 x 3 one per channel, batch norm, relu.

    Args:
        channels: Of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        """The same shape."""
        made: Tensor = self.bn(self.conv2(self.conv1(features)))
        return made.relu()


class LightStream(nn.Module):
    """Light convolutions one behind the other, as AIN names them.

    Args:
        channels: Of input and output.
        depth: How many.
    """

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(LightConvolution(channels) for _ in range(depth)))

    def forward(self, features: Tensor) -> Tensor:
        """The same shape."""
        made: Tensor = self.layers(features)
        return made


class ChannelGate(nn.Module):
    """Channels weighed by their mean over the image; one for all streams of a block.

    Args:
        channels: Of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // 16, 1)
        self.fc2 = nn.Conv2d(channels // 16, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Times the weights of its channels."""
        weights: Tensor = self.fc2(self.fc1(features.mean((2, 3), keepdim=True)).relu())
        return features * weights.sigmoid()


class OmniScaleBlock(nn.Module):
    """Four streams of growing reach, gated and summed, between two 1 x 1 convolutions, and around them a shortcut.

    Args:
        channels: Of its input.
        out: Of its output.
        kind: Names of the streams, and where there is an instance norm.
        by_image: Has an instance norm: behind the sum (`ibn`) or before it (`ain`).
    """

    def __init__(self, channels: int, out: int, kind: Literal["plain", "ibn", "ain"], by_image: bool) -> None:
        super().__init__()
        inner = out // 4
        self.conv1 = ConvolutionNorm(channels, inner)
        self.named = kind != "ain"
        if self.named:
            self.conv2a: nn.Module = LightConvolution(inner)
            self.conv2b, self.conv2c, self.conv2d = (
                nn.Sequential(*(LightConvolution(inner) for _ in range(depth))) for depth in range(2, _STREAMS + 1)
            )
        else:
            self.conv2 = nn.ModuleList(LightStream(inner, depth) for depth in range(1, _STREAMS + 1))
        self.gate = ChannelGate(inner)
        self.before = by_image and kind == "ain"
        self.conv3 = ConvolutionNorm(inner, out, norm=not self.before, relu=False)
        self.IN: nn.Module = nn.InstanceNorm2d(out, affine=True) if by_image else nn.Identity()
        self.downsample: nn.Module = nn.Identity()
        if channels != out:
            self.downsample = ConvolutionNorm(channels, out, relu=False)

    def forward(self, features: Tensor) -> Tensor:
        """[B, channels, h, w] -> [B, out, h, w]."""
        streams = (self.conv2a, self.conv2b, self.conv2c, self.conv2d) if self.named else self.conv2
        reduced: Tensor = self.conv1(features)
        made: Tensor = self.conv3(torch.stack([self.gate(stream(reduced)) for stream in streams]).sum(0))
        shortcut: Tensor = self.downsample(features)
        summed: Tensor = self.IN(made) + shortcut if self.before else self.IN(made + shortcut)
        return summed.relu()


class OmniScaleTrunk(nn.Module):
    """Stem and three stages: normalised RGB [B, 3, H, W] -> [B, C, h, w]; all that fast-reid has of OSNet.

    Args:
        options: What it is made of.
    """

    def __init__(self, options: OmniScaleOptions | None = None) -> None:
        super().__init__()
        self.options = options = options or OmniScaleOptions()
        stem, first, second, third = options.channels
        self.conv1 = ConvolutionNorm(3, stem, 7, 2, by_image=options.kind != "plain")
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        halved = [nn.Sequential(ConvolutionNorm(channels, channels), nn.AvgPool2d(2)) for channels in (first, second)]
        ain = options.kind == "ain"
        self.conv2 = nn.Sequential(*self._blocks(0, stem, first), *([] if ain else halved[:1]))
        self.conv3 = nn.Sequential(*self._blocks(1, first, second), *([] if ain else halved[1:]))
        if ain:
            self.pool2, self.pool3 = halved
        self.conv4 = nn.Sequential(*self._blocks(2, second, third))
        self.conv5 = ConvolutionNorm(third, third)

    def _blocks(self, stage: int, channels: int, out: int) -> list[nn.Module]:
        kind = self.options.kind
        by_image = _AIN_INSIDE[stage] if kind == "ain" else (kind == "ibn" and stage == 0,) * 2
        return [OmniScaleBlock(channels, out, kind, by_image[0]), OmniScaleBlock(out, out, kind, by_image[1])]

    def features(self, pixels: Tensor) -> Tensor:
        """What the last convolution makes, [B, C, h, w]."""
        features: Tensor = self.conv2(self.maxpool(self.conv1(pixels)))
        ain = self.options.kind == "ain"
        features = self.pool3(self.conv3(self.pool2(features))) if ain else self.conv3(features)
        made: Tensor = self.conv5(self.conv4(features))
        return made

    def forward(self, pixels: Tensor) -> Tensor:
        """The same."""
        return self.features(pixels)


class OmniScaleNetwork(OmniScaleTrunk):
    """OSNet as torchreid runs it: trunk, mean, linear layer, batch norm, relu: [B, 3, H, W] -> [B, D].

    Args:
        options: What it is made of.
    """

    def __init__(self, options: OmniScaleOptions | None = None) -> None:
        super().__init__(options)
        size = self.options.embedding_size
        self.fc = nn.Sequential(nn.Linear(self.options.channels[3], size), nn.BatchNorm1d(size), nn.ReLU())

    @property
    def embedding_size(self) -> int:
        """D."""
        return self.options.embedding_size

    def forward(self, pixels: Tensor) -> Tensor:
        """The embedding, before any normalisation."""
        embedding: Tensor = self.fc(self.features(pixels).mean((2, 3)))
        return embedding
