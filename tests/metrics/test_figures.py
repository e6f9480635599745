import numpy as np
import pytest

from lookalike.metrics.figures import summary, table_of, weighted
from lookalike.metrics.options import EvaluationOptions
from lookalike.metrics.ranking import rank
from metrics.random_problems import EYE, case, numbered

OPTIONS = EvaluationOptions(ks=(1, 2), vote_ks=(1, 3))


def table(first: list[int], second: list[int], **rules: np.ndarray):
    """Queries at 0 degrees, references at 10, 20, 30 ... degrees, with these labels."""
    angles = np.radians(10.0 * np.arange(1, len(second) + 1))
    reference = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    query = np.repeat(EYE[:1], len(first), 0)
    problem = numbered(np.array(first), np.array(second), **rules)
    return table_of(rank(query, reference, problem, ks=(1, 2), top=3), problem, OPTIONS)


def test_a_table_by_hand() -> None:
    """Label 7 at ranks 2 and 3, label 8 at rank 1, label 9 nowhere."""
    rows = table([7, 8, 9], [8, 7, 7])
    assert rows["label"].tolist() == ["7", "8", "9"]
    assert rows["predicted"].tolist() == ["8", "8", "8"]
    assert rows["known"].tolist() == [True, True, False]
    assert rows[["positives", "first_positive", "last_positive"]].to_numpy().tolist() == [[2, 2, 3], [1, 1, 1], [0] * 3]
    assert rows["accuracy@1"].tolist() == [0, 1, 0]
    assert rows["accuracy@3"].tolist() == [1, 0, 0]
    assert rows[["cmc@1", "cmc@2"]].to_numpy().tolist() == [[0, 1], [1, 1], [0, 0]]
    assert rows[["precision@2", "recall@2"]].to_numpy().tolist() == [[0.5, 0.5], [0.5, 1], [0, 0]]
    assert rows["map"].tolist() == pytest.approx([(1 / 2 + 2 / 3) / 2, 1, 0])
    assert rows["minp"].tolist() == pytest.approx([2 / 3, 1, 0])
    assert rows["similarity"].tolist() == pytest.approx([np.cos(np.radians(10))] * 3)
    assert rows["similarity_other"].tolist() == pytest.approx(np.cos(np.radians([10, 20, 10])))


def test_without_any_reference_that_counts_nothing_is_predicted() -> None:
    rows = table([7], [7, 8], ignore=np.ones(2, bool))
    assert rows["predicted"].tolist() == [""]
    assert rows[["similarity", "similarity_other"]].to_numpy().tolist() == [[-np.inf, -np.inf]]
    assert rows[["accuracy@1", "accuracy@3", "map"]].to_numpy().tolist() == [[0, 0, 0]]


def test_queries_without_a_positive_count_in_accuracy_alone() -> None:
    rows = table([7, 8, 9], [8, 7, 7])
    values, weight = weighted(rows, ["accuracy@1", "map"])
    assert values.shape == weight.shape == (3, 2)
    assert weight.tolist() == [[1, 1], [1, 1], [1, 0]]
    metrics, intervals = summary(rows)
    assert metrics["accuracy@1"] == pytest.approx(1 / 3)
    assert metrics["map"] == pytest.approx((7 / 12 + 1) / 2)
    assert {"auroc", "dir@far0.01", "dir@far0.1"} == set(metrics) - set(intervals)


def test_where_nothing_matches_only_accuracy_is_left() -> None:
    metrics, intervals = summary(table([7, 8], [1, 2]))
    assert set(metrics) == set(intervals) == {"accuracy@1", "accuracy@3"}
    assert summary(table([7, 7], [1, 7]))[1] == {}


@pytest.mark.parametrize("first", range(0, 110, 11))
def test_means_are_those_of_the_columns(first: int) -> None:
    for seed in range(first, first + 11):
        given = case(seed)
        ranks = rank(given.query, given.reference, given.problem, ks=(1, 2), top=3)
        rows = table_of(ranks, given.problem, OPTIONS)
        matched = rows["positives"] > 0
        metrics, intervals = summary(rows)
        for name, value in metrics.items():
            if name in rows:
                chosen = rows[name] if name.startswith("accuracy") else rows[name][matched]
                assert value == pytest.approx(chosen.mean(), abs=1e-12)
        for name, (low, high) in intervals.items():
            assert low - 1e-12 <= high, name
