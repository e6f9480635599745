"""How similar queries are to references of their own label and of others.

Letters in shapes: Q queries, R references, D embedding.
"""

from dataclasses import dataclass

import numpy as np

from lookalike.data.protocol import Protocol
from lookalike.metrics.problem import camera_ids, label_ids

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
    """Similarities of all valid pairs of unit embeddings [Q, D] and [R, D], in chunks of queries.

    A pair is valid as in `evaluate`: the reference is not ignored, not the query itself, and under the camera rule not
    of the query's label and camera.
    """
    asked, known = protocol.queries, protocol.references
    ids, _ = label_ids(asked["label"].tolist(), known["label"].tolist())
    own, other = ids[: len(asked)], ids[len(asked) :]
    cameras = [part["camera"].astype(object).tolist() for part in (asked, known)]
    rule = camera_rule and all(part["camera"].notna().any() for part in (asked, known))
    seen, seen_by = camera_ids(*cameras) if rule else (None, None)
    ignore = known["ignore"].to_numpy(bool)
    counts = np.zeros((2, BINS), np.int64)
    nearest = np.full(len(asked), np.nan, np.float32)
    for first in range(0, len(asked), _CHUNK):
        rows = slice(first, first + _CHUNK)
        similarity = np.clip(queries[rows] @ references.T, -1, 1)
        valid = np.broadcast_to(~ignore, similarity.shape).copy()
        places = np.flatnonzero(protocol.own_row[rows] >= 0)
        valid[places, protocol.own_row[rows][places]] = False
        same = own[rows, None] == other
        if seen is not None and seen_by is not None:
            valid &= ~(same & (seen[rows, None] == seen_by) & (seen[rows, None] >= 0))
        places = np.minimum(((similarity + 1) * (BINS / 2)).astype(np.int64), BINS - 1)
        for kind, chosen in enumerate((valid & same, valid & ~same)):
            counts[kind] += np.bincount(places[chosen], minlength=BINS)
        best = np.where(valid & same, similarity, -2).max(1, initial=-2)
        nearest[rows] = np.where(best >= -1, best, np.nan)
    return Similarities(counts[0], counts[1], nearest)
