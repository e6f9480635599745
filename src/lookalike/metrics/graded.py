"""Retrieval where each query says itself which references are right and which are left out: Oxford and Paris revisited.

Definitions of the authors (Radenović et al., CVPR 2018; `python/evaluate.py` of github.com/filipradenovic/revisitop),
of a query with P right references at ranks r_1 < ... < r_P among those that are not left out: `map` is the mean over i
of (i / r_i + (i - 1) / (r_i - 1)) / 2, with 1 for the second part where r_i is 1; `mp@k` is the share of right ones
within the first min(k, r_P). Queries without a right reference are left out.

Letters in shapes: Q queries, R references, D embedding.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lookalike.metrics.columns import EvaluationError
from lookalike.metrics.exact_grid import Similarity
from lookalike.metrics.inputs import checked_pair
from lookalike.metrics.intervals import resampled
from lookalike.metrics.problem import Problem
from lookalike.metrics.ranking import rank

Sides = tuple[np.ndarray, np.ndarray]  # int64, rows of the references that are right, and of those that are left out


def graded(
    query: np.ndarray,
    reference: np.ndarray,
    sides: Mapping[str, Sequence[Sides]],
    *,
    ks: tuple[int, ...] = (1, 5, 10),
    similarity: Similarity = "cosine",
) -> pd.DataFrame:
    """A row per query, with `map_<name>` and `mp@k_<name>` for every name; NaN where it has no right reference.

    Args:
        query: float32 [Q, D].
        reference: float32 [R, D].
        sides: Name (such as `hard`) -> for each query which references are right, and which are left out.
        ks: Depths of `mp`.
        similarity: See `evaluate`.

    Raises:
        EvaluationError: Sizes differ, or an embedding is zero or not finite.
    """
    query, reference = checked_pair(query, reference, similarity)
    columns: dict[str, list[float]] = {}
    for name, of_queries in sides.items():
        if len(of_queries) != len(query):
            raise EvaluationError(f"{name}: expected right references of {len(query)} queries, got {len(of_queries)}")
        rows = [
            _measured(query[place : place + 1], reference, side, ks, similarity)
            for place, side in enumerate(of_queries)
        ]
        names = [f"map_{name}", *(f"mp@{k}_{name}" for k in ks)]
        columns |= {column: [row[place] for row in rows] for place, column in enumerate(names)}
    return pd.DataFrame(columns)


def _measured(
    query: np.ndarray, reference: np.ndarray, side: Sides, ks: tuple[int, ...], similarity: Similarity
) -> list[float]:
    """The figures of one query [1, D]."""
    right, left_out = side
    labels, ignore = np.ones(len(reference), np.int64), np.zeros(len(reference), bool)
    labels[right], ignore[left_out] = 0, True
    one_label = np.zeros(1, np.int64)
    problem = Problem(one_label, labels, np.array(["right", "wrong"], object), ignore, np.full(1, -1))
    ranks = rank(query, reference, problem, ks=ks, top=1, similarity=similarity)
    count, last = int(ranks.positives[0]), int(ranks.last[0])
    if not count:
        return [float("nan")] * (1 + len(ks))
    within = [count / last if last <= k else int(ranks.hits[0, place]) / k for place, k in enumerate(ks)]
    return [float(ranks.ap_trapezoid[0]), *within]


def means(per_query: pd.DataFrame, labels: Sequence[str]) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Means over the queries that have a value, and 95 % intervals by drawing labels with replacement.

    Args:
        per_query: What `graded` made, with a value in every column.
        labels: Of the Q queries; with one alone there is no interval.
    """
    values, weight = per_query.fillna(0).to_numpy(np.float64), per_query.notna().to_numpy(np.float64)
    names = [str(name) for name in per_query]
    metrics = dict(zip(names, (values.sum(axis=0) / weight.sum(axis=0)).tolist(), strict=True))
    codes = pd.factorize(np.asarray(labels, object))[0]
    if codes.max() < 1:
        return metrics, {}
    low, high = np.nanpercentile(resampled(codes, values, weight), [2.5, 97.5], axis=0)
    return metrics, dict(zip(names, zip(low.tolist(), high.tolist(), strict=True), strict=True))
