"""Residual networks with the tensor names of torchvision, and what other projects change in them.

What is changed, and by whom:

    ibn a               half of the first norm of each block by image, in stages 1 to 3 (XingangPan/IBN-Net) or, in
                        fast-reid's ResNeXt, in all four
    ibn b               an instance norm behind the sum of the last block of stages 1 and 2, and in the stem; IBN-Net
    squeeze             squeeze-and-excitation behind the last norm of each block; IBN-Net's `se_`, fast-reid WITH_SE
    non_local           behind the last blocks of a stage; AGW (mangye16/ReID-Survey), fast-reid WITH_NL
    last_stride=1       stage 4 at the resolution of stage 3; Sun et al. 2018, "Beyond part models"
    stem_relu=False     reid-strong-baseline and AGW go from the first batch norm straight to the pooling
                        (modeling/backbones/resnet.py and resnet_nl.py: "add missed relu", commented out)
    padded_pool=False   fast-reid's ResNet pools with `ceil_mode=True` and without padding, its ResNeXt does not
                        (modeling/backbones/resnet.py and resnext.py, 1.4.0)

The last two leave no trace in a state dict: they are known by the project alone.

Letters in shapes: B batch, C channels, H and W of the image, h and w of the features.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from lookalike.models.networks.attention_blocks import NonLocal, SqueezeExcitation
from lookalike.models.networks.instance_batch import InstanceBatchNorm


@dataclass(frozen=True)
class ResidualOptions:
    """What a residual network is made of.

    Attributes:
        layers: Blocks per stage.
        bottleneck: Blocks of three convolutions that widen fourfold, else of two.
        ibn: Empty, `a` or `b`.
        ibn_stages: How many stages have `a`.
        squeeze: See above.
        non_local: How many last blocks of each stage are followed by a non-local one.
        non_local_inner: Inner channels of these.
        groups: Of the middle convolution (ResNeXt: 32).
        group_width: Channels per group in stage 1 (ResNeXt: 4; else 64).
        width: Channels of the stem.
        last_stride: Of stage 4.
        stem_relu: See above.
        padded_pool: See above.
    """

    layers: tuple[int, ...] = (3, 4, 6, 3)
    bottleneck: bool = True
    ibn: Literal["", "a", "b"] = ""
    ibn_stages: int = 3
    squeeze: bool = False
    non_local: tuple[int, ...] = (0, 0, 0, 0)
    non_local_inner: int = 1
    groups: int = 1
    group_width: int = 64
    width: int = 64
    last_stride: Literal[1, 2] = 2
    stem_relu: bool = True
    padded_pool: bool = True

    @property
    def expansion(self) -> int:
        """How much wider a block's output is than its stage."""
        return 4 if self.bottleneck else 1

    @property
    def channels(self) -> int:
        """C of the last stage."""
        return self.width * 8 * self.expansion

    def inner(self, planes: int) -> int:
        """Channels inside the blocks of a stage of so many planes."""
        return planes * self.group_width * self.groups // 64 if self.bottleneck else planes


class ResidualBlock(nn.Module):
    """conv, norm, relu, conv, norm (, relu, conv, norm) (, squeeze), sum (, norm), relu.

    Args:
        channels: Of its input.
        planes: Of its stage.
        stride: Of its 3 x 3 convolution (of the first, where it has two).
        options: Of the network.
        mixed: IBN-a in its first norm.
        after: IBN-b behind its sum.
    """

    def __init__(
        self, channels: int, planes: int, stride: int, options: ResidualOptions, mixed: bool, after: bool
    ) -> None:
        super().__init__()
        inner, out = options.inner(planes), planes * options.expansion
        norm = InstanceBatchNorm(inner) if mixed else nn.BatchNorm2d(inner)
        if options.bottleneck:
            self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
            self.bn1 = norm
            self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, groups=options.groups, bias=False)
            self.bn2 = nn.BatchNorm2d(inner)
            self.conv3 = nn.Conv2d(inner, out, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(out)
        else:
            self.conv1 = nn.Conv2d(channels, inner, 3, stride, 1, bias=False)
            self.bn1 = norm
            self.conv2 = nn.Conv2d(inner, out, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(out)
        self.bottleneck = options.bottleneck
        self.se: nn.Module = SqueezeExcitation(out) if options.squeeze else nn.Identity()
        self.IN: nn.Module = nn.InstanceNorm2d(out, affine=True) if after else nn.Identity()
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, features: Tensor) -> Tensor:
        """[B, channels, h, w] -> [B, planes x expansion, h / stride, w / stride]."""
        inside: Tensor = self.bn2(self.conv2(self.bn1(self.conv1(features)).relu()))
        if self.bottleneck:
            inside = self.bn3(self.conv3(inside.relu()))
        summed: Tensor = self.IN(self.se(inside) + self.downsample(features))
        return summed.relu()


class ResidualTrunk(nn.Module):
    """Stem and four stages: normalised RGB [B, 3, H, W] -> [B, C, h, w].

    Args:
        options: What it is made of.
    """

    def __init__(self, options: ResidualOptions | None = None) -> None:
        super().__init__()
        self.options = options = options or ResidualOptions()
        width = options.width
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.InstanceNorm2d(width, affine=True) if options.ibn == "b" else nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if options.padded_pool else nn.MaxPool2d(3, 2, ceil_mode=True)
        self.layer1 = self._stage(0, width, 1)
        self.layer2 = self._stage(1, width * options.expansion, 2)
        self.layer3 = self._stage(2, width * 2 * options.expansion, 2)
        self.layer4 = self._stage(3, width * 4 * options.expansion, options.last_stride)
        widths = [width * 2**stage * options.expansion for stage in range(4)]
        self.NL_1, self.NL_2, self.NL_3, self.NL_4 = (
            nn.ModuleList(NonLocal(channels, options.non_local_inner) for _ in range(count))
            for channels, count in zip(widths, options.non_local, strict=True)
        )

    def _stage(self, stage: int, channels: int, stride: int) -> nn.Sequential:
        """The blocks of a stage, counted from 0."""
        options = self.options
        planes, count = options.width * 2**stage, options.layers[stage]
        blocks = [
            ResidualBlock(
                planes * options.expansion if block else channels,
                planes,
                1 if block else stride,
                options,
                mixed=options.ibn == "a" and stage < options.ibn_stages,
                after=options.ibn == "b" and stage < 2 and block == count - 1,
            )
            for block in range(count)
        ]
        return nn.Sequential(*blocks)

    def features(self, pixels: Tensor) -> Tensor:
        """What the last stage makes, [B, C, h, w], also where a subclass goes on from there."""
        features: Tensor = self.bn1(self.conv1(pixels))
        features = self.maxpool(features.relu() if self.options.stem_relu else features)
        stages = (
            (self.layer1, self.NL_1),
            (self.layer2, self.NL_2),
            (self.layer3, self.NL_3),
            (self.layer4, self.NL_4),
        )
        for blocks, others in stages:
            first = len(blocks) - len(others)
            for number, block in enumerate(blocks):
                features = block(features)
                if number >= first:
                    features = others[number - first](features)
        return features

    def forward(self, pixels: Tensor) -> Tensor:
        """The same."""
        return self.features(pixels)
