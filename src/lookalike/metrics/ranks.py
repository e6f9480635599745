"""Where the positives of every query stand, and what follows from it.

Letters in shapes: Q queries, K neighbours kept.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Ranks:
    """Where the positives of each query stand; rank 1 = nearest. Queries without a valid positive have zeros.

    Attributes:
        positives: int64 [Q], number of valid positives P.
        first: int64 [Q], rank of the first positive.
        last: int64 [Q], rank of the last positive.
        hits: int64 [Q, len(ks)], positives within the first k.
        ap: float64 [Q], mean over the positives of the precision at their rank.
        ap_trapezoid: float64 [Q], the same with the mean of the precisions at and before their rank.
        r_precision: float64 [Q], share of positives within the first P.
        ap_at_r: float64 [Q], sum of the precisions at the positives within the first P, over P.
        top_rows: int64 [Q, K], the nearest valid reference rows, -1 where there are fewer than K.
        top_similarity: float32 [Q, K], their similarities (cosine, or minus the distance), 0 where there is none.
        top_other: float32 [Q], similarity of the nearest valid reference of another label, -inf where there is none.
    """

    positives: np.ndarray
    first: np.ndarray
    last: np.ndarray
    hits: np.ndarray
    ap: np.ndarray
    ap_trapezoid: np.ndarray
    r_precision: np.ndarray
    ap_at_r: np.ndarray
    top_rows: np.ndarray
    top_similarity: np.ndarray
    top_other: np.ndarray


def empty_ranks(queries: int, ks: tuple[int, ...], top: int) -> Ranks:
    """Ranks to be filled in: no positives, no neighbours."""
    count, first, last = (np.zeros(queries, np.int64) for _ in range(3))
    ap, trapezoid, r_precision, at_r = (np.zeros(queries) for _ in range(4))
    rows, similarity = np.full((queries, top), -1, np.int64), np.zeros((queries, top), np.float32)
    hits, other = np.zeros((queries, len(ks)), np.int64), np.full(queries, -np.inf, np.float32)
    return Ranks(count, first, last, hits, ap, trapezoid, r_precision, at_r, rows, similarity, other)


def take_ranks(starts: np.ndarray, ranks: np.ndarray, ks: np.ndarray, mine: slice | np.ndarray, result: Ranks) -> None:
    """Writes what follows from the ranks of the positives of some queries into `result`."""
    from lookalike.metrics.kernels import summaries

    counts = np.diff(starts)
    sums, hits = np.zeros((len(counts), 6)), np.zeros((len(counts), len(ks)), np.int64)
    summaries.summarise(starts, ranks, ks, sums, hits)
    result.hits[mine] = hits
    result.positives[mine] = counts
    for place, into in enumerate((result.ap, result.ap_trapezoid, result.ap_at_r, result.r_precision)):
        into[mine] = sums[:, place] / np.maximum(counts, 1)
    result.first[mine], result.last[mine] = sums[:, 4], sums[:, 5]
