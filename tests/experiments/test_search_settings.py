"""What may be drawn, and the settings of training that a draw makes."""

import re
from pathlib import Path

import pytest

from lookalike.cli.arguments import read_settings
from lookalike.cli.main import main
from lookalike.experiments.search_settings import TuneError
from lookalike.reports.search_page import write
from searches import arguments, by_scale, search_with


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
    assert printed.count("\n") == 1
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and file.name != ".lock"], "not even a record"


def test_whole_numbers_must_be_asked_for(digits: Path, tmp_path: Path) -> None:
    ends = ("tune.trainer.batch_size.low=4", "tune.trainer.batch_size.high=16")
    with pytest.raises(TuneError, match=r"tune\.trainer\.batch_size: .*; whole=true draws whole numbers"):
        search_with(by_scale, digits, tmp_path, *ends)
    _, ran = search_with(by_scale, digits, tmp_path, *ends, "tune.trainer.batch_size.whole=true")
    assert all(isinstance(run.trainer.batch_size, int) for run in ran)
    _, ran = search_with(by_scale, digits, tmp_path / "b", "tune.trainer.batch_size.choices=[4,8,16]")
    assert ran[0].trainer.batch_size == 8, "as given"
