"""Images in tar files, as WebDataset writes them: `<key>.jpg` beside `<key>.cls`, `<key>.json` or `<key>.txt`.

Nothing is unpacked: a tar is walked once for the places of its images and for their labels, and an image is read from
its place when it is embedded. So no name in a tar can lead anywhere.
"""

import io
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any, overload

import pandas as pd

from lookalike.data.image_files import is_image_name
from lookalike.data.image_limits import MAX_BYTES
from lookalike.data.images import ImageError
from lookalike.data.labels import as_label
from lookalike.data.manifest import tidy
from lookalike.data.tables import ManifestError
from lookalike.errors import one_line
from lookalike.files import readable
from lookalike.storage import Folder, Storage, is_address, storage_of

_LABELS = ("cls", "json", "txt")  # the first that a key has counts
_JSON_KEYS = ("label", "class", "class_name")
_LARGEST_LABEL = 1 << 20  # bytes
_BLOCK = tarfile.BLOCKSIZE
_AT_ONCE = 1 << 20  # bytes
_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MOST_TARS = 100_000
_PACKED = re.compile(r"\.(tgz|tbz2?|txz|tar\.\w+)$", re.IGNORECASE)
_FOR_OTHERS = ("archive", "exclude", "images", "pattern", "fold", "split", "test_share", "validation_share")


class TarImages(Sequence[bytes]):
    """The contents of images in tars, each read when it is asked for.

    Args:
        root: Folder or address of the tars.
        places: (name of the tar, first byte, bytes) of each image, N.
    """

    def __init__(self, root: str, places: Sequence[tuple[str, int, int]]) -> None:
        self._root, self._places = root, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> bytes: ...

    @overload
    def __getitem__(self, place: slice) -> "TarImages": ...

    def __getitem__(self, place: int | slice) -> "bytes | TarImages":
        if isinstance(place, slice):
            return TarImages(self._root, self._places[place])
        name, first, size = self._places[place]
        shown = f"{self._root}/{name}, byte {first}"
        if size > MAX_BYTES:
            raise ImageError(f"{shown}: {size} bytes, more than {MAX_BYTES}: scale the picture down first", "size")
        try:
            with _storage(self._root).open(name) as file:
                file.seek(first)
                content = file.read(size)
        except FileNotFoundError as error:
            raise ImageError(f"{shown}: the tar is gone: restore it", "unreadable") from error
        if len(content) < size:
            raise ImageError(f"{shown}: {len(content)} of {size} bytes are there: the tar was cut short", "unreadable")
        return content


def is_tars(root: str | Path | None) -> bool:
    """Whether a place is meant as tars: a `.tar`, several by `{000..012}.tar`, or a folder that holds them alone.

    Args:
        root: As it was given; a folder of an object store has to be written as `s3://bucket/folder/*.tar`.
    """
    name = PurePosixPath(str(root or "")).name.lower()
    if name.endswith(".tar") or _PACKED.search(name):
        return True
    if root is None or is_address(root) or not Path(root).is_dir():
        return False
    names = [entry.name.lower() for entry in Path(root).iterdir() if not entry.name.startswith(".")]
    return any(name.endswith(".tar") for name in names) and all(
        name.endswith((".tar", ".json", ".txt")) for name in names
    )


def read_tars(data: dict[str, Any]) -> tuple[pd.DataFrame, str, tuple[str, ...]]:
    """The images of tars.

    Args:
        data: The settings of a data set, plain values; `root` is a place for which `is_tars` holds.

    Returns:
        A row per image, `path` (name of the tar, a slash, name in it), `label` (empty without one), `tar`, `offset` and
        `size` in bytes; the folder or address of the tars; and what is to be told, in words.

    Raises:
        ManifestError: A tar is missing, damaged, cut short or compressed, holds a name twice, or no image is in any.
        StorageError: An object store cannot be reached.
    """
    root = str(data["root"])
    given = [name for name in _FOR_OTHERS if data.get(name)]
    given += [] if data.get("layout") in (None, "auto") else ["layout"]
    given += ["columns"] if any((data.get("columns") or {}).values()) else []
    if given:
        raise ManifestError(f"{root}: tars, and data.{given[0]} is for folders and tables: leave it out")
    start, names = _tars(root)
    storage, rows, notes = _storage(start), [], Counter[str]()
    for name in names:
        try:
            with storage.open(name) as file:
                rows += _rows(file, name, f"{start}/{name}", notes)
        except FileNotFoundError as error:
            raise ManifestError(f"{start}/{name}: no such tar: check its name") from error
    table = pd.DataFrame(rows, columns=["path", "label", "tar", "offset", "size"])
    if table.empty:
        raise ManifestError(f"{root}: no image in it ({len(names)} tar(s)): expected names such as 000017.jpg")
    labels = {kind: notes.pop(kind, 0) for kind in _LABELS}
    lines = [f"{root}: labels: {', '.join(f'{count} from .{kind}' for kind, count in labels.items() if count)}"]
    if without := int((table["label"] == "").sum()):
        keys = ", ".join(_JSON_KEYS)
        missing = f"{without} of {len(table)} images have no label: one is <key>.cls, <key>.json ({keys}) or <key>.txt"
        lines = [*(lines if any(labels.values()) else []), f"{root}: {missing}"]
    lines += [f"{root}: {count} {what}" for what, count in sorted(notes.items())]
    kept = tidy(table[["path", "label"]].astype("str")).assign(
        **{name: table[name] for name in ("tar", "offset", "size")}
    )
    return kept, start, tuple(lines)


def _tars(root: str) -> tuple[str, list[str]]:
    """The folder or address that tars lie in, and their names."""
    if _PACKED.search(root):
        raise ManifestError(
            f"{root}: a compressed tar, and images are read from their places in it: unpack the compression (gunzip), "
            "which leaves a .tar"
        )
    if not is_address(root) and Path(root).is_dir():
        return root, sorted(entry.name for entry in Path(root).iterdir() if entry.name.lower().endswith(".tar"))
    above, _, name = root.rpartition("/")
    start = above or "."
    if name == "*.tar":
        names = [other for other in _storage(start).names() if other.lower().endswith(".tar")]
        if not names:
            raise ManifestError(f"{root}: no tar there: check the address")
        return start, names
    return start, _expanded(name, root)


def _expanded(name: str, root: str) -> list[str]:
    """Names by `{000..012}`, with leading zeros where the first number has them."""
    braces = _BRACES.search(name)
    if braces is None:
        return [name]
    first, last = int(braces[1]), int(braces[2])
    if not first <= last < first + _MOST_TARS:
        raise ManifestError(
            f"{root}: {braces[0]}: expected up to {_MOST_TARS} numbers, the smaller one first: write it so"
        )
    width = len(braces[1])
    parts = [f"{name[: braces.start()]}{number:0{width}}{name[braces.end() :]}" for number in range(first, last + 1)]
    return [made for part in parts for made in _expanded(part, root)]


def _rows(file: IO[bytes], tar: str, shown: str, notes: Counter[str]) -> list[tuple[str, str, str, int, int]]:
    """The images of one tar with their labels."""
    images: dict[str, tuple[int, int]] = {}
    labels: dict[str, dict[str, tuple[int, int]]] = {}
    for member in _members(file, shown):
        name = member.name
        if member.isdir():
            continue
        if not member.isreg() or member.issparse():
            notes["entries passed over: links, sparse or special files"] += 1
            continue
        place = (member.offset_data, member.size)
        key, kind = _key(name)
        if is_image_name(PurePosixPath(name).name):
            if name in images:
                raise ManifestError(
                    f"{shown}: {readable(name)} is in it twice (bytes {images[name][0]} and {place[0]}): write it again"
                )
            images[name] = place
        elif kind in _LABELS:
            labels.setdefault(key, {})[kind] = place
        else:
            notes["files passed over: neither image nor label"] += 1
    rows = []
    for name, (offset, size) in images.items():
        label, kind = _label(file, labels.get(_key(name)[0], {}), f"{shown}: {readable(name)}")
        notes[kind] += bool(label)
        rows.append((f"{tar}/{readable(name)}", label, tar, offset, size))
    return rows


def _key(name: str) -> tuple[str, str]:
    """What files of one sample have in common, and the rest: WebDataset cuts at the first dot of the last part."""
    above, _, last = name.rpartition("/")
    key, _, kind = last.partition(".")
    return f"{above}/{key}", kind.lower()


def _label(file: IO[bytes], places: dict[str, tuple[int, int]], shown: str) -> tuple[str, str]:
    """The label of a sample, and where it is from; empty without one."""
    for kind in _LABELS:
        if kind not in places:
            continue
        offset, size = places[kind]
        if size > _LARGEST_LABEL:
            raise ManifestError(f"{shown}: its .{kind} has {size} bytes: expected a label, at most {_LARGEST_LABEL}")
        file.seek(offset)
        text = file.read(size).decode("utf-8", "replace").strip()
        if kind == "json":
            try:
                content = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise ManifestError(
                    f"{shown}: its .json cannot be read ({one_line(error, 80)}): write it again"
                ) from error
            value = (
                next((content[key] for key in _JSON_KEYS if key in content), "") if isinstance(content, dict) else ""
            )
            text = str(value).strip() if isinstance(value, str | int) else ""
        if text:
            return as_label(text), kind
    return "", _LABELS[0]


def _members(file: IO[bytes], shown: str) -> Iterator[tarfile.TarInfo]:
    """The entries of a tar, those behind a block of zeros too (tars joined by `cat`); nothing is skipped in silence."""
    end, last = 0, "its beginning"
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    try:
        with tarfile.open(
            fileobj=file, mode="r:", ignore_zeros=True, encoding="utf-8", errors="surrogateescape"
        ) as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # else all stay in memory
                _need_zeros(file, end, member.offset, shown, last)
                end = member.offset_data + -(-member.size // _BLOCK) * _BLOCK if member.isreg() else member.offset_data
                last = readable(member.name)
                yield member
    except tarfile.TarError as error:
        raise ManifestError(
            f"{shown}: damaged or cut short behind {last} (byte {end} of {size}; {one_line(error, 60)}): copy it again"
        ) from error
    if end > size:
        raise ManifestError(f"{shown}: cut short inside {last} (byte {size} of {end}): copy it again")
    _need_zeros(file, end, size, shown, last)


def _need_zeros(file: IO[bytes], first: int, behind: int, shown: str, last: str) -> None:
    """What tarfile passes over between entries has to be padding."""
    at = file.tell()
    file.seek(first)
    while first < behind:
        part = file.read(min(_AT_ONCE, behind - first))
        if not part:
            break
        if part.strip(b"\0"):
            raise ManifestError(f"{shown}: damaged behind {last} (byte {first}): copy it again")
        first += len(part)
    file.seek(at)


def _storage(root: str) -> Storage:
    return storage_of(root) if is_address(root) else Folder(Path(root))
