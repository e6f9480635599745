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


def same(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def state(where: Path, run: str = "r") -> dict[str, Any]:
    return torch.load(where / f"checkpoint/{run}/last.ckpt", weights_only=True)
