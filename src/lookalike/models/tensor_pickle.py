"""A pickle of torch read with stand-ins: nothing in it is executed, tensors become descriptions."""

import pickle
from collections.abc import Callable
from typing import IO, Any, NamedTuple

import torch

from lookalike.data.inert_pickle import INERT, Machine, Name, ordered_dict, run
from lookalike.models import settings_pickle

_MAX_DIMENSIONS = 64  # of a tensor; torch's own limit
_DTYPES = {name: value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}


class StorageDescription(NamedTuple):
    """The numbers of some tensors: where they are in the file, their type, how many, and which is the first."""

    key: str
    dtype: torch.dtype
    numbers: int
    first: int = 0


class TensorDescription(NamedTuple):
    """A tensor that is made when it is needed."""

    storage: StorageDescription
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype


class Unpickled(NamedTuple):
    """What a pickle holds.

    Attributes:
        content: Plain values, dicts with the keys that are text or numbers, tuples, lists, descriptions of
            tensors, INERT, and what stands for settings (`settings_pickle`).
        storages: Key -> every storage that is mentioned.
    """

    content: object
    storages: dict[str, StorageDescription]


def _tensor(storage: object, offset: Any, size: Any, stride: Any, *rest: object) -> object:
    if not isinstance(storage, StorageDescription) or any(rest[2:]):  # conjugated or negated views are not plain
        return INERT
    return _described(storage, offset, size, stride, storage.dtype)


def _typed_tensor(
    storage: object, offset: Any, size: Any, stride: Any, grad: object, hooks: object, dtype: object, *rest: object
) -> object:
    if not isinstance(storage, StorageDescription) or not isinstance(dtype, torch.dtype) or any(rest):
        return INERT
    return _described(storage, offset, size, stride, dtype)


def _described(
    storage: StorageDescription, offset: object, size: object, stride: object, dtype: torch.dtype
) -> TensorDescription:
    """A tensor whose numbers are numbers, so that whoever compares or prints them is done at once.

    Raises:
        UnpicklingError: They are not.
    """
    first, sizes, strides = _whole_numbers((offset,)), _whole_numbers(size), _whole_numbers(stride)
    if first is None or sizes is None or strides is None or len(sizes) != len(strides):
        raise pickle.UnpicklingError(f"a tensor of storage {storage.key[:40]} has an impossible shape")
    return TensorDescription(storage, first[0], sizes, strides, dtype)


def _whole_numbers(value: object) -> tuple[int, ...] | None:
    """Sizes or strides; None for anything else."""
    if not isinstance(value, tuple | list) or len(value) > _MAX_DIMENSIONS:
        return None
    return tuple(value) if all(type(number) is int and number >= 0 for number in value) else None


def _first(*arguments: object) -> object:
    return arguments[0]


def _size(sizes: object = ()) -> object:
    return tuple(sizes) if isinstance(sizes, list | tuple) else INERT


_BUILDERS: dict[Name, Callable[..., object]] = {
    Name("collections", "OrderedDict"): ordered_dict,
    Name("collections", "defaultdict"): ordered_dict,
    Name("torch", "Size"): _size,
    Name("torch", "device"): lambda *_: INERT,
    Name("torch._utils", "_rebuild_tensor"): _tensor,
    Name("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Name("torch._utils", "_rebuild_tensor_v3"): _typed_tensor,
    Name("torch._utils", "_rebuild_parameter"): _first,
    Name("torch._utils", "_rebuild_parameter_with_state"): _first,
}
# Of (function, type, arguments, state): they call the function.
_CALLERS = (Name("torch._tensor", "_rebuild_from_type"), Name("torch._tensor", "_rebuild_from_type_v2"))


class _TorchMachine(Machine):
    """That of pickles that torch writes.

    Args:
        strict: Refuse keys that are not kept, and calls of anything else than what builds tensors.
    """

    def __init__(self, strict: bool) -> None:
        super().__init__(strict, _BUILDERS if strict else {**settings_pickle.BUILDERS, **_BUILDERS}, _CALLERS)
        self.storages: dict[str, StorageDescription] = {}

    def named(self, module: str, name: str) -> object:
        if module in ("torch", "torch.storage") and name in _STORAGES:
            return _STORAGES[name]
        return _DTYPES[name] if module == "torch" and name in _DTYPES else Name(module, name)

    def built(self, value: object, state: object) -> object:
        self.count(settings_pickle.fill(value, state))
        return value

    def persistent(self, pid: object) -> object:
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage" and isinstance(pid[1], torch.dtype)):
            return INERT
        view = pid[5] if len(pid) > 5 else None  # of files before torch 1.6: key, first, count
        first = view[1] if isinstance(view, tuple) and len(view) == 3 else 0
        storage = StorageDescription(str(pid[2]) if isinstance(pid[2], str | int) else "", pid[1], pid[4], first)
        if self.storages.setdefault(storage.key, storage).dtype != storage.dtype:
            raise pickle.UnpicklingError(f"its storage {storage.key} has two types, which torch never writes")
        return storage


def unpickled(stream: IO[bytes], strict: bool = False) -> Unpickled:
    """What a pickle holds, with stand-ins for everything but plain values.

    Args:
        stream: In memory: its `read` must not make room for more than there is. It is left behind the pickle.
        strict: Refuse keys that are not kept, and calls of anything else than what builds tensors.

    Raises:
        UnpicklingError: It is damaged, has more than `MAX_OPCODES` parts, or uses what torch never does.
    """
    machine = _TorchMachine(strict)
    content = run(stream, machine)
    return Unpickled(content, machine.storages)
