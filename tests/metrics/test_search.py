"""The nearest references of any number of queries are those that the evaluator ranks first."""

import numpy as np
import pytest

from lookalike.metrics.problem import Problem
from lookalike.metrics.ranking import rank
from lookalike.metrics.search import nearest, off_unit_length


def near_ties(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Few directions, each many times, off by what float32 can hardly tell, and of lengths that differ."""
    centres = rng.standard_normal((max(2, count // 40), size))
    rows = centres[rng.integers(0, len(centres), count)] + 1e-7 * rng.standard_normal((count, size))
    return (rows * rng.uniform(0.99, 1.01, (count, 1)) / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def exact_copies(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    rows = rng.standard_normal((5, size)).astype(np.float32)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True))[rng.integers(0, 5, count)]


def any_direction(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    rows = rng.standard_normal((count, size)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("made", [near_ties, exact_copies, any_direction])
@pytest.mark.parametrize(("count", "size"), [(7, 3), (130, 16), (5000, 128), (3001, 512)])
@pytest.mark.parametrize("filtered", [False, True])
def test_rows_and_similarities_are_those_of_the_evaluator(made, count: int, size: int, filtered: bool) -> None:
    rng = np.random.default_rng(count)
    reference = made(rng, count, size)
    ignore = rng.random(count) < 0.7 if filtered else np.zeros(count, bool)
    ignore[-2:] = False
    query = np.concatenate([reference[rng.integers(0, count, 30)], any_direction(rng, 30, size)])
    most = min(17, int((~ignore).sum()))
    ranks = rank(query, reference, Problem.unlabelled(ignore, np.full(len(query), -1)), top=most)
    marks = ignore if filtered else None
    for k in {1, 2, most}:
        many = nearest(query, reference, k, marks)
        few = [nearest(part[None], reference, k, marks) for part in query]
        for rows, similarity in (many, tuple(np.concatenate(part) for part in zip(*few, strict=True))):
            np.testing.assert_array_equal(rows, ranks.top_rows[:, :k])
            np.testing.assert_array_equal(similarity, ranks.top_similarity[:, :k].astype(np.float32))


def test_what_is_left_may_be_less_than_a_block() -> None:
    rng = np.random.default_rng(0)
    reference = any_direction(rng, 2000, 32)
    ignore = np.ones(2000, bool)
    ignore[[5, 77, 1999]] = False
    rows, similarity = nearest(reference[:3], reference, 3, ignore)
    assert np.sort(rows).tolist() == [[5, 77, 1999]] * 3
    assert (np.diff(similarity) <= 0).all()


@pytest.mark.parametrize("queries", [1, 60])
def test_a_query_without_a_direction_is_as_far_from_all(queries: int) -> None:
    reference = any_direction(np.random.default_rng(0), 100, 8)
    query = np.zeros((queries, 8), np.float32)
    query[queries // 2 :] = reference[3]
    ignore = np.zeros(100, bool)
    ignore[0] = True
    rows, similarity = nearest(np.concatenate([np.zeros((1, 8), np.float32), query]), reference, 2, ignore)
    assert (rows[0].tolist(), similarity[0].tolist()) == ([1, 2], [0.0, 0.0])
    assert (rows[-1][0], similarity[-1][0]) == (3, pytest.approx(1))


def test_lengths_are_measured() -> None:
    assert off_unit_length(np.array([[1, 0], [0, 1.25], [0.9, 0]], np.float32)) == 0.25
    assert off_unit_length(np.zeros((0, 3), np.float32)) == 0
