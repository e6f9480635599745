"""Runs in a real MLflow store."""

import re
from pathlib import Path

import pytest

from conftest import TINY
from lookalike.cli.main import main
from lookalike.training.trackers import Tracker


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    return tmp_path


def test_a_store_that_cannot_be_used(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = [setting for setting in TINY if setting != "logger=none"]
    Path("file").touch()
    command = ["train", f"data.root={digits}", "run=r", *settings, "logger.mlflow.uri=sqlite:///file/mlflow.db"]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert re.search(
        r"logger=mlflow: sqlite:///file/mlflow\.db cannot be used .*check logger\.mlflow\.uri, or logger=none",
        error,
    )


def test_a_record_deleted_meanwhile_does_not_end_the_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import mlflow

    store = f"sqlite:///{here / 'mlflow.db'}"
    tracker = Tracker("r", {"mlflow": {"uri": store, "experiment": "e"}}, here / "c")
    client = mlflow.MlflowClient(store)
    (found,) = client.search_runs([client.get_experiment_by_name("e").experiment_id])
    client.delete_run(found.info.run_id)
    tracker.settings({"a": 1})
    tracker.epoch([{"epoch": 1.0, "train/loss": 2.0}])
    tracker.close("success")
    told = capsys.readouterr().err
    assert "must be in the 'active' state" in told
    assert "this goes on without a record of it" in told
