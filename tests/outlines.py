"""Checkpoints that have names and shapes, and hardly any numbers: small files of large networks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lookalike.recognition.catalogue import outline

Tensors = dict[str, Tensor]


def blank(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """One number, as often as the shape has it: a file keeps it once."""
    return torch.zeros(1, dtype=dtype).expand(shape)


def tensors_of(architecture: str, prefix: str = "", **more: tuple[int, ...]) -> Tensors:
    """All of an architecture's, and others (`fc__weight=(10, 512)`)."""
    named = {name.replace("__", "."): shape for name, shape in more.items()}
    return {f"{prefix}{name}": blank(shape) for name, shape in {**outline(architecture), **named}.items()}


def without(tensors: Tensors, *starts: str) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(starts)}


def renamed(tensors: Tensors, names: Mapping[str, str]) -> Tensors:
    changed = {}
    for name, tensor in tensors.items():
        for old, new in names.items():
            name = name.replace(old, new)
        changed[name] = tensor
    return changed


def written(content: Any, folder: Path, name: str = "file.pth") -> Path:
    torch.save(content, folder / name)
    return folder / name
