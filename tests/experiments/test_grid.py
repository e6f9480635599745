"""Grids of runs: what is run, what is not run again, and what the figures say."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from browser import needs_browser, opened
from conftest import TINY
from lookalike.cli.arguments import read_grid
from lookalike.cli.main import main
from lookalike.errors import LookalikeError
from lookalike.experiments.comparison import Measured, conclude
from lookalike.files import DiskFullError
from lookalike.metrics.paired_tests import Group, compare_groups, holm
from lookalike.training import trackers

QUICK = [one for one in TINY if one != "logger=none"] + ["trainer.max_epochs=1"]


def grid(root: Path, *more: str) -> list[str]:
    # MLflow keeps a store open by its address, so a relative one would be that of another test.
    store = f"logger.mlflow.uri=sqlite:///{Path.cwd() / 'mlflow.db'}"
    return ["compare", f"data.root={root}", "loss=arcface,cosface", "seeds=0,1", "name=c", store, *QUICK, *more]


def test_a_grid_is_every_combination_with_every_seed(digits: Path) -> None:
    whole, runs = read_grid([*grid(digits, "trainer.learning_rate=0.001,0.0003", "data.root=a,b")[1:]])
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
        "import os, signal, sys\nfrom lookalike.experiments import grid as comparison\ninner = comparison._keep\n"
        "def keep(point, *rest):\n"
        "    if point.settings.run == 'c-cosface-s0':\n        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    inner(point, *rest)\n"
        "comparison._keep = keep\nfrom lookalike.cli.main import main\nmain(sys.argv[1:])"
    )
    killed = subprocess.run([sys.executable, "-c", code, *grid(digits)], capture_output=True, text=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "models").rglob("*.safetensors")}
    assert len(before) == 3
    assert main(grid(digits)) == 0
    told = capsys.readouterr()
    assert told.err.count("is finished") == 3, "two were measured, one was trained and had only to be measured"
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
    told = capsys.readouterr().err
    assert f"the run {parent} of c was deleted there: it gets a new record" in told
    assert told.count("is finished") == 4
    fresh = Path("reports/c/mlflow_run_id").read_text().strip()
    runs = client.search_runs([client.get_experiment_by_name("lookalike").experiment_id])  # type: ignore[attr-defined]
    assert [run.data.tags.get("mlflow.parentRunId") for run in runs if run.info.run_id != fresh] == [fresh] * 3


def measured(group: str, seed: int, right: np.ndarray, labels: np.ndarray) -> Measured:
    per_query = pd.DataFrame({"label": labels, "accuracy@1": right, "accuracy@5": right, "map": right, "positives": 1})
    about = {"best_epoch": 3, "seconds": 10.0, "trained_parameters": 1000, "history": []}
    return Measured(group, seed, f"{group}-{seed}", about, per_query)


def test_the_sentence_says_what_the_data_can_tell() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([f"class {i}" for i in range(40)], 10)
    runs = [
        measured(name, seed, (rng.random(400) < chance).astype(float), labels)
        for name, chance in (("low", 0.6), ("high", 0.9), ("equal", 0.895))
        for seed in range(3)
    ]
    found = conclude(runs, "how")
    best = found.table["group"].iloc[0]
    assert best in ("high", "equal")
    assert "better than low by" in found.sentence
    assert f"400 queries and 3 seed(s) cannot tell it from {'equal' if best == 'high' else 'high'}" in found.sentence
    assert (found.tests["p_holm"] >= found.tests["p"]).all()


def test_without_runs_or_with_other_queries_nothing_is_compared() -> None:
    with pytest.raises(LookalikeError, match="no finished run to compare"):
        conclude([], "")
    labels = np.array(["a", "b"])
    one, other = measured("x", 0, np.ones(2), labels), measured("y", 0, np.ones(2), labels[::-1])
    with pytest.raises(LookalikeError, match="y-0: measured on other queries than x-0"):
        conclude([one, other], "")


def test_two_levels_of_chance_cover_the_truth() -> None:
    """Of 60 experiments with equal settings few are told apart; the interval mostly holds the true mean."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(30).astype(str), 6)
    covered = wrong = 0
    for _ in range(60):
        by_label = rng.normal(0, 0.5, 30)[None, :, None]
        groups = []
        for name in ("one", "other"):
            by_seed = rng.normal(0, 0.3, (5, 1, 1))
            chance = 1 / (1 + np.exp(-(1.0 + by_label + by_seed)))
            groups.append(Group(name, (rng.random((5, 30, 6)) < chance).reshape(5, -1).astype(float)))
        intervals, tests = compare_groups(groups, labels)
        truth = float(np.mean(1 / (1 + np.exp(-(1.0 + rng.normal(0, 0.5, 5000) + rng.normal(0, 0.3, 5000))))))
        covered += intervals["one"][0] <= truth <= intervals["one"][1]
        wrong += tests["p"].iloc[0] < 0.05
    assert covered >= 50
    assert wrong <= 8


def test_holm_is_that_of_scipy_for_two_and_of_the_paper() -> None:
    # Holm 1979: the smallest of n is multiplied by n, the next by n - 1, and none falls below one before it.
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.9, 0.8])), [1.0, 1.0])
    assert stats.false_discovery_control(np.array([0.01]))[0] == holm(np.array([0.01]))[0]


def test_pages_stand_alone(tmp_path: Path) -> None:
    from lookalike.reports.comparison_page import write

    labels = np.repeat(["a", "b", "c"], 20)
    rng = np.random.default_rng(0)
    runs = [
        measured(name, seed, (rng.random(60) < 0.7).astype(float), labels) for name in ("<x>", "y") for seed in (0, 1)
    ]
    line = {"train/loss": 1.0, "validation/accuracy@1": 0.5}
    for one in runs:
        one.about["history"] = [{"epoch": 1.0, **line}, {"epoch": 2.0, **line}]
    files = write(conclude(runs, "how it was measured"), tmp_path)
    page = (tmp_path / "comparison.html").read_text()
    assert page.count("<svg") == 2
    assert "<x>" not in page
    assert "&lt;x&gt;" in page
    assert not any(link in page.replace("http://www.w3.org", "") for link in ("http://", "https://", "<script"))
    assert {file.name for file in files} == {"comparison.md", "comparison.csv", "comparison.html", "comparison.png"}
    assert json.dumps(pd.read_csv(tmp_path / "comparison.csv")["seeds"].tolist()) == "[2, 2]"


def test_runs_that_diverge_are_left_out_and_said(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = [one for one in QUICK if not one.startswith("logger")]
    command = ["compare", f"data.root={digits}", "name=d", "logger=none", *options, "seeds=0"]
    assert main([*command, "trainer.learning_rate=0.001,1e30"]) == 1
    told = "1 of 1 runs of learning_rate 1e30 diverged and are left out, so it has no figure."
    assert told in capsys.readouterr().out
    assert told in (tmp_path / "reports/d/comparison.html").read_text()
    assert main([*command, "trainer.learning_rate=1e30", "name=e"]) == 2
    assert "no finished run to compare, 1 diverged: lower the learning rates" in capsys.readouterr().err
    assert main([*command, "resume=never"]) == 2
    assert "resume=never: a comparison always goes on: give name=<another>" in capsys.readouterr().err


def test_a_survivor_is_not_called_the_best() -> None:
    labels = np.repeat(["a", "b", "c"], 20)
    runs = [
        measured("lucky", 0, np.ones(60), labels),
        *(measured("steady", s, np.ones(60) * 0.9, labels) for s in (0, 1)),
    ]
    found = conclude(runs, "how", {"lucky": 1})
    assert found.sentence == (
        "steady has the highest mean accuracy@1 of the settings that lost no run (0.9000). With one seed, what another "
        "seed would change is not measured. 1 of 2 runs of lucky diverged and are left out, so its figure flatters it."
    )
    both = conclude(runs, "how", {"lucky": 1, "steady": 1}).sentence
    assert both.startswith("Every setting lost runs, so none is named the best.")


def test_a_tie_is_called_one() -> None:
    labels = np.repeat(["a", "b", "c"], 20)
    right = (np.arange(60) % 3 > 0).astype(float)
    runs = [measured(name, seed, right, labels) for name in ("x", "y") for seed in (0, 1)]
    assert conclude(runs, "how").sentence == (
        "x and y have the highest mean accuracy@1 (0.6667); 60 queries and 2 seed(s) cannot tell them from each other."
    )


def test_a_comparison_never_mixes_data(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "data"
    shutil.copytree(digits, root)
    options = [*(one for one in QUICK if not one.startswith("logger")), "logger=none", "name=m"]
    assert main(["compare", f"data.root={root}", "seeds=0", *options]) == 0
    next((root / "train/digit 0").iterdir()).unlink()
    capsys.readouterr()
    assert main(["compare", f"data.root={root}", "seeds=0,1", *options]) == 2
    told = capsys.readouterr().err
    assert "run m-s0 was started with other settings: another data set, or files of it have changed" in told
    assert told.endswith("go back to them to continue, or give name=<another> to start anew\n")


@needs_browser
def test_the_page_opens_in_a_browser_without_errors(tmp_path: Path) -> None:
    from lookalike.reports.comparison_page import write

    labels = np.repeat(["a", "b", "c"], 20)
    runs = [measured(name, 0, np.ones(60), labels) for name in ("x", "y")]
    line = {"train/loss": 1.0, "validation/accuracy@1": 0.5}
    for one in runs:
        one.about["history"] = [{"epoch": 1.0, **line}, {"epoch": 2.0, **line}]
    write(conclude(runs, "how"), tmp_path, "two")
    seen = opened(tmp_path / "comparison.html", tmp_path)
    assert seen.count("<svg") == 2
    assert "60 queries and 1 seed(s) cannot tell them from each other" in seen
    assert "<title>Comparison two</title>" in seen
    assert "With one seed, what another seed would change is not measured." in seen


@pytest.mark.slow
def test_runs_are_a_group_in_wandb(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    monkeypatch.chdir(tmp_path)
    groups = []

    def recorded(*given: object, **options: object) -> object:
        made = inner(*given, **options)
        groups.append((made.name, made.group))
        return made

    inner, options = wandb.init, [one for one in QUICK if not one.startswith("logger")]
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
    options = [*(one for one in QUICK if not one.startswith("logger")), "logger=none", "name=o", "seeds=0"]
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
    told = capsys.readouterr().err
    assert told == f"lookalike: {tmp_path / 'file/x'}: Not a directory: check the path and its permissions\n"


def test_a_full_disk_is_not_blamed_on_mlflow(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise DiskFullError(f"{path}: no space left to write it")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trackers, "write_bytes", full)
    assert main(grid(digits)) == 2
    assert capsys.readouterr().err.endswith("lookalike: reports/c/mlflow_run_id: no space left to write it\n")
