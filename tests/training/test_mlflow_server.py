"""Which store of MLflow is meant, whether it answers, and its experiment."""

import socket
from pathlib import Path

import pytest
from mlflow import MlflowClient

from lookalike.training import mlflow_server
from lookalike.training.mlflow_database import ready_database
from lookalike.training.mlflow_server import KIND, TRAINING, address, need_answer, ready_experiment


def test_variables_of_mlflow_take_the_place_of_defaults_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    assert address({"uri": "sqlite:///mlflow.db", "experiment": "lookalike"}) == {
        "uri": "http://tracker",
        "experiment": "lookalike",
    }
    assert address({"uri": "sqlite:///own.db", "experiment": "e"}) == {"uri": "sqlite:///own.db", "experiment": "e"}


def test_a_server_has_to_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_server, "_ANSWER_SECONDS", 0.2)
    need_answer("sqlite:///nowhere.db")  # a file is no server
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(OSError, match=r"^no answer within 0\.2 s: ReadTimeout$"):
            need_answer(uri)
    with pytest.raises(OSError, match=r"^no answer within 0\.2 s: ConnectionError$"):
        need_answer(uri)


@pytest.mark.usefixtures("quick_mlflow")
def test_an_experiment_is_made_and_comes_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    ready_database(uri)
    client = MlflowClient(uri)
    ready_experiment(client, "e")
    experiment = client.get_experiment_by_name("e")
    assert experiment.tags[KIND] == TRAINING
    client.delete_experiment(experiment.experiment_id)
    ready_experiment(client, "e")
    assert client.get_experiment_by_name("e").lifecycle_stage == "active"
    assert "experiment e was deleted: it is restored" in capsys.readouterr().err
