"""References that go by in parts give the figures that references in memory give, to the last bit."""

from collections.abc import Callable, Iterator
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from lookalike.metrics.columns import EvaluationError
from lookalike.metrics.evaluate import evaluate_problem
from lookalike.metrics.options import EvaluationOptions
from lookalike.metrics.problem import Problem
from lookalike.metrics.result import RetrievalResult
from lookalike.metrics.sightings import TimeRules
from lookalike.metrics.streamed import evaluate_streamed
from metrics.random_problems import case, numbered, unit, with_duplicates


def parts_of(reference: np.ndarray, ends: list[int]) -> Callable[[], Iterator[np.ndarray]]:
    return lambda: iter(np.split(reference, ends))


def assert_same(streamed: RetrievalResult, whole: RetrievalResult) -> None:
    """Bit for bit, every field."""
    assert {field.name for field in fields(whole)} == {
        *("metrics", "intervals", "counts", "conditions", "per_query", "neighbours", "neighbour_similarity")
    }
    assert (streamed.metrics, streamed.intervals) == (whole.metrics, whole.intervals)
    assert (streamed.counts, streamed.conditions) == (whole.counts, whole.conditions)
    pd.testing.assert_frame_equal(streamed.per_query, whole.per_query, check_exact=True)
    assert np.array_equal(streamed.neighbours, whole.neighbours)
    assert np.array_equal(streamed.neighbour_similarity, whole.neighbour_similarity)


@pytest.mark.parametrize("seed", range(22))
def test_every_awkward_problem_is_the_same_in_parts(seed: int) -> None:
    given = case(seed)
    parts = parts_of(
        given.reference, sorted(np.random.default_rng(seed).integers(0, len(given.reference) + 1, 4).tolist())
    )
    options = EvaluationOptions(ks=(1, 3), vote_ks=(1, 4))
    whole = evaluate_problem(given.query, given.reference, given.problem, options)
    assert_same(evaluate_streamed(given.query, parts, given.problem, options), whole)
    assert_same(evaluate_streamed(given.query, parts, given.problem, options, positives_at_once=1), whole)


@pytest.mark.parametrize("labels", [2, 40, 400])
@pytest.mark.parametrize("threads", [1, 2])
def test_many_positives_and_ties_across_parts_and_tiles(labels: int, threads: int) -> None:
    """Two tiles of queries; rows that are alike lie in different parts; with two labels 600 positives a query."""
    rng = np.random.default_rng(labels)
    query, reference = unit(rng, 500, 24), with_duplicates(rng, 1300, 24)
    query[:100] = reference[:100]
    problem = numbered(
        rng.integers(0, labels, 500),
        rng.integers(0, labels, 1300),
        own_row=np.where(np.arange(500) < 100, np.arange(500), -1),
        ignore=rng.random(1300) < 0.1,
        query_cameras=rng.integers(0, 3, 500),
        reference_cameras=rng.integers(0, 3, 1300),
    )
    options = EvaluationOptions(threads=threads)
    whole = evaluate_problem(query, reference, problem, options)
    for ends in ([], [1, 2, 700], [512, 1024], list(range(97, 1300, 97))):
        assert_same(evaluate_streamed(query, parts_of(reference, ends), problem, options), whole)
    turns = evaluate_streamed(query, parts_of(reference, [650]), problem, options, positives_at_once=20_000)
    assert_same(turns, whole)


def test_what_is_not_streamed_is_refused() -> None:
    rows = np.eye(3, dtype=np.float32)
    problem = Problem.of(["a", "b", "c"], ["a", "b", "b"])
    for setting, value in (("similarity", "euclidean"), ("rerank", "expand"), ("device", "cuda")):
        with pytest.raises(
            EvaluationError, match=rf"^{setting}={value}: of references that are streamed only {setting}="
        ):
            evaluate_streamed(rows, lambda: [rows], problem, EvaluationOptions(**{setting: value}))
    with pytest.raises(EvaluationError, match=r"^references: expected 3 rows, got 2: give one label for each"):
        evaluate_streamed(rows, lambda: [rows[:2]], problem)
    with pytest.raises(
        EvaluationError, match=r"expected 3 rows of 3 numbers, got 3 numbers in a part with 2 rows from"
    ):
        evaluate_streamed(rows, lambda: [rows[:2], rows[:2]], problem)
    with pytest.raises(EvaluationError, match=r"got 2 numbers in a part with 3 rows from row 0: embed both sides"):
        evaluate_streamed(rows, lambda: [rows[:, :2] + 1], problem)
    with pytest.raises(EvaluationError, match=r"^reference \(part from row 1\) embeddings: 1 row\(s\) are zero"):
        evaluate_streamed(rows, lambda: [rows[:1], rows[1:] * np.array([[1], [0]], np.float32)], problem)
    with pytest.raises(EvaluationError, match=r"^one label per query expected, got 2 embeddings and 3"):
        evaluate_streamed(rows[:2], lambda: [rows], problem)


def test_rules_of_times_are_refused() -> None:
    rows, times = np.eye(2, dtype=np.float32), np.array([0.0, 5.0])
    rules = {"time_rules": TimeRules(None, 2.0), "query_times": times, "reference_times": times}
    problem = Problem.of(["a", "b"], ["a", "b"], query_cameras=[1, 2], reference_cameras=[1, 2], **rules)
    with pytest.raises(EvaluationError, match=r"^times of images: rules of times are not measured of references that"):
        evaluate_streamed(rows, lambda: [rows], problem)
