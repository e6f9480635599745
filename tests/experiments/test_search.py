"""Searches: what is run, pruned, and not run again."""

import shutil
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import processes
from conftest import TINY
from lookalike.cli.arguments import read_settings
from lookalike.cli.main import main
from lookalike.datamodules.sampler import SamplerError
from lookalike.files import DiskFullError
from lookalike.inference.bundle import load_bundle
from lookalike.settings.training import Train
from lookalike.training.callbacks import Abandoned
from lookalike.training.fit import DivergedError
from lookalike.training.run import train
from searches import arguments, by_scale, search_with


def test_a_search_finds_the_best_and_starts_from_the_settings_given(digits: Path, tmp_path: Path) -> None:
    result, ran = search_with(by_scale, digits, tmp_path, "trials=25", "tune=loss", "loss.scale=60")
    assert len(ran) == len(result.trials) == 25
    assert (ran[0].loss.scale, ran[0].loss.margin_degrees) == (60, 28.6)  # type: ignore[union-attr]
    best = result.trials.iloc[0]
    assert best["score"] == result.trials["score"].max()
    assert abs(best["loss.scale"] - 20) < 5, "25 draws over a logarithm from 5 to 64 come that near"
    assert max(result.importance, key=result.importance.__getitem__) == "loss.scale"
    assert result.drawn["loss.scale"] == best["loss.scale"]
    assert (result.best["model.backbone"], result.best["trainer.batch_size"]) == ("test_resnet", 8)
    assert {run.run for run in ran} == set(result.trials["run"])
    assert all(5 <= run.loss.scale <= 64 and 5 <= run.loss.margin_degrees <= 45 for run in ran)  # type: ignore[union-attr]
    assert f"the settings as given reached {result.trials.set_index('number')['score'][0]:.4f}" in result.sentence
    same, _ = search_with(lambda run, epoch: 0.5, digits, tmp_path / "b", "trials=3", "tune=loss")
    assert (
        "these are the settings as given" in same.sentence or "the settings as given reached the same" in same.sentence
    )


def test_bad_runs_are_pruned_and_failed_ones_told(digits: Path, tmp_path: Path) -> None:
    def falling(better: float) -> Any:
        names: list[str] = []

        def score(run: Train, epoch: int) -> float:
            names.append(str(run.run))
            number = len(set(names))
            if number == 7 and epoch == 4:
                raise DivergedError("the loss became nan")
            return better if number > 7 else 0.5 + number / 100

        return score

    long = ("trials=10", "trainer.max_epochs=6", "tune=loss")
    result, ran = search_with(falling(0.1), digits, tmp_path, *long)
    table = result.trials.set_index("state")
    assert len(ran) == 10
    assert table.index.tolist()[:6] == ["finished"] * 6, "runs that ended early stand last"
    assert table.loc[["pruned"], "epochs"].tolist() == [3] * 3, "two epochs are never pruned"
    assert table.loc["failed: the loss became nan", ["epochs", "score"]].tolist() == [3, pytest.approx(0.57)]
    assert "(6 finished, 3 pruned, 1 failed)" in result.sentence
    kept = search_with(falling(0.1), digits, tmp_path / "b", *long, "prune=false")[0].trials["state"]
    assert kept.tolist().count("finished") == 9


def test_the_last_epoch_of_a_run_is_never_pruned(digits: Path, tmp_path: Path) -> None:
    """Through Lightning: one run is ended after its first epoch, another at its last, where it is worth its bundle."""
    options = [f"data.root={digits}", *TINY, f"models_dir={tmp_path / 'm'}", f"checkpoint_dir={tmp_path / 'c'}"]
    lengths: list[int] = []

    def watch(history: list[dict[str, float]], after: int) -> bool:
        lengths.append(len(history))
        return len(history) >= after

    with pytest.raises(Abandoned):
        train(read_settings("train", [*options, "run=a"]), watch=lambda history: watch(history, 1))
    assert not (tmp_path / "m").exists()
    bundle, _ = train(read_settings("train", [*options, "run=a"]), watch=lambda history: watch(history, 2))
    assert lengths == [1, 2], "it went on behind its first epoch"
    assert len(bundle.config.training.history) == 2


def test_a_draw_that_cannot_be_trained_ends_and_a_full_disk_waits(digits: Path, tmp_path: Path) -> None:
    """Batches of 8 labels cannot be drawn from 5; no other trial would help against a full disk."""

    def score(run: Train, epoch: int) -> float:
        if run.trainer.batches == "labels":
            raise SamplerError("8 labels per batch wanted, there are 5")
        return 0.5

    space = ("tune=loss", "tune.trainer.batches.choices=[shuffled,labels]")
    result, ran = search_with(score, digits, tmp_path, "trials=8", *space)
    assert len(ran) == 8
    assert result.trials["state"].str.contains("8 labels per batch").sum() == sum(
        run.trainer.batches == "labels" for run in ran
    )

    def full(run: Train, epoch: int) -> float:
        raise DiskFullError("no space left")

    with pytest.raises(DiskFullError):
        search_with(full, digits, tmp_path, "trials=9", *space)
    result, again = search_with(by_scale, digits, tmp_path, "trials=9", *space)
    assert len(again) == 1
    assert len(result.trials) == 9


def test_more_trials_go_on_and_repeat_nothing(digits: Path, tmp_path: Path) -> None:
    first, _ = search_with(by_scale, digits, tmp_path, "trials=3")
    second, ran = search_with(by_scale, digits, tmp_path, "trials=5")
    assert len(ran) == 2
    assert set(first.trials["run"]) < set(second.trials["run"])
    assert second.trials["run"].is_unique
    assert search_with(by_scale, digits, tmp_path, "trials=5")[1] == []


def test_what_was_drawn_is_not_run_again(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = ("tune.loss=none", "tune.trainer=none", "tune.trainer.batch_size.choices=[4,8,16]")
    result, ran = search_with(lambda run, epoch: run.trainer.batch_size / 100, digits, tmp_path, "trials=10", *space)
    assert sorted(run.trainer.batch_size for run in ran) == [4, 8, 16]
    assert len(result.trials) == 3
    assert "3 of 10 trials: nothing that was not drawn before is drawn any more" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_search_goes_on_inside_its_run_and_never_needs_the_test_split(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "data"
    for split in ("train", "validation"):
        shutil.copytree(digits / split, root / split)
    code = (
        "import os, signal, sys\nfrom lookalike.training import callbacks as c\n"
        "inner, calls = c.KeepState.on_train_epoch_end, []\n"
        "def keep(self, *rest):\n    inner(self, *rest)\n    calls.append(1)\n"
        "    if len(calls) == 3:\n        os.kill(os.getpid(), signal.SIGKILL)\n"
        "c.KeepState.on_train_epoch_end = keep\nfrom lookalike.cli.main import main\nmain(sys.argv[1:])"
    )
    killed = processes.run(code, *arguments(root, "trials=3", "prune=false"))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (first,) = (tmp_path / "models").iterdir()
    before = (first / "model.safetensors").stat().st_mtime_ns
    assert main(arguments(root, "trials=3", "prune=false")) == 0
    printed = capsys.readouterr()
    assert printed.err.count("after 1 finished epoch(s)") == 1, "the killed run goes on in its second epoch"
    assert (first / "model.safetensors").stat().st_mtime_ns == before
    table = pd.read_csv(tmp_path / "reports/t/tune.csv")
    assert table["state"].tolist() == ["finished"] * 3
    assert {file.name for file in (tmp_path / "models").iterdir()} == set(table["run"])
    for row in table.to_dict("records"):
        history = load_bundle(tmp_path / "models" / row["run"]).config.training.history
        assert row["score"] == max(line["validation/accuracy@1"] for line in history)
        assert row["epochs"] == len(history) == 2
    assert main(["train", "--config", "reports/t/best.yaml", f"data.root={root}", "logger=none", "run=best"]) == 0
    again = load_bundle(tmp_path / "models/best").config.training.history
    assert max(line["validation/accuracy@1"] for line in again) == table["score"].iloc[0]
