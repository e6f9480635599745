"""What follows from the ranks of positives and from the labels of neighbours, compiled by numba.

Letters in shapes: Q queries, K neighbours kept, P positives.
"""

import numpy as np

from lookalike.jit import jit

_compiled = jit(fastmath={"reassoc", "contract", "nsz", "nnan"})


@_compiled
def summarise(starts: np.ndarray, ranks: np.ndarray, depths: np.ndarray, out: np.ndarray, hits: np.ndarray) -> None:
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
def vote_all(labels: np.ndarray, similarity: np.ndarray, k: int) -> np.ndarray:
    """The place of the winner among the first k of each row [Q, K], as `votes.vote`; -1 where a row is empty.

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
