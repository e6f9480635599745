"""Training runs as the tests start them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from conftest import TINY

RUN = [sys.executable, "-m", "lookalike"]


def arguments(root: Path, run: str = "r", *more: str) -> list[str]:
    return ["train", f"data.root={root}", f"run={run}", *TINY, *more]


def start(where: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*RUN, *command], cwd=where, capture_output=True, text=True, timeout=300)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def state(where: Path, run: str = "r") -> dict[str, Any]:
    return torch.load(where / f"checkpoint/{run}/last.ckpt", weights_only=True)
