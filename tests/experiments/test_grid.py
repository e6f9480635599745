"""Grids of runs: what is run, and what is not run again."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import processes
from conftest import TINY
from lookalike.cli.arguments import read_grid, read_settings
from lookalike.cli.main import main
from lookalike.experiments.grid import Point, read_measured, run_grid
from lookalike.files import DiskFullError
from lookalike.inference.bundle import Bundle, load_bundle
from lookalike.settings.training import Train
from lookalike.training import mlflow_store
from lookalike.training.fit import DivergedError

QUICK = [option for option in TINY if option != "logger=none"] + ["trainer.max_epochs=1"]

pytestmark = pytest.mark.usefixtures("quick_mlflow")


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
    killed = processes.run(code, *grid(digits))
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
    advice = "nothing can be written there (Not a directory): give another folder, or mend its permissions"
    *given_twice, line = printed.splitlines()
    assert line == f"lookalike: {tmp_path / 'file/x'}: {advice}"
    assert all(": given twice: " in other for other in given_twice)


def test_a_full_disk_is_not_blamed_on_mlflow(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise DiskFullError(f"{path}: no space left to write it")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mlflow_store, "write_bytes", full)
    assert main(grid(digits)) == 2
    assert capsys.readouterr().err.endswith("lookalike: reports/c/mlflow_run_id: no space left to write it\n")


def point(root: Path, tmp_path: Path, bundle: Path, **axes: str) -> Point:
    """A run that a bundle stands for, so that nothing is trained."""
    folders = [f"models_dir={bundle.parent}", f"checkpoint_dir={tmp_path / 'checkpoint'}", "logger=none"]
    options = [option for option in QUICK if option != "logger=none"]
    return Point(axes, read_settings("train", [f"data.root={root}", f"run={bundle.name}", *folders, *options]))


def test_a_finished_run_is_measured_once_and_read_again(
    digits: Path, tmp_path: Path, bundle_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(settings: Train) -> tuple[Bundle, None]:
        trained.append(str(settings.run))
        return load_bundle(bundle_path), None

    trained: list[str] = []
    points = [point(digits, tmp_path, bundle_path, loss="arcface")]
    (measured,), diverged = run_grid(points, tmp_path / "out", train)
    assert trained == ["tiny"]
    assert diverged == {}
    assert (measured.group, measured.run, measured.seed) == ("arcface", "tiny", 0)
    assert len(measured.per_query) == 20
    assert 0 <= measured.per_query["accuracy@1"].mean() <= 1
    assert measured.about["best_epoch"] >= 1
    (again,), _ = run_grid(points, tmp_path / "out", train)
    assert trained == ["tiny"]
    pd.testing.assert_frame_equal(again.per_query, measured.per_query)
    assert "run 1 of 1: tiny is finished" in capsys.readouterr().err


def test_what_was_measured_of_something_else_does_not_count(digits: Path, tmp_path: Path, bundle_path: Path) -> None:
    first = point(digits, tmp_path, bundle_path, loss="arcface")
    run_grid([first], tmp_path, lambda settings: (load_bundle(bundle_path), None))
    fingerprint = json.loads((tmp_path / "runs/tiny.json").read_bytes())["data"]
    assert read_measured(first, tmp_path, fingerprint) is not None
    assert read_measured(first, tmp_path, "other data") is None
    assert read_measured(first, tmp_path / "elsewhere", fingerprint) is None
    harder = first.settings.model_copy(update={"seed": 7})
    assert read_measured(Point({}, harder), tmp_path, fingerprint) is None, "other settings"
    about = (tmp_path / "runs/tiny.json").read_text()
    other = about.replace('"epochs": 2', '"epochs": 3')
    for changed in (other, other.replace("lookalike-sha256:", "?"), other.replace("checksum", "chechsum")):
        (tmp_path / "runs/tiny.json").write_text(changed)
        assert read_measured(first, tmp_path, fingerprint) is None, "its checksum is that of another content"
    (tmp_path / "runs/tiny.json").write_text(about)
    assert read_measured(first, tmp_path, fingerprint) is not None
    (tmp_path / "runs/tiny.parquet").write_bytes(b"torn")
    assert read_measured(first, tmp_path, fingerprint) is None
    (tmp_path / "runs/tiny.json").write_text("{")
    assert read_measured(first, tmp_path, fingerprint) is None


def test_a_run_that_diverges_is_counted_and_the_others_go_on(
    digits: Path, tmp_path: Path, bundle_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(settings: Train) -> tuple[Bundle, None]:
        if not (tmp_path / "first").exists():
            (tmp_path / "first").touch()
            raise DivergedError("the loss became nan")
        return load_bundle(bundle_path), None

    points = [point(digits, tmp_path, bundle_path, loss=loss) for loss in ("arcface", "cosface")]
    measured, diverged = run_grid(points, tmp_path / "out", train)
    assert [run.group for run in measured] == ["cosface"]
    assert diverged == {"arcface": 1}
    assert "tiny is left out: the loss became nan" in capsys.readouterr().err


def test_a_group_is_named_by_what_differs(digits: Path, tmp_path: Path, bundle_path: Path) -> None:
    for axes, name in [
        ({"loss": "arcface"}, "arcface"),
        ({"loss": "arcface", "trainer.learning_rate": "0.1"}, "loss arcface, learning_rate 0.1"),
        ({"trainer.learning_rate": "0.1"}, "learning_rate 0.1"),
        ({}, "all"),
    ]:
        assert point(digits, tmp_path, bundle_path, **axes).group == name
