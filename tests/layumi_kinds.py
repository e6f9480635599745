"""Checkpoints of Person_reID_baseline_pytorch's other networks, after its model.py, as its train.py saves them."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from timm.layers import Conv2dSame
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode

from checkpoint_kinds import Kind, stretched


class ClassBlock(nn.Module):
    def __init__(self, entering: int, size: int) -> None:
        super().__init__()
        linear = [nn.Linear(entering, size)] if size else []
        leaving = size or entering
        self.add_block = nn.Sequential(*linear, nn.BatchNorm1d(leaving), nn.Dropout(0.5))
        self.classifier = nn.Sequential(nn.Linear(leaving, 9))

    def forward(self, pooled: Tensor) -> Tensor:
        classes: Tensor = self.classifier(self.add_block(pooled))
        return classes


class FtNet(nn.Module):
    """A trunk under `model`, how its features are taken, and the block."""

    def __init__(self, trunk: nn.Module, take: Callable[[Any, Tensor], Tensor], width: int, size: int = 512) -> None:
        super().__init__()
        self.model, self.take = trunk, take
        self.classifier = ClassBlock(width, size)

    def forward(self, images: Tensor) -> Tensor:
        classes: Tensor = self.classifier(self.take(self.model, images))
        return classes


def features(model: Any, images: Tensor) -> Tensor:
    """Of ConvNeXt and HRNet."""
    return nn.functional.adaptive_avg_pool2d(model.forward_features(images), 1).flatten(1)


def places(model: Any, images: Tensor) -> Tensor:
    """Of Swin: all places of the last features."""
    made: Tensor = model.forward_features(images)
    return made.view(made.shape[0], -1, made.shape[-1]).permute(0, 2, 1).mean(2)


def headless(name: str, head: str = "head", **settings: Any) -> Any:
    network = timm.create_model(name, **settings)
    setattr(network, head, nn.Sequential())
    return network


def dense(stride: int = 2) -> Any:
    network = torchvision.models.densenet121()
    network.features.avgpool = nn.AdaptiveAvgPool2d((1, 1))
    network.fc = nn.Sequential()
    if stride == 1:
        network.features.transition3.pool.stride = 1
    return network


def efficient() -> Any:
    """efficientnet_pytorch's B4, of timm's: it pads as for images of 380 pixels, whatever their size is."""
    network = timm.create_model("tf_efficientnet_b4")
    side = 380
    for part in network.modules():
        if isinstance(part, Conv2dSame):
            more = (math.ceil(side / 2) - 1) * 2 + part.kernel_size[0] - side
            part.forward = _padded(part, more)
            side = math.ceil(side / 2)
    return network


def _padded(part: nn.Conv2d, more: int) -> Callable[[Tensor], Tensor]:
    def forward(inputs: Tensor) -> Tensor:
        wide = nn.functional.pad(inputs, (more // 2, more - more // 2) * 2)
        return nn.functional.conv2d(wide, part.weight, part.bias, part.stride, 0, 1, part.groups)

    return forward


_OF_FIRST = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
_OF_LATER = {
    **{"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"},
    **{"conv_pwl": "_project_conv", "bn3": "_bn2"},
}
_OF_ALL = {"se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand"}
_AROUND = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}


def renamed(network: FtNet) -> dict[str, Tensor]:
    """By the names of efficientnet_pytorch."""
    state, blocks = {}, dict[tuple[str, str], int]()
    for name, value in network.state_dict().items():
        stem, _, part = name.rpartition(".")
        if stem.startswith("model.blocks."):
            stage, block, layer = stem.removeprefix("model.blocks.").split(".", 2)
            number = blocks.setdefault((stage, block), len(blocks))
            layers = {**_OF_ALL, **(_OF_FIRST if stage == "0" else _OF_LATER)}
            stem = f"model._blocks.{number}.{layers[layer]}"
        elif stem.startswith("model."):
            stem = f"model.{_AROUND[stem.removeprefix('model.')]}"
        state[f"{stem}.{part}"] = value
    return state


def earlier(network: FtNet) -> dict[str, Tensor]:
    """By the names of timm before 0.9, which merged patches at the end of a stage and kept tables of indices."""
    state = network.state_dict()
    moved = {}
    for name, value in state.items():
        parts = name.split(".")
        if len(parts) > 3 and parts[3] == "downsample":
            parts[2] = str(int(parts[2]) - 1)
        moved[".".join(parts)] = value
    return {**moved, "model.layers.0.blocks.0.attn.relative_position_index": torch.zeros(49, 49, dtype=torch.long)}


def as_trained(state: Callable[[Any], dict[str, Tensor]], opts: str = "") -> Callable[[nn.Module, Path], Path]:
    """`net_last.pth`, and the options of the training beside it."""

    def save(network: nn.Module, folder: Path) -> Path:
        torch.save(state(network), folder / "net_last.pth")
        if opts:
            (folder / "opts.yaml").write_text(opts)
        return folder / "net_last.pth"

    return save


def tested(network: nn.Module, images: Tensor) -> Tensor:
    """As test.py does: without the classifier, and with the mirrored image added."""
    kept, network.classifier.classifier = network.classifier.classifier, nn.Sequential()
    mirrored = images.index_select(3, torch.arange(images.shape[3] - 1, -1, -1))
    summed: Tensor = network(images) + network(mirrored)
    network.classifier.classifier = kept
    return summed


def kind(
    architecture: str,
    make: Callable[[], FtNet],
    size: tuple[int, int] = (256, 128),
    state: Callable[[Any], dict[str, Tensor]] = lambda network: network.state_dict(),
    opts: str = "",
) -> Kind:
    def build() -> nn.Module:
        torch.manual_seed(5)
        network = make()
        for part in network.modules():
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.uniform_(part.bias, -0.2, 0.2)
        with torch.no_grad():
            network.train()(torch.randn(4, 3, *size))
        return network.eval()

    read = stretched(*size, InterpolationMode.BICUBIC)
    return Kind(architecture, "layumi", build, as_trained(state, opts), read, tested, {})


SWIN, SWIN_V2 = "swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256"
SQUARE = (224, 224)
LAYUMI = {
    "layumi Swin": kind(
        SWIN, lambda: FtNet(headless(SWIN), places, 768), SQUARE, opts="use_swin: true\nh: 256\nw: 128"
    ),
    "layumi Swin of earlier timm": kind(SWIN, lambda: FtNet(headless(SWIN), places, 768), SQUARE, earlier),
    "layumi Swin v2": kind(SWIN_V2, lambda: FtNet(headless(SWIN_V2, img_size=(256, 128)), places, 768, 0)),
    "layumi ConvNeXt": kind("convnext_tiny", lambda: FtNet(headless("convnext_tiny"), features, 768)),
    "layumi HRNet": kind("hrnet_w18", lambda: FtNet(headless("hrnet_w18", "classifier"), features, 2048)),
    "layumi DenseNet": kind(
        "densenet121", lambda: FtNet(dense(), lambda model, images: model.features(images).flatten(1), 1024)
    ),
    "layumi DenseNet with stride 1": kind(
        "densenet121",
        lambda: FtNet(dense(1), lambda model, images: model.features(images).flatten(1), 1024, 256),
        (160, 64),
        opts="use_dense: true\nstride: 1\nh: 160\nw: 64\nlinear_num: 256\n",
    ),
    "layumi EfficientNet": kind(
        "efficientnet_b4 of efficientnet_pytorch", lambda: FtNet(efficient(), features, 1792), state=renamed
    ),
}
