"""What the benchmarks share: running jobs in turn, in processes of their own, and telling the machine."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OURS, PEER = HERE / "ours.py", HERE / "peers" / "speed.py"
OML_PYTHON = HERE / "peers" / ".venv-oml" / "bin" / "python"
ROUNDS = 5


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        work: What was done.
        other: What it is compared with; empty for nothing.
        ours: Our figure, with its unit.
        theirs: Theirs.
        ratio: How many times faster we are; None where nothing is compared.
    """

    work: str
    other: str
    ours: str
    theirs: str = ""
    ratio: float | None = None

    def __str__(self) -> str:
        ratio = "" if self.ratio is None else f"**{self.ratio:.1f}x**"
        return f"| {self.work} | {self.other} | {self.ours} | {self.theirs} | {ratio} |"


def job(python: Path | str, script: Path, *arguments: str) -> dict[str, Any]:
    """The JSON line of a job; raises RuntimeError with its last line of error.

    Args:
        python: Interpreter of its environment.
        script: `ours.py` or `peers/speed.py`.
        arguments: The job and what it is given.
    """
    environment = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1"}
    command = [str(python), str(script), *arguments]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{arguments[0]}: {(done.stderr.strip() or 'no output').splitlines()[-1]}")
    return {**json.loads(done.stdout.splitlines()[-1]), "process_seconds": seconds}


def ours(*arguments: str) -> dict[str, Any]:
    """A job of ours.

    Args:
        arguments: As for `ours.py`.
    """
    return job(sys.executable, OURS, *arguments)


def torchvision(*arguments: str) -> dict[str, Any]:
    """A job of torchvision, timm and pytorch-metric-learning, which our own environment has.

    Args:
        arguments: As for `peers/speed.py`.
    """
    return job(sys.executable, PEER, *arguments)


def oml(*arguments: str) -> dict[str, Any]:
    """A job of open-metric-learning.

    Args:
        arguments: As for `peers/speed.py`.
    """
    return job(OML_PYTHON, PEER, *arguments)


def in_turn(works: dict[str, Callable[[], Any]], rounds: int = ROUNDS, warm: bool = False) -> dict[str, list[Any]]:
    """Runs all of them, then all of them again: what disturbs the machine for a while disturbs all.

    Args:
        works: Name -> work.
        rounds: How often.
        warm: Run each once before, unmeasured.
    """
    if warm:
        for work in works.values():
            work()
    answers: dict[str, list[Any]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            answers[name].append(work())
    return answers


def seconds_of(work: Callable[[], object]) -> Callable[[], float]:
    """The same work, answering with its seconds.

    Args:
        work: What is timed.
    """

    def timed() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return timed


def median_of(answers: list[dict[str, Any]], take: Callable[[dict[str, Any]], float]) -> float:
    """The median over rounds.

    Args:
        answers: One per round.
        take: The figure of one.
    """
    return statistics.median(take(answer) for answer in answers)


def machine() -> str:
    """Cores and processor, versions."""
    import torch

    from lookalike import __version__

    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    processor = models[0].partition(":")[2].strip() if models else platform.processor()
    amx = " with AMX" if torch.cpu._is_amx_tile_supported() else ""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ", no GPU"
    versions = f"lookalike {__version__}, Python {platform.python_version()}, torch {torch.__version__}"
    return f"{os.cpu_count()} cores of {processor}{amx}{gpu}; {versions}"
