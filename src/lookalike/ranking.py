"""Exact ranks of the positives of every query: pure arrays in, arrays out.

For query q the valid references are all, minus the ignored ones, minus those with the same label and the same camera
(when cameras are given), minus q itself. Order: similarity descending, then reference row ascending.

Letters in shapes: Q queries, R references, D embedding, K neighbours kept.
"""

from dataclasses import dataclass

import numpy as np

_TILE = 256
# A float32 product rounds differently by kernel and by place in the array, which would part exact duplicates and let
# other queries change a rank. On this grid a float64 holds every partial sum of unit vectors: exact in any order.
_GRID = 2.0**25


@dataclass(frozen=True)
class Ranks:
    """Where the positives of each query stand.

    Attributes:
        starts: int64 [Q + 1]; the positives of query q are `positives[starts[q] : starts[q + 1]]`.
        positives: int64, ranks (1 = nearest) of all valid positives, ascending within a query.
        top_rows: int64 [Q, K], the nearest valid reference rows, -1 where there are fewer than K.
        top_similarity: float32 [Q, K], their similarities, 0 where there is none.
    """

    starts: np.ndarray
    positives: np.ndarray
    top_rows: np.ndarray
    top_similarity: np.ndarray


def rank(
    query: np.ndarray,
    reference: np.ndarray,
    query_ids: np.ndarray,
    reference_ids: np.ndarray,
    *,
    query_cameras: np.ndarray | None = None,
    reference_cameras: np.ndarray | None = None,
    ignore: np.ndarray | None = None,
    own_row: np.ndarray | None = None,
    top: int = 10,
) -> Ranks:
    """Ranks all valid references of every query by inner product.

    Args:
        query: float32 [Q, D], unit length.
        reference: float32 [R, D], unit length.
        query_ids: int64 [Q], label ids.
        reference_ids: int64 [R], label ids in the same numbering.
        query_cameras: int64 [Q]; with `reference_cameras`, references of the same label and camera are left out.
        reference_cameras: int64 [R].
        ignore: bool [R], references that neither help nor hurt.
        own_row: int64 [Q], the reference row that is the query itself, or -1.
        top: K, how many nearest rows to keep.
    """
    count = len(query)
    kept = min(top, len(reference))
    top_rows, top_similarity = np.full((count, kept), -1, np.int64), np.zeros((count, kept), np.float32)
    ranks: list[np.ndarray] = []
    usable = np.ones(len(reference), bool) if ignore is None else ~ignore
    whole = _on_grid(reference).T
    for first in range(0, count, _TILE):
        similarity = (_on_grid(query[first : first + _TILE]) @ whole / _GRID**2).astype(np.float32)
        for place, row in enumerate(range(first, first + len(similarity))):
            same = reference_ids == query_ids[row]
            valid = usable.copy()
            if query_cameras is not None and reference_cameras is not None:
                valid &= ~(same & (reference_cameras == query_cameras[row]))
            if own_row is not None and own_row[row] >= 0:
                valid[own_row[row]] = False
            order = np.argsort(-similarity[place], kind="stable")
            order = order[valid[order]]
            ranks.append(np.flatnonzero(same[order]) + 1)
            near = order[:kept]
            top_rows[row, : len(near)], top_similarity[row, : len(near)] = near, similarity[place, near]
    starts = np.concatenate([[0], np.cumsum([len(found) for found in ranks])]).astype(np.int64)
    positives = np.concatenate(ranks) if ranks else np.zeros(0)
    return Ranks(starts, positives.astype(np.int64), top_rows, top_similarity)


def _on_grid(embeddings: np.ndarray) -> np.ndarray:
    """Whole multiples of 1 / `_GRID`, as float64; off by 1.5e-8 at most, less than float32 tells apart near 1."""
    return np.rint(embeddings.astype(np.float64) * _GRID)


def vote(labels: np.ndarray, similarity: np.ndarray) -> int:
    """The place of the winner in a row of neighbours: most frequent label; ties: larger summed similarity, then nearer.

    Args:
        labels: [K] labels of the neighbours, nearest first.
        similarity: float [K], their similarities.
    """
    _, first, member = np.unique(labels, return_index=True, return_inverse=True)
    counts = np.bincount(member)
    sums = np.bincount(member, weights=similarity.astype(np.float64))
    return int(min(zip(-counts, -sums, first, strict=True))[2])
