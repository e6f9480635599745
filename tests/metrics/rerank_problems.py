"""Problems for re-ranking made from a seed."""

import numpy as np

from lookalike.metrics.k_reciprocal import Reranked
from lookalike.metrics.problem import Problem
from metrics.random_problems import exact_ties


def embeddings(rng: np.random.Generator, count: int, size: int = 6) -> np.ndarray:
    return (rng.standard_normal((count, size)) * rng.choice([0.1, 1.0, 30.0], (count, 1))).astype(np.float32)


def clusters(seed: int, queries: int = 60, references: int = 400, noise: float = 1.0) -> tuple[np.ndarray, ...]:
    """Labels that are stretched along a curve each, so that the ends of one are far from each other."""
    rng = np.random.default_rng(seed)
    first, second, third = (rng.standard_normal((12, 16)) for _ in range(3))

    def side(count: int) -> tuple[np.ndarray, np.ndarray]:
        ids, along = rng.integers(0, 12, count), rng.uniform(0, 1.2, (count, 1))
        rows = first[ids] * np.cos(along) + second[ids] * np.sin(along) + third[ids] * np.sin(2 * along) * 0.3
        return (rows + noise * 0.45 * rng.standard_normal(rows.shape)).astype(np.float32), ids

    (query, query_ids), (reference, reference_ids) = side(queries), side(references)
    return query, reference, query_ids, reference_ids


def problem(seed: int) -> tuple[tuple[np.ndarray, np.ndarray], dict, Problem]:
    """Arrays, settings and marks of a random problem; every third has exact ties, some have few references."""
    rng = np.random.default_rng(seed)
    queries, references = int(rng.integers(1, 9)), int(rng.integers(1, 60))
    make = exact_ties if seed % 3 == 0 else embeddings
    query, reference = make(rng, queries), make(rng, references)
    k1 = int(rng.integers(1, 14))
    options = {"k1": k1, "k2": int(rng.integers(1, k1 + 1)), "weight": float(rng.choice([0.0, 0.3, 1.0]))}
    ignore, own_row = np.zeros(references, bool), np.full(queries, -1)
    if rng.random() < 0.5:
        ignore = rng.random(references) < 0.3
    if rng.random() < 0.5:
        own_row = rng.integers(-1, references, queries)
        for q in np.flatnonzero(own_row >= 0)[::2]:
            query[q] = reference[own_row[q]]
    return (query, reference), options, Problem.unlabelled(ignore, own_row)


def plain_problem(query: np.ndarray, reference: np.ndarray) -> Problem:
    """Nothing is ignored, no query is a reference."""
    return Problem.unlabelled(np.zeros(len(reference), bool), np.full(len(query), -1))


def grid_cosines(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Cosines in whole numbers over 2^50, so nothing is rounded beyond the grid that `ranking` puts embeddings on."""

    def whole(part: np.ndarray) -> np.ndarray:
        lengths = np.sqrt((part.astype(np.float64) ** 2).sum(1, keepdims=True))
        return np.rint(part / lengths * 2.0**25).astype(np.float32).astype(np.int64)

    return (whole(rows) @ whole(others).T) / 2.0**50


def dense(reranked: Reranked, q: int, count: int) -> np.ndarray:
    entries = slice(reranked.starts[q], reranked.starts[q + 1])
    assert (np.diff(reranked.rows[entries]) > 0).all()
    assert (reranked.jaccard[entries] < 1).all()
    distances = np.ones(count)
    distances[reranked.rows[entries]] = reranked.jaccard[entries]
    return distances
