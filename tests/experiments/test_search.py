"""Searches: what is drawn, what is run and not run again, and what is told of it."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pandas as pd
import pytest
import yaml

from browser import needs_browser, opened, stands_alone
from conftest import TINY
from lookalike.cli.arguments import read_settings
from lookalike.cli.main import main
from lookalike.datamodules.sampler import SamplerError
from lookalike.errors import LookalikeError
from lookalike.experiments.search import search
from lookalike.experiments.search_result import Search
from lookalike.experiments.search_settings import TuneError
from lookalike.files import DiskFullError
from lookalike.inference.bundle import load_bundle
from lookalike.models.checkpoint_file import CheckpointError
from lookalike.reports.search_page import write
from lookalike.settings.training import Train
from lookalike.training.callbacks import Abandoned, Watch
from lookalike.training.fit import DivergedError
from lookalike.training.run import train

TRIALS = 4


def arguments(root: Path, *more: str) -> list[str]:
    return ["tune", f"data.root={root}", "name=t", f"trials={TRIALS}", *TINY, *more]


def settings(root: Path, *more: str) -> Any:
    return read_settings("tune", arguments(root, *more)[1:])


class Pretended:
    """Runs without training: the score of every epoch is a function of what was drawn and the epoch."""

    def __init__(self, score: Any) -> None:
        self.score, self.ran = score, []  # type: ignore[var-annotated]

    def __call__(self, one: Train, watch: Watch) -> Any:
        self.ran.append(one)
        history = []
        for epoch in range(1, one.trainer.max_epochs + 1):
            value = self.score(one, epoch)
            history.append(
                {"epoch": float(epoch), "train/loss": 1.0, "validation/accuracy@1": value, "validation/map": value / 2}
            )
            if watch(history):
                raise Abandoned
        return SimpleNamespace(config={"training": {"history": history}})


def found_by(score: Any, root: Path, output: Path, *more: str) -> tuple[Search, list[Train]]:
    run = Pretended(score)
    return search(settings(root, *more), output, run), run.ran


def by_scale(one: Train, epoch: int) -> float:
    return 1 / (1 + abs(one.loss.scale - 20)) + epoch / 1000  # type: ignore[union-attr]


def test_a_search_finds_the_best_and_starts_from_the_settings_given(digits: Path, tmp_path: Path) -> None:
    found, ran = found_by(by_scale, digits, tmp_path, "trials=25", "tune=loss", "loss.scale=60")
    assert len(ran) == len(found.trials) == 25
    assert (ran[0].loss.scale, ran[0].loss.margin_degrees) == (60, 28.6)  # type: ignore[union-attr]
    best = found.trials.iloc[0]
    assert best["score"] == found.trials["score"].max()
    assert abs(best["loss.scale"] - 20) < 5, "25 draws over a logarithm from 5 to 64 come that near"
    assert max(found.importance, key=found.importance.__getitem__) == "loss.scale"
    assert found.drawn["loss.scale"] == best["loss.scale"]
    assert (found.best["model.backbone"], found.best["trainer.batch_size"]) == ("test_resnet", 8)
    assert {one.run for one in ran} == set(found.trials["run"])
    assert all(5 <= one.loss.scale <= 64 and 5 <= one.loss.margin_degrees <= 45 for one in ran)  # type: ignore[union-attr]
    assert f"the settings as given reached {found.trials.set_index('number')['score'][0]:.4f}" in found.sentence
    same, _ = found_by(lambda one, epoch: 0.5, digits, tmp_path / "b", "trials=3", "tune=loss")
    assert (
        "these are the settings as given" in same.sentence or "the settings as given reached the same" in same.sentence
    )


def test_bad_runs_are_pruned_and_failed_ones_told(digits: Path, tmp_path: Path) -> None:
    def falling(better: float) -> Any:
        seen: list[str] = []

        def score(one: Train, epoch: int) -> float:
            seen.append(str(one.run))
            number = len(set(seen))
            if number == 7 and epoch == 4:
                raise DivergedError("the loss became nan")
            return better if number > 7 else 0.5 + number / 100

        return score

    long = ("trials=10", "trainer.max_epochs=6", "tune=loss")
    found, ran = found_by(falling(0.1), digits, tmp_path, *long)
    table = found.trials.set_index("state")
    assert len(ran) == 10
    assert table.index.tolist()[:6] == ["finished"] * 6, "runs that ended early stand last"
    assert table.loc[["pruned"], "epochs"].tolist() == [3] * 3, "two epochs are never pruned"
    assert table.loc["failed: the loss became nan", ["epochs", "score"]].tolist() == [3, pytest.approx(0.57)]
    assert "(6 finished, 3 pruned, 1 failed)" in found.sentence
    kept = found_by(falling(0.1), digits, tmp_path / "b", *long, "prune=false")[0].trials["state"]
    assert kept.tolist().count("finished") == 9


def test_the_last_epoch_of_a_run_is_never_pruned(digits: Path, tmp_path: Path) -> None:
    """Through Lightning: one run is ended after its first epoch, another at its last, where it is worth its bundle."""
    options = [f"data.root={digits}", *TINY, f"models_dir={tmp_path / 'm'}", f"checkpoint_dir={tmp_path / 'c'}"]
    asked: list[int] = []

    def watch(history: list[dict[str, float]], after: int) -> bool:
        asked.append(len(history))
        return len(history) >= after

    with pytest.raises(Abandoned):
        train(read_settings("train", [*options, "run=a"]), watch=lambda history: watch(history, 1))
    assert not (tmp_path / "m").exists()
    bundle, _ = train(read_settings("train", [*options, "run=a"]), watch=lambda history: watch(history, 2))
    assert asked == [1, 2], "it went on behind its first epoch"
    assert len(bundle.config.training.history) == 2


def test_nothing_finished_is_an_error_that_keeps_the_study(digits: Path, tmp_path: Path) -> None:
    def score(one: Train, epoch: int) -> float:
        raise DivergedError("the loss became nan")

    with pytest.raises(TuneError, match=r"t: no run was finished, so nothing is known \(failed: the loss became nan\)"):
        found_by(score, digits, tmp_path, "trials=2")
    found, ran = found_by(by_scale, digits, tmp_path, "trials=3")
    assert len(ran) == 1
    assert found.trials["state"].tolist() == ["finished", *["failed: the loss became nan"] * 2]
    assert "as given" not in found.sentence, "those failed"


def test_a_draw_that_cannot_be_trained_ends_and_a_full_disk_waits(digits: Path, tmp_path: Path) -> None:
    """Batches of 8 labels cannot be drawn from 5; no other trial would help against a full disk."""

    def score(one: Train, epoch: int) -> float:
        if one.trainer.batches == "labels":
            raise SamplerError("8 labels per batch wanted, there are 5")
        return 0.5

    space = ("tune=loss", "tune.trainer.batches.choices=[shuffled,labels]")
    found, ran = found_by(score, digits, tmp_path, "trials=8", *space)
    assert len(ran) == 8
    assert found.trials["state"].str.contains("8 labels per batch").sum() == sum(
        one.trainer.batches == "labels" for one in ran
    )

    def full(one: Train, epoch: int) -> float:
        raise DiskFullError("no space left")

    with pytest.raises(DiskFullError):
        found_by(full, digits, tmp_path, "trials=9", *space)
    found, again = found_by(by_scale, digits, tmp_path, "trials=9", *space)
    assert len(again) == 1
    assert len(found.trials) == 9


def test_a_trial_killed_before_it_drew_anything_is_run_as_it_was_meant(digits: Path, tmp_path: Path) -> None:
    def killed(one: Train, epoch: int) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        found_by(killed, digits, tmp_path, "loss.scale=11")
    study = optuna.load_study(study_name="t", storage=f"sqlite:///{tmp_path / 'study.db'}")
    study.enqueue_trial({"loss.scale": 12.5}, user_attrs={"given": False})
    study.ask()  # the killed one's successor: drawn from the queue, nothing suggested yet
    _, ran = found_by(by_scale, digits, tmp_path, "trials=2", "loss.scale=11")
    assert {one.loss.scale for one in ran} == {11, 12.5}  # type: ignore[union-attr]


def test_more_trials_go_on_and_repeat_nothing(digits: Path, tmp_path: Path) -> None:
    first, _ = found_by(by_scale, digits, tmp_path, "trials=3")
    second, ran = found_by(by_scale, digits, tmp_path, "trials=5")
    assert len(ran) == 2
    assert set(first.trials["run"]) < set(second.trials["run"])
    assert second.trials["run"].is_unique
    assert found_by(by_scale, digits, tmp_path, "trials=5")[1] == []


def test_what_was_drawn_is_not_run_again(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = ("tune.loss=none", "tune.trainer=none", "tune.trainer.batch_size.choices=[4,8,16]")
    found, ran = found_by(lambda one, epoch: one.trainer.batch_size / 100, digits, tmp_path, "trials=10", *space)
    assert sorted(one.trainer.batch_size for one in ran) == [4, 8, 16]
    assert len(found.trials) == 3
    assert "3 of 10 trials: nothing that was not drawn before is drawn any more" in capsys.readouterr().err


def test_a_search_that_found_nothing_yet_is_not_bound_to_its_settings(digits: Path, tmp_path: Path) -> None:
    def broken(one: Train, epoch: int) -> float:
        raise LookalikeError("no validation images")

    with pytest.raises(LookalikeError, match="no validation images"):
        found_by(broken, digits, tmp_path)
    found, ran = found_by(by_scale, digits, tmp_path, "data.validation_share=0.2", "trials=2")
    assert len(ran) == len(found.trials) == 2


def test_everything_may_be_drawn(digits: Path, tmp_path: Path) -> None:
    found, ran = found_by(by_scale, digits, tmp_path, "tune=everything", "tune.pixels=none", "trials=12")
    stages = {tuple(one.model.trainable) for one in ran}
    assert len(stages) > 2
    assert all(kept[-1] == "head" and len(kept) <= 5 for kept in stages)
    assert {one.trainer.batches for one in ran} == {"shuffled", "labels"}
    assert len({one.online.crop_area for one in ran}) > 6
    assert found.drawn["model.trainable"][-1] == "head"
    assert "model.unfrozen" not in found.drawn
    best = next(one for one in ran if one.run == found.trials["run"][0])
    write(found, tmp_path)
    given = ["--config", str(tmp_path / "best.yaml"), f"data.root={digits}", "logger=none", f"run={best.run}"]
    again = read_settings("train", given)
    assert again == best


@pytest.mark.parametrize(
    ("backbone", "given", "stages"),
    [
        ("tf_efficientnet_lite0", "[conv_head,bn2,head]", ["conv_head", "bn2", "head"]),
        ("resnet18", "[layer4,head]", ["layer4.0", "layer4.1", "head"]),
    ],
)
def test_unfrozen_stages_are_the_last_ones(
    backbone: str, given: str, stages: list[str], digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choice = (f"model.backbone={backbone}", f"model.trainable={given}", "tune.model.unfrozen.low=2")
    _, ran = found_by(
        by_scale, digits, tmp_path, *choice, "tune.model.unfrozen.high=4", "tune.model.unfrozen.whole=true", "trials=3"
    )
    assert all(set(stages) <= set(one.model.trainable) for one in ran)
    assert set(ran[0].model.trainable) == set(stages), "the first trial is the settings as given"
    assert "as given, is not among" not in capsys.readouterr().err
    odd = (*choice, "model.trainable=[layer3,head]" if backbone == "resnet18" else "model.trainable=[blocks.1,head]")
    found_by(by_scale, digits, tmp_path / "odd", *odd, "tune.model.unfrozen.high=4", "tune.model.unfrozen.whole=true")
    assert "tune.model.unfrozen: " in capsys.readouterr().err, "those are not the last ones"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            "tune.trainer.learnin_rate.choices=[1]",
            r"learnin_rate: unknown setting; did you mean learning_rate",
        ),
        ("tune.loss.scal.choices=[1,2]", r"tune\.loss\.scal: no loss has such a setting; did you mean scale"),
        ("tune.trainer.learning_rate.low=-1", r"tune\.trainer\.learning_rate.*needs low < high \(above 0 with log"),
        ("tune.trainer.learning_rate.high=0", r"tune\.trainer\.learning_rate.*needs low < high"),
        ("tune.loss.sub_centers.low=1.5", r"tune\.loss\.sub_centers.*without fractions with whole"),
        ("tune.loss.margin_degrees.high=200", r"loss\.margin_degrees=200\.0: .*less than 180"),
        ("tune.trainer.batches.choices=[shuffled,sorted]", r"trainer\.batches=sorted: expected 'auto', 'shuffled'"),
        (
            "tune.model.unfrozen.choices=[1,99]",
            r"tune\.model\.unfrozen: 99: expected a whole number of stages",
        ),
        ("tune.model.unfrozen.choices=[-1]", r"tune\.model\.unfrozen: -1: expected a whole number of stages"),
        ("tune=standart", r"tune=standart: no such option; did you mean standard"),
        ("trials=0", r"trials=0: expected greater than or equal to 1|trials=0: input should be greater"),
        ("objective=loss", r"objective=loss: expected 'accuracy@1' or 'map'"),
        ("tune.data.seed.choices=[1]", r"tune\.data: unknown setting"),
        ("resume=never", r"resume=never: a search always goes on where it stopped: give name=<another>"),
    ],
)
def test_wrong_spaces_are_one_line_before_any_run(
    argument: str,
    message: str,
    digits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*(one for one in arguments(digits) if one != "logger=none"), argument]) == 2
    told = capsys.readouterr().err
    assert re.search(message, told), told
    assert told.count("\n") == 1
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and file.name != ".lock"], "not even a record"


def test_whole_numbers_must_be_asked_for(digits: Path, tmp_path: Path) -> None:
    ends = ("tune.trainer.batch_size.low=4", "tune.trainer.batch_size.high=16")
    with pytest.raises(TuneError, match=r"tune\.trainer\.batch_size: .*; whole=true draws whole numbers"):
        found_by(by_scale, digits, tmp_path, *ends)
    _, ran = found_by(by_scale, digits, tmp_path, *ends, "tune.trainer.batch_size.whole=true")
    assert all(isinstance(one.trainer.batch_size, int) for one in ran)
    _, ran = found_by(by_scale, digits, tmp_path / "b", "tune.trainer.batch_size.choices=[4,8,16]")
    assert ran[0].trainer.batch_size == 8, "as given"


def test_a_study_of_other_settings_or_a_damaged_one_is_refused(digits: Path, tmp_path: Path) -> None:
    found_by(by_scale, digits, tmp_path)
    with pytest.raises(
        CheckpointError, match=r"search t was started with other settings: trainer\.batch_size was 8, is 16; go back"
    ):
        found_by(by_scale, digits, tmp_path, "trainer.batch_size=16")
    assert found_by(by_scale, digits, tmp_path, "trainer.workers=1", "checkpoint_dir=elsewhere")[1] == []
    (tmp_path / "study.db").write_bytes(b"no database" * 100)
    with pytest.raises(LookalikeError, match=r"study\.db: cannot be used \(.*move it away, or give name=<another>"):
        found_by(by_scale, digits, tmp_path)


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
    command = [sys.executable, "-c", code, *arguments(root, "trials=3", "prune=false")]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (first,) = (tmp_path / "models").iterdir()
    before = (first / "model.safetensors").stat().st_mtime_ns
    assert main(arguments(root, "trials=3", "prune=false")) == 0
    told = capsys.readouterr()
    assert told.err.count("after 1 finished epoch(s)") == 1, "the killed run goes on in its second epoch"
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


def test_pages_stand_alone(digits: Path, tmp_path: Path) -> None:
    found, _ = found_by(by_scale, digits, tmp_path, "trials=12")
    files = write(found, tmp_path)
    assert [file.name for file in files] == ["tune.md", "tune.csv", "tune.html", "best.yaml"]
    page = (tmp_path / "tune.html").read_text()
    assert stands_alone(page)
    assert page.count("<svg") == 1 + len(found.settings)
    assert yaml.safe_load((tmp_path / "best.yaml").read_text()) == found.drawn | found.best
    assert json.loads(pd.read_csv(tmp_path / "tune.csv").to_json(orient="records"))[0]["run"] == found.trials["run"][0]
    assert f"lookalike train --config {tmp_path / 'best.yaml'} data.root=..." in (tmp_path / "tune.md").read_text()


@needs_browser
def test_the_page_opens_in_a_browser_without_errors(digits: Path, tmp_path: Path) -> None:
    found, _ = found_by(by_scale, digits, tmp_path, "trials=3")
    write(found, tmp_path)
    assert "Best validation accuracy@1 of 3 runs" in opened(tmp_path / "tune.html", tmp_path)
