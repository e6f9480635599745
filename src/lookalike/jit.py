"""Numba's compiler for inner loops, with its results kept on disk where there is a place for them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit


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
    """Makes what is kept on disk depend on every file that is compiled in: numba looks at the function's own alone."""
    index = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if index is not None and hasattr(index, "_source_stamp"):
        files = [Path(name) for name in sorted(_sources(compiled.py_func)) if Path(name).is_file()]
        states = ((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
        index._source_stamp = (index._source_stamp, *states)


def _sources(function: Any) -> set[str]:
    """The files of a function and of the compiled functions that it calls, and so on."""
    called = (function.__globals__.get(name) for name in function.__code__.co_names)
    inner = [part.py_func for part in called if hasattr(part, "py_func")]
    return {function.__code__.co_filename}.union(*(_sources(part) for part in inner if part is not function))
