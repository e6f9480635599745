"""The inner loops of `rerank`, compiled by numba; arrays in, arrays out, no Python objects.

Sparse vectors over references are three arrays: starts int64 [N + 1], rows int32 [entries], ascending within a vector,
and values float64 [entries]. Sums run in the order of rows, so they do not depend on what else is in a call.

Letters in shapes: N queries or references of a call, R references, D embedding, K neighbours, H half of K.
"""

from typing import Any

import numpy as np

from lookalike.jit import jit
from lookalike.metrics.kernels.ranks import score

_compiled: Any = jit()


@_compiled
def _stands_in(near: Any, row: int, member: int, k: int) -> bool:
    """Whether a reference is among the first k neighbours of another."""
    found = False
    for place in range(min(k, near.shape[1])):
        found |= near[row, place] == member
    return found


@_compiled
def halves_of(near: Any, half: int) -> Any:
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
def score_at(references: Any, offsets: Any, near: Any, place: int) -> Any:
    """Exact similarity of every reference with its neighbour at a place, float64 [R]; -inf where it has none."""
    out = np.full(near.shape[0], -np.inf)
    for row in range(near.shape[0]):
        if place < near.shape[1] and near[row, place] >= 0:
            out[row] = score(references, row, references, near[row, place], offsets)
    return out


@_compiled
def mutual_among(near: Any, first: int, count: int, k: int) -> Any:
    """Which neighbours of the references first ... first + count - 1 have them among their first k, bool [N, K]."""
    out = np.zeros((count, min(k, near.shape[1])), np.bool_)
    for n in range(count):
        for place in range(out.shape[1]):
            other = near[first + n, place]
            out[n, place] = other >= 0 and _stands_in(near, other, first + n, k)
    return out


@_compiled
def mutual_with(
    queries: Any, references: Any, offsets: Any, near_query: Any, near: Any, last: Any, beyond: Any, own: Any, k: int
) -> Any:
    """Which neighbours of a query would have it among their first k, bool [N, K].

    `last` and `beyond` are the similarities of a reference's k-th and (k + 1)-th neighbour: where the query's own row
    takes one of the k places, the query needs to beat the latter only.
    """
    out = np.zeros(near_query.shape, np.bool_)
    for q in range(queries.shape[0]):
        for place in range(near_query.shape[1]):
            row = near_query[q, place]
            if row >= 0:
                freed = own[q] >= 0 and _stands_in(near, row, own[q], k)
                out[q, place] = score(queries, q, references, row, offsets) >= (beyond[row] if freed else last[row])
    return out


@_compiled
def _expanded(near: Any, mutual: Any, itself: int, own: int, halves: Any, mark: Any, found: Any) -> int:
    """Writes an expanded k-reciprocal set into `found` and returns its size; `mark` int8 [R] is zero before and after.

    A mark of 1 is the k-reciprocal set, a mark of 2 what its members' halves add.
    """
    size = 0
    if itself >= 0:
        found[0], mark[itself], size = itself, 1, 1
    for place in range(near.shape[0]):
        if mutual[place]:
            found[size], mark[near[place]] = near[place], 1
            size += 1
    for member in range(size):
        candidates = halves[found[member]]
        total, inside = 0, 0
        for row in candidates:
            if row >= 0 and row != own:
                total += 1
                inside += mark[row] == 1
        if 3 * inside <= 2 * total:
            continue
        for row in candidates:
            if row >= 0 and row != own and mark[row] == 0:
                found[size], mark[row] = row, 2
                size += 1
    for member in range(size):
        mark[found[member]] = 0
    return size


@_compiled
def _grown(values: Any, size: int) -> Any:
    """The same array, or one of twice the size wanted that begins with it."""
    if size <= values.shape[0]:
        return values
    more = np.empty(2 * size, values.dtype)
    more[: values.shape[0]] = values
    return more


@_compiled
def vectors(
    queries: Any, references: Any, offsets: Any, near: Any, mutual: Any, selves: Any, own: Any, halves: Any
) -> Any:
    """Gaussian weights, of sum 1, over the expanded k-reciprocal set of each query (or reference: `selves` its row)."""
    starts = np.zeros(queries.shape[0] + 1, np.int64)
    rows, values = np.empty(64, np.int32), np.empty(64, np.float64)
    mark = np.zeros(references.shape[0], np.int8)
    # Each of the K + 1 members brings itself and its half.
    found = np.empty((near.shape[1] + 1) * (halves.shape[1] + 1), np.int32)
    for q in range(queries.shape[0]):
        size = _expanded(near[q], mutual[q], selves[q], own[q], halves, mark, found)
        begin, end = starts[q], starts[q] + size
        starts[q + 1] = end
        rows, values = _grown(rows, end), _grown(values, end)
        rows[begin:end] = np.sort(found[:size])
        total = 0.0
        for place in range(begin, end):
            values[place] = np.exp(score(queries, q, references, rows[place], offsets) - 1.0)
            total += values[place]
        for place in range(begin, end):
            values[place] /= total
    return starts, rows[: starts[-1]].copy(), values[: starts[-1]].copy()


@_compiled
def _add(begin: int, end: int, rows: Any, values: Any, limit: float, sums: Any, touched: Any, count: int) -> int:
    """Adds values, none above `limit`, to `sums` and notes the rows that were zero; returns how many are noted."""
    for place in range(begin, end):
        row = rows[place]
        if sums[row] == 0.0:
            touched[count] = row
            count += 1
        sums[row] += min(values[place], limit)
    return count


@_compiled
def averages(starts: Any, rows: Any, values: Any, near: Any, all_starts: Any, all_rows: Any, all_values: Any) -> Any:
    """The mean of each vector that has entries and of the vectors, in `all_*`, of its neighbours `near`."""
    out_starts = np.zeros(starts.shape[0], np.int64)
    out_rows, out_values = np.empty(64, np.int32), np.empty(64, np.float64)
    sums = np.zeros(all_starts.shape[0] - 1, np.float64)
    touched = np.empty(sums.shape[0], np.int32)
    for n in range(near.shape[0]):
        count = _add(starts[n], starts[n + 1], rows, values, np.inf, sums, touched, 0)
        members = 1 if count else 0
        for row in near[n]:
            if row >= 0:
                count = _add(all_starts[row], all_starts[row + 1], all_rows, all_values, np.inf, sums, touched, count)
                members += 1
        begin, end = out_starts[n], out_starts[n] + count
        out_starts[n + 1] = end
        out_rows, out_values = _grown(out_rows, end), _grown(out_values, end)
        out_rows[begin:end] = np.sort(touched[:count])
        for place in range(begin, end):
            out_values[place] = sums[out_rows[place]] / members
            sums[out_rows[place]] = 0.0
    return out_starts, out_rows[: out_starts[-1]].copy(), out_values[: out_starts[-1]].copy()


@_compiled
def inverted(starts: Any, rows: Any, values: Any) -> Any:
    """The same entries by row instead of by vector, R vectors over R rows; vectors ascending within a row."""
    out_starts = np.zeros(starts.shape[0], np.int64)
    for row in rows:
        out_starts[row + 1] += 1
    out_starts = np.cumsum(out_starts)
    filled = out_starts[:-1].copy()
    out_rows, out_values = np.empty(rows.shape[0], np.int32), np.empty(rows.shape[0], np.float64)
    for n in range(starts.shape[0] - 1):
        for place in range(starts[n], starts[n + 1]):
            into = filled[rows[place]]
            out_rows[into], out_values[into] = n, values[place]
            filled[rows[place]] += 1
    return out_starts, out_rows, out_values


@_compiled
def jaccard_distances(
    starts: Any, rows: Any, values: Any, own: Any, by_starts: Any, by_rows: Any, by_values: Any
) -> Any:
    """The Jaccard distances below 1 of each vector to the references, whose vectors are given inverted in `by_*`."""
    out_starts = np.zeros(starts.shape[0], np.int64)
    out_rows, out_values = np.empty(64, np.int32), np.empty(64, np.float64)
    overlap = np.zeros(by_starts.shape[0] - 1, np.float64)
    touched = np.empty(overlap.shape[0], np.int32)
    for q in range(starts.shape[0] - 1):
        count = 0
        for place in range(starts[q], starts[q + 1]):
            row = rows[place]
            count = _add(by_starts[row], by_starts[row + 1], by_rows, by_values, values[place], overlap, touched, count)
        end = out_starts[q]
        out_rows, out_values = _grown(out_rows, end + count), _grown(out_values, end + count)
        for row in np.sort(touched[:count]):
            # The larger of two numbers is their sum minus the smaller, and each vector sums to 1.
            distance = 1.0 - overlap[row] / (2.0 - overlap[row])
            overlap[row] = 0.0
            if distance < 1.0 and row != own[q]:
                out_rows[end], out_values[end] = row, distance
                end += 1
        out_starts[q + 1] = end
    return out_starts, out_rows[: out_starts[-1]].copy(), out_values[: out_starts[-1]].copy()
