"""What a run says of its preset: what it reached where it was measured, or what wins over it."""

import shutil
from pathlib import Path

import pytest

from command_line import CONFIGS, train
from lookalike.settings.check import SettingsError
from lookalike.settings.compose import UsageError
from lookalike.settings.preset import overruled, preset_line

FIGURES = {"accuracy": "0.85", "low": "0.8", "high": "0.9", "images": "1776", "minutes": "9.5", "machine": "two cores"}


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The presets as they are once `standard` is measured."""
    folder = Path(shutil.copytree(CONFIGS, tmp_path / "configs"))
    monkeypatch.setattr("lookalike.settings.compose.config_folder", lambda: folder)
    file = folder / "quality" / "standard.yaml"
    lines = [line for line in file.read_text().splitlines() if line.partition(":")[0] not in FIGURES]
    file.write_text("\n".join([*lines, *(f"{name}: {value}" for name, value in FIGURES.items())]))


@pytest.mark.usefixtures("measured")
def test_a_measured_preset_says_what_it_reached() -> None:
    assert preset_line(train()) == (
        "quality=standard: reached accuracy@1 0.8500 (95 % 0.8000 to 0.9000) on validation photographs of other shops, "
        "in 9.5 min for 1776 training images on two cores"
    )
    same = (
        "trainer.threads=1",
        "trainer.devices=2",
        "trainer.workers=0",
        "data.root=elsewhere",
        "seed=7",
        "trainer.precision=32-true",
    )
    assert preset_line(train(*same)) == preset_line(train()), "none of them changes what it is measured by"
    assert preset_line(train("model.trainable=[head]")).endswith(
        "wins over it; what the preset reaches and takes does not hold for this run"
    )


@pytest.mark.parametrize(
    "arguments", [["quality=null"], ["model=resnet18"], ["experiment=fruits"], ["model=efficientnet_lite2_deep"]]
)
@pytest.mark.usefixtures("measured")
def test_a_run_without_preset_says_nothing(arguments: list[str]) -> None:
    assert preset_line(train(*arguments)) == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trainer.max_epochs=3"], "quality=standard: trainer.max_epochs=3 (not 8) wins over it; "),
        (
            ["quality=best", "model.trainable=[head]", "loss=triplet"],
            "quality=best: loss.name=triplet (not arcface), model.trainable=[head] "
            "(not [blocks.5,blocks.6,conv_head,bn2,head]), loss.margin_degrees=null (not 28.6), "
            "loss.scale=null (not 10.0) and 2 more win over it; ",
        ),
        (["quality=quick", "pixels.height=240"], "quality=quick: pixels.height=240 (not 224) wins over it; "),
        (
            ["quality=quick", "online=none"],
            "quality=quick: online.flip=false (not true), online.crop_area=1.0 (not 0.4), ",
        ),
        (
            ["quality=best", "model=resnet18"],
            "quality=best: model.backbone=resnet18 (not tf_efficientnet_lite2), pixels.height=224 (not 384), ",
        ),
    ],
)
def test_what_wins_over_a_preset_is_said(arguments: list[str], said: str) -> None:
    line = preset_line(train(*arguments))
    assert line.startswith(said)
    assert "\n" not in line
    assert line.endswith("what the preset reaches and takes does not hold for this run")


def test_an_experiment_beside_a_preset_that_was_asked_for_wins() -> None:
    settings = train("quality=best", "experiment=fruits")
    winning = overruled(settings)
    assert winning["model.backbone"] == ("resnet18", "tf_efficientnet_lite2")
    assert winning["augment.per_class"] == (120, None)
    assert {"pixels.height", "online.views", "trainer.max_epochs"} <= set(winning)
    assert "win over it" in preset_line(settings)


@pytest.mark.parametrize("arguments", [[], ["quality=quick"], ["quality=best"]])
def test_a_preset_that_is_not_measured_claims_nothing(arguments: list[str]) -> None:
    settings = train(*arguments)
    assert overruled(settings) == {}
    if settings.quality.accuracy is None:
        assert preset_line(settings) == ""


def test_figures_of_a_preset_are_all_there_or_none() -> None:
    with pytest.raises(
        SettingsError, match=r"^quality\.low: has no value, and other figures of the preset have one: gi"
    ):
        train("quality=quick", "quality.low=null")
    with pytest.raises(SettingsError, match=r"^quality\.accuracy=1\.9: expected less than or equal to 1"):
        train("quality.accuracy=1.9")
    with pytest.raises(UsageError, match=r"^quality=mine: no such option; options: best, quick, standard$"):
        preset_line(train("quality.name=mine"))
