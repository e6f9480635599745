"""The label that the nearest neighbours of a query vote for.

Letters in shapes: Q queries, K neighbours.
"""

import numpy as np

SHOWN = 10  # neighbours of a prediction for which no k is given
_CHOICES = (1, 3, 5, 10)
_TEMPERATURE = 0.07  # of weighted votes (Wu et al. 2018)


def weights(similarity: np.ndarray) -> np.ndarray:
    """What each neighbour's vote weighs: exp(similarity / 0.07), 1 for the nearest; float64 [K] or [Q, K]."""
    values: np.ndarray = np.exp((similarity - similarity[..., :1]).astype(np.float64) / _TEMPERATURE)
    return values


def weighted_vote(labels: np.ndarray, similarity: np.ndarray) -> tuple[int, float]:
    """The place of the winner by weighted votes, and its share of all weights; ties: the nearer."""
    _, first, member = np.unique(labels, return_index=True, return_inverse=True)
    sums = np.bincount(member, weights=weights(similarity))
    place, best = min(zip(first, -sums, strict=True), key=lambda pair: (pair[1], pair[0]))
    return int(place), float(-best / sums.sum())


def choose_vote(labels: np.ndarray, similarity: np.ndarray, asked: np.ndarray) -> tuple[int, bool]:
    """How many neighbours vote, and whether by weight: what names most queries rightly.

    Of equally good ones weighted votes before plain ones, then more voters before fewer, as their share says more.

    Args:
        labels: object [Q, K], of the neighbours, nearest first; None behind the last.
        similarity: float [Q, K].
        asked: object [Q], the queries' own labels.
    """
    best = (-1, False, 0)
    for k in (k for k in _CHOICES if k <= labels.shape[1]):
        for weighted in (False, True):
            right = 0
            for names, near, own in zip(labels[:, :k], similarity[:, :k], asked, strict=True):
                there = np.array([name is not None for name in names])
                if there.any():
                    names, near = names[there].astype(str), near[there]
                    place = weighted_vote(names, near)[0] if weighted else vote(names, near)
                    right += bool(names[place] == own)
            best = max(best, (right, weighted, k))
    return best[2], best[1]


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
