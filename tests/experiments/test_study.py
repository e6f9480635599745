"""The database of a search: taken up again after a kill, refused when it is of other settings."""

import re
import shutil
import sys
from pathlib import Path

import optuna
import pytest

from lookalike.errors import LookalikeError, install
from lookalike.experiments.search_settings import TuneError
from lookalike.experiments.study import (
    ended_trials,
    given_attribute,
    open_study,
    plain_database_errors,
    require_optuna,
    take_up_killed_trials,
)
from lookalike.models.checkpoint_file import CheckpointError
from lookalike.settings.search_space import Knob
from lookalike.settings.training import Train
from searches import by_scale, search_with, settings


def test_a_trial_killed_before_it_drew_anything_is_run_as_it_was_meant(digits: Path, tmp_path: Path) -> None:
    def killed(run: Train, epoch: int) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search_with(killed, digits, tmp_path, "loss.scale=11")
    study = optuna.load_study(study_name="t", storage=f"sqlite:///{tmp_path / 'study.db'}")
    study.enqueue_trial({"loss.scale": 12.5}, user_attrs={"given": False})
    study.ask()  # the killed one's successor: drawn from the queue, nothing suggested yet
    _, ran = search_with(by_scale, digits, tmp_path, "trials=2", "loss.scale=11")
    assert {run.loss.scale for run in ran} == {11, 12.5}  # type: ignore[union-attr]


def test_a_search_that_found_nothing_yet_is_not_bound_to_its_settings(digits: Path, tmp_path: Path) -> None:
    def broken(run: Train, epoch: int) -> float:
        raise LookalikeError("no validation images")

    with pytest.raises(LookalikeError, match="no validation images"):
        search_with(broken, digits, tmp_path)
    result, ran = search_with(by_scale, digits, tmp_path, "data.validation_share=0.2", "trials=2")
    assert len(ran) == len(result.trials) == 2


def test_a_study_of_other_settings_or_a_damaged_one_is_refused(digits: Path, tmp_path: Path) -> None:
    search_with(by_scale, digits, tmp_path)
    with pytest.raises(
        CheckpointError, match=r"search t was started with other settings: trainer\.batch_size was 8, is 16; go back"
    ):
        search_with(by_scale, digits, tmp_path, "trainer.batch_size=16")
    assert search_with(by_scale, digits, tmp_path, "trainer.workers=1", "checkpoint_dir=elsewhere")[1] == []
    (tmp_path / "study.db").write_bytes(b"no database" * 100)
    with pytest.raises(LookalikeError, match=r"study\.db: cannot be used \(.*move it away, or give name=<another>"):
        search_with(by_scale, digits, tmp_path)


def test_without_optuna_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(TuneError, match=rf"^tune needs optuna \([^)]*optuna[^)]*\): {re.escape(install('tune'))}$"):
        require_optuna()


def test_other_errors_than_those_of_the_database_pass_through(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mine"), plain_database_errors(tmp_path / "study.db"):
        raise ValueError("mine")
    with (
        pytest.raises(TuneError, match=r"study\.db: cannot be used \(locked\): the same command goes on when that is"),
        plain_database_errors(tmp_path / "study.db"),
    ):
        raise optuna.exceptions.StorageInternalError("locked")


KNOBS = {"loss.scale": Knob(low=5, high=64)}


def test_a_study_is_made_once_and_taken_up_again(digits: Path, tmp_path: Path) -> None:
    study = open_study(settings(digits), tmp_path / "new", KNOBS)
    trial = study.ask()
    trial.suggest_float("loss.scale", 5, 64)
    study.tell(trial, 0.5)
    again = open_study(settings(digits, "trials=99"), tmp_path / "new", KNOBS)
    assert [ended.value for ended in ended_trials(again)] == [0.5]
    assert study.direction.name == "MAXIMIZE"
    assert isinstance(study.pruner, optuna.pruners.MedianPruner)
    with pytest.raises(CheckpointError, match=r"prune was True, is False"):
        open_study(settings(digits, "prune=false"), tmp_path / "new", KNOBS)
    whole = open_study(settings(digits, "prune=false"), tmp_path / "whole", KNOBS)
    assert isinstance(whole.pruner, optuna.pruners.NopPruner)
    with pytest.raises(CheckpointError, match=r"tune\.loss\.scale\.high was 64(\.0)?, is 65"):
        open_study(settings(digits), tmp_path / "new", {"loss.scale": Knob(low=5, high=65)})


def test_other_data_is_another_search(digits: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(digits, root)
    study = open_study(settings(root), tmp_path, KNOBS)
    study.tell(study.ask(), 0.5)
    next((root / "train/digit 0").iterdir()).unlink()
    with pytest.raises(CheckpointError, match="another data set, or files of it have changed"):
        open_study(settings(root), tmp_path, KNOBS)


def test_killed_trials_wait_once_with_what_they_had_drawn(digits: Path, tmp_path: Path) -> None:
    study = open_study(settings(digits), tmp_path, KNOBS)
    study.enqueue_trial({"loss.scale": 30.0}, user_attrs={"given": True})
    study.ask().suggest_float("loss.scale", 5, 64)
    drawn = study.ask().suggest_float("loss.scale", 5, 64)
    for _ in range(2):  # a session that is killed before it runs them
        take_up_killed_trials(study)
    waiting = [trial for trial in study.trials if trial.state.name == "WAITING"]
    assert [trial.system_attrs["fixed_params"] for trial in waiting] == [{"loss.scale": 30.0}, {"loss.scale": drawn}]
    assert [given_attribute(trial) for trial in waiting] == [{"given": True}, {"given": False}]
    assert ended_trials(study) == []
