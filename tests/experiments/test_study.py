"""The database of a search: taken up again after a kill, refused when it is of other settings."""

from pathlib import Path

import optuna
import pytest

from lookalike.errors import LookalikeError
from lookalike.models.checkpoint_file import CheckpointError
from lookalike.settings.training import Train
from searches import by_scale, search_with


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
