"""Checkpoints for tests: tensors, pickles made by hand, and what is said of a file that cannot be read."""

import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lookalike.models.checkpoint_tensors import TensorsError, read_tensors

UNREADABLE = r"^[^\n]+: not readable as plain tensors \([^\n]+\): [^\n]*save a state dict or \.safetensors[^\n]*$"


def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {"conv.weight": torch.randn(4, 3, 3, 3), "fc.weight": torch.randn(2, 4), "count": torch.tensor(7)}


def same(tensors: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return list(tensors) == list(expected) and all(
        torch.equal(tensors[name], tensor) and tensors[name].dtype == tensor.dtype for name, tensor in expected.items()
    )


def read_or_refused(file: Path) -> dict[str, Tensor] | None:
    """The tensors, or None after a clean error; any other exception comes through."""
    try:
        return read_tensors(file)
    except TensorsError as error:
        if "\n" in str(error):
            raise
        return None


class Pickle:
    """A pickle by hand: the names a file asks for, without this process having them."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = parts

    def save(self, file: Path, storage: bytes = bytes(16)) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("w/data.pkl", b"".join(self.parts))
            archive.writestr("w/data/0", storage)


def string(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def tensor_pickle(offset: int, size: tuple[Any, ...], stride: tuple[int, ...], count: int = 4) -> bytes:
    """{'a': tensor, 'b': unknown.Thing} with any numbers in it."""
    return b"".join(
        (
            b"\x80\x02}(X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage",
            b"ctorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu",
            pickle.dumps(count, 2)[2:-1],
            b"tQ",
            pickle.dumps(offset, 2)[2:-1],
            pickle.dumps(size, 2)[2:-1],
            pickle.dumps(stride, 2)[2:-1],
            b"\x89ccollections\nOrderedDict\n)RtR",
            b"X\x01\x00\x00\x00bcunknown\nThing\n)Ru.",
        )
    )


def opened(file: Path, change: Callable[[str, bytes], bytes | None], compression: int = zipfile.ZIP_STORED) -> None:
    """Writes a zip archive anew, member by member."""
    with zipfile.ZipFile(file) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members:
            if (changed := change(name, content)) is not None:
                archive.writestr(name, changed)
