"""Grids of runs: what is run, and what is not run again."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import TINY
from lookalike.cli.arguments import read_grid
from lookalike.cli.main import main
from lookalike.files import DiskFullError
from lookalike.training import mlflow_store

QUICK = [option for option in TINY if option != "logger=none"] + ["trainer.max_epochs=1"]


def grid(root: Path, *more: str) -> list[str]:
    # MLflow keeps a store open by its address, so a relative one would be that of another test.
    store = f"logger.mlflow.uri=sqlite:///{Path.cwd() / 'mlflow.db'}"
    return ["compare", f"data.root={root}", "loss=arcface,cosface", "seeds=0,1", "name=c", store, *QUICK, *more]


def test_a_grid_is_every_combination_with_every_seed(digits: Path) -> None:
    whole, runs = read_grid("compare", grid(digits, "trainer.learning_rate=0.001,0.0003", "data.root=a,b")[1:])
    assert whole.seeds == [0, 1]
    assert len(runs) == 8
    axes, settings = runs[-1]
    assert axes == {"loss": "cosface", "trainer.learning_rate": "0.0003"}
    assert settings.run == "c-cosface-0.0003-s1"
    assert (settings.loss.name, settings.trainer.learning_rate, settings.seed) == ("cosface", 0.0003, 1)
    assert settings.data.root == "a,b"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("loss=arcface,arcfase", r"loss=arcfase: no such option; did you mean arcface"),
        ("trainer.learnin_rate=1,2", r"trainer.learnin_rate: unknown setting; did you mean learning_rate"),
        ("trainer.learning_rate=0.1,-1", r"trainer.learning_rate=-1: expected greater than 0|input should be greater"),
        ("seeds=0,x", r"seeds"),
        ("seeds=", r"seeds"),
    ],
)
def test_every_run_is_checked_before_the_first_starts(
    digits: Path,
    tmp_path: Path,
    argument: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*grid(digits), argument]) == 2
    assert pd.Series([capsys.readouterr().err]).str.contains(message).all()
    assert not list(tmp_path.iterdir())


def test_a_comparison_goes_on_where_it_was_killed(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)
    code = (
        "import os, signal, sys\nfrom lookalike.experiments import grid\ninner = grid.write_measured\n"
        "def keep(point, *rest):\n"
        "    if point.settings.run == 'c-cosface-s0':\n        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    inner(point, *rest)\n"
        "grid.write_measured = keep\nfrom lookalike.cli.main import main\nmain(sys.argv[1:])"
    )
    killed = subprocess.run([sys.executable, "-c", code, *grid(digits)], capture_output=True, text=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "models").rglob("*.safetensors")}
    assert len(before) == 3
    assert main(grid(digits)) == 0
    printed = capsys.readouterr()
    assert printed.err.count("is finished") == 3, "two were measured, one was trained and had only to be measured"
    assert {file: file.stat().st_mtime_ns for file in before} == before
    folder = tmp_path / "reports/c"
    table = pd.read_csv(folder / "comparison.csv")
    assert set(table["group"]) == {"arcface", "cosface"}
    assert table["seeds"].tolist() == [2, 2]
    assert {"comparison.md", "comparison.html", "comparison.png"} <= {file.name for file in folder.iterdir()}
    for group in ("arcface", "cosface"):
        scores = [pd.read_parquet(folder / f"runs/c-{group}-s{seed}.parquet")["accuracy@1"].mean() for seed in (0, 1)]
        assert table.set_index("group").loc[group, "accuracy@1"] == pytest.approx(np.mean(scores))
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("lookalike").experiment_id])
    parent = (folder / "mlflow_run_id").read_text().strip()
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent]
    assert len(runs) == 5
    assert {run.info.run_name for run in children} == {
        f"c-{loss}-s{seed}" for loss in ("arcface", "cosface") for seed in (0, 1)
    }
    _deleted_in_mlflow(client, children[0].info.run_id, parent, digits, capsys)


def _deleted_in_mlflow(
    client: object, child: str, parent: str, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Finished runs get the new record of the comparison as their parent."""
    for identity in (child, parent):
        client.delete_run(identity)  # type: ignore[attr-defined]
    assert main(grid(digits)) == 0
    printed = capsys.readouterr().err
    assert f"the run {parent} of c was deleted there: it gets a new record" in printed
    assert printed.count("is finished") == 4
    fresh = Path("reports/c/mlflow_run_id").read_text().strip()
    runs = client.search_runs([client.get_experiment_by_name("lookalike").experiment_id])  # type: ignore[attr-defined]
    assert [run.data.tags.get("mlflow.parentRunId") for run in runs if run.info.run_id != fresh] == [fresh] * 3


def test_runs_that_diverge_are_left_out_and_said(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = [option for option in QUICK if not option.startswith("logger")]
    command = ["compare", f"data.root={digits}", "name=d", "logger=none", *options, "seeds=0"]
    assert main([*command, "trainer.learning_rate=0.001,1e30"]) == 1
    printed = "1 of 1 runs of learning_rate 1e30 diverged and are left out, so it has no figure."
    assert printed in capsys.readouterr().out
    assert printed in (tmp_path / "reports/d/comparison.html").read_text()
    assert main([*command, "trainer.learning_rate=1e30", "name=e"]) == 2
    assert "no finished run to compare, 1 diverged: lower the learning rates" in capsys.readouterr().err
    assert main([*command, "resume=never"]) == 2
    assert "resume=never: a comparison always goes on: give name=<another>" in capsys.readouterr().err


def test_a_comparison_never_mixes_data(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "data"
    shutil.copytree(digits, root)
    options = [*(option for option in QUICK if not option.startswith("logger")), "logger=none", "name=m"]
    assert main(["compare", f"data.root={root}", "seeds=0", *options]) == 0
    next((root / "train/digit 0").iterdir()).unlink()
    capsys.readouterr()
    assert main(["compare", f"data.root={root}", "seeds=0,1", *options]) == 2
    printed = capsys.readouterr().err
    assert "run m-s0 was started with other settings: another data set, or files of it have changed" in printed
    assert printed.endswith("go back to them to continue, or give name=<another> to start anew\n")


@pytest.mark.slow
def test_runs_are_a_group_in_wandb(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    monkeypatch.chdir(tmp_path)
    groups = []

    def recorded(*arguments: object, **options: object) -> object:
        made = inner(*arguments, **options)
        groups.append((made.name, made.group))
        return made

    inner, options = wandb.init, [option for option in QUICK if not option.startswith("logger")]
    monkeypatch.setattr(wandb, "init", recorded)
    assert main(["compare", f"data.root={digits}", "name=g", "seeds=0,1", "logger=wandb", *options]) == 0
    assert groups == [("g-s0", "g"), ("g-s1", "g")]
    assert len(list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))) == 2


def test_classes_with_one_image_are_compared_and_reported(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "data"
    shutil.copytree(digits, root)
    for split in ("train", "validation"):
        for file in sorted((root / split / "digit 0").iterdir())[1:]:
            file.unlink()
    options = [*(option for option in QUICK if not option.startswith("logger")), "logger=none", "name=o", "seeds=0"]
    assert main(["compare", f"data.root={root}", "loss=arcface,supcon", "trainer.labels_per_batch=3", *options]) == 0
    table = pd.read_parquet(tmp_path / "reports/o/runs/o-arcface-s0.parquet")
    assert table["label"].value_counts()["digit 0"] == 1
    assert main(["report", "bundle=models/o-arcface-s0", f"data.root={root}", "umap=false"]) == 0
    assert "17 queries" in (tmp_path / "reports/o-arcface-s0-validation.html").read_text()


def test_a_place_that_cannot_be_written_is_one_line(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert main([*grid(digits), f"output={tmp_path / 'file/x'}"]) == 2
    printed = capsys.readouterr().err
    assert printed == f"lookalike: {tmp_path / 'file/x'}: Not a directory: check the path and its permissions\n"


def test_a_full_disk_is_not_blamed_on_mlflow(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise DiskFullError(f"{path}: no space left to write it")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mlflow_store, "write_bytes", full)
    assert main(grid(digits)) == 2
    assert capsys.readouterr().err.endswith("lookalike: reports/c/mlflow_run_id: no space left to write it\n")
