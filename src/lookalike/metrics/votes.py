"""The label that the nearest neighbours of a query vote for.

Letters in shapes: Q queries, K neighbours.
"""

import numpy as np


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


def vote_all(ids: np.ndarray, similarity: np.ndarray, k: int) -> np.ndarray:
    """`vote` for many queries.

    Args:
        ids: int64 [Q, K], label ids of the neighbours, nearest first, -1 behind the last.
        similarity: float32 [Q, K].
        k: How many of them vote.

    Returns:
        int64 [Q], the place of the winner, -1 where there is no neighbour.
    """
    from lookalike.metrics.kernels import summaries

    winners: np.ndarray = summaries.vote_all(ids, similarity, k)
    return winners
