"""The tensors of a `.safetensors` or torch file, whoever wrote it. No pickle is ever executed.

A checkpoint of another project often pickles more than tensors: settings objects, partials of optimisers, paths. Then
its pickle is read with stand-ins (`inert_pickle`): every name it asks for becomes an inert class, which can be called,
built, filled and hashed without any effect, and tensors become descriptions. Only the tensors of the network are made,
each checked against the bytes that are there. Files from before torch 1.6, which are no zip archives, are read by
torch's safe reader alone; those that hold more than tensors are refused.
"""

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from lookalike.errors import LookalikeError
from lookalike.models.inert_pickle import ArchiveStorages, TensorDescription, unpickled

_SAVE = "save a state dict or .safetensors"
_COPY = "copy or download the file itself again"
_NETWORK = ("state_dict", "model_state_dict", "model", "net", "network", "params", "module", "weights", "student")
_AVERAGES = ("teacher", "model_ema", "state_dict_ema", "ema_state_dict", "ema", "ema_model", "momentum_encoder")
_BESIDE = ("head", "neck", "bnneck", "bn_neck", "fc", "embedding", "embedder")  # kept next to `model` by some


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
            entries: dict[str, Any] = load_file(file)
        elif kind == "zip":
            entries = _from_zip(file)
        else:
            entries = _network(_load(file))
    except Exception as error:
        # A damaged file can make a reader fail in any way: KeyError, IndexError, struct.error, AssertionError ...
        raise TensorsError(
            f"{file}: not readable as plain tensors ({_reason(error)}): {_SAVE}, or {_COPY} if it is damaged"
        ) from error
    tensors = {name: value.detach() for name, value in entries.items() if _is_plain(value)}
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


def _is_plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and not (value.is_meta or value.is_quantized)


def _load(file: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the pickle protocol of a file that is refused anyway
        return torch.load(file, map_location="cpu", weights_only=True)


def _network(content: object, depth: int = 0) -> dict[str, Any]:
    """The tensors of the network inside a training checkpoint, or all that a state dict holds."""
    if not isinstance(content, dict) or depth > 3:
        return {}
    for name in (*_NETWORK, *_AVERAGES):
        if isinstance(content.get(name), dict) and (tensors := _network(content[name], depth + 1)):
            for part in _BESIDE:
                tensors = {**_flat(content.get(part), f"{part}."), **tensors}
            return tensors
    return _flat({key: value for key, value in content.items() if isinstance(key, str) and not key.startswith("optim")})


def _flat(content: object, prefix: str = "", seen: set[int] | None = None) -> dict[str, Any]:
    """Nested dicts as dotted name -> tensor (or its description); no dict is entered twice."""
    entries: dict[str, Any] = {}
    seen = set() if seen is None else seen
    if not isinstance(content, dict) or id(content) in seen:
        return entries
    seen.add(id(content))
    for key, value in content.items():
        if not isinstance(key, str) or not key.isprintable():
            continue
        if isinstance(value, Tensor | TensorDescription):
            entries.setdefault(prefix + key, value)
        elif isinstance(value, dict):
            for name, inner in _flat(value, f"{prefix}{key}.", seen).items():
                entries.setdefault(name, inner)
    return entries


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
            storages = ArchiveStorages(archive, tops[0])
            descriptions = _network(unpickled(archive.read(f"{tops[0]}/data.pkl")))
            return {name: storages.tensor(description) for name, description in descriptions.items()}
