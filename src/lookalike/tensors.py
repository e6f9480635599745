"""The tensors of a `.safetensors` or torch file, whoever wrote it. No pickle is ever executed.

A checkpoint of another project often pickles more than tensors: settings objects, partials of optimisers, paths. Then
its pickle is read with stand-ins: every name it asks for becomes an inert class of this module, which can be called,
built, filled and hashed without any effect, and tensors become descriptions. Only the tensors of the network are made,
each checked against the bytes that are there.
"""

import io
import pickle
import pickletools
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from lookalike.errors import LookalikeError

_SAVE = "save a state dict or .safetensors"
_COPY = "copy or download the file itself again"
_NETWORK = ("state_dict", "model_state_dict", "model", "net", "network", "params", "module", "weights", "student")
_AVERAGES = ("teacher", "model_ema", "state_dict_ema", "ema_state_dict", "ema", "ema_model", "momentum_encoder")
_BESIDE = ("head", "neck", "bnneck", "bn_neck", "fc", "embedding", "embedder")  # kept next to `model` by some
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


class TensorsError(LookalikeError):
    """A file holds no tensors that can be read safely."""


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Reads the tensors of a network: those of `state_dict`, `model` and the like where a training checkpoint has them.

    Args:
        file: Told by its content, not its name: safetensors, or saved by torch.

    Returns:
        Name -> tensor on the CPU; names of nested dicts are joined by dots.

    Raises:
        TensorsError: Missing, damaged, without tensors, or an old torch file that needs its pickle executed.
    """
    kind = _kind(file)
    try:
        if kind == "safetensors":
            found: dict[str, Any] = load_file(file)
        elif kind == "zip":
            found = _from_zip(file)
        else:
            found = _network(_load(file))
    except Exception as error:
        # A damaged file can make a reader fail in any way: KeyError, IndexError, struct.error, AssertionError ...
        raise TensorsError(
            f"{file}: not readable as plain tensors ({_reason(error)}): {_SAVE}, or {_COPY} if it is damaged"
        ) from error
    tensors = {name: value.detach() for name, value in found.items() if _is_plain(value)}
    if not tensors:
        raise TensorsError(f"{file}: expected a state dict, found no named tensors in it: {_SAVE}")
    return tensors


def _kind(file: Path) -> str:
    """safetensors, zip or old (torch's format before 1.6); refuses what is no such file at first sight."""
    if file.is_dir():
        raise TensorsError(f"{file}: expected a file of tensors, found a folder: give the file in it")
    if not file.is_file():
        raise TensorsError(f"{file}: no such file: give the path of a .safetensors, .pth, .pt or .ckpt file")
    try:
        with file.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise TensorsError(f"{file}: cannot be opened ({error.strerror}): check its permissions") from error
    what = ""
    if not head:
        what = "an empty file"
    elif head.startswith(b"version https://git-lfs"):
        raise TensorsError(f"{file}: expected tensors, found a git-lfs pointer to them: run git lfs pull")
    elif head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        what = "a web page saved under this name"
    if what:
        raise TensorsError(f"{file}: not readable as plain tensors ({what}): {_COPY}; else {_SAVE}")
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    with_header = head[8:9] == b"{" and int.from_bytes(head[:8], "little") < file.stat().st_size
    return "safetensors" if with_header or file.suffix == ".safetensors" else "old"


def _reason(error: Exception) -> str:
    """What is wrong, in one line; torch wraps it in advice to switch its protection against pickles off."""
    text = str(error)
    if isinstance(error, pickle.UnpicklingError) and "WeightsUnpickler error: " in text:
        text = text.partition("\n\nCheck the documentation")[0].rpartition("\n\n")[2]
        text = text.rpartition("WeightsUnpickler error: ")[2].partition(". Please")[0]
    line = (text.strip().splitlines() or [type(error).__name__])[0]
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:300]


def _is_plain(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and not (value.is_meta or value.is_quantized)


def _load(file: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the pickle protocol of a file that is refused anyway
        return torch.load(file, map_location="cpu", weights_only=True)


def _network(content: Any, depth: int = 0) -> dict[str, Any]:
    """The tensors of the network inside a training checkpoint, or all that a state dict holds."""
    if not isinstance(content, dict) or depth > 3:
        return {}
    for name in (*_NETWORK, *_AVERAGES):
        if isinstance(content.get(name), dict) and (tensors := _network(content[name], depth + 1)):
            for part in _BESIDE:
                tensors = {**_flat(content.get(part), f"{part}."), **tensors}
            return tensors
    return _flat({key: value for key, value in content.items() if isinstance(key, str) and not key.startswith("optim")})


def _flat(content: Any, prefix: str = "", seen: set[int] | None = None) -> dict[str, Any]:
    """Nested dicts as dotted name -> tensor (or its description); no dict is entered twice."""
    found: dict[str, Any] = {}
    seen = set() if seen is None else seen
    if not isinstance(content, dict) or id(content) in seen:
        return found
    seen.add(id(content))
    for key, value in content.items():
        if not isinstance(key, str) or not key.isprintable():
            continue
        if isinstance(value, Tensor | _Lazy):
            found.setdefault(prefix + key, value)
        elif isinstance(value, dict):
            for name, inner in _flat(value, f"{prefix}{key}.", seen).items():
                found.setdefault(name, inner)
    return found


def _from_zip(file: Path) -> dict[str, Any]:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(member.filename.endswith("/constants.pkl") for member in members):
            raise ValueError("a TorchScript program")
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
                raise ValueError(f"its member {member.filename} is compressed, which torch never does")
        if sum(member.file_size for member in members) > file.stat().st_size:
            raise ValueError("its members overlap, which torch never does")
        tops = [name.removesuffix("/data.pkl") for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(tops) != 1:
            raise ValueError("a zip archive, but not written by torch.save")
        try:
            return _network(_load(file))
        except Exception:  # it needs more than tensors, or is damaged: then the second reader says why
            storages = _Storages(archive, tops[0])
            found = _network(_unpickled(archive.read(f"{tops[0]}/data.pkl")))
            return {name: storages.tensor(lazy) for name, lazy in found.items()}


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

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return object.__new__(_Inert)

    def __call__(self, *_: Any, **__: Any) -> Any:
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

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*[items for items in arguments if isinstance(items, list | dict)])

    @staticmethod
    def __setstate__(*_: object) -> None:
        """Drops the state: torch keeps version numbers there."""


class _Values(tuple[Any, ...], metaclass=_Frozen):
    """Immutable, and without attributes of its own."""

    __slots__ = ()

    def __call__(self, *_: Any, **__: Any) -> Any:
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


class _Lazy(_Values):
    """(storage, offset, size, stride, torch dtype) of a tensor that is made when it is needed."""

    __slots__ = ()


class _RebuildTensor(_Inert):
    __slots__ = ()

    def __new__(cls, storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Any:
        if not isinstance(storage, _Storage) or any(rest[2:]):  # conjugated or negated views are not plain
            return _Inert()
        return _Lazy((storage, offset, size, stride, storage[1]))


class _RebuildTyped(_Inert):
    __slots__ = ()

    def __new__(cls, storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, *rest: Any) -> Any:
        if not isinstance(storage, _Storage) or not rest or not isinstance(rest[0], _Dtype) or any(rest[1:]):
            return _Inert()
        return _Lazy((storage, offset, size, stride, rest[0][0]))


class _RebuildParameter(_Inert):
    __slots__ = ()

    def __new__(cls, data: Any, *_: Any) -> Any:
        return data


class _RebuildFromType(_Inert):
    __slots__ = ()

    def __new__(cls, function: Any, kind: Any, arguments: Any, *_: Any) -> Any:
        return function(*arguments) if isinstance(function, _Frozen) and issubclass(function, _Inert) else _Inert()


class _Size(_Inert):
    __slots__ = ()

    def __new__(cls, sizes: Any = ()) -> Any:
        return tuple(sizes)


_KNOWN: dict[tuple[str, str], type] = {
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
        return _KNOWN.get((module_name, global_name), _Inert)

    def persistent_load(self, pid: Any) -> Any:
        """The description of a storage."""
        if isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage" and isinstance(pid[1], _Dtype):
            return _Storage((pid[2], pid[1][0], pid[4]))
        return _Inert()


def _unpickled(data: bytes) -> Any:
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in ("PUT", "LONG_BINPUT") and (argument or 0) > len(data):
            raise pickle.UnpicklingError("it numbers an object beyond its own length")  # would allocate that much
        if opcode.name in ("EXT1", "EXT2", "EXT4"):  # these look a class up without asking find_class
            raise pickle.UnpicklingError("it uses the extension registry, which torch never does")
    return _Unpickler(io.BytesIO(data), encoding="latin1").load()


class _Storages:
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

    def tensor(self, lazy: Any) -> Tensor:
        """Makes a tensor from its description, which must lie inside its storage."""
        (key, kind, count), offset, size, stride, dtype = lazy
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
