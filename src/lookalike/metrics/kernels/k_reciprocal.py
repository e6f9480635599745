"""The inner loops of k-reciprocal re-ranking, compiled by numba; arrays in, arrays out, no Python objects.

Sums run in the order of rows, so they do not depend on what else is in a call.

Letters in shapes: N queries or references of a call, R references, D embedding, K neighbours, H half of K.
"""

from typing import NamedTuple

import numpy as np

from lookalike.jit import jit
from lookalike.metrics.kernels.grid import Vectors, score

_compiled = jit()


class Sparse(NamedTuple):
    """Sparse vectors over references.

    Attributes:
        starts: int64 [N + 1], where the entries of each begin.
        rows: int32 [entries], reference rows, ascending within a vector.
        values: float64 [entries].
    """

    starts: np.ndarray
    rows: np.ndarray
    values: np.ndarray


class Neighbours(NamedTuple):
    """The references among themselves.

    Attributes:
        near: int32 [R, K + 1], the nearest others of each, -1 behind the last.
        last: float64 [R], similarity of the k-th of them.
        beyond: float64 [R], similarity of the next.
        halves: int32 [R, H + 1], see `halves_of`.
    """

    near: np.ndarray
    last: np.ndarray
    beyond: np.ndarray
    halves: np.ndarray


@_compiled
def _stands_in(near: np.ndarray, row: int, member: int, k: int) -> bool:
    """Whether a reference is among the first k neighbours of another."""
    inside = False
    for place in range(min(k, near.shape[1])):
        inside |= near[row, place] == member
    return inside


@_compiled
def halves_of(near: np.ndarray, half: int) -> np.ndarray:
    """Every reference and its mutual neighbours within the first `half`, int32 [R, H + 1]; -1 behind the last."""
    out = np.full((near.shape[0], min(half, near.shape[1]) + 1), -1, np.int32)
    for row in range(near.shape[0]):
        out[row, 0] = row
        count = 1
        for place in range(out.shape[1] - 1):
            other = near[row, place]
            if other >= 0 and _stands_in(near, other, row, half):
                out[row, count] = other
                count += 1
    return out


@_compiled
def score_at(vectors: Vectors, near: np.ndarray, place: int) -> np.ndarray:
    """Exact similarity of every reference with its neighbour at a place, float64 [R]; -inf where it has none."""
    out = np.full(near.shape[0], -np.inf)
    for row in range(near.shape[0]):
        if place < near.shape[1] and near[row, place] >= 0:
            out[row] = score(vectors, row, near[row, place])
    return out


@_compiled
def mutual_among(near: np.ndarray, first: int, count: int, k: int) -> np.ndarray:
    """Which neighbours of the references first ... first + count - 1 have them among their first k, bool [N, K]."""
    out = np.zeros((count, min(k, near.shape[1])), np.bool_)
    for n in range(count):
        for place in range(out.shape[1]):
            other = near[first + n, place]
            out[n, place] = other >= 0 and _stands_in(near, other, first + n, k)
    return out


@_compiled
def mutual_with(vectors: Vectors, near: np.ndarray, own: np.ndarray, among: Neighbours, k: int) -> np.ndarray:
    """Which neighbours of a query, `near` int32 [N, K], would have it among their first k, bool [N, K].

    Where the query's own row takes one of the k places of a reference, the query needs to beat the next only.
    """
    out = np.zeros(near.shape, np.bool_)
    for q in range(near.shape[0]):
        for place in range(near.shape[1]):
            row = near[q, place]
            if row >= 0:
                freed = own[q] >= 0 and _stands_in(among.near, row, own[q], k)
                out[q, place] = score(vectors, q, row) >= (among.beyond[row] if freed else among.last[row])
    return out


@_compiled
def _expanded(
    near: np.ndarray,
    mutual: np.ndarray,
    itself: int,
    own: int,
    halves: np.ndarray,
    mark: np.ndarray,
    members: np.ndarray,
) -> int:
    """Writes an expanded k-reciprocal set into `members` and returns its size.

    `mark` int8 [R] is zero before and after; 1 marks the k-reciprocal set, 2 what its members' halves add.
    """
    size = 0
    if itself >= 0:
        members[0], mark[itself], size = itself, 1, 1
    for place in range(near.shape[0]):
        if mutual[place]:
            members[size], mark[near[place]] = near[place], 1
            size += 1
    for member in range(size):
        candidates = halves[members[member]]
        total, inside = 0, 0
        for row in candidates:
            if row >= 0 and row != own:
                total += 1
                inside += mark[row] == 1
        if 3 * inside <= 2 * total:
            continue
        for row in candidates:
            if row >= 0 and row != own and mark[row] == 0:
                members[size], mark[row] = row, 2
                size += 1
    for member in range(size):
        mark[members[member]] = 0
    return size


@_compiled
def _grown(values: np.ndarray, size: int) -> np.ndarray:
    """The same array, or one of twice the size wanted that begins with it."""
    if size <= values.shape[0]:
        return values
    more = np.empty(2 * size, values.dtype)
    more[: values.shape[0]] = values
    return more


@_compiled
def weights_of(
    vectors: Vectors, near: np.ndarray, mutual: np.ndarray, selves: np.ndarray, own: np.ndarray, halves: np.ndarray
) -> Sparse:
    """Gaussian weights, of sum 1, over the expanded k-reciprocal set of each query (or reference: `selves` its row)."""
    starts = np.zeros(near.shape[0] + 1, np.int64)
    rows, values = np.empty(64, np.int32), np.empty(64, np.float64)
    mark = np.zeros(vectors.references.shape[0], np.int8)
    # Each of the K + 1 members brings itself and its half.
    members = np.empty((near.shape[1] + 1) * (halves.shape[1] + 1), np.int32)
    for q in range(near.shape[0]):
        size = _expanded(near[q], mutual[q], selves[q], own[q], halves, mark, members)
        begin, end = starts[q], starts[q] + size
        starts[q + 1] = end
        rows, values = _grown(rows, end), _grown(values, end)
        rows[begin:end] = np.sort(members[:size])
        total = 0.0
        for place in range(begin, end):
            values[place] = np.exp(score(vectors, q, rows[place]) - 1.0)
            total += values[place]
        for place in range(begin, end):
            values[place] /= total
    return Sparse(starts, rows[: starts[-1]].copy(), values[: starts[-1]].copy())


@_compiled
def _add(entries: Sparse, n: int, limit: float, sums: np.ndarray, touched: np.ndarray, count: int) -> int:
    """Adds values of a vector, none above `limit`, to `sums`, notes the rows that were zero, returns how many are."""
    for place in range(entries.starts[n], entries.starts[n + 1]):
        row = entries.rows[place]
        if sums[row] == 0.0:
            touched[count] = row
            count += 1
        sums[row] += min(entries.values[place], limit)
    return count


@_compiled
def averages(vectors: Sparse, near: np.ndarray, among: Sparse) -> Sparse:
    """The mean of each vector that has entries and of the vectors, in `among`, of its neighbours `near`."""
    starts = np.zeros(vectors.starts.shape[0], np.int64)
    rows, values = np.empty(64, np.int32), np.empty(64, np.float64)
    sums = np.zeros(among.starts.shape[0] - 1, np.float64)
    touched = np.empty(sums.shape[0], np.int32)
    for n in range(near.shape[0]):
        count = _add(vectors, n, np.inf, sums, touched, 0)
        members = 1 if count else 0
        for row in near[n]:
            if row >= 0:
                count = _add(among, row, np.inf, sums, touched, count)
                members += 1
        begin, end = starts[n], starts[n] + count
        starts[n + 1] = end
        rows, values = _grown(rows, end), _grown(values, end)
        rows[begin:end] = np.sort(touched[:count])
        for place in range(begin, end):
            values[place] = sums[rows[place]] / members
            sums[rows[place]] = 0.0
    return Sparse(starts, rows[: starts[-1]].copy(), values[: starts[-1]].copy())


@_compiled
def inverted(vectors: Sparse) -> Sparse:
    """The same entries by row instead of by vector, R vectors over R rows; vectors ascending within a row."""
    starts = np.zeros(vectors.starts.shape[0], np.int64)
    for row in vectors.rows:
        starts[row + 1] += 1
    starts = np.cumsum(starts)
    filled = starts[:-1].copy()
    rows, values = np.empty(vectors.rows.shape[0], np.int32), np.empty(vectors.rows.shape[0], np.float64)
    for n in range(vectors.starts.shape[0] - 1):
        for place in range(vectors.starts[n], vectors.starts[n + 1]):
            into = filled[vectors.rows[place]]
            rows[into], values[into] = n, vectors.values[place]
            filled[vectors.rows[place]] += 1
    return Sparse(starts, rows, values)


@_compiled
def jaccard_distances(vectors: Sparse, own: np.ndarray, by_row: Sparse) -> Sparse:
    """The Jaccard distances below 1 of each vector to the references, whose vectors are given inverted."""
    starts = np.zeros(vectors.starts.shape[0], np.int64)
    rows, values = np.empty(64, np.int32), np.empty(64, np.float64)
    overlap = np.zeros(by_row.starts.shape[0] - 1, np.float64)
    touched = np.empty(overlap.shape[0], np.int32)
    for q in range(vectors.starts.shape[0] - 1):
        count = 0
        for place in range(vectors.starts[q], vectors.starts[q + 1]):
            count = _add(by_row, vectors.rows[place], vectors.values[place], overlap, touched, count)
        end = starts[q]
        rows, values = _grown(rows, end + count), _grown(values, end + count)
        for row in np.sort(touched[:count]):
            # The larger of two numbers is their sum minus the smaller, and each vector sums to 1.
            distance = 1.0 - overlap[row] / (2.0 - overlap[row])
            overlap[row] = 0.0
            if distance < 1.0 and row != own[q]:
                rows[end], values[end] = row, distance
                end += 1
        starts[q + 1] = end
    return Sparse(starts, rows[: starts[-1]].copy(), values[: starts[-1]].copy())
