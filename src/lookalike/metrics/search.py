"""The nearest references of queries, exactly as `evaluate` ranks them, whatever the number of queries.

A few queries are compared one by one: a float32 product finds all references that may be among the nearest, and those
are compared on the grid of the evaluator, where inner products are exact. Many queries are ranked by the evaluator
itself. Both give the same rows and the same similarities.

Letters in shapes: Q queries, R references, D embedding, K neighbours.
"""

import numpy as np

from lookalike.metrics.exact_grid import few_on_grid, lengths_of
from lookalike.parallel import one_blas_thread

_MANY = 48  # queries from which on the evaluator is faster than a product for each
_BLOCK = 64  # references of which the best stands for all, to find how near the K nearest are at least
_SMALL = 2**15  # references of which all may be compared exactly
_AT_ONCE = 2**13  # rows that are multiplied at a time: a multiple of the block
_ROUNDING = 2.0**-24  # of float32, relative


def nearest(
    query: np.ndarray, reference: np.ndarray, k: int, ignore: np.ndarray | None = None, off_unit: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest references of every query: cosine descending, then reference row ascending.

    Args:
        query: float32 [Q, D], finite, of any length; one of length zero is as far from all.
        reference: float32 [R, D], finite, not zero.
        k: K, 1 to the number of references that are not ignored.
        ignore: bool [R], references that are never found; None for none.
        off_unit: By how much a length of `reference` differs from 1 at most, see `off_unit_length`; None to measure it.

    Returns:
        int64 [Q, K] rows and float32 [Q, K] cosines.
    """
    rows, similarity = np.empty((len(query), k), np.int64), np.empty((len(query), k), np.float32)
    lengths = lengths_of(query)
    usable = np.flatnonzero(lengths > 0)
    left = np.arange(len(reference)) if ignore is None else np.flatnonzero(~ignore)
    rows[lengths == 0], similarity[lengths == 0] = left[:k], 0
    if len(usable) >= _MANY or (len(usable) and k * _BLOCK > len(reference) > _SMALL):
        rows[usable], similarity[usable] = _ranked(query[usable], reference, k, ignore)
        return rows, similarity
    off_unit = off_unit_length(reference) if off_unit is None else off_unit
    with one_blas_thread():
        for place in usable:
            unit = (query[place] / lengths[place]).astype(np.float32)
            rows[place], similarity[place] = _one(query[place], unit, reference, k, ignore, off_unit)
    return rows, similarity


def off_unit_length(reference: np.ndarray) -> float:
    """By how much the length of an embedding differs from 1 at most.

    Args:
        reference: float32 [R, D].
    """
    return float(abs(lengths_of(reference) - 1).max(initial=0.0))


def _ranked(
    query: np.ndarray, reference: np.ndarray, k: int, ignore: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    from lookalike.metrics.problem import Problem
    from lookalike.metrics.ranking import rank

    marks = np.zeros(len(reference), bool) if ignore is None else ignore
    ranks = rank(query, reference, Problem.unlabelled(marks, np.full(len(query), -1)), top=k)
    return ranks.top_rows, ranks.top_similarity


def _one(
    query: np.ndarray, unit: np.ndarray, reference: np.ndarray, k: int, ignore: np.ndarray | None, off_unit: float
) -> tuple[np.ndarray, np.ndarray]:
    # As in `ranking`: a sum of D products of unit vectors is off by D u; the lengths of the references come on top.
    slack = 1.01 * (len(unit) + 8) * _ROUNDING + off_unit
    best = _best_of_blocks(unit, reference, ignore)
    least = _at_least(best, k) - 2 * slack
    blocks = np.flatnonzero(best >= least)
    rows = (blocks[:, None] * _BLOCK + np.arange(_BLOCK)).ravel()
    rows = rows[rows < len(reference)]
    if ignore is not None:
        rows = rows[~ignore[rows]]
    candidates = rows[reference[rows] @ unit >= least]
    scores = _exact(query, reference[candidates])
    order = np.lexsort((candidates, -scores))[:k]
    return candidates[order], scores[order].astype(np.float32)


def _best_of_blocks(unit: np.ndarray, reference: np.ndarray, ignore: np.ndarray | None) -> np.ndarray:
    """The best product of every block of references, -inf where all of it is ignored.

    As many rows at a time as leave their products in a core's cache: the references are read once, nothing else is.
    """
    count = len(reference)
    best = np.full(-(-count // _BLOCK), -np.inf, np.float32)
    product = np.empty(min(_AT_ONCE, count), np.float32)
    for first in range(0, count, _AT_ONCE):
        part = product[: min(_AT_ONCE, count - first)]
        np.dot(reference[first : first + len(part)], unit, out=part)
        if ignore is not None:
            part[ignore[first : first + len(part)]] = -np.inf
        starts = np.arange(0, len(part), _BLOCK)
        best[first // _BLOCK : first // _BLOCK + len(starts)] = np.maximum.reduceat(part, starts)
    return best


def _at_least(best: np.ndarray, k: int) -> float:
    """A product that k references reach, near the k-th highest: that of the k-th best block, if any."""
    return float(np.partition(best, len(best) - k)[len(best) - k]) if len(best) >= k else -np.inf


def _exact(query: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """float64 [R]: products on the grid of the evaluator, exact in any order."""
    asking, answering = (few_on_grid(part).astype(np.float64) for part in (query[None], reference))
    scores: np.ndarray = answering @ asking[0]
    return scores
