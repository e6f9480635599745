"""Numba's compiler for inner loops, with its results kept on disk where there is a place for them.

Numba looks neither at the other files that a function is compiled from nor at what happened to its own: what is kept
here depends on all of them and has a checksum, so a changed or damaged file, or one of another version of Numba, means
compiling anew.
"""

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import IndexDataCacheFile

_DIGEST = hashlib.sha256().digest_size


class _CheckedFiles(IndexDataCacheFile):
    """Numba's index and compiled functions, each behind the checksum of its bytes and the version of Numba."""

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, (self._source_stamp, overloads))

    def _load_index(self) -> dict[Any, str]:
        try:
            stamp, overloads = self._read(self._index_path)
        except (OSError, ValueError, TypeError):  # none yet, or none that can be used
            return {}
        return overloads if stamp == self._source_stamp and isinstance(overloads, dict) else {}

    def _save_data(self, name: str, data: object) -> None:
        self._write(str(Path(self._cache_path) / name), data)

    def _load_data(self, name: str) -> Any:
        return self._read(str(Path(self._cache_path) / name))  # an OSError means to Numba that there is none

    def _write(self, path: str, content: object) -> None:
        pickled: bytes = self._dump(content)  # type: ignore[no-untyped-call]
        data = f"{self._version}\n".encode() + pickled
        with self._open_for_write(path) as file:
            file.write(hashlib.sha256(data).digest() + data)

    def _read(self, path: str) -> Any:
        content = Path(path).read_bytes()
        digest, data = content[:_DIGEST], content[_DIGEST:]
        if hashlib.sha256(data).digest() != digest:
            raise OSError(f"{path}: damaged")
        version, _, pickled = data.partition(b"\n")
        if version != self._version.encode():  # what it holds may have moved since
            raise OSError(f"{path}: expected numba {self._version}")
        try:
            return pickle.loads(pickled)
        except Exception as error:  # whatever the classes in it raise
            raise OSError(f"{path}: cannot be loaded ({error})") from error


def jit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator: compiled on first use, kept on disk where there is a place to write, run without the GIL.

    Args:
        options: As for `numba.njit`.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            compiled = njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # no place: a read-only installation without a home
            return njit(nogil=True, **options)(function)
        _watch(compiled)
        return compiled

    return decorate


def _watch(compiled: Any) -> None:
    """Makes what is kept on disk depend on every file that is compiled in, and on its own checksum."""
    index = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if index is not None and hasattr(index, "_source_stamp"):
        files = [Path(name) for name in sorted(_sources(compiled.py_func)) if Path(name).is_file()]
        states = ((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
        index._source_stamp = (index._source_stamp, *states)
        index.__class__ = _CheckedFiles


def _sources(function: Any) -> set[str]:
    """The files of a function and of the compiled functions that it calls, and so on."""
    called = (function.__globals__.get(name) for name in function.__code__.co_names)
    inner = [part.py_func for part in called if hasattr(part, "py_func")]
    return {function.__code__.co_filename}.union(*(_sources(part) for part in inner if part is not function))
