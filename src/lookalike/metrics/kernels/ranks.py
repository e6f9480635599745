"""The inner loops of `ranking`, compiled by numba; arrays in, arrays out, no Python objects.

A tile holds float32 products of some queries with some references. A float32 product is off by at most `slack`, so most
references are above or below a positive beyond doubt; the few in between are settled by `score`, which is exact.

Letters in shapes: Q queries of a tile, N references of a tile, R references, D embedding, P positives of the tile's
queries, K neighbours kept.
"""

from typing import Any

import numpy as np

from lookalike.jit import jit

# Sums may be reordered: they are exact (`score`) or counts. There are no NaNs; infinities serve as marks.
_compiled: Any = jit(fastmath={"reassoc", "contract", "nsz", "nnan"})
_in_order: Any = jit()
_PART = 32  # references looked at more closely together
_MANY = 96  # positives of one query from which a search among them beats a pass for each
_NONE, _TOP = np.float32(-np.inf), np.float32(np.inf)
_LEAST = np.float32(-3e38)  # below any similarity, above `_NONE`


@_compiled
def score(queries: Any, q: int, references: Any, row: int, offsets: Any) -> float:
    """The inner product of a query and a reference on the grid minus the reference's offset, exactly."""
    total = 0.0
    query, reference = queries[q], references[row]  # numba turns loops over whole rows into vector instructions
    for d in range(query.shape[0]):
        total += np.float64(query[d]) * np.float64(reference[d])
    exact: float = total - offsets[row]
    return exact


@_in_order
def to_grid(embeddings: Any, unit: bool, scale: float, grid: float, values: Any, offsets: Any) -> None:
    """Writes float32 [N, D], unit length or divided by `scale`, as multiples of 1 / `grid`; the same on any machine.

    From 0.5 on float32 is coarser than the grid, so such values are rounded once more, to even multiples.
    `offsets` float64 [N] become half the squared lengths where `unit` is off.
    """
    for n in range(embeddings.shape[0]):
        row, into = embeddings[n], values[n]
        length = np.sqrt(_squares(row)) if unit else scale
        for d in range(row.shape[0]):
            into[d] = np.rint(np.float64(row[d]) / length * grid) / grid
        if not unit:
            offsets[n] = _squares(into) / 2


@_in_order
def _squares(row: Any) -> float:
    """The sum of squares in float64 (float32 overflows from lengths of 1e19), four at a time, in a fixed order."""
    whole = row.shape[0] // 4 * 4
    first, second, third, fourth = 0.0, 0.0, 0.0, 0.0
    for d in range(0, whole, 4):
        first += np.float64(row[d]) * np.float64(row[d])
        second += np.float64(row[d + 1]) * np.float64(row[d + 1])
        third += np.float64(row[d + 2]) * np.float64(row[d + 2])
        fourth += np.float64(row[d + 3]) * np.float64(row[d + 3])
    for d in range(whole, row.shape[0]):
        first += np.float64(row[d]) * np.float64(row[d])
    return (first + second) + (third + fourth)


@_compiled
def positives_of(
    queries: Any, references: Any, offsets: Any, labels: Any, mates_start: Any, mates: Any, seen: Any, cameras: Any,
    ignore: Any, own: Any,
) -> Any:  # fmt: skip
    """The valid positives of each query, nearest first: starts int64 [Q + 1], rows int64 [P], scores float64 [P]."""
    starts = np.zeros(queries.shape[0] + 1, np.int64)
    for q in range(queries.shape[0]):
        starts[q + 1] = starts[q] + mates_start[labels[q] + 1] - mates_start[labels[q]]
    rows, scores = np.empty(starts[-1], np.int64), np.empty(starts[-1], np.float64)
    filled = 0
    for q in range(queries.shape[0]):
        starts[q] = filled
        for place in range(mates_start[labels[q]], mates_start[labels[q] + 1]):
            row = mates[place]
            if not (ignore[row] or row == own[q] or (seen.size > 0 and seen[q] == cameras[row])):
                rows[filled] = row
                scores[filled] = score(queries, q, references, row, offsets)
                filled += 1
        order = np.argsort(-scores[starts[q] : filled], kind="mergesort")
        rows[starts[q] : filled] = rows[starts[q] : filled][order]
        scores[starts[q] : filled] = scores[starts[q] : filled][order]
    starts[-1] = filled
    return starts, rows[:filled].copy(), scores[:filled].copy()


@_compiled
def _place_in(top_scores: Any, top_rows: Any, q: int, kept: int, value: float, row: int) -> int:
    """Puts a reference among the nearest, similarity descending, then row ascending; returns how many are kept."""
    size = top_rows.shape[1]
    place = kept
    while place > 0 and (
        top_scores[q, place - 1] < value or (top_scores[q, place - 1] == value and top_rows[q, place - 1] > row)
    ):
        place -= 1
    if place == size:
        return kept
    kept = min(kept + 1, size)
    for later in range(kept - 1, place, -1):
        top_scores[q, later], top_rows[q, later] = top_scores[q, later - 1], top_rows[q, later - 1]
    top_scores[q, place], top_rows[q, place] = value, row
    return kept


@_compiled
def _stands_above(value: float, row: int, score: float, positive: int) -> bool:
    return value > score or (value == score and row < positive)


@_compiled
def _count(line: Any, least: Any) -> Any:
    """How many values of a line are at least so large; counted in float32, which fills the lanes they are in."""
    one, zero, found = np.float32(1), np.float32(0), np.float32(0)
    for j in range(line.shape[0]):
        found += one if line[j] >= least else zero
    return found


@_compiled
def _place_of(line: Any, least: Any, most: Any) -> int:
    """The place of the only value between two bounds: the sum of such places, which needs no branches."""
    zero, place = np.float32(0), np.float32(0)
    for j in range(line.shape[0]):
        place += np.float32(j) if (line[j] >= least) & (line[j] <= most) else zero
    return int(place)


@_compiled
def _count_each(
    line: Any, first: int, p: int, last: int, low: Any, high: Any, scores: Any, rows: Any, above: Any, queries: Any,
    q: int, references: Any, offsets: Any,
) -> None:  # fmt: skip
    """Adds to the positives p ... last - 1 the references of a line that stand above: a pass of compares for each."""
    one, zero = np.float32(1), np.float32(0)
    for positive in range(last - 1, p - 1, -1):
        least, most = low[positive], high[positive]
        sure, maybe = zero, zero
        for j in range(line.shape[0]):
            sure += one if line[j] > most else zero
            maybe += one if line[j] >= least else zero
        if maybe == zero:
            return  # the other positives are nearer still
        above[positive] += np.int64(sure)
        if maybe == sure:
            continue
        if maybe - sure == one:
            row = first + _place_of(line, least, most)
            value = score(queries, q, references, row, offsets)
            above[positive] += _stands_above(value, row, scores[positive], rows[positive])
            continue
        for part in range(0, line.shape[0], _PART):
            few = line[part : part + _PART]
            if _count(few, least) == _count(few, np.nextafter(most, _TOP)):
                continue
            for j in range(few.shape[0]):
                if least <= few[j] <= most:
                    row = first + part + j
                    value = score(queries, q, references, row, offsets)
                    above[positive] += _stands_above(value, row, scores[positive], rows[positive])


@_compiled
def _count_steps(
    line: Any, first: int, p: int, last: int, low: Any, high: Any, scores: Any, rows: Any, steps: Any, queries: Any,
    q: int, references: Any, offsets: Any,
) -> None:  # fmt: skip
    """As `_count_each` by one search per reference; `steps` are the differences between neighbouring counts."""
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
        value = score(queries, q, references, first + j, offsets)
        while positive >= p and low[positive] <= line[j]:
            if _stands_above(value, first + j, scores[positive], rows[positive]):
                steps[positive] += 1
                if positive + 1 < last:
                    steps[positive + 1] -= 1
            positive -= 1


@_compiled
def _mask(line: Any, first: int, mates: Any, place: int, last: int, own: int, columns: Any) -> None:
    """Takes the references of the query's label, its own row and the ignored ones out of one row of a tile."""
    size, stop = line.shape[0], last
    while place < stop:
        middle = (place + stop) >> 1
        if mates[middle] < first:
            place = middle + 1
        else:
            stop = middle
    while place < last and mates[place] < first + size:
        line[mates[place] - first] = _NONE
        place += 1
    if first <= own < first + size:
        line[own - first] = _NONE
    for column in columns:
        line[column] = _NONE


@_compiled
def _bound(top_scores: Any, q: int, kept: int, other: float, slack: float) -> Any:
    """What a reference of another label must reach to be the nearest of them, or one of the nearest of all."""
    last = top_scores[q, top_scores.shape[1] - 1] if kept == top_scores.shape[1] else -np.inf
    return max(np.float32(min(last, other) - slack), _LEAST)


@_compiled
def _first_bound(line: Any, guess: Any, step: Any, size: int, slack: float) -> Any:
    """A bound for a query of which nothing is known yet: what was right for the query before, or somewhat less."""
    for _ in range(4):
        if _count(line, guess) >= size:
            return max(np.float32(guess - 2.5 * slack), _LEAST)
        guess -= step
        step *= 2
    return _LEAST


@_compiled
def _take_nearest(
    line: Any, first: int, bound: Any, queries: Any, q: int, references: Any, offsets: Any, top_rows: Any,
    top_scores: Any, kept: Any, other: Any, slack: float,
) -> Any:  # fmt: skip
    """Puts what reaches the bound among the nearest; returns the bound that holds then."""
    for part in range(0, line.shape[0], _PART):
        few = line[part : part + _PART]
        if _count(few, bound) == 0:
            continue
        for j in range(few.shape[0]):
            if few[j] >= bound:
                row = first + part + j
                value = score(queries, q, references, row, offsets)
                other[q] = max(other[q], value)
                kept[q] = _place_in(top_scores, top_rows, q, kept[q], value, row)
                bound = _bound(top_scores, q, kept[q], other[q], slack)
    return bound


@_compiled
def scan(
    tile: Any, first: int, queries: Any, references: Any, offsets: Any, labels: Any, mates_start: Any, mates: Any,
    own: Any, columns: Any, starts: Any, rows: Any, scores: Any, low: Any, high: Any, above: Any, top_rows: Any,
    top_scores: Any, kept: Any, other: Any, slack: float,
) -> None:  # fmt: skip
    """Takes one tile [Q, N] of similarities into account, its first reference being row `first`; the tile is changed.

    `above` int64 [P] counts the references of other labels above each positive (as differences where a query has many);
    `top_rows`, `top_scores` [Q, K] and `kept` [Q] hold the nearest references, `other` [Q] the score of the nearest of
    another label.
    """
    guess, step = _LEAST, np.float32(0)
    for q in range(tile.shape[0]):
        label, p, last = labels[q], starts[q], starts[q + 1]
        line = tile[q]
        _mask(line, first, mates, mates_start[label], mates_start[label + 1], own[q], columns)
        bound = _bound(top_scores, q, kept[q], other[q], slack)
        if bound == _LEAST:
            bound = _first_bound(line, guess, step, top_rows.shape[1], slack)
        found = _count(line, bound)
        if found == 1:
            row = first + _place_of(line, bound, _TOP)
            value = score(queries, q, references, row, offsets)
            other[q] = max(other[q], value)
            kept[q] = _place_in(top_scores, top_rows, q, kept[q], value, row)
        elif found > 1:
            guess = _take_nearest(line, first, bound, queries, q, references, offsets, top_rows, top_scores, kept,
                                  other, slack)  # fmt: skip
            step = np.float32((other[q] - guess) / 4)
        if last - p >= _MANY:
            _count_steps(line, first, p, last, low, high, scores, rows, above, queries, q, references, offsets)
        else:
            _count_each(line, first, p, last, low, high, scores, rows, above, queries, q, references, offsets)


@_compiled
def begin_top(starts: Any, rows: Any, scores: Any, top_rows: Any, top_scores: Any, kept: Any) -> None:
    """Puts the positives among the nearest, before any other reference is seen."""
    for q in range(starts.shape[0] - 1):
        for p in range(starts[q], min(starts[q + 1], starts[q] + top_rows.shape[1])):
            kept[q] = _place_in(top_scores, top_rows, q, kept[q], scores[p], rows[p])


@_compiled
def finish(starts: Any, above: Any) -> None:
    """Turns `above` into ranks, 1 = nearest."""
    for q in range(starts.shape[0] - 1):
        count = starts[q + 1] - starts[q]
        total = 0
        for place in range(count):
            p = starts[q] + place
            if count >= _MANY:
                total += above[p]
                above[p] = total
            above[p] += place + 1


@_compiled
def summarise(starts: Any, ranks: Any, depths: Any, out: Any, hits: Any) -> None:
    """Per query, from the ranks of its positives.

    `out` float64 [Q, 6]: sums over the positives of precision, of the trapezoid's precision, of precision within the
    first P; positives within the first P; first rank; last rank. `hits` int64 [Q, depths]: positives within a depth.
    """
    for q in range(starts.shape[0] - 1):
        count = starts[q + 1] - starts[q]
        for place in range(1, count + 1):
            rank = ranks[starts[q] + place - 1]
            precision = place / rank
            before = (place - 1) / (rank - 1) if rank > 1 else 1.0
            out[q, 0] += precision
            out[q, 1] += (precision + before) / 2
            if rank <= count:
                out[q, 2] += precision
                out[q, 3] += 1
            for k in range(depths.shape[0]):
                hits[q, k] += rank <= depths[k]
        if count:
            out[q, 4], out[q, 5] = ranks[starts[q]], ranks[starts[q + 1] - 1]


@_compiled
def vote_all(labels: Any, similarity: Any, k: int) -> Any:
    """The place of the winner among the first k of each row [Q, K], as `ranking.vote`; -1 where a row is empty.

    Labels are int64, -1 behind the last neighbour.
    """
    winners = np.full(labels.shape[0], -1, np.int64)
    for q in range(labels.shape[0]):
        size = 0
        while size < min(k, labels.shape[1]) and labels[q, size] >= 0:
            size += 1
        order = np.argsort(labels[q, :size], kind="mergesort")
        best_count, best_sum = 0, 0.0
        begin = 0
        while begin < size:
            end, total = begin, 0.0
            while end < size and labels[q, order[end]] == labels[q, order[begin]]:
                total += np.float64(similarity[q, order[end]])
                end += 1
            nearer = winners[q] >= 0 and order[begin] < winners[q]
            if end - begin > best_count or (
                end - begin == best_count and (total > best_sum or (total == best_sum and nearer))
            ):
                best_count, best_sum, winners[q] = end - begin, total, order[begin]
            begin = end
    return winners
