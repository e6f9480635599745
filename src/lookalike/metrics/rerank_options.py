"""The settings of re-ranking, and the checks that its steps share.

Letters in shapes: Q queries, R references, D embedding, K neighbours kept.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np

from lookalike.errors import LookalikeError, did_you_mean
from lookalike.metrics.problem import Problem
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


def checked_options(rerank: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
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
        hint = did_you_mean(str(rerank), [*DEFAULTS])
        raise RerankError(f"expected rerank {', '.join(DEFAULTS)}, got {rerank}{hint}")
    usual, given = DEFAULTS[rerank], options or {}
    if not isinstance(given, Mapping):
        raise RerankError(f"expected options of rerank {rerank} by name, such as {usual}, got {given!r}")
    for name in given:
        if name not in usual:
            raise RerankError(
                f"expected options of rerank {rerank}: {', '.join(usual) or 'no option'}, "
                f"got {name}{did_you_mean(str(name), [*usual])}"
            )
    values: dict[str, Any] = {**usual, **given}
    for name, value in values.items():
        kind, low, high, words = _RANGES[name]
        if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
            raise RerankError(f"expected {name} {words}, got {value!r}")
    if values.get("k2", 1) > values.get("k1", 1):
        raise RerankError(f"expected k2 up to k1 ({values['k1']}), got {values['k2']}: lower k2 or raise k1")
    return values


def check_arrays(query: np.ndarray, reference: np.ndarray, problem: Problem) -> None:
    """Refuses embeddings that do not belong together, or to the problem.

    Raises:
        RerankError: They do not.
    """
    if query.ndim != 2 or reference.ndim != 2 or query.shape[1] != reference.shape[1] or not len(reference):
        raise RerankError(f"expected embeddings [Q, D] and [R, D] with R > 0, got {query.shape} and {reference.shape}")
    if problem.rows != (len(query), len(reference)):
        raise RerankError(
            f"expected a problem of {len(query)} queries and {len(reference)} references, got one of "
            f"{problem.rows[0]} and {problem.rows[1]}"
        )


def nearest_references(query: np.ndarray, reference: np.ndarray, problem: Problem, k: int, threads: int) -> Ranks:
    """The k nearest references of each query, exactly, whatever the labels are."""
    return rank(query, reference, Problem.unlabelled(problem.ignore, problem.own_row), top=k, threads=threads)


def in_parts(count: int, size: int, threads: int, work: Callable[[slice], Any]) -> list[Any]:
    """What `work` returns for each part of `count` things, in order, on threads."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, [slice(first, min(first + size, count)) for first in range(0, count, size)]))
