"""How many references stand above each positive, counted tile by tile without sorting; compiled by numba.

A tile holds float32 products of some queries with some references. A float32 product is off by at most a known slack,
so most references are above or below a positive beyond doubt; the few in between are settled by `score`, exactly.

Letters in shapes: Q queries of a tile, N references of a tile, P positives of the tile's queries.
"""

from typing import NamedTuple

import numpy as np

from lookalike.jit import jit
from lookalike.metrics.kernels.grid import Vectors, score

# Sums may be reordered: they are exact (`score`) or counts. There are no NaNs; infinities serve as marks.
_compiled = jit(fastmath={"reassoc", "contract", "nsz", "nnan"})
PART = 32  # references looked at more closely together
_MANY = 96  # positives of one query from which a search among them beats a pass for each
_TOP = np.float32(np.inf)


class Positives(NamedTuple):
    """The positives of the queries of a tile, those of one query from the nearest to the farthest.

    Attributes:
        starts: int64 [Q + 1], where those of each query begin.
        rows: int64 [P], reference rows.
        scores: float64 [P], exact.
        low: float32 [P], the least that a float32 product of the same value may be.
        high: float32 [P], the most.
        above: int64 [P], references of other labels above each (as differences where a query has many).
    """

    starts: np.ndarray
    rows: np.ndarray
    scores: np.ndarray
    low: np.ndarray
    high: np.ndarray
    above: np.ndarray


@_compiled
def count_from(line: np.ndarray, least: np.float32) -> np.float32:
    """How many values of a line are at least so large; counted in float32, which fills the lanes they are in."""
    hit, miss, total = np.float32(1), np.float32(0), np.float32(0)
    for j in range(line.shape[0]):
        total += hit if line[j] >= least else miss
    return total


@_compiled
def _place_of(line: np.ndarray, least: np.float32, most: np.float32) -> int:
    """The place of the only value between two bounds: the sum of such places, which needs no branches."""
    miss, place = np.float32(0), np.float32(0)
    for j in range(line.shape[0]):
        place += np.float32(j) if (line[j] >= least) & (line[j] <= most) else miss
    return int(place)


@_compiled
def _stands_above(value: float, row: int, score: float, positive: int) -> bool:
    return value > score or (value == score and row < positive)


@_compiled
def _settled(line: np.ndarray, first: int, q: int, positive: int, vectors: Vectors, positives: Positives) -> int:
    """How many of the several values of a line that are too near to a positive for float32 to tell stand above it."""
    least, most = positives.low[positive], positives.high[positive]
    total = 0
    for part in range(0, line.shape[0], PART):
        few = line[part : part + PART]
        if count_from(few, least) == count_from(few, np.nextafter(most, _TOP)):
            continue
        for j in range(few.shape[0]):
            if least <= few[j] <= most:
                row, value = first + part + j, score(vectors, q, first + part + j)
                total += _stands_above(value, row, positives.scores[positive], positives.rows[positive])
    return total


@_compiled
def _count_steps(line: np.ndarray, first: int, q: int, vectors: Vectors, positives: Positives) -> None:
    """Counts by one search per reference; `above` becomes the differences between neighbouring counts."""
    low, high, scores, rows, steps = positives.low, positives.high, positives.scores, positives.rows, positives.above
    p, last = positives.starts[q], positives.starts[q + 1]
    for j in range(line.shape[0]):
        if line[j] < low[last - 1]:
            continue
        start, stop = p, last
        while start < stop:
            middle = (start + stop) >> 1
            if high[middle] < line[j]:
                stop = middle
            else:
                start = middle + 1
        if start < last:
            steps[start] += 1
        positive = start - 1
        if positive < p or low[positive] > line[j]:
            continue
        value = score(vectors, q, first + j)
        while positive >= p and low[positive] <= line[j]:
            if _stands_above(value, first + j, scores[positive], rows[positive]):
                steps[positive] += 1
                if positive + 1 < last:
                    steps[positive + 1] -= 1
            positive -= 1


@_compiled
def count(tile: np.ndarray, first: int, vectors: Vectors, positives: Positives) -> None:
    """Adds the references of a tile [Q, N], the first being row `first`, that stand above each positive.

    By a pass of compares for each positive, from the farthest on; where a query has many, by `_count_steps`.
    """
    starts, low, high, above = positives.starts, positives.low, positives.high, positives.above
    scores, rows = positives.scores, positives.rows
    hit, miss = np.float32(1), np.float32(0)
    for q in range(tile.shape[0]):
        line = tile[q]
        if starts[q + 1] - starts[q] >= _MANY:
            _count_steps(line, first, q, vectors, positives)
            continue
        for positive in range(starts[q + 1] - 1, starts[q] - 1, -1):
            least, most = low[positive], high[positive]
            sure, maybe = miss, miss
            for j in range(line.shape[0]):
                sure += hit if line[j] > most else miss
                maybe += hit if line[j] >= least else miss
            if maybe == miss:
                break  # the other positives are nearer still
            above[positive] += np.int64(sure)
            if maybe - sure == hit:
                row = first + _place_of(line, least, most)
                above[positive] += _stands_above(score(vectors, q, row), row, scores[positive], rows[positive])
            elif maybe != sure:
                above[positive] += _settled(line, first, q, positive, vectors, positives)


@_compiled
def finish(starts: np.ndarray, above: np.ndarray) -> None:
    """Turns `above` into ranks, 1 = nearest."""
    for q in range(starts.shape[0] - 1):
        size = starts[q + 1] - starts[q]
        total = 0
        for place in range(size):
            p = starts[q] + place
            if size >= _MANY:
                total += above[p]
                above[p] = total
            above[p] += place + 1
