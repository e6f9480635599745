"""Arrays out of MATLAB's files; nothing in such a file is executed."""

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
_BROKEN = (ValueError, TypeError, KeyError, IndexError, EOFError, OSError, NotImplementedError, zlib.error)


def read_matlab(file: Path, *names: str) -> list[np.ndarray]:
    """Reads variables of a `.mat` file of version 4 to 7.

    Args:
        file: It.
        *names: The variables.

    Returns:
        An array for each; texts are arrays of objects.

    Raises:
        ManifestError: It cannot be read, is of version 7.3, or lacks one of them; or scipy is not installed.
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
        ManifestError: It cannot be read, or is of version 7.3; or scipy is not installed.
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
        from scipy.io import loadmat  # type: ignore[import-untyped]
        from scipy.io.matlab import MatReadError  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise ManifestError(f"{file}: a file of MATLAB is read with scipy: {install('audit')}") from error
    try:
        return dict(loadmat(file, variable_names=names, squeeze_me=squeezed))
    except (*_BROKEN, MatReadError) as error:
        raise ManifestError(f"{file}: no file of MATLAB, or damaged ({one_line(error, 80)}): restore it") from error


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
