"""What may be drawn, and the settings of training that a draw makes."""

import re
from pathlib import Path
from typing import Any

import pytest

from lookalike.cli.arguments import read_settings
from lookalike.cli.main import main
from lookalike.experiments.search_settings import TuneError, checked_knobs, first_draw, settings_of
from lookalike.reports.search_page import write
from lookalike.settings.check import SettingsError
from lookalike.settings.search_space import Knob
from lookalike.settings.training import Train
from searches import arguments, by_scale, search_with, settings


def test_everything_may_be_drawn(digits: Path, tmp_path: Path) -> None:
    result, ran = search_with(by_scale, digits, tmp_path, "tune=everything", "tune.pixels=none", "trials=12")
    stages = {tuple(run.model.trainable) for run in ran}
    assert len(stages) > 2
    assert all(kept[-1] == "head" and len(kept) <= 5 for kept in stages)
    assert {run.trainer.batches for run in ran} == {"shuffled", "labels"}
    assert len({run.online.crop_area for run in ran}) > 6
    assert result.drawn["model.trainable"][-1] == "head"
    assert "model.unfrozen" not in result.drawn
    best = next(run for run in ran if run.run == result.trials["run"][0])
    write(result, tmp_path)
    arguments_of_best = [
        "--config",
        str(tmp_path / "best.yaml"),
        f"data.root={digits}",
        "logger=none",
        f"run={best.run}",
    ]
    again = read_settings("train", arguments_of_best)
    assert again == best


@pytest.mark.parametrize(
    ("backbone", "trainable", "stages"),
    [
        ("tf_efficientnet_lite0", "[conv_head,bn2,head]", ["conv_head", "bn2", "head"]),
        ("resnet18", "[layer4,head]", ["layer4.0", "layer4.1", "head"]),
    ],
)
def test_unfrozen_stages_are_the_last_ones(
    backbone: str, trainable: str, stages: list[str], digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choice = (f"model.backbone={backbone}", f"model.trainable={trainable}", "tune.model.unfrozen.low=2")
    _, ran = search_with(
        by_scale, digits, tmp_path, *choice, "tune.model.unfrozen.high=4", "tune.model.unfrozen.whole=true", "trials=3"
    )
    assert all(set(stages) <= set(run.model.trainable) for run in ran)
    assert set(ran[0].model.trainable) == set(stages), "the first trial is the settings as given"
    assert "as given, is not among" not in capsys.readouterr().err
    odd = (*choice, "model.trainable=[layer3,head]" if backbone == "resnet18" else "model.trainable=[blocks.1,head]")
    search_with(
        by_scale, digits, tmp_path / "odd", *odd, "tune.model.unfrozen.high=4", "tune.model.unfrozen.whole=true"
    )
    assert "tune.model.unfrozen: " in capsys.readouterr().err, "those are not the last ones"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            "tune.trainer.learnin_rate.choices=[1]",
            r"learnin_rate: unknown setting; did you mean learning_rate",
        ),
        ("tune.loss.scal.choices=[1,2]", r"tune\.loss\.scal: no loss has such a setting; did you mean scale"),
        ("tune.trainer.learning_rate.low=-1", r"tune\.trainer\.learning_rate.*needs low < high \(above 0 with log"),
        ("tune.trainer.learning_rate.high=0", r"tune\.trainer\.learning_rate.*needs low < high"),
        ("tune.loss.sub_centers.low=1.5", r"tune\.loss\.sub_centers.*without fractions with whole"),
        ("tune.loss.margin_degrees.high=200", r"loss\.margin_degrees=200\.0: .*less than 180"),
        ("tune.trainer.batches.choices=[shuffled,sorted]", r"trainer\.batches=sorted: expected 'auto', 'shuffled'"),
        (
            "tune.model.unfrozen.choices=[1,99]",
            r"tune\.model\.unfrozen: 99: expected a whole number of stages",
        ),
        ("tune.model.unfrozen.choices=[-1]", r"tune\.model\.unfrozen: -1: expected a whole number of stages"),
        ("tune=standart", r"tune=standart: no such option; did you mean standard"),
        ("trials=0", r"trials=0: expected greater than or equal to 1|trials=0: input should be greater"),
        ("objective=loss", r"objective=loss: expected 'accuracy@1' or 'map'"),
        ("tune.data.seed.choices=[1]", r"tune\.data: unknown setting"),
        ("resume=never", r"resume=never: a search always goes on where it stopped: give name=<another>"),
    ],
)
def test_wrong_spaces_are_one_line_before_any_run(
    argument: str,
    message: str,
    digits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*(argument for argument in arguments(digits) if argument != "logger=none"), argument]) == 2
    printed = capsys.readouterr().err
    assert re.search(message, printed), printed
    assert len([line for line in printed.splitlines() if ": given twice: " not in line]) == 1
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and file.name != ".lock"], "not even a record"


def test_whole_numbers_must_be_asked_for(digits: Path, tmp_path: Path) -> None:
    ends = ("tune.trainer.batch_size.low=4", "tune.trainer.batch_size.high=16")
    with pytest.raises(TuneError, match=r"tune\.trainer\.batch_size: .*; whole=true draws whole numbers"):
        search_with(by_scale, digits, tmp_path, *ends)
    _, ran = search_with(by_scale, digits, tmp_path, *ends, "tune.trainer.batch_size.whole=true")
    assert all(isinstance(run.trainer.batch_size, int) for run in ran)
    _, ran = search_with(by_scale, digits, tmp_path / "b", "tune.trainer.batch_size.choices=[4,8,16]")
    assert ran[0].trainer.batch_size == 8, "as given"


def base_of(root: Path, *more: str) -> dict[str, Any]:
    values = settings(root, *more).model_dump()
    return {name: value for name, value in values.items() if name in Train.model_fields}


def test_the_same_draw_is_the_same_run_whatever_the_order(digits: Path) -> None:
    base = base_of(digits)
    first = settings_of("t", base, {"loss.scale": 20.0, "trainer.batch_size": 16})
    second = settings_of("t", base, {"trainer.batch_size": 16, "loss.scale": 20.0})
    assert first == second
    assert str(first.run).startswith("t-")
    assert (first.loss.scale, first.trainer.batch_size) == (20.0, 16)  # type: ignore[union-attr]
    assert settings_of("t", base, {"loss.scale": 20.1}).run != settings_of("t", base, {"loss.scale": 20.0}).run
    assert base == base_of(digits), "what others start from is unchanged"


def test_values_out_of_range_stop_before_any_run(digits: Path) -> None:
    with pytest.raises(SettingsError, match=r"trainer\.batch_size=0: expected"):
        settings_of("t", base_of(digits), {"trainer.batch_size": 0})


def test_knobs_of_other_losses_are_left_out_and_choices_become_what_training_takes(digits: Path) -> None:
    space = ("tune=loss", "tune.loss.alpha.low=1", "tune.loss.alpha.high=2", "tune.trainer.batch_size.choices=['4',8]")
    command = settings(digits, *space)
    knobs = checked_knobs(command, base_of(digits))
    assert "loss.alpha" not in knobs, "arcface has none"
    assert knobs["trainer.batch_size"].choices == [4, 8]
    assert {"loss.scale", "loss.margin_degrees"} <= set(knobs)


def test_nothing_to_draw_is_an_error(digits: Path) -> None:
    command = settings(digits, "tune.loss=none", "tune.trainer=none")
    with pytest.raises(TuneError, match="tune: nothing to draw for loss arcface: choose another tune="):
        checked_knobs(command, base_of(digits))


def test_the_first_draw_is_the_settings_as_given_where_they_can_be_drawn(
    digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    knobs = {
        "loss.scale": Knob(low=5, high=64),
        "trainer.batch_size": Knob(choices=[4, 8]),
        "trainer.learning_rate": Knob(low=1.0, high=2.0),
        "model.unfrozen": Knob(low=0, high=3, whole=True),
    }
    draw = first_draw(base_of(digits, "loss.scale=11", "model.trainable=[layer4,layer3,head]"), knobs)
    assert draw == {"loss.scale": 11, "trainer.batch_size": 8, "model.unfrozen": 2}
    printed = capsys.readouterr().err
    assert printed.startswith("tune.trainer.learning_rate: ")
    assert printed.endswith("as given, is not among what may be drawn, so the first trial draws another\n")
    assert "model.unfrozen" not in first_draw(base_of(digits, "model.trainable=[layer3,head]"), knobs)
    assert "model.unfrozen" not in first_draw(base_of(digits, "model.trainable=[layer4]"), knobs), "without the head"
    shown = capsys.readouterr().err
    assert "tune.model.unfrozen: ['layer3', 'head'], as given" in shown
