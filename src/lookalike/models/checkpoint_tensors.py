"""The tensors of a `.safetensors` or torch file, whoever wrote it. No pickle is ever executed.

A checkpoint of another project often pickles more than tensors: settings objects, partials of optimisers, paths. Its
pickle is read with stand-ins (`inert_pickle`), which can be called, built and filled without any effect, and tensors
become descriptions. Only the tensors of the network are made, each checked against the bytes that are there.

A file may hold several sets of weights: those of the last step and a moving average of them, a student and a teacher.
"""

import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from lookalike.data.inert_pickle import INERT
from lookalike.errors import CheckpointError, did_you_mean, one_line
from lookalike.models.tensor_pickle import TensorDescription, Unpickled, unpickled
from lookalike.models.torch_storages import ArchiveStorages, Storages, StoragesInOrder
from lookalike.seals import BLANK, is_whole

_SAVE = "save a state dict or .safetensors"
_COPY = "copy or download the file itself again"
_NETWORK = ("state_dict", "model_state_dict", "model", "net", "network", "params", "module", "weights", "student")
_AVERAGES = ("teacher", "model_ema", "state_dict_ema", "ema_state_dict", "ema", "ema_model", "momentum_encoder")
_BESIDE = ("head", "neck", "bnneck", "bn_neck", "fc", "embedding", "embedder")  # kept next to `model` by some


_DEEPEST = 60  # dicts inside each other; names are joined of their keys
_LONGEST = 1000  # letters of a name
_WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")  # of torch, at any place of a name
_MAGIC = 0x1950A86A20F9469CFC6C  # torch's, before 1.6


class TensorsError(CheckpointError):
    """A file holds no tensors that can be read safely.

    Args:
        text: For the user.
        reason: What is wrong with the file, without its name and the way out.
    """

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason or text


class _File(io.FileIO):
    """A file for `zipfile`, which reads the whole list of members at once, however long an archive says it is."""

    most: int | None = 1 << 24  # bytes in one reading; 170,000 members of torch

    def read(self, size: int | None = -1, /) -> bytes:
        if self.most and size is not None and size > self.most:
            raise ValueError(f"its list of members takes {size} bytes, expected {self.most} at most")
        return super().read(-1 if size is None else size) or b""


@dataclass(frozen=True)
class Weights:
    """One set of weights of a file.

    Attributes:
        tensors: Name -> tensor on the CPU; names of nested dicts are joined by dots.
        key: Where the set stands in the file, such as `state_dict`; empty where it is all of it.
        others: Where other sets of the same names and shapes stand, such as `state_dict_ema`.
    """

    tensors: dict[str, Tensor]
    key: str
    others: list[str]


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Reads the tensors of a network: those of `state_dict`, `model` and the like where a training checkpoint has them.

    Args:
        file: Told by its content, not its name: safetensors, or saved by torch.

    Returns:
        Name -> tensor on the CPU; names of nested dicts are joined by dots.

    Raises:
        TensorsError: Missing, damaged, or without tensors.
    """
    return read_weights(file).tensors


def read_weights(file: Path, key: str | None = None) -> Weights:
    """Reads one set of weights.

    Args:
        file: As for `read_tensors`.
        key: Which set: where it stands in the file, or what its names start with; None for the network's own.

    Raises:
        TensorsError: Missing, damaged, without tensors, or without this set.
    """
    with opened(file) as (content, storages):
        chosen, entries, others = _chosen(content, key)
        entries = _unwrapped(entries)
        if storages is not None:
            entries = {
                name: storages.tensor(entry) if isinstance(entry, TensorDescription) else entry
                for name, entry in entries.items()
            }
    tensors = {name: value.detach() for name, value in entries.items() if _is_plain(value)}
    if not tensors and key is not None:
        places = [chosen, *others]
        near = did_you_mean(key, places)
        raise TensorsError(f"{file}: ckpt_key={key}: no such weights in it: it has {', '.join(places)}{near}")
    if not tensors and _is_object(content):
        raise TensorsError(
            f"{file}: expected a state dict, found a pickled object, such as a whole nn.Module, which is a program and "
            "is never run here: where it was made, torch.save(model.state_dict(), 'weights.pth') writes its tensors"
        )
    if not tensors:
        raise TensorsError(f"{file}: expected a state dict, found no named tensors in it: {_SAVE}")
    return Weights(tensors, chosen, others)


def _is_object(content: object) -> bool:
    """Whether an object stands where a network's tensors do."""
    return content is INERT or (isinstance(content, dict) and any(content.get(name) is INERT for name in _NETWORK))


@contextmanager
def opened(file: Path, strict: bool = False) -> Iterator[tuple[object, Storages | None]]:
    """What a file holds, its tensors as descriptions, and what makes tensors of these.

    Args:
        file: As for `read_tensors`.
        strict: Only plain values and tensors (see `inert_pickle`), and nothing that a seal of ours does not cover.

    Returns:
        The content, and its storages; None for safetensors, whose tensors are there already.

    Raises:
        TensorsError: No such file, a damaged one, or whatever was raised inside the block.
    """
    kind = _kind(file)
    try:
        whole = is_whole(file)
        if whole is False or (whole is None and kind == "safetensors" and was_sealed(file)):
            raise ValueError("its checksum is wrong: it was damaged after it was written")
        if kind == "safetensors":
            yield load_file(file), None
        elif kind == "zip":
            with _File(file) as stream, zipfile.ZipFile(stream) as archive:
                if strict and archive.comment and whole is None:
                    raise ValueError("its checksum is damaged")
                stream.most = None
                top = _top(archive, file)
                content = unpickled(io.BytesIO(archive.read(f"{top}/data.pkl")), strict).content
                yield content, ArchiveStorages(archive, top)
        else:
            with file.open("rb") as plain, mmap(plain.fileno(), 0, access=ACCESS_READ) as mapped:
                yield _old(mapped, strict)
    except TensorsError:
        raise
    except Exception as error:
        # A damaged file can make a reader fail in any way: KeyError, IndexError, struct.error, AssertionError ...
        reason = _reason(error)
        raise TensorsError(
            f"{file}: not readable as plain tensors ({reason}): {_SAVE}, or {_COPY} if it is damaged", reason
        ) from error


def was_sealed(weights: Path) -> bool:
    """Whether safetensors have the entry among their metadata that only sealed ones have, by its length.

    Raises:
        SafetensorError: They cannot be read.
    """
    with safe_open(weights, "pt") as tensors:
        return len((tensors.metadata() or {}).get("checksum", "")) == len(BLANK)


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
        raise TensorsError(f"{file}: not readable as plain tensors ({what}): {_COPY}; else {_SAVE}", what)
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    with_header = head[8:9] == b"{" and int.from_bytes(head[:8], "little") < file.stat().st_size
    return "safetensors" if with_header or file.suffix == ".safetensors" else "old"


def _reason(error: Exception) -> str:
    """What is wrong, in one line."""
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    return one_line((str(error).strip().splitlines() or [type(error).__name__])[0])


def _is_plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and not (value.is_meta or value.is_quantized)


def _chosen(content: object, key: str | None) -> tuple[str, dict[str, Any], list[str]]:
    """Where the set that is wanted stands, its entries, and where others of its kind stand."""
    path, entries = _network(content)
    others = [place for place in _alike(content, entries, path) if place != path]
    if key is None:
        return path, entries, others
    place = key.rstrip(".")
    inside = _at(content, place)
    if isinstance(inside, dict):
        return place, _network(inside)[1], [path or "all of it", *others]
    within = {name: entry for name, entry in _flat(content).items() if f".{place}." in f".{name}"}
    cut = {f".{name}".partition(f".{place}.")[2]: entry for name, entry in within.items()}
    starts = dict.fromkeys(name.partition(".")[0] for name in entries if "." in name)
    return (place, cut, others) if cut else (path or "all of it", {}, [*others, *list(starts)[:8]])


def _network(
    content: object, path: str = "", depth: int = 0, seen: set[int] | None = None
) -> tuple[str, dict[str, Any]]:
    """The tensors of the network inside a training checkpoint, or all that a state dict holds, and where they stand."""
    seen = set() if seen is None else seen
    if not isinstance(content, dict) or depth > 3 or id(content) in seen:
        return path, {}
    seen.add(id(content))  # each dict once, or one that stands in many places takes the product of these
    for name in (*_NETWORK, *_AVERAGES):
        if isinstance(content.get(name), dict):
            place, tensors = _network(content[name], f"{path}.{name}" if path else name, depth + 1, seen)
            for part in _BESIDE if tensors else ():
                tensors = {**_flat(content.get(part), f"{part}."), **tensors}
            if tensors:
                return place, tensors
    own = {key: value for key, value in content.items() if isinstance(key, str) and not key.startswith("optim")}
    return path, _flat(own)


def _alike(
    content: object,
    entries: dict[str, Any],
    path: str,
    here: str = "",
    depth: int = 0,
    seen: set[int] | None = None,
) -> list[str]:
    """Places of dicts whose tensors have the names and shapes of those of a set, at least half of them."""
    seen = set() if seen is None else seen
    if not isinstance(content, dict) or depth > 3 or id(content) in seen:
        return []
    seen.add(id(content))
    places = []
    ends = _ends(entries)
    for key, value in content.items():
        if not isinstance(value, dict) or not isinstance(key, str) or key.startswith("optim"):
            continue
        place = f"{here}.{key}" if here else key
        if place == path:
            continue
        inside = _alike(value, entries, path, place, depth + 1, seen)
        if not inside and not path.startswith(f"{place}.") and path:
            shared = (_ends(_flat(value)) & ends).total()
            inside = [place] if shared and shared * 2 >= ends.total() else []
        places += inside
    return places


def _ends(entries: dict[str, Any]) -> Counter[tuple[str, str]]:
    """How often each last part of a name stands with each shape."""
    return Counter(
        (name.rpartition(".")[2], str(tuple(entry.shape if isinstance(entry, Tensor) else entry.size)))
        for name, entry in entries.items()
        if isinstance(entry, Tensor) or isinstance(entry.size, tuple | list)
    )


def _at(content: object, place: str) -> object:
    """What stands at a dotted place; keys may have dots themselves."""
    if not isinstance(content, dict) or not place:
        return content if not place else None
    for key, value in content.items():
        if isinstance(key, str) and (place == key or place.startswith(f"{key}.")):
            inside = _at(value, place[len(key) + 1 :])
            if inside is not None:
                return inside
    return None


def _unwrapped(entries: dict[str, Any]) -> dict[str, Any]:
    """Names without the parts that torch puts in when it compiles, shards or checkpoints a module."""
    plain: dict[str, Any] = {}
    for name, entry in entries.items():
        parts = [part for part in name.split(".") if part not in _WRAPPERS]
        plain.setdefault(".".join(parts), entry)
    return plain


def _flat(content: object, prefix: str = "", seen: set[int] | None = None, depth: int = 0) -> dict[str, Any]:
    """Nested dicts as dotted name -> tensor (or its description); no dict is entered twice."""
    entries: dict[str, Any] = {}
    seen = set() if seen is None else seen
    if not isinstance(content, dict) or id(content) in seen:
        return entries
    if depth > _DEEPEST:
        raise ValueError(f"dicts nested more than {_DEEPEST} deep")
    seen.add(id(content))
    for key, value in content.items():
        if not isinstance(key, str) or not key.isprintable() or len(prefix) + len(key) > _LONGEST:
            continue
        if isinstance(value, Tensor | TensorDescription):
            entries.setdefault(prefix + key, value)
        elif isinstance(value, dict):
            for name, inner in _flat(value, f"{prefix}{key}.", seen, depth + 1).items():
                entries.setdefault(name, inner)
    return entries


def _top(archive: zipfile.ZipFile, file: Path) -> str:
    """The folder in an archive of torch; refuses what torch never writes."""
    members = archive.infolist()
    if any(member.filename.endswith("/constants.pkl") for member in members):
        raise ValueError("a TorchScript program")
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise ValueError(f"its member {member.filename} is compressed, which torch never does")
    if sum(member.file_size for member in members) > file.stat().st_size:
        raise ValueError("its members overlap, which torch never does")
    if len({member.filename for member in members}) < len(members):
        raise ValueError("it has two members of one name, which torch never writes")
    if not any(member.CRC for member in members):  # torch.serialization.set_crc32_options(False)
        for member in members:
            del member.CRC
    tops = [name.removesuffix("/data.pkl") for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(tops) != 1:
        raise ValueError("a zip archive, but not written by torch.save")
    return tops[0]


def _old(mapped: mmap, strict: bool) -> tuple[object, Storages]:
    """The pickles of a file before torch 1.6: a number, a version, the system, the content, keys of the storages."""
    if unpickled(mapped).content != _MAGIC:  # type: ignore[arg-type]  # it reads as a file does
        raise ValueError("not written by torch.save")
    unpickled(mapped)  # type: ignore[arg-type]
    system = unpickled(mapped).content  # type: ignore[arg-type]
    whole: Unpickled = unpickled(mapped, strict)  # type: ignore[arg-type]
    keys = unpickled(mapped).content  # type: ignore[arg-type]
    little = not isinstance(system, dict) or system.get("little_endian", True) is not False
    return whole.content, StoragesInOrder(mapped, keys, whole.storages, "little" if little else "big")
