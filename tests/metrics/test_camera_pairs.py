import numpy as np
import pandas as pd
import pytest

from lookalike.metrics.camera_pairs import pairs_of_problem, per_camera_pair
from lookalike.metrics.columns import EvaluationError
from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.problem import Problem
from metrics.random_problems import EYE, TWO, many


def test_camera_pairs_are_evaluations_of_their_own() -> None:
    query, reference, asked, labels = many(queries=90)
    seen, cameras, ignore = np.arange(90) % 3, np.arange(300) % 4, np.arange(300) % 11 == 0
    table = per_camera_pair(query, reference, asked, labels, seen, cameras, ignore)
    assert len(table) == 3 * 4 - 3
    for row in table.itertuples(index=False):
        asking, answering = seen == row[0], (cameras == row[1]) & ~ignore
        alone = evaluate(
            query[asking],
            reference[answering],
            [a for a, x in zip(asked, asking, strict=True) if x],
            [k for k, x in zip(labels, answering, strict=True) if x],
        )
        assert row[2] == alone.counts["queries_with_positive"]
        assert row[3:] == pytest.approx((alone.metrics["cmc@1"], alone.metrics["map"]), abs=1e-12)


def test_pairs_leave_unknown_cameras_out() -> None:
    table = per_camera_pair(EYE, EYE, TWO, TWO, [1, None], [2, None])
    assert table.values.tolist() == [[1, 2, 1, 1.0, 1.0]]


def test_a_numbered_problem_gives_the_same_table() -> None:
    query, reference, asked, labels = many(queries=40)
    names = np.arange(40) % 3, np.arange(300) % 3
    ignore = np.arange(300) % 7 == 0
    table = per_camera_pair(query, reference, asked, labels, *names, ignore, "euclidean")
    problem = Problem.of(asked, labels, query_cameras=names[0], reference_cameras=names[1], ignore=ignore)
    pd.testing.assert_frame_equal(pairs_of_problem(query, reference, problem, names, "euclidean"), table)


def test_pairs_need_cameras_and_embeddings_of_one_size() -> None:
    with pytest.raises(EvaluationError, match="expected a problem with cameras, got one without"):
        pairs_of_problem(EYE, EYE, Problem.of(TWO, TWO), ([], []))
    with pytest.raises(EvaluationError, match="one camera per query expected, got 2 embeddings and 1 of these"):
        per_camera_pair(EYE, EYE, TWO, TWO, [1], [1, 2])
    with pytest.raises(EvaluationError, match="embeddings of one size expected, got 2 and 3"):
        per_camera_pair(EYE, np.eye(3), TWO, ["a", "b", "b"], [1, 2], [1, 2, 3])


def test_a_pair_without_a_positive_has_no_figure() -> None:
    table = per_camera_pair(EYE, EYE, TWO, ["x", "y"], [1, 1], [2, 2])
    assert table[["query_camera", "reference_camera", "queries"]].to_numpy().tolist() == [[1, 2, 0]]
    assert table[["cmc@1", "map"]].isna().to_numpy().all()
