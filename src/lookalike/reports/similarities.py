"""How similar queries are to references of their own label and of others.

Letters in shapes: Q queries, R references, D embedding.
"""

from dataclasses import dataclass

import numpy as np

from lookalike.data.protocol import Protocol

BINS = 120  # of similarities from -1 to 1
_CHUNK = 256  # queries whose similarities to all references are held at once


@dataclass(frozen=True)
class Similarities:
    """How similar queries are to references of their own label and of others.

    Attributes:
        genuine: int64 [BINS], counts of all pairs of one label.
        impostor: int64 [BINS], counts of all pairs of two labels.
        nearest_genuine: float32 [Q], the best of a query's own label; NaN where there is none.
    """

    genuine: np.ndarray
    impostor: np.ndarray
    nearest_genuine: np.ndarray


def compare_similarities(
    queries: np.ndarray, references: np.ndarray, protocol: Protocol, camera_rule: bool
) -> Similarities:
    """Similarities of all valid pairs of unit embeddings, in chunks of queries.

    Args:
        queries: float32 [Q, D].
        references: float32 [R, D].
        protocol: Says which references count for each query.
        camera_rule: Leave out references of the query's own label and camera, where cameras are known.
    """
    problem = protocol.problem(camera_rule)
    counts = np.zeros((2, BINS), np.int64)
    nearest = np.full(len(queries), np.nan, np.float32)
    for first in range(0, len(queries), _CHUNK):
        rows = slice(first, first + _CHUNK)
        similarity = np.clip(queries[rows] @ references.T, -1, 1)
        valid, same_label = problem.valid(rows), problem.same_label(rows)
        places = np.minimum(((similarity + 1) * (BINS / 2)).astype(np.int64), BINS - 1)
        for kind, chosen in enumerate((valid & same_label, valid & ~same_label)):
            counts[kind] += np.bincount(places[chosen], minlength=BINS)
        best = np.where(valid & same_label, similarity, -2).max(1, initial=-2)
        nearest[rows] = np.where(best >= -1, best, np.nan)
    return Similarities(counts[0], counts[1], nearest)
