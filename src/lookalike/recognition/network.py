"""The network of a blueprint, filled from a file: every tensor of it has its place there, or it is not made.

Letters in shapes: B batch, C channels, H height, W width, D embedding.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lookalike.errors import ModelError
from lookalike.models.backbone import Size, make_backbone, width_of
from lookalike.models.gem import GeM
from lookalike.models.image_network import ImageNetwork
from lookalike.models.networks.assembled import assembled
from lookalike.models.networks.inference_rules import InferenceRules, WithRules
from lookalike.models.networks.pooling import POOLS
from lookalike.recognition.facts import Blueprint, Fact, Layer, Recognised
from lookalike.recognition.heads import PARTS
from lookalike.recognition.pixel_facts import pixels_of
from lookalike.recognition.positions import at_size
from lookalike.recognition.room import need_room_in_the_file
from lookalike.recognition.surgery import set_last_stride

_FLOAT = 4  # bytes of a number in the network
_OF_FAST_REID = {
    **{"avg": "GlobalAvgPool", "max": "GlobalMaxPool", "gem": "GeneralizedMeanPooling"},
    **{"avg+max": "AdaptiveAvgMaxPool", "clipped avg": "ClipGlobalAvgPool"},
}


class _Pool(nn.Module):
    """[B, C, H, W] -> [B, C]."""

    def __init__(self, kind: str, power: float) -> None:
        super().__init__()
        self.kind = kind
        self.gem = GeM(flatten=True, power=power) if kind == "gem" else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        if self.kind == "gem":
            pooled: Tensor = self.gem(features)
            return pooled
        average, most = features.mean((2, 3)), features.amax((2, 3))
        return {"avg": average, "max": most, "avg+max": average + most}[self.kind]


class _UnitLength(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.normalize(features, dim=1)


def _made(layer: Layer, entering: int) -> nn.Module:
    if layer.kind in ("linear", "convolution", "projection"):
        return nn.Linear(entering, layer.width, bias=layer.bias)
    if layer.kind == "batch norm":
        return nn.BatchNorm1d(layer.width)
    return {"relu": nn.ReLU(), "leaky relu": nn.LeakyReLU(0.1), "unit length": _UnitLength()}[layer.kind]


class _Assembly(nn.Module):
    """A network of timm and the layers behind it: normalised [B, 3, H, W] -> [B, D]."""

    backbone: Any  # a timm model: what it offers differs by family

    def __init__(self, blueprint: Blueprint, size: Size) -> None:
        super().__init__()
        self.backbone = make_backbone(blueprint.architecture, size)
        for part in self.backbone.modules():
            if blueprint.tanh and isinstance(part, nn.GELU):
                part.approximate = "tanh"
            if blueprint.norm_eps is not None and isinstance(part, nn.BatchNorm2d):
                part.eps = blueprint.norm_eps
        self.own = blueprint.pooling == "own"
        # Of DeiT, timm averages the tokens of both its classifiers; transformers' DeiTModel has one vector, the first.
        self.class_token = self.own and blueprint.library == "transformers" and hasattr(self.backbone, "dist_token")
        self.pool = nn.Identity() if self.own else _Pool(blueprint.pooling, blueprint.gem_power)
        if not self.own:
            _need_maps(self, blueprint, size)
        width = width_of(self.backbone)
        layers: list[nn.Module] = []
        for layer in blueprint.layers:
            layers.append(_made(layer, width))
            width = layer.width or width
        self.layers, self.embedding_size = nn.Sequential(*layers), width

    def forward(self, pixels: Tensor) -> Tensor:
        if self.class_token:
            features = self.backbone.forward_features(pixels)[:, 0]
        else:
            features = self.backbone(pixels) if self.own else self.pool(self.backbone.forward_features(pixels))
        embedding: Tensor = self.layers(features)
        return embedding


def _need_maps(assembly: _Assembly, blueprint: Blueprint, size: Size) -> None:
    """Refuses another pooling than a network's own, where that is not the last thing it does to its feature maps.

    Raises:
        ModelError: It gives no [B, C, h, w] to pool, or has weights behind its own pooling.
    """
    backbone = assembly.backbone
    with torch.enable_grad():
        maps: Tensor = backbone.eval().forward_features(torch.zeros(1, 3, *size))
    reached = _leaves(maps)
    behind = [name for name, value in backbone.named_parameters() if id(value) not in reached]
    if maps.ndim == 4 and maps.shape[1] == backbone.num_features and not behind:
        return
    shown = f"{', '.join(behind[:2])} behind its own pooling" if behind else f"features {list(maps.shape)}"
    raise ModelError(
        f"model.pooling={blueprint.pooling}: expected a network whose features are [B, C, h, w] and that has no "
        f"weights behind its pooling, found {blueprint.architecture} with {shown}: "
        "its own pooling is the only one: leave it out"
    )


def _leaves(result: Tensor) -> set[int]:
    """Identities of the parameters that a tensor was computed from."""
    leaves, seen, ahead = set(), set(), [result.grad_fn]
    while ahead:
        step = ahead.pop()
        if step is None or step in seen:
            continue
        seen.add(step)
        if hasattr(step, "variable"):
            leaves.add(id(step.variable))
        ahead += [following for following, _ in step.next_functions]
    return leaves


class RecognisedNetwork(ImageNetwork):
    """A network of another project, as its authors run it.

    It takes uint8 RGB [B, H, W, 3]: what the project does to these pixels is part of it.

    Args:
        network: Normalised [B, 3, H, W] -> [B, D].
        blueprint: What it is made of.
        mean: Per channel, in 0..1.
        std: Same.
        size: Height and width of the images, in pixels.
        bgr: Whether the network takes blue first.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: Any,
        blueprint: Blueprint,
        mean: list[float],
        std: list[float],
        size: Size,
        bgr: bool = False,
    ) -> None:
        super().__init__()
        self.image_size, self.bgr = size, bgr
        of_bytes = [tuple(255 * part for part in value) for value in (mean, std)]
        self.network = WithRules(network, InferenceRules(blueprint.flip, (1.0,), blueprint.parts, *of_bytes))
        self._size = int(network.embedding_size)
        for name, value in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32).view(1, 3, 1, 1) * 255)

    @property
    def embedding_size(self) -> int:
        """D."""
        return self._size

    def forward(self, images: Tensor) -> Tensor:
        """uint8 RGB [B, H, W, 3] -> embedding [B, D] of any length."""
        pixels = images.permute(0, 3, 1, 2).to(self.mean.dtype)
        embedding: Tensor = self.network(((pixels.flip(1) if self.bgr else pixels) - self.mean) / self.std)
        return embedding


def need_sound(recognised: Recognised, tensors: dict[str, Tensor]) -> None:
    """Refuses what `network_of` refuses and names and shapes do not show.

    Args:
        recognised: What the file holds.
        tensors: Its tensors.

    Raises:
        ModelError: Its weights are not finite, or it cannot pool as a person says.
    """
    facts, blueprint = recognised.facts, recognised.blueprint
    _need_finite(_values(blueprint, tensors), recognised.file)
    pooling = facts.get("pooling")
    if pooling is not None and pooling.source == "given" and blueprint.pooling != "own":
        _Assembly(blueprint, _size_of(facts))  # it needs maps to pool


def _size_of(facts: Mapping[str, Fact]) -> tuple[int, int]:
    """Height and width of the images."""
    pixels = pixels_of(facts)
    return pixels.height, pixels.width


def network_of(recognised: Recognised, tensors: dict[str, Tensor]) -> RecognisedNetwork:
    """The network of a checkpoint, ready to embed.

    Args:
        recognised: What the file holds.
        tensors: Its tensors.

    Raises:
        ModelError: Its weights are not finite, or it does not run at its size.
        CheckpointError: Its weights take far more memory than the file has bytes.
    """
    facts, blueprint = recognised.facts, recognised.blueprint
    needed = _FLOAT * sum(tensors[name].numel() for name in _used(blueprint, tensors))
    need_room_in_the_file(Path(recognised.file), needed, "its names and shapes are those of a network")
    values = _values(blueprint, tensors)
    _need_finite(values, recognised.file)
    size = _size_of(facts)
    network = _authors(blueprint, values, size) if blueprint.authors else _Assembly(blueprint, size)
    if blueprint.last_stride is not None:
        set_last_stride(network, blueprint.architecture, blueprint.last_stride)
    _fill(network, values, blueprint)
    mean, std = (_numbers(facts[name]) for name in ("mean", "std"))
    return RecognisedNetwork(network, blueprint, mean, std, size, facts["channels"].value == "BGR").eval()


def _authors(blueprint: Blueprint, values: dict[str, Tensor], size: Size) -> nn.Module:
    shapes = {name: tuple(value.shape) for name, value in values.items()}
    made = assembled({**shapes, **blueprint.hints}, size)
    assert made is not None, "it was recognised"
    network: Any = made.network
    if blueprint.taken and hasattr(network, "taken"):
        network.taken = blueprint.taken
    if blueprint.pooling != "own" and "heads.pool_layer.p" not in values:
        network.heads.pool_layer = POOLS[_OF_FAST_REID[blueprint.pooling]]()
    return made.network


def _numbers(fact: Fact) -> list[float]:
    assert isinstance(fact.value, list)
    return fact.value


def _parts(layer: Layer, tensors: dict[str, Tensor]) -> list[str]:
    """What a layer has in the file, behind its stem."""
    return [part for part in PARTS if layer.stem and f"{layer.stem}.{part}" in tensors]


def _used(blueprint: Blueprint, tensors: dict[str, Tensor]) -> list[str]:
    """Names in the file of all that becomes part of the network."""
    names = [name for parts in blueprint.tensors.values() for name in parts]
    for layer in blueprint.layers:
        if layer.kind == "projection":
            names.append(layer.stem)
        names += [f"{layer.stem}.{part}" for part in _parts(layer, tensors)]
    return names


def _values(blueprint: Blueprint, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name in the network -> value."""
    before = "" if blueprint.authors else "backbone."
    values = {
        f"{before}{name}": torch.cat([tensors[part] for part in parts]) if len(parts) > 1 else tensors[parts[0]]
        for name, parts in blueprint.tensors.items()
    }
    for name, (axis, first, last) in blueprint.cuts.items():
        values[f"{before}{name}"] = values[f"{before}{name}"].narrow(axis, first, last - first)
    for name, (other, axis, first, last) in blueprint.plus.items():
        values[f"{before}{name}"] = values[f"{before}{name}"] + tensors[other].narrow(axis, first, last - first)
    for number, layer in enumerate(blueprint.layers):
        if layer.kind == "projection":  # [W, D], as CLIP has it
            values[f"layers.{number}.weight"] = tensors[layer.stem].T
            continue
        for part in _parts(layer, tensors):
            values[f"layers.{number}.{part}"] = tensors[f"{layer.stem}.{part}"]
    return {name: value.float() if value.is_floating_point() else value for name, value in values.items()}


def _fill(network: nn.Module, values: dict[str, Tensor], blueprint: Blueprint) -> None:
    """Copies every tensor to its place."""
    wanted = network.state_dict()
    shaped = {name: at_size(name, value, wanted[name], blueprint) for name, value in values.items() if name in wanted}
    free = {name for name in wanted if name.endswith("num_batches_tracked")} | {"pool.gem.power"}
    norms = [name for name, part in network.named_modules() if isinstance(part, nn.BatchNorm1d)]
    free |= {f"{name}.{part}" for name in norms for part in ("weight", "bias")}  # a neck may have no scale or no shift
    missing = sorted(wanted.keys() - shaped.keys() - free)
    assert not missing, f"recognised without {missing[:4]}"
    assert len(shaped) == len(values), f"no place for {sorted(values.keys() - shaped.keys())[:4]}"
    network.load_state_dict(shaped, strict=False)


def _need_finite(values: dict[str, Tensor], file: str) -> None:
    """Refuses weights that are no numbers.

    Raises:
        ModelError: Some are nan or infinite.
    """
    broken = sorted(name for name, value in values.items() if not torch.isfinite(value).all())
    if broken:
        raise ModelError(
            f"{file}: expected finite weights, found nan or inf in {len(broken)} tensors ({', '.join(broken[:4])}): "
            "its training diverged or the file is damaged: take an earlier checkpoint"
        )
