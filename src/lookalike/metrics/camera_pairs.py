"""How well images of one camera are found among those of another.

Letters in shapes: Q queries, R references, D embedding.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lookalike.metrics.columns import EvaluationError, column_of
from lookalike.metrics.exact_grid import Similarity
from lookalike.metrics.inputs import checked_pair
from lookalike.metrics.problem import Problem
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
    query, reference = checked_pair(query, reference, similarity)
    problem = Problem.of(
        query_labels,
        reference_labels,
        query_cameras=query_cameras,
        reference_cameras=reference_cameras,
        ignore=ignore,
        rows=(len(query), len(reference)),
    )
    return pairs_of_problem(query, reference, problem, (query_cameras, reference_cameras), similarity)


def pairs_of_problem(
    query: np.ndarray,
    reference: np.ndarray,
    problem: Problem,
    names: tuple[Sequence[Any], Sequence[Any]],
    similarity: Similarity = "cosine",
) -> pd.DataFrame:
    """As `per_camera_pair`, of a problem whose labels and cameras are numbered and checked.

    Args:
        query: float32 [Q, D].
        reference: float32 [R, D].
        problem: Of these, with cameras.
        names: What the Q and the R cameras are called.
        similarity: As in `evaluate`.

    Raises:
        EvaluationError: The problem has no cameras, or embeddings are of another number or size.
    """
    query, reference = checked_pair(query, reference, similarity)
    problem.check_rows(query, reference)
    seen, seen_by = problem.query_cameras, problem.reference_cameras
    if seen is None or seen_by is None:
        raise EvaluationError("expected a problem with cameras, got one without: give cameras, and camera_rule=True")
    asking_names, answering_names = (column_of(side, "names of cameras") for side in names)
    rows = []
    for camera in np.unique(seen[seen >= 0]):
        asking = np.flatnonzero(seen == camera)
        for other in np.unique(seen_by[~problem.ignore & (seen_by >= 0)]):
            if camera == other:
                continue
            answering = np.flatnonzero(~problem.ignore & (seen_by == other))
            part = problem.part(asking, answering)
            ranks = rank(query[asking], reference[answering], part, ks=(1,), top=1, similarity=similarity)
            matched = ranks.positives > 0
            # Within the first rank there is one positive or none, so its mean is cmc@1.
            values = [float(each[matched].mean()) if matched.any() else np.nan for each in (ranks.hits[:, 0], ranks.ap)]
            rows.append((asking_names[asking[0]], answering_names[answering[0]], int(matched.sum()), *values))
    table = pd.DataFrame(rows, columns=["query_camera", "reference_camera", "queries", "cmc@1", "map"])
    return table.sort_values(["query_camera", "reference_camera"], kind="stable").reset_index(drop=True)
