"""What is kept and shown while a run goes on."""

import re
from pathlib import Path

import lightning.pytorch as pl
import pytest
from safetensors.torch import load, save

import processes
from lookalike.cli.arguments import read_settings
from lookalike.cli.main import main
from lookalike.inference.bundle import load_bundle
from lookalike.models.metric_learning_module import MetricLearningModule
from lookalike.training.callbacks import Abandoned, KeepState
from lookalike.training.history import best_epoch, finished
from lookalike.training.run import train
from runs import arguments, same, start, state


def test_a_full_disk_loses_nothing(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on file size stands for a full disk: the second checkpoint does not fit, the first one still resumes."""
    code = """
import resource, sys
import lookalike.training.callbacks as owner
from lookalike.cli.main import main
inner, calls = owner.KeepState._write, 0
def write(*args):
    global calls
    calls += 1
    if calls == 3:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    inner(*args)
owner.KeepState._write = write
sys.exit(main(sys.argv[1:]))
"""
    command = arguments(digits, "r", "trainer.checkpoint_seconds=0")
    full = processes.run(code, *command, cwd=tmp_path)
    assert full.returncode == 2
    assert "last.ckpt: no space left to write it" in full.stderr
    assert "free some space, then run the same command again" in full.stderr
    assert "Traceback" not in full.stderr
    assert state(tmp_path)["global_step"] == 2
    resumed = start(tmp_path, *command)
    assert resumed.returncode == 0, resumed.stderr
    monkeypatch.chdir(tmp_path)
    assert main(arguments(digits, "unbroken")) == 0
    resumed_weights, unbroken_weights = (tmp_path / f"models/{run}/model.safetensors" for run in ("r", "unbroken"))
    assert resumed_weights.read_bytes() == unbroken_weights.read_bytes()


def test_the_seconds_of_a_run_hold_those_before_it_was_killed(tmp_path: Path) -> None:
    keep = KeepState(tmp_path, 60, 4)
    keep.load_state_dict({"seconds": 1e6})
    assert 1e6 <= keep.state_dict()["seconds"] < 1e6 + 3600


LINES = [(0.5, 0.4), (0.7, 0.5), (0.7, 0.6), (0.7, 0.6), (0.6, 0.9)]


def history(*scores: tuple[float, float]) -> list[dict[str, float]]:
    names = ("validation/accuracy@1", "validation/map")
    return [{"epoch": float(n), **dict(zip(names, pair, strict=True))} for n, pair in enumerate(scores, start=1)]


def test_the_best_epoch_is_the_first_of_the_highest_accuracy_then_map() -> None:
    assert best_epoch([]) == 0
    assert [best_epoch(history(*LINES[:count])) for count in range(1, 6)] == [1, 2, 3, 3, 3]


@pytest.mark.parametrize(
    ("count", "max_epochs", "patience", "over"),
    [(0, 1, 1, False), (1, 1, 9, True), (4, 9, 2, False), (5, 9, 2, True), (5, 9, 3, False), (5, 5, 9, True)],
)
def test_training_is_over_when_all_is_done_or_nothing_gets_better(
    count: int, max_epochs: int, patience: int, over: bool
) -> None:
    assert finished(history(*LINES[:count]), max_epochs, patience) == over


def test_the_weights_kept_are_those_of_the_best_epoch(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each epoch the network is embedded anew: the file is that of the best, the state that of the last."""
    monkeypatch.chdir(tmp_path)
    kept: list[bytes] = []
    inner = KeepState.on_train_epoch_end

    def noting(self: KeepState, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        inner(self, trainer, module)
        assert isinstance(module, MetricLearningModule)
        kept.append(save({name: part.contiguous() for name, part in module.embedder.state_dict().items()}))

    monkeypatch.setattr(KeepState, "on_train_epoch_end", noting)
    assert main(arguments(digits, "r", "trainer.max_epochs=4")) == 0
    best = load_bundle(Path("models/r")).config.training.best_epoch
    assert best == best_epoch(load_bundle(Path("models/r")).config.training.history)
    assert load(Path("checkpoint/r/best.safetensors").read_bytes()).keys() == load(kept[0]).keys()
    assert same(load(Path("checkpoint/r/best.safetensors").read_bytes()), load(kept[best - 1]))
    last = {name: part for name, part in state(tmp_path)["state_dict"].items() if name.startswith("embedder.")}
    assert same({name.removeprefix("embedder."): part for name, part in last.items()}, load(kept[-1]))


def test_patience_ends_a_run_that_gets_no_better(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    still = ("trainer.learning_rate=1e-12", "trainer.head_learning_rate=1e-12", "trainer.loss_learning_rate=1e-12")
    assert main(arguments(digits, "r", *still, "trainer.max_epochs=30", "trainer.patience=2")) == 0
    training = load_bundle(Path("models/r")).config.training
    assert training.epochs == training.best_epoch + 2 < 30
    said = capsys.readouterr().err
    lines = [line for line in said.splitlines() if re.match(r"epoch \d+/30: loss \d", line)]
    assert len(lines) == training.epochs
    assert re.search(rf"validation accuracy@1 0\.\d{{4}}, .* \(best: epoch {training.best_epoch}\)$", lines[-1])


def test_who_watches_a_run_may_end_it(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = read_settings("train", arguments(digits, "r", "trainer.max_epochs=5")[1:])
    seen: list[int] = []

    def watch(lines: list[dict[str, float]]) -> bool:
        seen.append(len(lines))
        return len(lines) == 2

    with pytest.raises(Abandoned):
        train(settings, watch=watch)
    assert seen == [1, 2]
    assert not Path("models/r").exists()
    assert len(state(tmp_path)["lookalike"]["history"]) == 2, "its checkpoint stands"
    bundle, _ = train(settings, watch=lambda lines: len(lines) == 5)
    assert bundle.config.training.epochs == 5, "the last epoch cannot be ended early"
