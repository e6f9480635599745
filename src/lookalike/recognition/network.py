"""The network of a blueprint, filled from a file: every tensor of it has its place there, or it is not made.

Letters in shapes: B batch, C channels, H height, W width, D embedding, P parts.
"""

from typing import Any

import torch
from torch import Tensor, nn

from lookalike.data.pixels import PixelSettings
from lookalike.errors import ModelError
from lookalike.models.backbone import Size, make_backbone
from lookalike.models.gem import GeM
from lookalike.models.image_network import ImageNetwork
from lookalike.recognition.facts import Blueprint, Fact, Layer, Recognised
from lookalike.recognition.surgery import change, set_last_stride


class _Pool(nn.Module):
    """[B, C, H, W] -> [B, C], or [B, C * P] of P stripes from top to bottom."""

    def __init__(self, kind: str, power: float, parts: int) -> None:
        super().__init__()
        self.kind, self.parts = kind, parts
        self.gem = GeM(flatten=True, power=power) if kind == "gem" else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        if self.kind == "gem":
            pooled: Tensor = self.gem(features)
            return pooled
        if self.kind == "parts":
            return nn.functional.adaptive_avg_pool2d(features, (self.parts, 1)).flatten(1)
        average, most = features.mean((2, 3)), features.amax((2, 3))
        return {"avg": average, "max": most, "avg+max": average + most}[self.kind]


class _UnitLength(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.normalize(features, dim=1)


def _made(layer: Layer, entering: int) -> nn.Module:
    if layer.kind in ("linear", "convolution"):
        return nn.Linear(entering, layer.width, bias=layer.bias)
    if layer.kind == "batch norm":
        return nn.BatchNorm1d(layer.width)
    return {"relu": nn.ReLU(), "leaky relu": nn.LeakyReLU(0.1), "unit length": _UnitLength()}[layer.kind]


class RecognisedNetwork(ImageNetwork):
    """A network of another project, as its authors run it.

    It takes uint8 RGB [B, H, W, 3]: what the project does to these pixels is part of it.

    Args:
        blueprint: What it is made of.
        mean: Per channel, in 0..1.
        std: Same.
        size: Height and width of the images, in pixels.
        bgr: Whether the project's network takes blue first.

    Raises:
        ModelError: It does not run at this size, or the last stride of this architecture cannot be set.
    """

    backbone: Any  # a timm model: what it offers differs by family
    mean: Tensor
    std: Tensor

    def __init__(
        self, blueprint: Blueprint, mean: list[float], std: list[float], size: Size, bgr: bool = False
    ) -> None:
        super().__init__()
        self.blueprint, self.image_size, self.bgr = blueprint, size, bgr
        self.backbone = make_backbone(blueprint.architecture, size)
        if blueprint.last_stride is not None:
            set_last_stride(self.backbone, blueprint.architecture, blueprint.last_stride)
        for name in blueprint.changes:
            change(self.backbone, name)
        own = blueprint.pooling == "own"
        self.pool = nn.Identity() if own else _Pool(blueprint.pooling, blueprint.gem_power, blueprint.parts)
        width = int(getattr(self.backbone, "head_hidden_size", self.backbone.num_features))
        width *= blueprint.parts
        layers: list[nn.Module] = []
        for layer in blueprint.layers:
            layers.append(_made(layer, width))
            width = layer.width or width
        self.layers, self._size = nn.Sequential(*layers), width
        for name, value in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32).view(1, 3, 1, 1) * 255)

    @property
    def embedding_size(self) -> int:
        """D."""
        return self._size

    def forward(self, images: Tensor) -> Tensor:
        """uint8 RGB [B, H, W, 3] -> embedding [B, D] of any length."""
        pixels = images.permute(0, 3, 1, 2).to(self.mean.dtype)
        pixels = ((pixels.flip(1) if self.bgr else pixels) - self.mean) / self.std
        embedding = self._embedded(pixels)
        if self.blueprint.flip:
            embedding = embedding + self._embedded(pixels.flip(3))
        if self.blueprint.pooling == "parts":
            stripes = embedding.view(len(embedding), -1, self.blueprint.parts)
            embedding = nn.functional.normalize(stripes, dim=1).flatten(1)
        return embedding

    def _embedded(self, pixels: Tensor) -> Tensor:
        own = self.blueprint.pooling == "own"
        features = self.backbone(pixels) if own else self.pool(self.backbone.forward_features(pixels))
        embedding: Tensor = self.layers(features)
        return embedding


def network_of(recognised: Recognised, tensors: dict[str, Tensor]) -> RecognisedNetwork:
    """The network of a checkpoint, ready to embed.

    Args:
        recognised: What the file holds.
        tensors: Its tensors.

    Raises:
        ModelError: Its weights are not finite, or it does not run at its size.
    """
    facts = recognised.facts
    blueprint = recognised.blueprint
    parts = {name for names in blueprint.tensors.values() for name in names}
    parts |= {
        name for name in tensors if any(name.startswith(f"{layer.stem}.") for layer in blueprint.layers if layer.stem)
    }
    need_finite(tensors, parts, recognised.file)
    mean, std = (_numbers(facts[name]) for name in ("mean", "std"))
    pixels = pixels_of(recognised)
    bgr = facts["channels"].value == "BGR"
    network = RecognisedNetwork(blueprint, mean, std, (pixels.height, pixels.width), bgr)
    fill(network, tensors)
    return network.eval()


def _numbers(fact: Fact) -> list[float]:
    assert isinstance(fact.value, list)
    return fact.value


def pixels_of(recognised: Recognised) -> PixelSettings:
    """How its images are read.

    Args:
        recognised: What the file holds.
    """
    names = ("height", "width", "resize", "interpolation", "antialias")
    return PixelSettings.of({name: recognised.facts[name].value for name in names if name in recognised.facts})


def fill(network: RecognisedNetwork, tensors: dict[str, Tensor]) -> None:
    """Copies every tensor of a file to its place.

    Args:
        network: Takes them.
        tensors: Name in the file -> tensor.

    Raises:
        ModelError: A tensor of the network has no place in the file, or its values are not finite.
    """
    blueprint = network.blueprint
    wanted = network.state_dict()
    values = {
        f"backbone.{name}": torch.cat([tensors[part] for part in parts]) if len(parts) > 1 else tensors[parts[0]]
        for name, parts in blueprint.tensors.items()
    }
    for number, layer in enumerate(blueprint.layers):
        for part in ("weight", "bias", "running_mean", "running_var"):
            if layer.stem and f"{layer.stem}.{part}" in tensors:
                values[f"layers.{number}.{part}"] = tensors[f"{layer.stem}.{part}"]
    for name, here in wanted.items():
        if name in values and values[name].shape != here.shape and values[name].numel() == here.numel():
            values[name] = values[name].reshape(here.shape)
    made = {"mean", "std", "pool.gem.power"}
    made |= {name for name in wanted if name.endswith("num_batches_tracked")}
    for number, layer in enumerate(blueprint.layers):  # a batch norm may have no scale or no shift
        if layer.kind == "batch norm":
            made |= {f"layers.{number}.weight", f"layers.{number}.bias"} - values.keys()
    missing = sorted(wanted.keys() - values.keys() - made)
    assert not missing, f"recognised without {missing}"
    network.load_state_dict(values, strict=False)


def need_finite(tensors: dict[str, Tensor], names: set[str], file: object) -> None:
    """Refuses weights that are no numbers.

    Args:
        tensors: Name -> tensor.
        names: Those that act on the embedding.
        file: For the error.

    Raises:
        ModelError: Some are nan or infinite.
    """
    broken = sorted(name for name in names if not torch.isfinite(tensors[name].float()).all())
    if broken:
        raise ModelError(
            f"{file}: expected finite weights, found nan or inf in {len(broken)} tensors ({', '.join(broken[:4])}): "
            "its training diverged or the file is damaged: take an earlier checkpoint"
        )
