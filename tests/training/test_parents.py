"""The record of a comparison in a real MLflow store."""

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from lookalike.models.metric_learning_module import TrainPrecision
from lookalike.training.mlflow_server import TrackerError
from lookalike.training.parents import ARITHMETIC_FILE, Parent, open_parent
from lookalike.training.trackers import Tracker

pytestmark = pytest.mark.usefixtures("quick_mlflow")


@pytest.fixture
def chosen(tmp_path: Path) -> dict[str, dict[str, str]]:
    return {"mlflow": {"uri": f"sqlite:///{tmp_path / 'mlflow.db'}", "experiment": "e"}}


@pytest.fixture
def client(chosen: dict[str, dict[str, str]]) -> MlflowClient:
    return MlflowClient(chosen["mlflow"]["uri"])


def runs(client: MlflowClient) -> list[Any]:
    return list(client.search_runs([client.get_experiment_by_name("e").experiment_id]))


def child(name: str, chosen: dict[str, dict[str, str]], folder: Path, parent: Parent | None = None) -> str:
    """A finished run with a record."""
    tracker = Tracker(name, chosen, folder, 0, parent)
    tracker.epoch([{"epoch": 1.0, "train/loss": 2.0}])
    tracker.close("success")
    return (folder / "mlflow_run_id").read_text().strip()


def test_without_mlflow_nothing_is_recorded(tmp_path: Path) -> None:
    parent = open_parent("c", {"csv": {"folder": str(tmp_path)}}, tmp_path)
    assert parent == Parent("c", None, tmp_path)
    parent.adopt([tmp_path])
    parent.close({"best": 1.0}, [])
    assert list(tmp_path.iterdir()) == []


def test_one_arithmetic_is_chosen_once_for_all_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Timing on a loaded machine would give another answer for each run."""
    parent = Parent("c", None, tmp_path / "c")
    answers: list[TrainPrecision] = ["bf16-mixed", "32-true"]
    assert parent.arithmetic(answers.pop) == "32-true"
    assert Parent("c", None, tmp_path / "c").arithmetic(answers.pop) == "32-true", "also in a later session"
    assert answers == ["bf16-mixed"], "asked once"
    assert "arithmetic: 32-true, as in all runs of c" in capsys.readouterr().err
    (tmp_path / "c" / ARITHMETIC_FILE).write_text("fp8")
    with pytest.raises(
        TrackerError, match=r"arithmetic\.txt: expected one of 32-true, bf16-mixed.*, got 'fp8': write the"
    ):
        parent.arithmetic(answers.pop)


def test_it_is_found_again_and_its_runs_are_its_children(
    chosen: dict[str, dict[str, str]], client: MlflowClient, tmp_path: Path
) -> None:
    parent = open_parent("c", chosen, tmp_path / "c")
    assert open_parent("c", chosen, tmp_path / "c") == parent
    assert parent.mlflow is not None
    identity, uri = parent.mlflow
    assert uri == chosen["mlflow"]["uri"]
    run = child("r", chosen, tmp_path / "r", parent)
    assert client.get_run(run).data.tags["mlflow.parentRunId"] == identity
    assert len(runs(client)) == 2


def test_figures_and_files_are_kept_under_names_mlflow_takes(
    chosen: dict[str, dict[str, str]], client: MlflowClient, tmp_path: Path
) -> None:
    parent = open_parent("c", chosen, tmp_path / "c")
    (tmp_path / "table.csv").write_text("a,b\n")
    parent.close({"arcface, lr=0.1: accuracy@1": 0.5, "best": 1.0}, [tmp_path / "table.csv"])
    (record,) = runs(client)
    assert record.info.status == "FINISHED"
    assert record.data.metrics == {"arcface_ lr_0.1: accuracy_at_1": 0.5, "best": 1.0}
    assert [artifact.path for artifact in client.list_artifacts(record.info.run_id)] == ["table.csv"]


def test_runs_whose_parent_was_deleted_are_adopted(
    chosen: dict[str, dict[str, str]], client: MlflowClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = open_parent("c", chosen, tmp_path / "c")
    assert first.mlflow is not None
    kept, deleted = (child(name, chosen, tmp_path / name, first) for name in ("kept", "deleted"))
    for identity in (first.mlflow[0], deleted):
        client.delete_run(identity)
    second = open_parent("c", chosen, tmp_path / "c")
    assert f"the run {first.mlflow[0]} of c was deleted there: it gets a new record" in " ".join(
        capsys.readouterr().err.split()
    )
    assert second.mlflow is not None
    (tmp_path / "none").mkdir()
    second.adopt([tmp_path / name for name in ("kept", "deleted", "none", "gone")])
    assert client.get_run(kept).data.tags["mlflow.parentRunId"] == second.mlflow[0] != first.mlflow[0]
    assert client.get_run(deleted).data.tags["mlflow.parentRunId"] == first.mlflow[0]


def test_a_record_deleted_meanwhile_ends_nothing(
    chosen: dict[str, dict[str, str]], client: MlflowClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = open_parent("c", chosen, tmp_path / "c")
    assert parent.mlflow is not None
    client.delete_run(parent.mlflow[0])
    parent.close({"best": 1.0}, [])
    assert "this goes on without a record of it" in capsys.readouterr().err


def test_a_store_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    chosen = {"mlflow": {"uri": f"sqlite:///{tmp_path / 'file' / 'x.db'}", "experiment": "e"}}
    with pytest.raises(TrackerError, match=r"logger=mlflow: sqlite:///.* cannot be used \(.*\): check"):
        open_parent("c", chosen, tmp_path / "c")
