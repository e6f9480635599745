"""Runs in a real MLflow store."""

import re
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from conftest import TINY
from lookalike.cli.main import main
from lookalike.training.mlflow_store import RUN_ID_FILE, TrackerError, log_or_say, mlflow_logger, stands_in_mlflow
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
    (record,) = client.search_runs([client.get_experiment_by_name("e").experiment_id])
    client.delete_run(record.info.run_id)
    tracker.settings({"a": 1})
    tracker.epoch([{"epoch": 1.0, "train/loss": 2.0}])
    tracker.close("success")
    said = capsys.readouterr().err
    assert "must be in the 'active' state" in said
    assert "this goes on without a record of it" in said


@pytest.fixture
def options(here: Path) -> dict[str, str]:
    return {"uri": f"sqlite:///{here / 'mlflow.db'}", "experiment": "e"}


def test_a_run_is_found_again_with_the_epochs_it_has(here: Path, options: dict[str, str]) -> None:
    logger, already = mlflow_logger("r", options, here / "c", None)
    assert already == 0
    for epoch in (1, 2, 3):
        logger.log_metrics({"train/loss": 1.0 / epoch}, epoch)
    again, already = mlflow_logger("r", options, here / "c", None)
    assert (again.run_id, already) == (logger.run_id, 3)  # type: ignore[attr-defined]
    assert (here / "c" / RUN_ID_FILE).read_text().strip() == logger.run_id  # type: ignore[attr-defined]
    alone, already = mlflow_logger("r", options, None, None)
    assert (alone.run_id != logger.run_id, already) == (True, 0)  # type: ignore[attr-defined]


def test_a_run_deleted_in_the_store_gets_a_new_record(
    here: Path, options: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    logger, _ = mlflow_logger("r", options, here / "c", None)
    client = MlflowClient(options["uri"])
    run_id = str(logger.run_id)  # type: ignore[attr-defined]
    assert stands_in_mlflow(client, run_id)
    client.delete_run(run_id)
    assert not stands_in_mlflow(client, run_id)
    assert not stands_in_mlflow(client, "0" * 32)
    again, already = mlflow_logger("r", options, here / "c", None)
    assert (again.run_id != run_id, already) == (True, 0)  # type: ignore[attr-defined]
    said = " ".join(capsys.readouterr().err.split())
    assert f"{options['uri']}: the run {run_id} of r was deleted there: it gets a new record" in said


def test_a_child_names_its_parent(here: Path, options: dict[str, str]) -> None:
    logger, _ = mlflow_logger("r", options, here / "c", "p" * 32)
    run = MlflowClient(options["uri"]).get_run(logger.run_id)  # type: ignore[attr-defined]
    assert run.data.tags["mlflow.parentRunId"] == "p" * 32


def test_without_mlflow_it_says_what_to_install(options: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(TrackerError, match=r"^logger=mlflow needs MLflow \(.*\): pip install 'lookalike\[train\]', or"):
        mlflow_logger("r", options, None, None)


def test_only_what_mlflow_raises_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(text: str) -> None:
        raise MlflowException(f"{text}\nand more")

    log_or_say(refuse, "no such run")
    said = capsys.readouterr().err
    assert "logger=mlflow: no such run: this goes on without a record of it" in " ".join(said.split())
    assert "and more" not in said
    with pytest.raises(ZeroDivisionError):
        log_or_say(lambda: 1 / 0)
