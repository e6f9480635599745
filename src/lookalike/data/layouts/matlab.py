"""Arrays out of MATLAB's files; nothing in such a file is executed."""

import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.data.tables import ManifestError
from lookalike.errors import install, one_line
from lookalike.special_files import is_special

_START = 128  # bytes of the header
_NEWER = (b"MATLAB 7.3", b"\x89HDF")
_LARGEST = 1 << 26  # bytes that a file may hold, unpacked: those of Cars196, the largest of these, have 8 million
_MOST = 1 << 24  # numbers or records of a variable
_COMPRESSED = 15  # the type of a part of a file of version 5 that is packed
_AT_ONCE = 1 << 20  # bytes that are unpacked to count them
_BROKEN = (
    *(MemoryError, RecursionError, ValueError, TypeError, KeyError, IndexError, EOFError, OSError, NotImplementedError),
    *(zlib.error, struct.error),
)


def read_matlab(file: Path, *names: str) -> list[np.ndarray]:
    """Reads variables of a `.mat` file of version 4 to 7.

    Args:
        file: It.
        *names: The variables.

    Returns:
        An array for each; texts are arrays of objects.

    Raises:
        ManifestError: It cannot be read, is of version 7.3, too large, or lacks one of them; or scipy is not installed.
    """
    values = _loaded(file, names)
    if missing := [name for name in names if name not in values]:
        there = ", ".join(name for name in values if not name.startswith("__")) or "none of them"
        raise ManifestError(
            f"{file}: expected the variables {', '.join(names)}, found {there}; {missing[0]} is missing"
        )
    return [np.asarray(values[name]) for name in names]


def read_records(file: Path) -> dict[str, Any]:
    """Name -> value of each variable, axes of length 1 left out; structures are records of numpy.

    Args:
        file: Of version 4 to 7.

    Raises:
        ManifestError: It cannot be read, is of version 7.3, or too large; or scipy is not installed.
    """
    return {name: value for name, value in _loaded(file, None, True).items() if not name.startswith("__")}


def _loaded(file: Path, names: Sequence[str] | None, squeezed: bool = False) -> dict[str, Any]:
    """Name -> value of those variables, or of all."""
    if is_special(file):
        raise ManifestError(f"{file}: a pipe or a device, expected a file of MATLAB")
    try:
        with file.open("rb") as handle:
            start = handle.read(_START)
    except OSError as error:
        raise ManifestError(f"{file}: {error.strerror}: restore it from the data set's archive") from error
    if start.startswith(_NEWER):
        raise ManifestError(
            f"{file}: of MATLAB 7.3 (HDF5), expected version 7 or older: write it again in MATLAB with save(..., '-v7')"
        )
    try:
        from scipy.io import loadmat, whosmat  # type: ignore[import-untyped]
        from scipy.io.matlab import MatReadError  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise ManifestError(f"{file}: a file of MATLAB is read with scipy: {install('audit')}") from error
    try:
        large = _too_large(file) or next(
            (
                f"{name} of {' x '.join(map(str, shape))}, expected at most {_MOST} numbers"
                for name, shape, _ in whosmat(file)
                if math.prod(shape) > _MOST
            ),
            "",
        )
        if not large:
            return dict(loadmat(file, variable_names=names, squeeze_me=squeezed))
    except (*_BROKEN, MatReadError) as error:
        raise ManifestError(f"{file}: no file of MATLAB, or damaged ({one_line(error, 80)}): restore it") from error
    raise ManifestError(f"{file}: {large}: restore it from the data set's archive")


def _too_large(file: Path) -> str:
    """What is too much in a file, in words, before anything in it gets memory; "" where nothing is."""
    expected = f"expected at most {_LARGEST}"
    if (size := file.stat().st_size) > _LARGEST:
        return f"{size} bytes, {expected}"
    data = memoryview(file.read_bytes())
    order = {b"IM": "<", b"MI": ">"}.get(bytes(data[_START - 2 : _START]))
    place, total = _START, 0
    while order and place + 8 <= len(data) and total <= _LARGEST:  # parts of version 5, each with its type and length
        kind, length = struct.unpack_from(f"{order}II", data, place)
        part = data[place + 8 : place + 8 + length]
        total += _unpacked(part, _LARGEST - total) if kind == _COMPRESSED else len(part)
        place += 8 + length
    return f"more than {_LARGEST} bytes when it is unpacked, {expected}" if total > _LARGEST else ""


def _unpacked(part: memoryview, most: int) -> int:
    """How many bytes a packed part has, counted until they are more than `most`."""
    unpacker, count, rest = zlib.decompressobj(), 0, bytes(part)
    while rest and count <= most and not unpacker.eof:
        count += len(unpacker.decompress(rest, _AT_ONCE))
        rest = unpacker.unconsumed_tail
    return count


def whole_numbers(values: np.ndarray, file: Path) -> np.ndarray:
    """The array as int64, as MATLAB keeps indices as decimals.

    Args:
        values: Numbers of any type.
        file: Where they come from.

    Raises:
        ManifestError: Some of them are no whole numbers.
    """
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all() or (numbers != np.floor(numbers)).any():
        raise ManifestError(f"{file}: expected whole numbers, found {numbers.dtype}: restore it from the archive")
    return numbers.astype(np.int64)
