"""EfficientNet (Tan & Le 2019) by the names of efficientnet_pytorch 0.7.1, with its padding.

`EfficientNet.from_pretrained` pads each convolution as TensorFlow would for images of the size that its weights are
for (380 pixels for B4), whatever the size of the images is: with a stride of 2 that is not the padding of timm's
`tf_efficientnet_*` (utils.py: Conv2dStaticSamePadding).

Letters in shapes: B batch, C channels, H and W of the image, h and w of the features.
"""

import math
from collections.abc import Mapping

from torch import Tensor, nn

_EPS = 1e-3
_REPEATS, _STRIDES = (1, 2, 2, 3, 3, 4, 1), (1, 2, 2, 2, 1, 2, 1)  # of B0, by stage
# Number of blocks and channels of the features -> name, factor of the depth, side of the images in pixels.
_KINDS = {
    (16, 1280): ("b0", 1.0, 224),
    (23, 1280): ("b1", 1.1, 240),
    (23, 1408): ("b2", 1.2, 260),
    (26, 1536): ("b3", 1.4, 300),
    (32, 1792): ("b4", 1.8, 380),
    (39, 2048): ("b5", 2.2, 456),
    (45, 2304): ("b6", 2.6, 528),
    (55, 2560): ("b7", 3.1, 600),
}
Shapes = Mapping[str, tuple[int, ...]]


class _Same(nn.Conv2d):
    """A convolution padded as TensorFlow pads it for images of one size."""

    def __init__(self, shape: tuple[int, ...], stride: int, side: int, groups: int = 1, bias: bool = False) -> None:
        kernel = shape[2]
        super().__init__(shape[1] * groups, shape[0], kernel, stride, groups=groups, bias=bias)
        more = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
        self.more = (more // 2, more - more // 2) * 2

    def forward(self, features: Tensor) -> Tensor:
        made: Tensor = super().forward(nn.functional.pad(features, self.more))
        return made


class _Block(nn.Module):
    """Expansion, depthwise convolution, squeeze and excitation, projection."""

    def __init__(self, shapes: Shapes, stride: int, side: int) -> None:
        super().__init__()
        expand, deep = shapes.get("_expand_conv.weight"), shapes["_depthwise_conv.weight"]
        if expand:
            self._expand_conv, self._bn0 = _Same(expand, 1, side), nn.BatchNorm2d(expand[0], eps=_EPS)
        self._depthwise_conv = _Same(deep, stride, side, groups=deep[0])
        self._bn1 = nn.BatchNorm2d(deep[0], eps=_EPS)
        self._se_reduce = _Same(shapes["_se_reduce.weight"], 1, 1, bias=True)
        self._se_expand = _Same(shapes["_se_expand.weight"], 1, 1, bias=True)
        project = shapes["_project_conv.weight"]
        self._project_conv, self._bn2 = _Same(project, 1, side), nn.BatchNorm2d(project[0], eps=_EPS)
        self.expands = expand is not None
        self.adds = stride == 1 and project[0] == (expand[1] if expand else deep[0])

    def forward(self, features: Tensor) -> Tensor:
        inner = nn.functional.silu(self._bn0(self._expand_conv(features))) if self.expands else features
        inner = nn.functional.silu(self._bn1(self._depthwise_conv(inner)))
        squeezed = nn.functional.silu(self._se_reduce(inner.mean((2, 3), keepdim=True)))
        made: Tensor = self._bn2(self._project_conv(self._se_expand(squeezed).sigmoid() * inner))
        return made + features if self.adds else made


class EfficientTrunk(nn.Module):
    """Stem, blocks, last convolution: normalised RGB [B, 3, H, W] -> [B, C, h, w].

    Args:
        shapes: Name -> shape of its tensors, behind whatever stands before them in a file.

    Raises:
        KeyError: A tensor is missing, or it is of no size between B0 and B7.
    """

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        blocks = len({name.split(".")[1] for name in shapes if name.startswith("_blocks.")})
        self.channels = shapes["_conv_head.weight"][0]
        kind, depth, side = _KINDS[blocks, self.channels]
        self.architecture = f"efficientnet_{kind} of efficientnet_pytorch"
        stem = shapes["_conv_stem.weight"]
        self._conv_stem, self._bn0 = _Same(stem, 2, side), nn.BatchNorm2d(stem[0], eps=_EPS)
        side = math.ceil(side / 2)
        self._blocks = nn.ModuleList()
        for repeats, first in zip(_REPEATS, _STRIDES, strict=True):
            for number in range(math.ceil(depth * repeats)):
                prefix, stride = f"_blocks.{len(self._blocks)}.", first if number == 0 else 1
                own = {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}
                self._blocks.append(_Block(own, stride, side))
                side = math.ceil(side / stride)
        head = shapes["_conv_head.weight"]
        self._conv_head, self._bn1 = _Same(head, 1, side), nn.BatchNorm2d(head[0], eps=_EPS)

    def forward(self, pixels: Tensor) -> Tensor:
        """The last features."""
        features = nn.functional.silu(self._bn0(self._conv_stem(pixels)))
        for block in self._blocks:
            features = block(features)
        made: Tensor = nn.functional.silu(self._bn1(self._conv_head(features)))
        return made
