"""A run that was killed, interrupted or ran out of disk ends like an unbroken one."""

import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import processes
from conftest import TINY
from runs import arguments, same, start, state

# A process that kills itself at the n-th call of a function: real SIGKILL, at an exact moment.
KILLER = """
import os, signal, sys
import {module} as owner
from lookalike.cli.main import main
calls, inner = 0, owner.{path}
def kill(*args, **kwargs):
    global calls
    calls += 1
    if calls == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return inner(*args, **kwargs)
owner.{path} = kill
main(sys.argv[1:])
"""


# What the presets are made of: random versions of another size behind a frozen trunk, norms folded while training.
_OF_PRESETS = (
    *("model.backbone=test_efficientnet", "model.trainable=[blocks.4,conv_head,bn2,head]"),
    *("model.frozen_batch_norm=true", "online.flip=true", "online.crop_area=0.5", "online.color=0.3"),
    *("online.relative_size=1.5", "online.views=3", "trainer.passes=2", "trainer.averaged_share=0.7"),
    *("loss.sample_classes=0.8", "trainer.batch_size=4"),  # and four of the five labels in each step
)
# Depthwise convolutions by code of our own, with and without products beside them.
_FLOAT32 = (*_OF_PRESETS[:3], "trainer.precision=32-true")
_PRODUCTS = (*_OF_PRESETS[:3], "trainer.precision=bf16-products")
_BY_LABELS = ("loss=supcon", "trainer.labels_per_batch=4", "trainer.images_per_label=2")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tracked", "more"),
    [(True, ("loss=arcface",)), (False, _BY_LABELS), (False, _OF_PRESETS), (False, _FLOAT32), (False, _PRODUCTS)],
    ids=["tracked", "labels", "presets", "depthwise", "depthwise products"],
)
def test_a_killed_run_ends_like_an_unbroken_one(
    digits: Path, tmp_path: Path, tracked: bool, more: tuple[str, ...]
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    command = arguments(digits, "r", "trainer.max_epochs=4", "trainer.checkpoint_seconds=0", *more)
    if tracked:
        command[command.index("logger=none")] = "logger=mlflow"
    whole.mkdir()
    broken.mkdir()
    finished = start(whole, *command)
    assert finished.returncode == 0, finished.stderr
    assert ("frozen up to blocks.3, cached" in finished.stderr) == (more[:3] == _OF_PRESETS[:3])

    moments = [
        ("lookalike.models.metric_learning_module", "MetricLearningModule.training_step", 9),  # inside the second epoch
        ("os", "fsync", 7),  # a checkpoint's temporary file is written but not yet in place
        ("lookalike.training.callbacks", "KeepState.on_train_epoch_end", 1),  # validated, logged, not yet written
    ]
    for module, path, call in moments if tracked else moments[:1]:
        code = KILLER.format(module=module, path=path, call=call)
        killed = processes.run(code, *command, cwd=broken)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    if tracked:
        _kill_from_outside(broken, command)
    resumed = start(broken, *command)
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming r after" in resumed.stderr

    assert (whole / "models/r/model.safetensors").read_bytes() == (broken / "models/r/model.safetensors").read_bytes()
    of_whole, of_broken = state(whole), state(broken)
    assert same(of_whole["state_dict"], of_broken["state_dict"])
    assert same(of_whole["optimizer_states"], of_broken["optimizer_states"])
    assert same(of_whole["lr_schedulers"], of_broken["lr_schedulers"])
    assert same(of_whole["lookalike"], of_broken["lookalike"])
    if tracked:
        assert _curve(whole) == _curve(broken)
        assert [step for step, _ in _curve(whole)] == [1, 2, 3, 4]
    assert not list(broken.rglob("*.tmp")), "temporary files are left behind"


def _kill_from_outside(where: Path, command: list[str]) -> None:
    """SIGKILL as soon as the resumed process has written a checkpoint of its own."""
    last = where / "checkpoint/r/last.ckpt"
    before = last.stat().st_mtime_ns
    with processes.Child(processes.COMMAND, *command, cwd=where) as process:
        while process.returncode is None and last.stat().st_mtime_ns == before:
            time.sleep(0.002)
        process.kill()
    assert process.returncode in (-signal.SIGKILL, 0)


def _curve(where: Path) -> list[tuple[int, float]]:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{where / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("lookalike").experiment_id])
    assert len(runs) == 1, "a resumed run goes on in the same record"
    points = client.get_metric_history(runs[0].info.run_id, "validation/map")
    return [(point.step, point.value) for point in points]


@pytest.mark.parametrize("more", [(), ("trainer.averaged_share=0.5", "model.bn_neck=true")], ids=["plain", "averaged"])
def test_dying_at_any_step_changes_nothing(
    more: tuple[str, ...], digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every checkpoint of a run, the one after validation included, leads to the same end."""
    import lookalike.training.callbacks as owner
    from lookalike.cli.arguments import read_settings
    from lookalike.training.run import train

    class Death(BaseException):
        """No handler of the product catches this."""

    write = owner.KeepState._write

    def die_after(number: int) -> None:
        calls = 0

        def dying(*args: Any) -> None:
            nonlocal calls
            write(*args)
            calls += 1
            if calls == number:
                raise Death

        monkeypatch.setattr(owner.KeepState, "_write", dying)

    monkeypatch.chdir(tmp_path)
    settings = {
        run: read_settings("train", arguments(digits, run, "trainer.checkpoint_seconds=0", *more)[1:])
        for run in ("w", "b")
    }
    train(settings["w"])
    for moment in (1, 5, 6, 7, 11, 12):  # two epochs of six steps
        die_after(moment)
        with pytest.raises(Death):
            train(settings["b"])
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        assert state(tmp_path, "b")["global_step"] == moment
        train(settings["b"])
        of_whole, of_broken = state(tmp_path, "w"), state(tmp_path, "b")
        assert all(
            same(of_whole[key], of_broken[key])
            for key in ("state_dict", "optimizer_states", "lr_schedulers", "lookalike")
        ), moment
        kept = (Path(f"models/{run}/model.safetensors").read_bytes() for run in ("w", "b"))
        assert next(kept) == next(kept), moment
        shutil.rmtree("checkpoint/b")
        shutil.rmtree("models/b")


def test_ctrl_c_is_no_failure_and_the_run_goes_on(digits: Path, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom lookalike.training import callbacks as c\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background ignores it
        "inner = c.KeepState.on_train_epoch_end\n"
        "def keep(self, *rest):\n    inner(self, *rest)\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "c.KeepState.on_train_epoch_end = keep\nfrom lookalike.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    )
    command = ["train", f"data.root={digits}", "run=r", *TINY]
    stopped = processes.run(code, *command, cwd=tmp_path)
    assert stopped.returncode == 130, stopped.stderr
    assert stopped.stderr.endswith("lookalike: stopped\n")
    assert "the same command goes on from the last checkpoint" in stopped.stderr
    resumed = start(tmp_path, *command)
    assert "resuming r after 1 finished epoch(s)" in resumed.stderr
