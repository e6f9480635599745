"""A pickle read with stand-ins: nothing in it is executed, tensors become descriptions."""

import io
import pickle
import pickletools
import sys
import zipfile
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

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


class _Frozen(type):
    """Classes that a pickle can hold in its hands and not change."""

    def __setattr__(cls, name: str, value: object) -> None:
        raise pickle.UnpicklingError(f"it sets {name} on a class")

    def __delattr__(cls, name: str) -> None:
        raise pickle.UnpicklingError(f"it deletes {name} of a class")


class _Inert(metaclass=_Frozen):
    """Stands for everything unknown: class, function or instance. It keeps nothing and does nothing.

    `__setstate__` is found before any attribute would be set, on the class as on its instances.
    """

    __slots__ = ()

    def __new__(cls, *_: object, **__: object) -> Any:
        return object.__new__(_Inert)

    def __call__(self, *_: object, **__: object) -> Any:
        return self

    def __setitem__(self, key: object, value: object) -> None:
        """Takes the items of a dict-like object and drops them."""

    @staticmethod
    def __setstate__(*_: object) -> None:
        """Drops the state."""

    append = extend = add = __setstate__


class _Dict(dict[Any, Any], metaclass=_Frozen):
    """Stands for OrderedDict and defaultdict: their items, and none of their attributes."""

    __slots__ = ()

    def __init__(self, *arguments: object) -> None:
        super().__init__(*[items for items in arguments if isinstance(items, list | dict)])

    @staticmethod
    def __setstate__(*_: object) -> None:
        """Drops the state: torch keeps version numbers there."""


class _Values(tuple[Any, ...], metaclass=_Frozen):
    """Immutable, and without attributes of its own."""

    __slots__ = ()

    def __call__(self, *_: object, **__: object) -> Any:
        return self

    @staticmethod
    def __setstate__(*_: object) -> None:
        """Drops the state."""


class _Dtype(_Values):
    """(torch dtype,): also stands for a storage class."""

    __slots__ = ()


class _Storage(_Values):
    """(key of the archive member, torch dtype, number of elements)."""

    __slots__ = ()


class TensorDescription(_Values):
    """(storage, offset, size, stride, torch dtype) of a tensor that is made when it is needed."""

    __slots__ = ()


class _RebuildTensor(_Inert):
    __slots__ = ()

    def __new__(cls, storage: object, offset: object, size: object, stride: object, *rest: object) -> Any:
        if not isinstance(storage, _Storage) or any(rest[2:]):  # conjugated or negated views are not plain
            return _Inert()
        return TensorDescription((storage, offset, size, stride, storage[1]))


class _RebuildTyped(_Inert):
    __slots__ = ()

    def __new__(
        cls, storage: object, offset: object, size: object, stride: object, grad: object, hooks: object, *rest: object
    ) -> Any:
        if not isinstance(storage, _Storage) or not rest or not isinstance(rest[0], _Dtype) or any(rest[1:]):
            return _Inert()
        return TensorDescription((storage, offset, size, stride, rest[0][0]))


class _RebuildParameter(_Inert):
    __slots__ = ()

    def __new__(cls, data: object, *_: object) -> Any:
        return data


class _RebuildFromType(_Inert):
    __slots__ = ()

    def __new__(cls, function: object, kind: object, arguments: Iterable[object], *_: object) -> Any:
        return function(*arguments) if isinstance(function, _Frozen) and issubclass(function, _Inert) else _Inert()


class _Size(_Inert):
    __slots__ = ()

    def __new__(cls, sizes: Iterable[object] = ()) -> Any:
        return tuple(sizes)


_STAND_INS: dict[tuple[str, str], type] = {
    ("collections", "OrderedDict"): _Dict,
    ("collections", "defaultdict"): _Dict,
    ("torch", "Size"): _Size,
    ("torch._utils", "_rebuild_tensor"): _RebuildTensor,
    ("torch._utils", "_rebuild_tensor_v2"): _RebuildTensor,
    ("torch._utils", "_rebuild_tensor_v3"): _RebuildTyped,
    ("torch._utils", "_rebuild_parameter"): _RebuildParameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _RebuildParameter,
    ("torch._tensor", "_rebuild_from_type"): _RebuildFromType,
    ("torch._tensor", "_rebuild_from_type_v2"): _RebuildFromType,
}


class _Unpickler(pickle.Unpickler):
    """Imports nothing: whatever a pickle names, it gets one of the classes above."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """The stand-in for a name."""
        if module_name in ("torch", "torch.storage") and global_name in _STORAGES:
            return _Dtype((_STORAGES[global_name],))
        if module_name == "torch" and global_name in _DTYPES:
            return _Dtype((_DTYPES[global_name],))
        return _STAND_INS.get((module_name, global_name), _Inert)

    def persistent_load(self, pid: object) -> Any:
        """The description of a storage."""
        if isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage" and isinstance(pid[1], _Dtype):
            return _Storage((pid[2], pid[1][0], pid[4]))
        return _Inert()


def unpickled(data: bytes) -> Any:
    """What a pickle holds, with stand-ins for everything but plain values.

    Raises:
        UnpicklingError: It would take much memory, or look classes up by number.
    """
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in ("PUT", "LONG_BINPUT") and (argument or 0) > len(data):
            raise pickle.UnpicklingError("it numbers an object beyond its own length")  # would allocate that much
        if opcode.name in ("EXT1", "EXT2", "EXT4"):  # these look a class up without asking find_class
            raise pickle.UnpicklingError("it uses the extension registry, which torch never does")
    return _Unpickler(io.BytesIO(data), encoding="latin1").load()


class ArchiveStorages:
    """The bytes of an archive's storages, each read once.

    Args:
        archive: Open, its members not compressed.
        top: The folder inside it.
    """

    def __init__(self, archive: zipfile.ZipFile, top: str) -> None:
        self._archive, self._top = archive, top
        self._read: dict[tuple[str, torch.dtype], Tensor] = {}
        order = b"little"
        if f"{top}/byteorder" in archive.namelist():
            order = archive.read(f"{top}/byteorder")
        if order not in (b"little", b"big"):
            raise ValueError(f"unknown byte order {order[:20]!r}")
        self._swap = order.decode() != sys.byteorder

    def tensor(self, description: TensorDescription) -> Tensor:
        """Makes a tensor from its description, which must lie inside its storage."""
        (key, kind, count), offset, size, stride, dtype = description
        size, stride = tuple(size), tuple(stride)
        numbers = (count, offset, *size, *stride)
        if any(type(number) is not int or number < 0 for number in numbers) or len(size) != len(stride):
            raise ValueError(f"a tensor of storage {key} has an impossible shape")
        data = self._bytes(str(key), kind)
        last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
        room = min(len(data), count * kind.itemsize) // dtype.itemsize
        if all(size) and last >= room:
            raise ValueError(f"a tensor reaches beyond its storage {key}")
        whole = data[: room * dtype.itemsize].view(dtype)
        return whole.as_strided(size, stride, offset) if all(size) else whole.new_empty(size)

    def _bytes(self, key: str, kind: torch.dtype) -> Tensor:
        if (key, kind) not in self._read:
            content = bytearray(self._archive.read(f"{self._top}/data/{key}"))
            data = torch.frombuffer(content, dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)
            if self._swap:
                data = data.view(-1, kind.itemsize).flip(1).flatten()
            self._read[key, kind] = data
        return self._read[key, kind]
