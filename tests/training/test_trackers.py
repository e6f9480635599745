"""Every logger on a real run, read back from where it writes."""

import csv
from pathlib import Path

import pytest

from conftest import TINY
from lookalike.cli.main import main
from lookalike.inference.bundle import load_bundle
from lookalike.training.trackers import Tracker

pytestmark = pytest.mark.usefixtures("quick_mlflow")


def run(digits: Path, logger: str, *more: str) -> list[dict[str, float]]:
    settings = [setting for setting in TINY if setting != "logger=none"]
    assert main(["train", f"data.root={digits}", "run=r", f"logger={logger}", *settings, *more]) == 0
    return load_bundle(Path("models/r")).config.training.history


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    return tmp_path


def test_csv_and_mlflow_hold_the_curve(digits: Path, here: Path) -> None:
    import mlflow

    history = run(digits, "[csv,mlflow]")
    with Path("reports/r.csv").open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert rows == history
    client = mlflow.MlflowClient("sqlite:///mlflow.db")
    (record,) = client.search_runs([client.get_experiment_by_name("lookalike").experiment_id])
    assert record.info.status == "FINISHED"
    assert record.data.params["trainer.batch_size"] == "8"
    assert record.data.params["loss.margin_degrees"] == "28.6"
    for name in history[0].keys() - {"epoch"}:
        points = client.get_metric_history(record.info.run_id, name.replace("@", "_at_"))
        assert [(point.step, point.value) for point in points] == [(int(line["epoch"]), line[name]) for line in history]


def test_none_writes_no_record(digits: Path, here: Path) -> None:
    run(digits, "none")
    assert sorted(path.name for path in here.iterdir()) == ["checkpoint", "models"]


def test_tensorboard(digits: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    history = run(digits, "tensorboard")
    events = EventAccumulator("tensorboard/r")
    events.Reload()
    points = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert points == [(int(line["epoch"]), pytest.approx(line["train/loss"], rel=1e-6)) for line in history]


@pytest.mark.parametrize("variable", ["WANDB_MODE=disabled", "WANDB_DISABLED=true"])
def test_wandb_that_is_switched_off_writes_nothing(here: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(*variable.split("="))
    tracker = Tracker("r", {"wandb": {"project": "p"}}, here / "c")
    tracker.settings({"a": 1})
    tracker.close("success")
    assert not list(here.iterdir())


@pytest.mark.slow
def test_wandb_works_off_line_without_a_key(digits: Path, here: Path) -> None:
    run(digits, "wandb")
    (record,) = (here / "wandb").glob("offline-run-*")
    assert list(record.glob("*.wandb"))
