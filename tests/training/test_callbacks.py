"""What is kept and shown while a run goes on."""

import subprocess
import sys
from pathlib import Path

from lookalike.training.callbacks import KeepState
from runs import arguments, start, state


def test_a_full_disk_loses_nothing(digits: Path, tmp_path: Path) -> None:
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
    full = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert full.returncode == 2
    assert "last.ckpt: no space left to write it" in full.stderr
    assert "free some space, then run the same command again" in full.stderr
    assert "Traceback" not in full.stderr
    assert state(tmp_path)["global_step"] == 2
    resumed = start(tmp_path, *command)
    assert resumed.returncode == 0, resumed.stderr
    assert start(tmp_path, *arguments(digits, "unbroken")).returncode == 0
    one, two = (tmp_path / f"models/{run}/model.safetensors" for run in ("r", "unbroken"))
    assert one.read_bytes() == two.read_bytes()


def test_the_seconds_of_a_run_hold_those_before_it_was_killed(tmp_path: Path) -> None:
    keep = KeepState(tmp_path, 60, 4)
    keep.load_state_dict({"seconds": 1e6})
    assert 1e6 <= keep.state_dict()["seconds"] < 1e6 + 3600
