"""Training on two processes: the weights and figures of one, killed and resumed, on another number of devices."""

import shutil
import signal
import time
from pathlib import Path

import pytest
import torch

import devices
import processes
from runs import arguments, same, start, state

# Six steps an epoch, 24 in all; the batch norms are trained, so their statistics go from process to process.
_SETTINGS = ("trainer.max_epochs=4", "trainer.checkpoint_seconds=0", "loss=arcface")
_TWO = "trainer.devices=2"
# A process of one rank that kills itself at the n-th step.
KILLER = """
import os, signal, sys
import lookalike.models.metric_learning_module as owner
from lookalike.cli.main import main
rank, last = int(sys.argv.pop(1)), int(sys.argv.pop(1))
steps, inner = 0, owner.MetricLearningModule.optimizer_step
def step(self, *rest):
    global steps
    steps += 1
    if steps == last and int(os.environ.get("RANK", 0)) == rank:
        os.kill(os.getpid(), signal.SIGKILL)
    return inner(self, *rest)
owner.MetricLearningModule.optimizer_step = step
sys.exit(main(sys.argv[1:]))
"""
# The first of two processes, which starts the other one itself; what happens at the fourth step is the argument.
STARTER = """
import os, signal, sys
from lookalike.training import callbacks, launch
from lookalike.cli.main import main
what, steps, helpers = sys.argv.pop(1), 0, []
begin, inner = launch.Helpers.__init__, callbacks.KeepState.on_train_batch_end
def began(self, *rest):
    begin(self, *rest)
    helpers.append(self)
def step(self, *rest):
    global steps
    steps += 1
    inner(self, *rest)
    if steps == 4:
        other = helpers[0]._processes[0].pid
        print("helper", other, flush=True)
        os.kill(other if what == "helper" else os.getpid(), signal.SIGKILL)
launch.Helpers.__init__, callbacks.KeepState.on_train_batch_end = began, step
sys.exit(main(sys.argv[1:]))
"""


def curve(where: Path) -> list[dict[str, float]]:
    history: list[dict[str, float]] = state(where)["lookalike"]["history"]
    return history


def near(first: Path, second: Path, part: float = 1e-3) -> None:
    """The weights after the last step.

    Adam makes much of what rounding leaves of a gradient near zero: 24 steps of 0.001 move a shift of a batch norm by
    hundredths, and 0.0001 of them is its noise.
    """
    ones, others = (state(where)["state_dict"] for where in (first, second))
    assert ones.keys() == others.keys()
    for name, value in ones.items():
        if value.is_floating_point():
            most = part * float(value.abs().max()) + 2e-4
            assert float((value - others[name]).abs().max()) <= most, name


@pytest.fixture(scope="module")
def of_two(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run on two processes, and what each printed."""
    where = tmp_path_factory.mktemp("two")
    done = devices.together(processes.COMMAND, *arguments(digits, "r", *_SETTINGS, _TWO), cwd=where)
    assert [part.returncode for part in done] == [0, 0], done[0].stderr + done[1].stderr
    assert "bundle: models/r" in done[0].stdout
    assert done[1].stdout == ""
    return where, [part.stderr for part in done]


@pytest.mark.slow
def test_two_processes_train_the_weights_of_one(digits: Path, tmp_path: Path, of_two: tuple[Path, list[str]]) -> None:
    where, said = of_two
    assert "devices: 2 processes share each batch" in said[0]
    noted = [line for line in said[1].splitlines() if ": given twice: " not in line]
    assert noted == [], "the first process prints"
    assert start(tmp_path, *arguments(digits, "r", *_SETTINGS)).returncode == 0
    assert state(where)["global_step"] == state(tmp_path)["global_step"] == 24
    near(where, tmp_path)
    assert len(curve(where)) == 4
    for one, other in zip(curve(where), curve(tmp_path), strict=True):
        assert one["train/loss"] == pytest.approx(other["train/loss"], rel=1e-4)
    assert sorted(path.name for path in where.iterdir()) == sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.slow
def test_two_processes_share_a_cached_trunk_samples_of_class_weights_and_folds(digits: Path, tmp_path: Path) -> None:
    """What the presets are made of, a loss for very many labels, and the trainings for unknown images."""
    command = arguments(
        digits,
        "r",
        *("model.backbone=test_efficientnet", "model.trainable=[blocks.4,conv_head,bn2,head]", "trainer.max_epochs=1"),
        *("model.frozen_batch_norm=true", "online.relative_size=1.5", "online.views=3", "trainer.passes=2"),
        *("loss.sample_classes=0.8", "trainer.batch_size=4", "false_accept_rate=0.1", "unknown_folds=1"),
    )
    two, alone = tmp_path / "two", tmp_path / "one"
    two.mkdir()
    alone.mkdir()
    done = devices.together(processes.COMMAND, *command, _TWO, cwd=two)
    assert [part.returncode for part in done] == [0, 0], done[0].stderr + done[1].stderr
    assert "frozen up to blocks.3, cached" in done[0].stderr
    assert "fold 1 of 1" in done[0].stderr
    assert start(alone, *command).returncode == 0
    near(two, alone)
    assert state(two)["state_dict"]["loss.sample.table"].shape == (5, 16)
    moments = state(two)["lookalike"]["class_weights"]
    assert same(moments["place"], state(alone)["lookalike"]["class_weights"]["place"])
    assert (two / "checkpoint/r/folds/fold-1").is_dir()
    assert len(list((two / "checkpoint/.trunk").glob("*.bf16"))) == len(
        list((alone / "checkpoint/.trunk").glob("*.bf16"))
    ), "made once"


@pytest.mark.slow
def test_a_killed_process_ends_all_and_the_run_goes_on(
    digits: Path, tmp_path: Path, of_two: tuple[Path, list[str]]
) -> None:
    """On as many devices to the same bits; on one and two again to the same weights up to rounding."""
    where, _ = of_two
    command = arguments(digits, "r", *_SETTINGS)
    begun = time.monotonic()
    first, second = devices.together(KILLER, "1", "9", *command, _TWO, cwd=tmp_path)
    assert (first.returncode, second.returncode) == (2, -signal.SIGKILL), first.stderr
    assert "lookalike: training on several devices stopped: " in first.stderr
    assert first.stderr.endswith("; the same command goes on from the last checkpoint, on any number of devices\n")
    assert time.monotonic() - begun < 400
    assert state(tmp_path)["global_step"] == 8
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "checkpoint", other / "checkpoint")

    done = devices.together(processes.COMMAND, *command, _TWO, cwd=tmp_path)
    assert [part.returncode for part in done] == [0, 0], done[0].stderr
    assert "resuming r after 1 finished epoch(s)" in done[0].stderr
    ours, whole = state(tmp_path), state(where)
    assert all(same(ours[key], whole[key]) for key in ("state_dict", "optimizer_states", "lr_schedulers", "lookalike"))
    assert (tmp_path / "models/r/model.safetensors").read_bytes() == (where / "models/r/model.safetensors").read_bytes()

    alone = processes.run(KILLER, "0", "7", *command, cwd=other)
    assert alone.returncode == -signal.SIGKILL, alone.stderr
    assert "resuming r after 1 finished epoch(s)" in alone.stderr
    assert state(other)["global_step"] == 14, "six steps on one device, from the very place"
    done = devices.together(processes.COMMAND, *command, _TWO, cwd=other)
    assert [part.returncode for part in done] == [0, 0], done[0].stderr
    assert "resuming r after 2 finished epoch(s)" in done[0].stderr
    assert curve(other)[0] == curve(where)[0]
    for ours, whole in zip(curve(other), curve(where), strict=True):  # the same batches, each once
        assert ours["train/loss"] == pytest.approx(whole["train/loss"], rel=2e-3)
    near(other, where, 1e-2)  # two changes of the order of sums, made larger by the steps behind them


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["helper", "first"])
def test_processes_started_here_end_together(digits: Path, tmp_path: Path, killed: str) -> None:
    """Whoever dies, the other one ends, too: with one line, or with the first process."""
    ended = processes.run(STARTER, killed, *arguments(digits, "r", *_SETTINGS, _TWO), cwd=tmp_path, timeout=550)
    assert ended.stdout.startswith("helper "), ended.stderr
    helper = int(ended.stdout.split()[1])
    if killed == "helper":
        assert ended.returncode == 2, ended.stderr
        line = "lookalike: process 1 of 2 (of device 1) was killed (signal 9); the same command goes on from the last"
        assert ended.stderr.splitlines()[-1].startswith(line)
    else:
        assert ended.returncode == -signal.SIGKILL, ended.stderr
    while _runs(helper):  # bounded by the time limit of a test
        time.sleep(0.05)
    assert state(tmp_path)["global_step"] == 4


def _runs(process: int) -> bool:
    """Also one that has ended and that nobody has waited for is gone."""
    try:
        return " Z " not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2][:3]
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.slow
def test_validation_in_shards_is_that_of_one_process(
    digits: Path, tmp_path: Path, of_two: tuple[Path, list[str]]
) -> None:
    """To the last digit: the weights of two processes, validated by one."""
    from lookalike.cli.arguments import read_settings
    from lookalike.data.reading import read_manifest
    from lookalike.training.build import build
    from lookalike.training.plan import Plan

    where, _ = of_two
    settings = read_settings("train", arguments(digits, "r", *_SETTINGS)[1:])
    module, data = build(Plan(settings, read_manifest(digits)), None)
    module.load_state_dict(state(where)["state_dict"])
    torch.set_num_threads(1)
    module.eval()
    with torch.inference_mode():
        for number, loader in enumerate(data.val_dataloader()):
            for batch in loader:
                module.validation_step(batch, 0, number)
    metrics = module.validation_result().metrics
    last = curve(where)[-1]
    for name in ("accuracy@1", "accuracy@5", "map"):
        assert last[f"validation/{name}"] == metrics[name]
