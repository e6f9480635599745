"""The nearest references of every query, kept while tiles go by; compiled by numba.

Letters in shapes: Q queries of a tile, N references of a tile, K neighbours kept.
"""

from typing import NamedTuple

import numpy as np

from lookalike.jit import jit
from lookalike.metrics.kernels.above import PART, Positives, count_from
from lookalike.metrics.kernels.grid import Vectors, score

_compiled = jit(fastmath={"reassoc", "contract", "nsz", "nnan"})
_LEAST = np.float32(-3e38)  # below any similarity, above what is masked


class Nearest(NamedTuple):
    """The nearest references so far.

    Attributes:
        rows: int64 [Q, K], reference rows, score descending, then row ascending; -1 behind the last.
        scores: float64 [Q, K], exact; -inf behind the last.
        other: float64 [Q], score of the nearest of another label, -inf where there is none.
    """

    rows: np.ndarray
    scores: np.ndarray
    other: np.ndarray


# Arrays are taken out of tuples once a tile: each time costs numba two atomic counts of references.
@_compiled
def _place_in(rows: np.ndarray, scores: np.ndarray, q: int, value: float, row: int) -> None:
    """Puts a reference among the nearest of a query."""
    size = rows.shape[1]
    place = size
    while place > 0 and (scores[q, place - 1] < value or (scores[q, place - 1] == value and rows[q, place - 1] > row)):
        place -= 1
    if place == size:
        return
    for later in range(size - 1, place, -1):
        scores[q, later], rows[q, later] = scores[q, later - 1], rows[q, later - 1]
    scores[q, place], rows[q, place] = value, row


@_compiled
def begin(nearest: Nearest, positives: Positives) -> None:
    """Puts the positives among the nearest, before any other reference is seen."""
    rows, scores, starts = nearest.rows, nearest.scores, positives.starts
    for q in range(starts.shape[0] - 1):
        for p in range(starts[q], min(starts[q + 1], starts[q] + rows.shape[1])):
            _place_in(rows, scores, q, positives.scores[p], positives.rows[p])


@_compiled
def _bound_of(last: float, other: float, slack: float) -> np.float32:
    """What a reference of another label must reach to be the nearest of them, or one of the nearest of all."""
    return max(np.float32(min(last, other) - slack), _LEAST)


@_compiled
def _first_bound(line: np.ndarray, guess: np.float32, step: np.float32, size: int, slack: float) -> np.float32:
    """A bound for a query of which nothing is seen yet: what was right for the query before, or somewhat less."""
    for _ in range(4):
        if count_from(line, guess) >= size:
            return max(np.float32(guess - 2.5 * slack), _LEAST)
        guess -= step
        step *= 2
    return _LEAST


@_compiled
def take(tile: np.ndarray, first: int, vectors: Vectors, nearest: Nearest, slack: float) -> None:
    """Puts the references of a tile [Q, N], the first being row `first`, among the nearest where they belong.

    A value of the tile may be off by `slack`, and what is masked is -inf.
    """
    rows, scores, other = nearest.rows, nearest.scores, nearest.other
    size = rows.shape[1]
    guess, step = _LEAST, np.float32(0)
    for q in range(tile.shape[0]):
        line = tile[q]
        bound = _bound_of(scores[q, size - 1], other[q], slack)
        if bound == _LEAST:
            bound = _first_bound(line, guess, step, size, slack)
        if count_from(line, bound) == 0:
            continue
        for part in range(0, line.shape[0], PART):
            few = line[part : part + PART]
            if count_from(few, bound) == 0:
                continue
            for j in range(few.shape[0]):
                if few[j] >= bound:
                    value = score(vectors, q, first + part + j)
                    other[q] = max(other[q], value)
                    _place_in(rows, scores, q, value, first + part + j)
                    bound = _bound_of(scores[q, size - 1], other[q], slack)
        guess, step = bound, np.float32((other[q] - bound) / 4)
