import numpy as np
import pytest

from lookalike.metrics.problem import Problem
from lookalike.metrics.query_expansion import expand_queries
from metrics.random_problems import numbered
from metrics.rerank_problems import clusters, grid_cosines, plain_problem, problem


@pytest.mark.parametrize("k", [1, 4, 50])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(6))
def test_expansion_is_that_of_a_plain_loop(seed: int, alpha: float, k: int) -> None:
    (query, reference), _, given = problem(seed)
    moved = expand_queries(query, reference, given, k=k, alpha=alpha)
    assert moved.dtype == np.float32
    cosines = grid_cosines(query, reference)
    for q, row in enumerate(query.astype(np.float64)):
        usable = [r for r in range(len(reference)) if not given.ignore[r] and given.own_row[q] != r]
        total = row / np.linalg.norm(row)
        for r in sorted(usable, key=lambda r, line=cosines[q]: (-line[r], r))[:k]:
            other = reference[r].astype(np.float64)
            if cosines[q, r] > 0:
                total = total + cosines[q, r] ** alpha * other / np.linalg.norm(other)
        np.testing.assert_allclose(moved[q], total / np.linalg.norm(total), atol=2e-7)


def test_ignored_references_might_as_well_not_be_there() -> None:
    query, reference, ids, other = clusters(5)
    ignore = np.random.default_rng(0).random(len(reference)) < 0.4
    kept = np.flatnonzero(~ignore)
    with_them = expand_queries(query, reference, numbered(ids, other, ignore=ignore))
    assert np.array_equal(with_them, expand_queries(query, reference[kept], numbered(ids, other[kept])))


def test_a_query_never_finds_its_own_row() -> None:
    reference = clusters(6)[1]
    given = Problem.unlabelled(np.zeros(len(reference), bool), np.zeros(1, np.int64))
    changed = reference.copy()
    changed[0] = -reference[0]  # query 0 keeps its embedding, its own row gets another one
    moved, again = (expand_queries(reference[:1], rows, given) for rows in (reference, changed))
    assert np.array_equal(moved, again)


def test_nothing_to_use_changes_nothing() -> None:
    query, reference, ids, other = clusters(7, queries=5, references=9)
    unit = query / np.linalg.norm(query, axis=1, keepdims=True)
    moved = expand_queries(query, reference, numbered(ids, other, ignore=np.ones(9, bool)))
    np.testing.assert_allclose(moved, unit, atol=1e-7)
    assert expand_queries(query[:0], reference, plain_problem(query[:0], reference)).shape == (0, 16)
