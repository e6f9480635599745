"""Ranks by a re-ranked distance: sorted a query at a time, as it has no product to be counted in.

Letters in shapes: Q queries, R references, D embedding, K neighbours kept.
"""

import os
from dataclasses import dataclass

import numpy as np

from lookalike.metrics.exact_grid import on_grid
from lookalike.metrics.k_reciprocal import Reranked
from lookalike.metrics.problem import Problem
from lookalike.metrics.ranks import Ranks, empty_ranks, take_ranks
from lookalike.metrics.rerank_options import RerankError, check_arrays, in_parts
from lookalike.parallel import one_blas_thread

_QUERIES, _REFERENCES = 16, 4096  # rows of exact float64 scores, and references that are turned into float64, at a time


@dataclass(frozen=True)
class _Task:
    """What is ranked; embeddings on the grid."""

    queries: np.ndarray
    references: np.ndarray
    problem: Problem
    reranked: Reranked


def rank_reranked(
    query: np.ndarray,
    reference: np.ndarray,
    problem: Problem,
    reranked: Reranked,
    *,
    ks: tuple[int, ...] = (),
    top: int = 10,
    threads: int | None = None,
) -> Ranks:
    """Ranks as `ranking.rank` does, by weight * (1 - cosine) + (1 - weight) * Jaccard distance, smallest first.

    The cosines are exact and the rest is float64, one value at a time, so nothing depends on the company; ties are
    ordered by row. Memory stays at 16 rows of R values per thread.

    Args:
        query: float32 [Q, D], as `k_reciprocal` was given; so are reference and problem.
        reference: float32 [R, D].
        problem: Of these Q queries and R references.
        reranked: What `k_reciprocal` returned for these.
        ks: Depths of `Ranks.hits`.
        top: K, how many nearest rows to keep, at least 1.
        threads: None = one per core; the result does not depend on it.

    Returns:
        Ranks, whose similarities are minus the final distance.

    Raises:
        RerankError: Arrays do not belong together.
    """
    check_arrays(query, reference, problem)
    if len(reranked.starts) != len(query) + 1:
        raise RerankError(f"expected the re-ranking of {len(query)} queries, got that of {len(reranked.starts) - 1}")
    threads = threads or os.cpu_count() or 1
    queries, references = (on_grid(part, "cosine", 0.0, threads).values for part in (query, reference))
    task = _Task(queries, references, problem, reranked)
    result, depths = empty_ranks(len(query), ks, min(max(top, 1), len(reference))), np.array(ks, np.int64)
    with one_blas_thread():
        in_parts(len(query), _QUERIES, threads, lambda mine: _rank_block(task, mine, depths, result))
    return result


def _rank_block(task: _Task, mine: slice, ks: np.ndarray, result: Ranks) -> None:
    """Ranks for some queries, written into `result`; a product of values on the grid is exact in float64."""
    reranked, wide, count = task.reranked, task.queries[mine].astype(np.float64), len(task.references)
    scores = np.empty((len(wide), count))
    for first in range(0, count, _REFERENCES):
        part = slice(first, first + _REFERENCES)
        scores[:, part] = wide @ task.references[part].astype(np.float64).T
    places = []
    for line, q in enumerate(range(mine.start, mine.stop)):
        entries = slice(reranked.starts[q], reranked.starts[q + 1])
        jaccard = np.ones(count)
        jaccard[reranked.rows[entries]] = reranked.jaccard[entries]
        distance = reranked.weight * (1 - scores[line]) + (1 - reranked.weight) * jaccard
        rows = np.flatnonzero(task.problem.valid(q))
        order = rows[np.argsort(distance[rows], kind="stable")]
        right = task.problem.same_label(q, order)
        places.append(np.flatnonzero(right) + 1)
        nearest = order[: result.top_rows.shape[1]]
        result.top_rows[q, : len(nearest)] = nearest
        result.top_similarity[q, : len(nearest)] = -distance[nearest]
        if not right.all():
            result.top_other[q] = -distance[order[np.argmin(right)]]
    starts = np.concatenate([[0], np.cumsum([len(part) for part in places])]).astype(np.int64)
    take_ranks(starts, np.concatenate(places).astype(np.int64), ks, mine, result)
