"""How images are read: given, then saved, then as the project does; a margin goes with the size."""

from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import CheckpointError
from lookalike.recognition.contents import Contents
from lookalike.recognition.facts import Fact
from lookalike.recognition.pixel_facts import pixel_facts, timms

USUAL: dict[str, Fact] = {
    "height": Fact(224, "convention", "theirs"),
    "width": Fact(224, "convention", "theirs"),
    "resize": Fact("crop", "convention", "theirs"),
    "interpolation": Fact("bicubic", "convention", "theirs"),
    "antialias": Fact(False, "convention", "theirs"),
    "shorter_side": Fact(256, "convention", "theirs"),
    "mean": Fact([0.5] * 3, "assumed", "nobody says it"),
}


def facts(saved: dict[str, Any] | None = None, settings: Any = None, **given: Any) -> dict[str, Fact]:
    contents = Contents(Path("a"), {}, saved=saved or {})
    return pixel_facts(contents, settings or {}, USUAL, given, {"mean": given.get("mean")})


def test_the_order_of_sources() -> None:
    assert facts()["height"] == Fact(224, "convention", "theirs")
    assert facts()["mean"].source == "assumed"
    settings = {"size": ("input.size_test",), "mean": ("pixel_mean",)}
    saved = {"input.size_test": [384, 128], "pixel_mean": [127.5, 0, 255]}
    read = facts(saved, settings)
    assert (read["height"].value, read["width"].value, read["mean"].value) == (384, 128, [0.5, 0, 1])
    assert read["height"].source == "saved settings"
    assert facts(saved, settings, height=96)["height"] == Fact(96, "given", "pixels.height")
    assert facts(saved, settings, mean=[0.1] * 3)["mean"].source == "given"


@pytest.mark.parametrize(
    ("names", "mean", "std", "expected"),
    [
        ("input.pixel_", [123.675, 116.28, 103.53], [1, 1, 1], ([0.485, 0.456, 0.406], [1 / 255] * 3)),
        ("input.pixel_", [0, 0, 0], [255, 255, 255], ([0, 0, 0], [1, 1, 1])),
        ("input.pixel_", [0.485, 0.456, 0.406], [1, 1, 1], ([0.485, 0.456, 0.406], [1, 1, 1])),
        ("input.pixel_", [0, 0, 0], [1, 1, 1], ([0, 0, 0], [1, 1, 1])),
        ("model.pixel_", [0, 0, 0], [1, 1, 1], ([0, 0, 0], [1 / 255] * 3)),  # fast-reid's, never of 0..1
        ("model.pixel_", [0.5, 0.5, 0.5], None, ([0.5 / 255] * 3, None)),
    ],
)
def test_mean_and_std_have_one_unit(names: str, mean: list[float], std: list[float] | None, expected: Any) -> None:
    settings = {"mean": (f"{names}mean",), "std": (f"{names}std",)}
    read = facts({f"{names}mean": mean, f"{names}std": std}, settings)
    assert read["mean"].value == pytest.approx(expected[0], abs=1e-8)
    assert (read["std"].value if std else None) == (pytest.approx(expected[1], abs=1e-8) if std else None)


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


@pytest.mark.parametrize(
    ("name", "stored", "text"),
    [
        ("size", [0, 128], r"x in the file is 0, expected 8 to 4096 pixels: give pixels\.height"),
        ("size", ["a", 128], r"x in the file is a, expected"),
        ("height", 10**9, r"x in the file is 1000000000, expected"),
        ("mean", [0.5, 0.5], r"x in the file is \[0\.5, 0\.5\], expected three numbers: give model\.mean"),
        ("std", [0.5, 0, 0.5], r"expected three numbers: give model\.std"),
        (
            "resample",
            0,
            r"x in the file is 0, expected one of 1, 2, 3: give pixels\.interpolation",
        ),  # the nearest pixel
        ("resample", [3], r"x in the file is \[3\], expected one of 1, 2, 3"),
        ("resample", True, r"x in the file is True, expected one of 1, 2, 3"),
        ("interpolation", "nearest", r"is nearest, expected one of lanczos, bilinear, bicubic: give pixels\.interpola"),
        ("resize_mode", "fill", r"is fill, expected one of shortest, squash, longest: give pixels\.resize"),
        ("resize_mode", ["squash"], r"is \['squash'\], expected one of"),
    ],
)
def test_saved_settings_that_make_no_sense_are_refused(name: str, stored: Any, text: str) -> None:
    with pytest.raises(CheckpointError, match=text):
        facts({"x": stored}, {name: ("x",)})


@pytest.mark.parametrize(
    ("name", "stored", "given"),
    [
        ("size", [4, 128], {"height": 256, "width": 128}),
        ("height", 10**9, {"height": 256}),
        ("mean", [0.5, 0.5], {"mean": [0.5] * 3}),
        ("resample", 0, {"interpolation": "bilinear"}),
        ("interpolation", "nearest", {"interpolation": "bilinear"}),
        ("resize_mode", "fill", {"resize": "pad"}),
    ],
)
def test_what_is_given_takes_the_place_of_what_makes_no_sense(name: str, stored: Any, given: dict[str, Any]) -> None:
    read = facts({"x": stored}, {name: ("x",)}, **given)
    assert {fact: read[fact].value for fact in given} == given
    with pytest.raises(CheckpointError, match="x in the file is"):
        facts({"x": stored}, {name: ("x",)}, antialias=True)


def test_an_unknown_project_may_mean_something_else_by_interpolation() -> None:
    settings = {"usual_interpolation": ("x",)}
    assert facts({"x": "bilinear"}, settings)["interpolation"].source == "saved settings"
    assert facts({"x": "linear, between key frames"}, settings)["interpolation"] == USUAL["interpolation"]
    assert facts({"x": [3]}, settings)["interpolation"] == USUAL["interpolation"]


def test_timms_own() -> None:
    config = {"input_size": (3, 224, 224), "mean": (0.5,) * 3, "std": (0.2,) * 3, "interpolation": "bicubic"}
    plain = timms("a", config)
    assert plain["height"] == (224, "timm's pretrained_cfg of a")
    assert "resize" not in plain
    cropped = timms("a", {**config, "crop_pct": 0.875, "crop_mode": "center"}, cropped=True)
    assert (cropped["resize"][0], cropped["shorter_side"][0]) == ("crop", 256)
    assert timms("a", {**config, "crop_mode": "squash"}, cropped=True)["resize"][0] == "stretch"
