"""The other trunks of layumi/Person_reID_baseline_pytorch: Swin, Swin v2, ConvNeXt, HRNet, DenseNet, EfficientNet.

Each is timm's, torchvision's or efficientnet_pytorch's network without its head, as the project takes it: the mean over
the features of `forward_features`, and `ClassBlock`. What that leaves out: ConvNeXt's norm behind the pooling, which
timm has in its head, and DenseNet's last relu, which torchvision has outside of `features`.

Letters in shapes: B batch, C channels, D embedding, H and W of the image.
"""

import re
from collections.abc import Mapping
from typing import Any

import timm
from torch import Tensor, nn

from lookalike.models.networks.efficient import EfficientTrunk
from lookalike.models.networks.layumi import ClassBlock

Shapes = Mapping[str, tuple[int, ...]]
Size = tuple[int, int]
# Channels of the first stage and blocks of the third -> size in timm's names; the project has `base` alone.
_SIZES = {(96, 6): "tiny", (96, 18): "small", (128, 18): "base", (192, 18): "large"}
_CONVNEXT = {(96, 9): "tiny", (96, 27): "small", (128, 27): "base", (192, 27): "large"}


class TrunkNet(nn.Module):
    """A trunk, the mean over its features, and a block: normalised RGB [B, 3, H, W] -> [B, D].

    Args:
        trunk: By the names of its library.
        architecture: Its name.
        channels: C.
        size: D of the block (`linear_num`), None for no linear layer.
    """

    model: Any  # what a network of timm offers differs by family

    def __init__(self, trunk: nn.Module, architecture: str, channels: int, size: int | None = 512) -> None:
        super().__init__()
        self.model = trunk
        self.architecture = architecture
        self.swin = architecture.startswith("swin")
        self.classifier = ClassBlock(channels, size)

    @property
    def embedding_size(self) -> int:
        """D."""
        return self.classifier.embedding_size

    def forward(self, pixels: Tensor) -> Tensor:
        """The embedding, before any normalisation."""
        embedding: Tensor = self.classifier(self._features(pixels))
        return embedding

    def _features(self, pixels: Tensor) -> Tensor:
        """[B, C]."""
        if not self.swin:
            run = getattr(self.model, "forward_features", self.model)
            pooled: Tensor = run(pixels).mean((2, 3))
            return pooled
        features = self.model.patch_embed(pixels)
        for stage in self.model.layers:
            features = stage(features) if self.model.merges_first else stage.downsample(stage.blocks(features))
        whole: Tensor = self.model.norm(features).mean((1, 2))
        return whole


def trunk_net(shapes: Shapes, size: Size) -> TrunkNet | None:
    """The network of some names and shapes, None where they are of none of these trunks.

    Args:
        shapes: Name in the project -> shape.
        size: Height and width of the images, which Swin v2 is built for; Swin is built for 224 x 224 pixels.
    """
    inner = {name.removeprefix("model."): shape for name, shape in shapes.items() if name.startswith("model.")}
    first = shapes.get("classifier.add_block.0.weight", ())
    made = _trunk(inner, size) if first else None
    if made is None:
        return None
    trunk, name = made
    channels = trunk.channels if hasattr(trunk, "channels") else trunk.num_features
    return TrunkNet(trunk, name, channels, first[0] if len(first) == 2 else None)


def _trunk(shapes: Shapes, size: Size) -> tuple[Any, str] | None:
    if "layers.0.blocks.0.attn.qkv.weight" in shapes:
        return _swin(shapes, size)
    if "stages.0.blocks.0.gamma" in shapes:
        kind = _CONVNEXT.get((shapes["stages.0.blocks.0.gamma"][0], _count(shapes, r"stages\.2\.blocks\.(\d+)\.gamma")))
        if kind is None:
            return None
        trunk, name = _of_timm(f"convnext_{kind}")
        trunk.head = nn.Identity()
        return trunk, name
    if "incre_modules.0.0.conv1.weight" in shapes:
        return _of_timm("hrnet_w18")
    if "features.norm5.weight" in shapes:
        trunk, name = _of_timm("densenet121")
        trunk.features.norm5.act = nn.Identity()
        return trunk, name
    if "_conv_stem.weight" in shapes:
        try:
            efficient = EfficientTrunk(shapes)
        except KeyError:
            return None
        return efficient, efficient.architecture
    return None


def _of_timm(name: str, **more: Size | bool) -> tuple[Any, str]:
    return timm.create_model(name, pretrained=False, num_classes=0, **more), name


def _swin(shapes: Shapes, size: Size) -> tuple[Any, str] | None:
    """Either version, by the names of timm from 0.9 on or of earlier ones, where a stage ends with its merging."""
    width = shapes["layers.0.blocks.0.attn.qkv.weight"][1]
    kind = _SIZES.get((width, _count(shapes, r"layers\.2\.blocks\.(\d+)\.norm1\.weight")))
    second = "layers.0.blocks.0.attn.cpb_mlp.0.weight" in shapes
    if kind is None or (second and kind == "large"):
        return None
    if second:
        trunk, name = _of_timm(f"swinv2_{kind}_window8_256", img_size=size)
    else:
        trunk, name = _of_timm(f"swin_{kind}_patch4_window7_224", strict_img_size=False)
    trunk.merges_first = "layers.0.downsample.reduction.weight" not in shapes
    if not trunk.merges_first:
        for earlier, later in zip(trunk.layers[:-1], trunk.layers[1:], strict=True):
            earlier.downsample = later.downsample
        trunk.layers[-1].downsample = nn.Identity()
    return trunk, name


def _count(shapes: Shapes, pattern: str) -> int:
    return len({match[1] for name in shapes if (match := re.fullmatch(pattern, name))})
