"""A checkpoint of `lookalike train`, written with its checksum and read without executing any pickle.

torch's own reader is not used: it unpacks what a file says before anybody can look at it, and checks no checksum.
"""

import io
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from lookalike.errors import CheckpointError
from lookalike.files import write_bytes
from lookalike.models.checkpoint_tensors import TensorsError, opened
from lookalike.models.tensor_pickle import TensorDescription
from lookalike.models.torch_storages import Storages
from lookalike.seals import BLANK, seal, sealed

LAST, BEST = "last.ckpt", "best.safetensors"
_DEEPEST = 60  # containers inside each other
_LARGEST = 20_000_000  # parts, each counted as often as it occurs


def write_checkpoint(file: Path, state: dict[str, Any]) -> None:
    """Writes a checkpoint that torch and Lightning read, too; its checksum is the comment of the zip archive.

    Args:
        file: What stands there stays until the new one is complete.
        state: Tensors and plain values.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(-2, io.SEEK_END)  # the length of the comment: torch writes none
    buffer.write(len(BLANK).to_bytes(2, "little") + BLANK)
    content = buffer.getbuffer()
    seal(content)
    write_bytes(file, content)


def write_weights(file: Path, tensors: dict[str, Tensor]) -> None:
    """Writes safetensors, their checksum among the metadata; what stands there stays until they are complete."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(file, sealed(save(plain, {"checksum": BLANK.decode()})))


def read_checkpoint(file: Path) -> dict[str, Any]:
    """Reads a checkpoint of ours as a whole: every tensor, on the CPU, and every plain value.

    Raises:
        CheckpointError: Missing, truncated, damaged, or holding more than tensors and plain values.
    """
    try:
        with opened(file, strict=True) as (content, storages):
            state = content if storages is None else _Whole(storages).made(content, 0)[0]
            if not isinstance(state, dict):
                raise ValueError("expected a dict")
            return state
    except TensorsError as error:
        raise CheckpointError(
            f"{file}: cannot be read ({error.reason}): give resume=never to start over; the file is kept"
        ) from error


class _Whole:
    """Makes tensors of descriptions, in containers that are no larger than they look.

    What a file mentions in many places is made once, and counted in each of them: whatever is done with the content
    later, printing it or comparing it, then takes no longer than its size.

    Args:
        storages: Of the file.
    """

    def __init__(self, storages: Storages) -> None:
        self._storages = storages
        self._made: dict[int, tuple[Any, int, int]] = {}

    def made(self, value: object, depth: int) -> tuple[Any, int, int]:
        """The value, its parts, and how many containers it has inside each other.

        Raises:
            ValueError: It holds an object, is too large, or too deep.
        """
        if id(value) not in self._made:
            made, parts, height = self._new(value, depth)
            if parts > _LARGEST:
                raise ValueError(f"it has more than {_LARGEST} parts")
            if not isinstance(value, TensorDescription | dict | list | tuple):
                return made, parts, height
            self._made[id(value)] = (made, parts, height)
        made, parts, height = self._made[id(value)]
        if depth + height > _DEEPEST:
            raise ValueError(f"containers nested more than {_DEEPEST} deep")
        return made, parts, height

    def _new(self, value: object, depth: int) -> tuple[Any, int, int]:
        if isinstance(value, TensorDescription):
            return self._tensor(value), 1, 0
        if isinstance(value, str | bytes):
            return value, 1 + len(value) // 8, 0
        if isinstance(value, int) and value.bit_length() > 64:
            raise ValueError("a number beyond 64 bits")
        if value is None or isinstance(value, bool | int | float | torch.dtype):
            return value, 1, 0
        if not isinstance(value, dict | list | tuple) or type(value) not in (dict, list, tuple):
            raise ValueError("it holds more than tensors and plain values")
        if depth >= _DEEPEST:
            raise ValueError(f"containers nested more than {_DEEPEST} deep")
        inside = [self.made(part, depth + 1) for part in (value.values() if isinstance(value, dict) else value)]
        values = [part for part, _, _ in inside]
        size = 1 + len(values) + sum(parts for _, parts, _ in inside)
        height = 1 + max((part_height for _, _, part_height in inside), default=0)
        if isinstance(value, dict):
            return dict(zip(value, values, strict=True)), size, height
        return type(value)(values), size, height

    def _tensor(self, description: TensorDescription) -> Tensor:
        tensor = self._storages.tensor(description)
        if tensor.numel() > description.storage.numbers * description.storage.dtype.itemsize:
            raise ValueError("a tensor has more numbers than its storage")
        return tensor
