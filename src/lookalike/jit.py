"""Numba's compiler for inner loops, with its results kept on disk where there is a place for them."""

from collections.abc import Callable
from typing import Any

from numba import njit


def jit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator: compiled on first use, kept on disk where there is a place to write, run without the GIL.

    Args:
        options: As for `numba.njit`.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # no place: a read-only installation without a home
            return njit(nogil=True, **options)(function)

    return decorate
