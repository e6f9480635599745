"""The project that wrote a checkpoint, and how it scales images."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from lookalike.data.pixels import PixelSettings
from lookalike.models.foreign_pixels import convention_of, scaled_as

CFG = {"interpolation": "bicubic"}
WEIGHTS = {"conv1.weight": torch.zeros(2, 3, 3, 3)}
FAST_REID = {"backbone.conv1.weight": torch.zeros(2), "heads.bottleneck.0.weight": torch.zeros(2)}
OML = "ModelCheckpoint{'monitor': 'OVERALL/cmc/1', 'mode': 'max', 'every_n_train_steps': 0}"
CONVENTIONS: dict[str, tuple[str, dict[str, Any], str, PixelSettings]] = {
    "torchreid": (
        "model.pth.tar-60",
        {"state_dict": WEIGHTS, "epoch": 60, "rank1": 0.94, "optimizer": {}, "scheduler": {}},
        "torchreid does (bilinear)",
        PixelSettings(interpolation="bilinear"),
    ),
    "fast-reid": (
        "model_best.pth",
        {"model": FAST_REID, "iteration": 9},
        "fast-reid does (bicubic)",
        PixelSettings(interpolation="bicubic"),
    ),
    "fast-reid, weights alone": (
        "market_bot_R50.pth",
        {f"module.{name}": value for name, value in FAST_REID.items()},
        "fast-reid does (bicubic)",
        PixelSettings(interpolation="bicubic"),
    ),
    "open-metric-learning": (
        "best.ckpt",
        {"state_dict": {f"model.model.{name}": value for name, value in WEIGHTS.items()}, "callbacks": {OML: {}}},
        "open-metric-learning does (bilinear, not antialiased)",
        PixelSettings(interpolation="bilinear", antialias=False),
    ),
    "pytorch-metric-learning": (
        "trunk_best12.pth",
        WEIGHTS,
        "pytorch-metric-learning does (bilinear)",
        PixelSettings(interpolation="bilinear"),
    ),
    "timm": (
        "model_best.pth.tar",
        {"epoch": 1, "arch": "x", "state_dict": WEIGHTS, "version": 2, "args": Namespace(model="x", opt="adamw")},
        "timm does (bicubic)",
        PixelSettings(interpolation="bicubic"),
    ),
}


@pytest.mark.parametrize("project", CONVENTIONS)
def test_a_project_is_known_by_what_it_writes(tmp_path: Path, project: str) -> None:
    name, content, text, pixels = CONVENTIONS[project]
    torch.save(content, tmp_path / name)
    chosen, note = scaled_as(tmp_path / name, {"interpolation": None, "antialias": None}, CFG)
    assert chosen == pixels
    assert text in note
    asked, note = scaled_as(tmp_path / name, {"height": 8, "interpolation": "area", "antialias": None}, CFG)
    assert (asked, note) == (PixelSettings(8), "")
    chosen, note = scaled_as(tmp_path / name, {"interpolation": None, "antialias": True}, CFG)
    assert chosen == PixelSettings(interpolation=pixels.interpolation, antialias=True), "what is given is taken"
    assert text in note
    assert note.endswith("; pixels.antialias is taken as given") == (not pixels.antialias)


@pytest.mark.parametrize(
    "content",
    [
        WEIGHTS,
        {"state_dict": WEIGHTS, "arch": "resnet50", "best_acc1": 0.7},  # torch's own ImageNet example
        {"state_dict": WEIGHTS, "callbacks": {"ModelCheckpoint{'monitor': 'val/acc'}": {}}},
        {"state_dict": WEIGHTS, "callbacks": [OML]},
        {"model": {"heads.head.weight": torch.zeros(2)}},  # torchvision's ViT
    ],
)
def test_other_files_show_no_project(tmp_path: Path, content: dict[str, Any]) -> None:
    torch.save(content, tmp_path / "x.pth")
    assert convention_of(tmp_path / "x.pth", CFG) is None


def test_safetensors_hold_names_alone(tmp_path: Path) -> None:
    save_file(FAST_REID, tmp_path / "a.safetensors")
    save_file(WEIGHTS, tmp_path / "b.safetensors")
    assert str(convention_of(tmp_path / "a.safetensors", CFG)).startswith(
        "images are scaled as fast-reid does (bicubic)"
    )
    assert convention_of(tmp_path / "b.safetensors", CFG) is None


def test_timm_scales_as_the_network_was_pretrained(tmp_path: Path) -> None:
    torch.save({"arch": "x", "state_dict": WEIGHTS, "version": 2}, tmp_path / "x.pth")
    for name in ("resnet18", "vit_tiny_patch16_224", "tf_efficientnet_lite0"):
        cfg = timm.create_model(name).pretrained_cfg
        convention = convention_of(tmp_path / "x.pth", cfg)
        assert convention is not None
        assert (convention.interpolation, convention.antialias) == (cfg["interpolation"], True)
    assert convention_of(tmp_path / "x.pth", {"interpolation": "random"}) is None
