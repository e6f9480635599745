"""Query expansion: every query moves towards its nearest references; pure arrays in and out.

Labels play no role in it (nor do cameras), ignored references and a query's own row neither, and queries never see each
other: the order a query gets does not depend on which queries are asked along with it.

Letters in shapes: Q queries, R references, D embedding, K neighbours kept.
"""

import os

import numpy as np

from lookalike.metrics.exact_grid import on_grid
from lookalike.metrics.problem import Problem
from lookalike.metrics.rerank_options import PART, check_arrays, checked_options, nearest_references


def expand_queries(
    query: np.ndarray,
    reference: np.ndarray,
    problem: Problem,
    *,
    k: int = 10,
    alpha: float = 3.0,
    threads: int | None = None,
) -> np.ndarray:
    """Alpha query expansion: every query moves towards its nearest references (Radenovic, Tolias and Chum 2018).

    The new query is the unit query plus the sum, over its k nearest references, of cosine ** alpha times the unit
    reference, brought to unit length again. A reference of cosine 0 or less adds nothing, whatever alpha is.

    Args:
        query: float32 [Q, D], finite, of any length but zero.
        reference: float32 [R, D], same.
        problem: Says which references are ignored and which is the query itself: they are not used.
        k: How many references are added, at least 1.
        alpha: Power of the cosine, from 0 (all count alike).
        threads: None = one per core; the result does not depend on it.

    Returns:
        float32 [Q, D], unit length.

    Raises:
        RerankError: A setting is out of its range, or arrays do not belong together.
    """
    checked_options("expand", {"k": k, "alpha": alpha})
    check_arrays(query, reference, problem)
    threads = threads or os.cpu_count() or 1
    near = nearest_references(query, reference, problem, k, threads)
    weights = np.zeros(near.top_rows.shape)
    np.power(near.top_similarity, alpha, out=weights, where=near.top_similarity > 0, dtype=np.float64)
    references = on_grid(reference, "cosine", 0.0, threads).values
    moved = on_grid(query, "cosine", 0.0, threads).values.copy()
    for first in range(0, len(query), PART):
        mine = slice(first, first + PART)
        total = moved[mine].astype(np.float64)
        for rows, shares in zip(near.top_rows[mine].T, weights[mine].T, strict=True):  # in order: sums that repeat
            total += shares[:, None] * references[rows]
        moved[mine] = total
    return on_grid(moved, "cosine", 0.0, threads).values
