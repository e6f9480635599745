"""The settings of re-ranking, and the checks that its steps share.

Letters in shapes: Q queries, R references, D embedding, K neighbours kept.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np

from lookalike.errors import LookalikeError, did_you_mean
from lookalike.metrics.ranking import rank
from lookalike.metrics.ranks import Ranks

Rerank = Literal["none", "k_reciprocal", "expand"]
DEFAULTS: dict[str, dict[str, float]] = {
    "none": {},
    "k_reciprocal": {"k1": 20, "k2": 6, "weight": 0.3},
    "expand": {"k": 10, "alpha": 3.0},
}
_COUNT = (Integral, 1, 2**30, "a whole number from 1")
_RANGES: dict[str, tuple[Any, float, float, str]] = {
    **dict.fromkeys(("k1", "k2", "k"), _COUNT),
    "weight": (Real, 0.0, 1.0, "in 0..1"),
    "alpha": (Real, 0.0, 1e6, "a number from 0"),
}
PART = 256  # queries or references whose sparse vectors are made in one call


class RerankError(LookalikeError):
    """A setting of the re-ranking is unknown or out of its range, or arrays do not belong together."""


def checked_options(rerank: str, options: dict[str, Any] | None = None) -> dict[str, Any]:
    """All settings of a re-ranking, the given ones over the usual ones.

    Args:
        rerank: `none`, `k_reciprocal` or `expand`.
        options: Some of k1, k2, weight (`k_reciprocal`) or of k, alpha (`expand`).

    Returns:
        Every setting by name.

    Raises:
        RerankError: A name is unknown or a value out of its range.
    """
    if rerank not in DEFAULTS:
        raise RerankError(f"expected rerank {', '.join(DEFAULTS)}, got {rerank}{did_you_mean(rerank, [*DEFAULTS])}")
    usual, given = DEFAULTS[rerank], options or {}
    for name in given:
        if name not in usual:
            raise RerankError(
                f"expected options of rerank {rerank}: {', '.join(usual) or 'no option'}, "
                f"got {name}{did_you_mean(str(name), [*usual])}"
            )
    values = usual | given
    for name, value in values.items():
        kind, low, high, words = _RANGES[name]
        if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
            raise RerankError(f"expected {name} {words}, got {value!r}")
    if values.get("k2", 1) > values.get("k1", 1):
        raise RerankError(f"expected k2 up to k1 ({values['k1']}), got {values['k2']}: lower k2 or raise k1")
    return values


def check_arrays(
    query: np.ndarray, reference: np.ndarray, ignore: np.ndarray | None, own_row: np.ndarray | None
) -> None:
    """Refuses arrays that do not belong together."""
    if query.ndim != 2 or reference.ndim != 2 or query.shape[1] != reference.shape[1] or not len(reference):
        raise RerankError(f"expected embeddings [Q, D] and [R, D] with R > 0, got {query.shape} and {reference.shape}")
    for name, given, count in (("ignore", ignore, len(reference)), ("own_row", own_row, len(query))):
        if given is not None and np.shape(given) != (count,):
            raise RerankError(f"expected {name} of shape ({count},), got {np.shape(given)}")
    if own_row is not None and len(own_row) and (np.min(own_row) < -1 or np.max(own_row) >= len(reference)):
        raise RerankError(f"expected own_row in -1..{len(reference) - 1}, got {np.min(own_row)} to {np.max(own_row)}")


def nearest_references(
    query: np.ndarray, reference: np.ndarray, k: int, ignore: np.ndarray | None, own: np.ndarray | None, threads: int
) -> Ranks:
    """The nearest references, exactly; the labels are such that nobody has a positive."""
    nobody, someone = np.zeros(len(query), np.int64), np.ones(len(reference), np.int64)
    return rank(query, reference, nobody, someone, ignore=ignore, own_row=own, top=k, threads=threads)


def in_parts(count: int, size: int, threads: int, work: Callable[[slice], Any]) -> list[Any]:
    """What `work` returns for each part of `count` things, in order, on threads."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, [slice(first, min(first + size, count)) for first in range(0, count, size)]))
