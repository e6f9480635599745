"""How well images of one camera are found among those of another.

Letters in shapes: Q queries, R references, D embedding.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lookalike.metrics.exact_grid import Similarity
from lookalike.metrics.problem import camera_ids, checked_embeddings, label_ids, one_each
from lookalike.metrics.ranking import rank


def per_camera_pair(
    query: np.ndarray,
    reference: np.ndarray,
    query_labels: Sequence[Any],
    reference_labels: Sequence[Any],
    query_cameras: Sequence[Any],
    reference_cameras: Sequence[Any],
    ignore: np.ndarray | None = None,
    similarity: Similarity = "cosine",
) -> pd.DataFrame:
    """Evaluates every ordered pair of different cameras alone; images of unknown cameras take no part.

    Args:
        query: float32 [Q, D].
        reference: float32 [R, D].
        query_labels: Q labels.
        reference_labels: R labels.
        query_cameras: Q cameras, missing where unknown.
        reference_cameras: R cameras.
        ignore: bool [R], references left out.
        similarity: As in `evaluate`.

    Returns:
        A row per pair: query_camera, reference_camera, queries (with a positive there), cmc@1, map; a pair in which
        no query has a positive has missing values.

    Raises:
        EvaluationError: As `evaluate`.
    """
    query, reference = (
        checked_embeddings(query, "query", similarity),
        checked_embeddings(reference, "reference", similarity),
    )
    one_each("query", len(query), label=query_labels, camera=query_cameras)
    one_each("reference", len(reference), label=reference_labels, camera=reference_cameras, ignore=ignore)
    ids, _ = label_ids(query_labels, reference_labels)
    asked, known = ids[: len(query)], ids[len(query) :]
    seen, cameras = camera_ids(query_cameras, reference_cameras)
    usable = np.ones(len(known), bool) if ignore is None else ~np.asarray(ignore, bool)
    rows = []
    for one in np.unique(seen[seen >= 0]):
        asking = np.flatnonzero(seen == one)
        for other in np.unique(cameras[usable & (cameras >= 0)]):
            if one == other:
                continue
            answering = np.flatnonzero(usable & (cameras == other))
            ranks = rank(query[asking], reference[answering], asked[asking], known[answering], ks=(1,), top=1,
                         similarity=similarity)  # fmt: skip
            matched = ranks.positives > 0
            names = (query_cameras[int(asking[0])], reference_cameras[int(answering[0])])
            # Within the first rank there is one positive or none, so its mean is cmc@1.
            values = [float(part[matched].mean()) if matched.any() else np.nan for part in (ranks.hits[:, 0], ranks.ap)]
            rows.append((*names, int(matched.sum()), *values))
    table = pd.DataFrame(rows, columns=["query_camera", "reference_camera", "queries", "cmc@1", "map"])
    return table.sort_values(["query_camera", "reference_camera"], kind="stable").reset_index(drop=True)
