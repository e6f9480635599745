import warnings

import numpy as np
import pandas as pd
import pytest

from lookalike.metrics.columns import EvaluationError
from lookalike.metrics.evaluate import evaluate, evaluate_problem
from lookalike.metrics.options import EvaluationOptions
from lookalike.metrics.problem import Problem
from metrics.random_problems import EYE, TWO, case, many, ranked

BIG = 2**24  # from here on float32 cannot tell neighbouring whole numbers apart


RIGHT_FIRST = {"cmc@1": 1, "cmc@2": 1, "minp": 3 / 4, "mrr": 1, "r_precision": 2 / 3, "map_at_r": (1 + 2 / 3) / 3}
RIGHT_FIRST |= {"precision@2": 1 / 2, "recall@2": 1 / 3, "precision@10": 3 / 10, "recall@10": 1, "cmc@10": 1}
RIGHT_FIRST |= {"precision@1": 1, "recall@1": 1 / 3, "accuracy@1": 1, "accuracy@2": 1, "accuracy@5": 1}

WRONG_FIRST = {"cmc@1": 0, "cmc@2": 1, "minp": 2 / 5, "mrr": 1 / 2, "r_precision": 1 / 2, "map_at_r": (1 / 2) / 2}
WRONG_FIRST |= {"precision@2": 1 / 2, "recall@2": 1 / 2, "precision@10": 2 / 10, "recall@10": 1, "cmc@10": 1}
WRONG_FIRST |= {"precision@1": 0, "recall@1": 0, "accuracy@1": 0, "accuracy@2": 0, "accuracy@5": 0}


@pytest.mark.parametrize(
    ("pattern", "ap", "expected"),
    [
        ("abaab", "rectangle", RIGHT_FIRST | {"map": (1 + 2 / 3 + 3 / 4) / 3}),
        ("abaab", "trapezoid", RIGHT_FIRST | {"map": ((1 + 1) / 2 + (1 / 2 + 2 / 3) / 2 + (2 / 3 + 3 / 4) / 2) / 3}),
        ("babba", "rectangle", WRONG_FIRST | {"map": (1 / 2 + 2 / 5) / 2}),
        ("babba", "trapezoid", WRONG_FIRST | {"map": ((0 + 1 / 2) / 2 + (1 / 4 + 2 / 5) / 2) / 2}),
    ],
)
def test_five_references_by_hand(pattern: str, ap: str, expected: dict) -> None:
    result = evaluate(*ranked(pattern), ks=(1, 2, 10), vote_ks=(1, 2, 5), ap=ap)
    trapezoid = evaluate(*ranked(pattern), ap="trapezoid").metrics["map"]
    assert result.metrics == pytest.approx(expected | {"map_trapezoid": trapezoid}, abs=1e-12)
    assert f"AP {ap}" in result.protocol


def test_a_similarity_below_zero_is_still_a_rank() -> None:
    """Retrieval metrics of torchmetrics count scores up to 0 as irrelevant."""
    query = np.array([[1.0, 0.0]], np.float32)
    reference = np.array([[-0.9, 0.1], [-0.1, 0.9], [-0.5, 0.5], [0, 1]], np.float32)
    metrics = evaluate(query, reference, ["a"], ["b", "a", "b", "b"]).metrics
    assert (metrics["mrr"], metrics["map"], metrics["cmc@5"]) == (0.5, 0.5, 1.0)
    assert evaluate(query, reference[1:2], ["a"], ["a"]).metrics["map"] == 1.0
    assert evaluate(query, np.float32([[0, 1]]), ["a"], ["a"]).metrics["cmc@1"] == 1.0


def test_labels_that_float32_would_merge_stay_apart() -> None:
    lower, upper = str(BIG), str(BIG + 1)
    result = evaluate(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), [lower, upper], [upper, lower])
    assert result.metrics["accuracy@1"] == 0.0
    assert result.per_query["predicted"].tolist() == [upper, lower]
    assert result.metrics["mrr"] == 0.5


@pytest.mark.parametrize("size", [1, 7])
def test_a_query_is_measured_alike_in_any_company(size: int) -> None:
    query, reference, asked, labels = many()
    whole = evaluate(query, reference, asked, labels).per_query
    for first in (0, 250, 255, 590):
        part = evaluate(query[first : first + size], reference, asked[first : first + size], labels).per_query
        pd.testing.assert_frame_equal(part, whole[first : first + size].reset_index(drop=True), check_exact=True)


def test_one_label_has_no_interval_and_no_match_has_no_retrieval_metric() -> None:
    lone = evaluate(*ranked("abaab"))
    assert lone.intervals == {}
    assert "95 %" not in str(lone)
    assert lone.to_dict()["intervals_95"] == {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        none = evaluate(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), ["x", "y"], ["a", "b"])
    assert set(none.metrics) == set(none.intervals) == {"accuracy@1", "accuracy@5", "accuracy@10"}
    assert "2 queries (2 without a valid positive" in none.protocol


def test_embeddings_may_have_any_length_but_zero() -> None:
    query, reference, asked, labels = many(queries=20)
    scale = np.float32(2.0) ** np.resize([-100, 0, 80], (300, 1)).astype(np.float32)
    assert evaluate(query, reference * scale, asked, labels).metrics == pytest.approx(
        evaluate(query, reference, asked, labels).metrics
    )


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ((np.array([[1, 0], [0, 0]]), EYE, TWO, TWO), {}, r"query embeddings: 1 row\(s\) .* zero .*first: row 1"),
        ((EYE, np.array([[np.nan, 0], [np.inf, 1]]), TWO, TWO), {}, r"reference embeddings: 2 row\(s\).*not finite"),
        ((EYE[:0], EYE, [], TWO), {}, r"query embeddings: .*N > 0, got shape \(0, 2\)"),
        ((EYE, EYE[:0], TWO, []), {}, r"reference embeddings: .*N > 0"),
        ((EYE[0], EYE, ["a"], TWO), {}, r"expected a float array \[N, D\].*\(2,\)"),
        ((EYE, np.eye(3), TWO, list("abc")), {}, "embeddings of one size expected, got 2 and 3"),
        ((EYE, EYE, ["a"], TWO), {}, "one label per query expected, got 2 embeddings and 1"),
        ((EYE, EYE, TWO, list("abc")), {}, "one label per reference expected, got 2 embeddings and 3"),
        ((EYE, EYE, TWO, TWO), {"query_cameras": [1], "reference_cameras": [1, 1]}, "one camera per query"),
        ((EYE, EYE, TWO, TWO), {"query_cameras": [1, 1], "reference_cameras": [1]}, "one camera per reference"),
        ((EYE, EYE, TWO, TWO), {"ignore": np.zeros(3, bool)}, "one ignore per reference expected"),
        ((EYE[:1], EYE, ["a"], TWO), {"exclude_self": True}, "exclude_self: expected .* 1 queries and 2 references"),
        ((EYE, EYE, TWO, TWO), {"exclude_self": np.array([0, 2])}, "exclude_self: .* up to 2"),
        ((EYE, EYE, TWO, TWO), {"exclude_self": np.array([0])}, "exclude_self: .*got 1 rows from"),
        ((EYE, EYE, TWO, TWO), {"exclude_self": np.array([0, -2])}, "exclude_self: .* from -2 up to 0"),
        ((EYE, EYE, TWO, TWO), {"device": "gpu"}, "device cpu or cuda: got cosine, gpu"),
        ((EYE, EYE, TWO, TWO), {"ks": (0, 1)}, "expected depths that are whole numbers from 1"),
        ((EYE, EYE, TWO, TWO), {"vote_ks": (-1,)}, "expected depths that are whole numbers from 1"),
        ((EYE, EYE, ["a", None], TWO), {}, r"query labels: 1 missing \(first: row 1\)"),
        ((EYE, EYE, TWO, np.array([np.nan, np.nan])), {}, r"reference labels: 2 missing \(first: row 0\)"),
        ((EYE, [["x", "y"]] * 2, TWO, TWO), {}, "reference embeddings: expected a float array"),
        ((EYE, EYE, TWO, TWO), {"ks": (1.5,)}, "depths that are whole numbers from 1"),
        ((EYE, EYE, TWO, TWO), {"camera_rule": "false"}, "camera_rule: expected True or False, got 'false'"),
        ((EYE, EYE, TWO, TWO), {"threads": 0}, "threads: expected 1 or more, .*got 0"),
        ((EYE, EYE, TWO, TWO), {"exclude_self": np.array([0.5, 1.0])}, "exclude_self: expected the reference row"),
        (
            (EYE, EYE, TWO, TWO),
            {"rerank": "k_reciprocal", "device": "cuda"},
            "rerank k_reciprocal: expected device cpu",
        ),
        ((EYE, EYE, TWO, TWO), {"similarity": "dot"}, "expected similarity cosine or euclidean, .*got dot"),
        ((EYE, EYE, TWO, TWO), {"ap": "square"}, "ap rectangle or trapezoid, got .* and square"),
    ],
)
def test_what_is_no_retrieval_problem_is_refused(arguments: tuple, settings: dict, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        evaluate(*arguments, **settings)


def test_no_depths_at_all_still_gives_the_rest() -> None:
    metrics = evaluate(EYE, EYE, TWO, TWO, ks=(), vote_ks=()).metrics
    assert set(metrics) == {"accuracy@1", "map", "map_trapezoid", "minp", "mrr", "r_precision", "map_at_r"}


def test_labels_may_be_numbers_of_any_kind_on_either_side() -> None:
    query, reference, asked, labels = many(queries=60)
    numbers = [int(label.split()[1]) + BIG for label in asked], [int(label.split()[1]) + BIG for label in labels]
    expected = evaluate(query, reference, asked, labels).metrics
    whole = [np.array(part, np.float64) for part in numbers]
    assert evaluate(query, reference, whole[0], numbers[1]).metrics == expected
    for first, second in (
        (list, list),
        (np.array, np.array),
        (list, np.array),
        (lambda x: list(map(str, x)), np.array),
    ):
        assert evaluate(query, reference, first(numbers[0]), second(numbers[1])).metrics == expected


def test_euclidean_distance_sees_lengths() -> None:
    query, reference = np.float32([[1, 0]]), np.float32([[10, 0], [1, 0.5], [0, 0]])
    cosine = evaluate(query, reference[:2], ["a"], ["a", "b"])
    euclidean = evaluate(query, reference, ["a"], ["a", "b", "c"], similarity="euclidean")
    assert (cosine.metrics["mrr"], euclidean.metrics["mrr"]) == (1.0, 1 / 3)
    assert euclidean.neighbours.tolist() == [[1, 2, 0]]
    assert euclidean.neighbour_similarity[0] == pytest.approx([-0.5, -1, -9])
    assert "euclidean distance" in euclidean.protocol


def test_threads_and_chunks_give_the_same_result() -> None:
    query, reference, asked, labels = many(queries=900)
    whole = evaluate(query, reference, asked, labels, threads=1)
    assert evaluate(query, reference, asked, labels, threads=2).to_dict() == whole.to_dict()


def test_the_same_array_twice_is_leave_one_out() -> None:
    rows = many(queries=40)[0]
    labels = [f"{n % 9}" for n in range(40)]
    shared = evaluate(rows, rows, labels, labels, exclude_self=True)
    assert shared.to_dict() == evaluate(rows.copy(), rows, labels, labels, exclude_self=True).to_dict()
    assert (shared.neighbours != np.arange(40)[:, None]).all()


def test_cameras_may_be_names_and_may_be_missing() -> None:
    reference = np.eye(3, dtype=np.float32)
    common = (reference[:2], reference, ["a", "b"], ["a", "b", "a"])
    named = evaluate(*common, query_cameras=["door", None], reference_cameras=["door", "hall", None])
    numbers = evaluate(*common, query_cameras=[1, -1], reference_cameras=[1, 2, 3])
    assert named.per_query["positives"].tolist() == numbers.per_query["positives"].tolist() == [1, 1]
    both = evaluate(*common, query_cameras=[1.2, np.nan], reference_cameras=[1.7, np.nan, 1.2])
    assert both.per_query["positives"].tolist() == [1, 1]  # 1.2 and 1.7 differ; unknown is the same as no other
    texts = evaluate(*common, query_cameras=["1", "7"], reference_cameras=np.array([1.0, 2.0, 3.0]))
    assert texts.per_query["positives"].tolist() == [1, 1]


@pytest.mark.parametrize("first", range(0, 55, 11))
def test_a_numbered_problem_is_measured_as_its_labels_are(first: int) -> None:
    for seed in range(first, first + 11):
        given = case(seed)
        options = EvaluationOptions(ks=(1, 3), vote_ks=(1, 4), ap="trapezoid", similarity="euclidean")
        result = evaluate_problem(given.query, given.reference, given.problem, options)
        plain = evaluate(
            given.query,
            given.reference,
            given.query_labels,
            given.reference_labels,
            query_cameras=given.query_cameras,
            reference_cameras=given.reference_cameras,
            ignore=given.ignore,
            exclude_self=given.own_row,
            camera_rule=given.camera_rule,
            ks=(1, 3),
            vote_ks=(1, 4),
            ap="trapezoid",
            similarity="euclidean",
        )
        assert result.to_dict() == plain.to_dict()
        pd.testing.assert_frame_equal(result.per_query, plain.per_query, check_exact=True)
        assert np.array_equal(result.neighbours, plain.neighbours)


def test_embeddings_and_problem_belong_together() -> None:
    problem = case(0).problem
    with pytest.raises(EvaluationError, match="one label per query expected, got 2 embeddings and"):
        evaluate_problem(EYE, EYE, Problem.of(["a"], ["a", "b"]))
    with pytest.raises(EvaluationError, match="embeddings of one size expected, got 2 and 3"):
        evaluate_problem(np.ones((problem.rows[0], 2)), np.ones((problem.rows[1], 3)), problem)
    with pytest.raises(EvaluationError, match=r"query embeddings: 1 row\(s\) are zero or not finite"):
        evaluate_problem(np.zeros((1, 2)), EYE, Problem.of(["a"], ["a", "b"]))
