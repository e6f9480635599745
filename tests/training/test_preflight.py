"""What would stop a run after hours is said before its first step."""

import re
from pathlib import Path

import pytest

from command_line import train
from conftest import TINY
from lookalike.cli.main import main
from lookalike.data.reading import read_data
from lookalike.errors import LookalikeError
from lookalike.training.plan import TrainError
from lookalike.training.preflight import batches_by_label, check_run


@pytest.mark.parametrize(
    ("settings", "by_label"),
    [
        (["loss=arcface"], False),
        (["loss=triplet"], True),
        (["loss=arcface", "trainer.batches=labels"], True),
        (["loss=triplet", "trainer.batches=shuffled"], False),
    ],
)
def test_which_losses_need_labels_in_a_batch(settings: list[str], by_label: bool) -> None:
    assert batches_by_label(train(*settings)) == by_label


def test_labels_that_are_too_few_for_a_batch(digits: Path, tmp_path: Path) -> None:
    folders = (f"models_dir={tmp_path}", f"checkpoint_dir={tmp_path}")
    manifest = read_data(str(digits))
    check_run(train("loss=triplet", "trainer.labels_per_batch=5", *folders), manifest)
    check_run(train("loss=arcface", "trainer.labels_per_batch=6", *folders), manifest)
    with pytest.raises(
        TrainError,
        match=r"labels_per_batch=6, but there are 5 training labels: give trainer\.labels_per_batch=5 or less",
    ):
        check_run(train("loss=triplet", "trainer.labels_per_batch=6", *folders), manifest)


@pytest.mark.parametrize("folder", ["models_dir", "checkpoint_dir"])
@pytest.mark.parametrize("under", ["", "deep/er"])
def test_a_folder_that_cannot_be_written(digits: Path, tmp_path: Path, folder: str, under: str) -> None:
    (tmp_path / "file").write_text("in the way")
    place = tmp_path / "file" / under
    with pytest.raises(LookalikeError, match=re.escape(f"{place}: nothing can be written there")):
        check_run(train(f"{folder}={place}"), read_data(str(digits)))


def test_training_says_so_before_any_copy_is_made(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way")
    arguments = ["train", f"data.root={digits}", *TINY, "augment.per_class=12", f"augment.output={tmp_path / 'copies'}"]
    for wrong, text in (
        ("models_dir=file", r"file: nothing can be written there \(.*\): give another folder"),
        ("model.weights=missing.pth", r"model\.weights=missing\.pth: no such file"),
        ("model.backbone=resnet19", r"resnet19"),
    ):
        assert main([*arguments, wrong]) == 2
        assert re.search(text, capsys.readouterr().err)
        assert not (tmp_path / "copies").exists()


def test_a_comparison_looks_at_all_its_runs_before_the_first(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["compare", f"data.root={digits}", *TINY, "name=mixed", "seeds=[0]", "trainer.labels_per_batch=9"]
    assert main([*arguments, "loss=arcface,triplet"]) == 2
    said = capsys.readouterr().err
    assert "trainer.labels_per_batch=9, but there are 5 training labels" in said
    assert "run 1 of 2" not in said
    assert not list(tmp_path.rglob("*.ckpt"))
