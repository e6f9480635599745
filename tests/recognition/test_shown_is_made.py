"""What `inspect` shows of a checkpoint is what every command makes of it, with given settings and without."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

from lookalike.data.pixels import PixelSettings
from lookalike.errors import LookalikeError
from lookalike.models.embedder import Embedder
from lookalike.recognition.given import given_of
from lookalike.recognition.restore import facts_of, restore
from lookalike.recognition.surgery import own_last_stride
from lookalike.settings.check import check
from lookalike.settings.checkpoints import CheckpointModel, CheckpointPixels

sys.path.append(str(Path(__file__).parents[1] / "models" / "networks"))

from test_assembled import NETWORKS

from small_networks import fill

WIDTH = timm.create_model("test_resnet", num_classes=0).num_features
SMALL = {"height": 64, "width": 32}
PIXELS = ("height", "width", "resize", "interpolation", "antialias", "shorter_side")


def small() -> nn.Module:
    torch.manual_seed(2)
    return timm.create_model("test_resnet", num_classes=0)


def plain(before: str = "net.", **more: tuple[int, ...]) -> dict[str, Any]:
    state = {before + name: value for name, value in small().state_dict().items()}
    return {**state, **{name.replace("__", "."): torch.ones(shape) for name, shape in more.items()}}


def norm(stem: str, size: int) -> dict[str, Any]:
    return {f"{stem}.{name}": value for name, value in nn.BatchNorm1d(size).state_dict().items()}


def authors(name: str) -> dict[str, Any]:
    network, more = NETWORKS[name]
    state = {**fill(network).state_dict(), **{key: torch.ones(shape) for key, shape in more.items()}}
    return {"state_dict": state, "rank1": 0.5} if "torchreid" in name else {"model": state}


def ours(**settings: Any) -> dict[str, Any]:
    embedder = Embedder("test_resnet", 16, bn_neck=True)
    state = {f"embedder.{name}": value for name, value in embedder.state_dict().items()}
    own = {"model.backbone": "test_resnet", "model.embedding_size": 16, "model.bn_neck": True, **settings}
    return {"lookalike": {}, "state_dict": state, "hyper_parameters": {"settings": own}}


@dataclass
class Kind:
    """What is saved, under which name, beside which settings, and what a person may say of it."""

    content: Callable[[], dict[str, Any]]
    said: tuple[dict[str, Any], ...] = ({},)
    name: str = "model.pth"
    beside: dict[str, Any] = field(default_factory=dict)


HEAD = {"embedding.weight": (16, WIDTH), "embedding.bias": (16,)}
OML = {"ModelCheckpoint{'monitor': 'OVERALL/cmc/1'}": {}}
TIMM = {"pretrained_cfg": {"input_size": [3, 48, 48], "mean": [0.1, 0.2, 0.3], "crop_pct": 0.9}}
KINDS = {
    "a network alone": Kind(
        plain, ({}, {"last_stride": 1}, {"pooling": "gem"}, {"mean": [0.5] * 3}, {"pooling": "max"})
    ),
    "a head": Kind(
        lambda: {**plain(), "net.fc.weight": torch.ones(16, WIDTH)},
        ({}, {"embedding_size": 16}, {"embedding_size": None}, {"embedding_size": 9}, {"backbone": "test_resnet"}),
    ),
    "a named head and a neck": Kind(
        lambda: {**plain(), "net.embedding.weight": torch.ones(16, WIDTH), **norm("net.bn", 16)},
        (
            {},
            {"bn_neck": True},
            {"bn_neck": False},
            {"backbone": "test_resnet", "embedding_size": 16},
            {"bn_neck": False},
        ),
    ),
    "weights that are no numbers": Kind(
        lambda: plain(net__embedding__weight=(16, WIDTH)) | {"net.embedding.bias": torch.full((16,), torch.nan)}
    ),
    "a transformer": Kind(
        lambda: timm.create_model("test_vit", num_classes=0).state_dict(), ({"mean": [0.5] * 3}, {"pooling": "avg"})
    ),
    "a neck alone": Kind(
        lambda: {**plain(), **norm("net.bottleneck", WIDTH)}, ({}, {"bn_neck": True}, {"bn_neck": False})
    ),
    "several layers": Kind(
        lambda: plain(net__fc__0__weight=(WIDTH, WIDTH), net__fc__2__weight=(16, WIDTH)),
        ({}, {"embedding_size": 16}, {"backbone": "test_resnet", "embedding_size": None}),
    ),
    "GeM": Kind(
        lambda: plain(net__gem__p=(1,)), ({}, {"pooling": "avg"}, {"backbone": "test_resnet", "pooling": "gem"})
    ),
    "a sequence": Kind(
        lambda: nn.Sequential(*small().children()).state_dict(), ({}, {"backbone": "test_resnet", "bn_neck": False})
    ),
    "a sequence and a head": Kind(
        lambda: nn.Sequential(nn.Sequential(*small().children()), nn.Flatten(), nn.Linear(WIDTH, 16)).state_dict(),
        ({"backbone": "test_resnet"}, {"backbone": "test_resnet", "embedding_size": 16}),
    ),
    "ours": Kind(lambda: ours(**{"pixels.height": 48, "pixels.width": 40}), ({}, {"embedding_size": 3})),
    "our weights without settings": Kind(lambda: {"lookalike": {}, "state_dict": plain("embedder.backbone.")}),
    "timm's hub": Kind(plain, ({}, {"backbone": "test_resnet"}), beside={"config.json": TIMM}),
    "open-metric-learning": Kind(
        lambda: {"state_dict": plain("model.model."), "callbacks": OML}, ({}, {"last_stride": 1})
    ),
    "an example of pytorch-metric-learning": Kind(lambda: plain(""), name="trunk_best3.pth"),
    "wildlife-tools' trainer": Kind(lambda: {"model": plain(""), "objective": {"W": torch.ones(WIDTH, 7)}, "epoch": 1}),
    "another project's network by timm's name": Kind(
        lambda: {"state_dict": plain(""), "rank1": 0.5, "epoch": 3}, ({}, {"backbone": "test_resnet"})
    ),
    **{name: Kind(lambda name=name: authors(name), ({}, {"last_stride": 2})) for name in ("torchreid", "layumi PCB")},
    "reid-strong-baseline": Kind(
        lambda: authors("reid-strong-baseline"),
        ({}, {"project": "reid-strong-baseline"}, {"project": "reid-strong-baseline", "bn_neck": False}),
    ),
    "fast-reid": Kind(lambda: authors("fast-reid"), ({}, {"backbone": "resnet18"})),
}
CASES = [(name, said) for name, kind in KINDS.items() for said in kind.said]


def words(layers: nn.Module) -> str:
    """A head as `inspect` puts it."""
    said = []
    for layer in layers.modules():
        if isinstance(layer, nn.Linear):
            said.append(f"linear {layer.out_features}")
        if isinstance(layer, nn.BatchNorm1d):
            said.append(f"batch norm {layer.num_features}")
    return ", ".join(said) or "none"


def made_of(network: Any, pixels: PixelSettings) -> dict[str, Any]:
    """The facts of a network and of its images."""
    values: dict[str, Any] = {name: getattr(pixels, name) for name in PIXELS if getattr(pixels, name) is not None}
    unit = {name: (getattr(network, name).flatten() / 255).tolist() for name in ("mean", "std")}
    values |= {name: pytest.approx(value, abs=1e-5) for name, value in unit.items()}
    if isinstance(network, Embedder):
        return {**values, "neck": words(nn.Sequential(network.head, network.neck)), "flip": "none", "parts": 1}
    rules, inside = network.network.rules, network.network.network
    values |= {"flip": rules.flip, "parts": rules.parts, "channels": "BGR" if network.bgr else "RGB"}
    trunk = next((part for part in inside.modules() if hasattr(part, "layer4")), None)
    values |= {"last_stride": own_last_stride(trunk)} if trunk is not None else {}
    if hasattr(inside, "own"):
        values |= {"neck": words(inside.layers), "pooling": "own" if inside.own else inside.pool.kind}
        if not inside.own and inside.pool.kind == "gem":
            values["gem_power"] = pytest.approx(float(inside.pool.gem.power.detach()))
    if hasattr(inside, "taken"):
        values["taken"] = inside.taken
    return values


@pytest.mark.parametrize(("name", "said"), CASES, ids=str)
@pytest.mark.parametrize(
    "sides", [SMALL, {**SMALL, "interpolation": "lanczos", "resize": "crop"}], ids=["size", "more"]
)
def test_what_is_shown_is_made(name: str, said: dict[str, Any], sides: dict[str, Any], tmp_path: Path) -> None:
    kind = KINDS[name]
    file = tmp_path / kind.name
    torch.save(kind.content(), file)
    for place, content in kind.beside.items():
        (tmp_path / place).write_text(json.dumps(content))
    given = given_of(check(CheckpointModel, said), check(CheckpointPixels, sides), None)
    refusal, shown = "", None
    try:
        shown = facts_of(file, given)
        refusal = f"{file}: {shown.questions[0].text}" if shown.questions else ""
    except LookalikeError as error:
        refusal = str(error)
    if refusal or shown is None:
        with pytest.raises(LookalikeError, match=f"^{re.escape(refusal)}$"):
            restore(file, said, sides)
        return
    network, pixels, _ = restore(file, said, sides)
    for fact, value in made_of(network, pixels).items():
        there = shown.facts[fact].value
        side = {"after": ("after", "behind"), "before": ("before",)}  # in the project's words
        assert str(there).startswith(side[value]) if fact == "taken" else there == value, fact
