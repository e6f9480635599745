"""How images are read: given, then saved, then as the project does; a margin goes with the size."""

from pathlib import Path
from typing import Any

import pytest

from lookalike.recognition.contents import Contents
from lookalike.recognition.facts import Fact
from lookalike.recognition.pixel_facts import pixel_facts, timms

USUAL: dict[str, Any] = {
    "height": (224, "theirs"),
    "width": (224, "theirs"),
    "resize": ("crop", "theirs"),
    "interpolation": ("bicubic", "theirs"),
    "shorter_side": (256, "theirs"),
    "mean": ([0.5] * 3, "theirs"),
}


def facts(saved: dict[str, Any] | None = None, settings: Any = None, **given: Any) -> dict[str, Fact]:
    contents = Contents(Path("a"), {}, saved=saved or {})
    return pixel_facts(contents, settings or {}, USUAL, given, {"mean": given.get("mean")})


def test_the_order_of_sources() -> None:
    assert facts()["height"] == Fact(224, "convention", "theirs")
    settings = {"size": ("input.size_test",), "mean": ("pixel_mean",)}
    saved = {"input.size_test": [384, 128], "pixel_mean": [127.5, 0, 255]}
    read = facts(saved, settings)
    assert (read["height"].value, read["width"].value, read["mean"].value) == (384, 128, [0.5, 0, 1])
    assert read["height"].source == "saved settings"
    assert facts(saved, settings, height=96)["height"] == Fact(96, "given", "pixels.height")
    assert facts(saved, settings, mean=[0.1] * 3)["mean"].source == "given"


def test_a_margin_is_in_proportion_and_only_of_a_crop() -> None:
    assert facts()["shorter_side"].value == 256
    assert facts(height=448)["shorter_side"] == Fact(512, "convention", "theirs, in proportion")
    assert "shorter_side" not in facts(resize="stretch")
    assert "shorter_side" not in facts(interpolation="area")
    assert facts(shorter_side=300)["shorter_side"].value == 300


@pytest.mark.parametrize(
    ("name", "stored", "fact", "value"),
    [
        ("resample", 3, "interpolation", "bicubic"),
        ("do_center_crop", False, "resize", "stretch"),
        ("interpolation", "bilinear", "interpolation", "bilinear"),
        ("interpolation", "random", "interpolation", "bicubic"),
        ("shorter_side", 300, "shorter_side", 300),
    ],
)
def test_saved_settings_in_other_words(name: str, stored: Any, fact: str, value: Any) -> None:
    assert facts({"x": stored}, {name: ("x",)})[fact].value == value


def test_timms_own() -> None:
    config = {"input_size": (3, 224, 224), "mean": (0.5,) * 3, "std": (0.2,) * 3, "interpolation": "bicubic"}
    plain = timms("a", config)
    assert plain["height"] == (224, "timm's pretrained_cfg of a")
    assert "resize" not in plain
    cropped = timms("a", {**config, "crop_pct": 0.875, "crop_mode": "center"}, cropped=True)
    assert (cropped["resize"][0], cropped["shorter_side"][0]) == ("crop", 256)
    assert timms("a", {**config, "crop_mode": "squash"}, cropped=True)["resize"][0] == "stretch"
