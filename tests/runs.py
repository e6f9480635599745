"""Training runs as the tests start them."""

import subprocess
from pathlib import Path
from typing import Any

import torch

import processes
from conftest import TINY


def arguments(root: Path, run: str = "r", *more: str) -> list[str]:
    return ["train", f"data.root={root}", f"run={run}", *TINY, *more]


def start(where: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return processes.run(processes.COMMAND, *command, cwd=where)


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
