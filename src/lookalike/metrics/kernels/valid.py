"""The rule of valid references in compiled loops: the positives that count, and what is taken out of a tile.

Letters in shapes: Q queries of a tile, N references of a tile, R references, L labels, D embedding, P positives of the
tile's queries.
"""

from typing import NamedTuple

import numpy as np

from lookalike.jit import jit
from lookalike.metrics import valid_references
from lookalike.metrics.kernels.grid import Vectors, score

_compiled = jit(fastmath={"reassoc", "contract", "nsz", "nnan"})
_left_out = jit(inline="always")(valid_references.left_out)
_in_time = jit(inline="always")(valid_references.in_time)
_elsewhere = jit(inline="always")(valid_references.elsewhere)
_NONE = np.float32(-np.inf)


class QueryFacts(NamedTuple):
    """What the rule asks of the queries of a tile.

    Attributes:
        labels: int64 [Q], 0 ... L - 1.
        cameras: int64 [Q].
        own_row: int64 [Q], the reference row that is the query itself, or -1.
        since: int64 [Q], milliseconds; anything where no rule asks for times.
        until: int64 [Q], likewise.
    """

    labels: np.ndarray
    cameras: np.ndarray
    own_row: np.ndarray
    since: np.ndarray
    until: np.ndarray


class ReferenceFacts(NamedTuple):
    """What the rule asks of the references.

    Attributes:
        starts: int64 [L + 1], where each label begins in `rows`.
        rows: int64 [R], reference rows by label, ascending within.
        cameras: int64 [R].
        ignore: bool [R].
        since: int64 [R], milliseconds; anything where no rule asks for times.
        until: int64 [R], likewise.
        by_time: int64 [R], the rows of each tile by `since`; empty where other cameras are not left out.
        longest: How long a reference lasts at most, milliseconds.
        camera_rule: Milliseconds within which the camera rule holds; `NEVER` where it does not.
        elsewhere: Milliseconds within which other cameras are left out; `NEVER` where they are not.
    """

    starts: np.ndarray
    rows: np.ndarray
    cameras: np.ndarray
    ignore: np.ndarray
    since: np.ndarray
    until: np.ndarray
    by_time: np.ndarray
    longest: int
    camera_rule: int
    elsewhere: int


@_compiled
def positives_of(
    vectors: Vectors, queries: QueryFacts, references: ReferenceFacts
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The valid positives of each query, nearest first: starts int64 [Q + 1], rows int64 [P], scores float64 [P]."""
    labels, cameras, own_row = queries.labels, queries.cameras, queries.own_row
    label_starts, by_label = references.starts, references.rows
    seen_by, since, until = references.cameras, references.since, references.until
    starts = np.zeros(labels.shape[0] + 1, np.int64)
    for q in range(labels.shape[0]):
        starts[q + 1] = starts[q] + label_starts[labels[q] + 1] - label_starts[labels[q]]
    rows, scores = np.empty(starts[-1], np.int64), np.empty(starts[-1], np.float64)
    filled = 0
    for q in range(labels.shape[0]):
        starts[q] = filled
        for place in range(label_starts[labels[q]], label_starts[labels[q] + 1]):
            row = by_label[place]
            near = _in_time(queries.since[q], queries.until[q], since[row], until[row], references.camera_rule)
            at_once = _in_time(queries.since[q], queries.until[q], since[row], until[row], references.elsewhere)
            same_camera, away = seen_by[row] == cameras[q] and near, _elsewhere(cameras[q], seen_by[row], at_once)
            if not _left_out(references.ignore[row], row == own_row[q], True, same_camera, away):
                rows[filled] = row
                scores[filled] = score(vectors, q, row)
                filled += 1
        order = np.argsort(-scores[starts[q] : filled], kind="mergesort")
        rows[starts[q] : filled] = rows[starts[q] : filled][order]
        scores[starts[q] : filled] = scores[starts[q] : filled][order]
    starts[-1] = filled
    return starts, rows[:filled].copy(), scores[:filled].copy()


@_compiled
def mask(tile: np.ndarray, first: int, queries: QueryFacts, references: ReferenceFacts) -> None:
    """Leaves in a tile [Q, N], whose first column is row `first`, the valid references of other labels; -inf elsewhere.

    That is the rule with all references of a query's label taken for its own camera's: positives are ranked apart. The
    rule leaves out only what is ignored, the query itself, of its label or of its time, so only these are looked at.
    """
    labels, own_row, starts, rows = queries.labels, queries.own_row, references.starts, references.rows
    ignore, size = references.ignore, tile.shape[1]
    ignored = np.flatnonzero(ignore[first : first + size])
    for q in range(tile.shape[0]):
        own, place, last = own_row[q], starts[labels[q]], starts[labels[q] + 1]
        stop = last
        while place < stop:
            middle = (place + stop) >> 1
            if rows[middle] < first:
                place = middle + 1
            else:
                stop = middle
        while place < last and rows[place] < first + size:
            if _left_out(ignore[rows[place]], rows[place] == own, True, True, False):
                tile[q, rows[place] - first] = _NONE
            place += 1
        if first <= own < first + size and _left_out(ignore[own], True, False, True, False):
            tile[q, own - first] = _NONE
        for column in ignored:
            if _left_out(True, first + column == own, False, True, False):
                tile[q, column] = _NONE
    if references.elsewhere >= 0:
        _mask_elsewhere(tile, first, queries, references)


@_compiled
def _mask_elsewhere(tile: np.ndarray, first: int, queries: QueryFacts, references: ReferenceFacts) -> None:
    """Takes out what other cameras saw at the time of each query; of a tile only the rows near that time are read."""
    since, until, seen_by, within = references.since, references.until, references.cameras, references.elsewhere
    by_time = references.by_time[first : first + tile.shape[1]]
    for q in range(tile.shape[0]):
        begin, end, camera = queries.since[q], queries.until[q], queries.cameras[q]
        place, stop = 0, by_time.shape[0]
        while place < stop:
            middle = (place + stop) >> 1
            if since[by_time[middle]] < begin - within - references.longest:
                place = middle + 1
            else:
                stop = middle
        while place < by_time.shape[0] and since[by_time[place]] - end <= within:
            row = by_time[place]
            near = _in_time(begin, end, since[row], until[row], within)
            if _left_out(False, False, False, False, _elsewhere(camera, seen_by[row], near)):
                tile[q, row - first] = _NONE
            place += 1
