"""Runs in a real MLflow store."""

import os
import re
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from conftest import TINY
from lookalike.cli.main import main
from lookalike.training import mlflow_server
from lookalike.training.mlflow_server import KIND, TRAINING, VARIABLES, TrackerError, address
from lookalike.training.mlflow_store import RUN_ID_FILE, log_or_say, mlflow_logger, stands_in_mlflow
from lookalike.training.trackers import Tracker

pytestmark = pytest.mark.usefixtures("quick_mlflow")


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


def opened(*given: Any) -> tuple[Any, int]:
    made = mlflow_logger(*given)
    assert made is not None
    return made


def test_a_run_is_found_again_with_the_epochs_it_has(here: Path, options: dict[str, str]) -> None:
    logger, already = opened("r", options, here / "c", None)
    assert already == 0
    for epoch in (1, 2, 3):
        logger.log_metrics({"train/loss": 1.0 / epoch}, epoch)
    again, already = opened("r", options, here / "c", None)
    assert (again.run_id, already) == (logger.run_id, 3)
    assert (here / "c" / RUN_ID_FILE).read_text().strip() == logger.run_id
    alone, already = opened("r", options, None, None)
    assert (alone.run_id != logger.run_id, already) == (True, 0)


def test_a_run_deleted_in_the_store_gets_a_new_record(
    here: Path, options: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    logger, _ = opened("r", options, here / "c", None)
    client = MlflowClient(options["uri"])
    run_id = str(logger.run_id)
    assert stands_in_mlflow(client, run_id)
    client.delete_run(run_id)
    assert not stands_in_mlflow(client, run_id)
    assert not stands_in_mlflow(client, "0" * 32)
    again, already = opened("r", options, here / "c", None)
    assert (again.run_id != run_id, already) == (True, 0)
    said = " ".join(capsys.readouterr().err.split())
    assert f"{options['uri']}: the run {run_id} of r was deleted there: it gets a new record" in said


def test_a_child_names_its_parent(here: Path, options: dict[str, str]) -> None:
    logger, _ = opened("r", options, here / "c", "p" * 32)
    run = MlflowClient(options["uri"]).get_run(logger.run_id)
    assert run.data.tags["mlflow.parentRunId"] == "p" * 32


def test_without_mlflow_it_says_what_to_install(options: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(TrackerError, match=r"^logger=mlflow needs MLflow \(.*\): pip install '[^']*\[train\]', or"):
        mlflow_logger("r", options, None, None)


def test_no_tracker_ends_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(text: str) -> None:
        raise MlflowException(f"{text}\nand more")

    log_or_say(refuse, "no such run")
    said = capsys.readouterr().err
    assert "logger: no such run: this goes on without a record of it" in " ".join(said.split())
    assert "and more" not in said
    log_or_say(lambda: 1 / 0)
    assert "logger: division by zero: this goes on" in capsys.readouterr().err


def test_mlflows_own_variables_take_the_place_of_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = yaml.safe_load((Path(__file__).parents[2] / "configs/logger/mlflow.yaml").read_text())["mlflow"]
    assert {name: default for name, (default, _) in VARIABLES.items()} == defaults
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there:5000")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "theirs")
    assert address(defaults) == {"uri": "http://there:5000", "experiment": "theirs"}
    asked = {"uri": "sqlite:///other.db", "experiment": "mine"}
    assert address(asked) == asked


def test_an_address_is_not_the_next_default(options: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    opened("r", options, None, None)
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_experiments_open_on_training_runs_and_come_back(
    here: Path, options: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    mlflow_logger("r", options, None, None)
    client = MlflowClient(options["uri"])
    experiment = client.get_experiment_by_name("e")
    assert experiment.tags[KIND] == TRAINING
    assert f"/#/experiments/{experiment.experiment_id}/runs?workflowType=machine_learning" in capsys.readouterr().err
    client.delete_experiment(experiment.experiment_id)
    assert mlflow_logger("r", options, None, None) is not None
    assert client.get_experiment_by_name("e").lifecycle_stage == "active"
    assert "experiment e was deleted: it is restored" in capsys.readouterr().err


def test_a_server_that_does_not_answer(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_server, "_ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TrackerError, match=rf"{uri} cannot be used \(no answer within 0.2 s: ReadTimeout\): check"):
            mlflow_logger("r", {"uri": uri, "experiment": "e"}, None, None)


def test_a_default_store_that_cannot_be_used_stops_no_training(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (here / "mlflow.db").write_bytes(b"no database at all, but somebody's file" * 40)
    uri = f"sqlite:///{here / 'mlflow.db'}"  # MLflow keeps a store open by its address: not a relative one in tests
    monkeypatch.setitem(VARIABLES, "uri", (uri, "MLFLOW_TRACKING_URI"))
    assert mlflow_logger("r", {"uri": uri, "experiment": "e"}, None, None) is None
    assert "check logger.mlflow.uri, or logger=none: this goes on without a record" in capsys.readouterr().err
    assert (here / "mlflow.db").read_bytes().startswith(b"no database at all")
