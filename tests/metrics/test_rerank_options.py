import numpy as np
import pytest

from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.k_reciprocal import k_reciprocal
from lookalike.metrics.query_expansion import expand_queries
from lookalike.metrics.rerank_options import RerankError, checked_options, in_parts, nearest_references
from metrics.random_problems import numbered
from metrics.rerank_problems import plain_problem

EYE = np.eye(3, dtype=np.float32)


@pytest.mark.parametrize(
    ("rerank", "options", "message"),
    [
        ("k_reciprocal", {"k1": 0}, "expected k1 a whole number from 1, got 0"),
        ("k_reciprocal", {"k1": 2.5}, "expected k1 a whole number from 1, got 2.5"),
        ("k_reciprocal", {"k1": True}, "expected k1 a whole number from 1, got True"),
        ("k_reciprocal", {"k2": 0}, "expected k2 a whole number from 1, got 0"),
        ("k_reciprocal", {"k1": 5}, r"expected k2 up to k1 \(5\), got 6: lower k2 or raise k1"),
        ("k_reciprocal", {"weight": 1.01}, r"expected weight in 0\.\.1, got 1.01"),
        ("k_reciprocal", {"weight": float("nan")}, r"expected weight in 0\.\.1, got nan"),
        ("k_reciprocal", {"weight": "much"}, r"expected weight in 0\.\.1, got 'much'"),
        ("k_reciprocal", {"wait": 0.1}, "k_reciprocal: k1, k2, weight, got wait; did you mean weight"),
        ("expand", {"alpha": -1}, "expected alpha a number from 0, got -1"),
        ("expand", {"alpha": float("inf")}, "expected alpha a number from 0, got inf"),
        ("expand", {"k": 0}, "expected k a whole number from 1, got 0"),
        ("expand", {"k1": 5}, "expected options of rerank expand: k, alpha, got k1"),
        ("none", {"k": 5}, "expected options of rerank none: no option, got k"),
        ("k_reciprocl", {}, "expected rerank none, k_reciprocal, expand, got k_reciprocl; did you mean k_reciprocal"),
    ],
)
def test_settings_out_of_range_are_refused(rerank: str, options: dict, message: str) -> None:
    with pytest.raises(RerankError, match=message):
        evaluate(EYE, EYE, list("abc"), list("abc"), rerank=rerank, rerank_options=options)
    function = {"k_reciprocal": k_reciprocal, "expand": expand_queries}.get(rerank)
    if function and "did you mean" not in message and "options" not in message:
        with pytest.raises(RerankError, match=message):
            function(EYE, EYE, plain_problem(EYE, EYE), **options)


@pytest.mark.parametrize("function", [k_reciprocal, expand_queries])
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((EYE, EYE[:, :2]), r"expected embeddings .* got \(3, 3\) and \(3, 2\)"),
        ((EYE, EYE[:0]), r"R > 0, got \(3, 3\) and \(0, 3\)"),
        ((EYE[0], EYE), r"expected embeddings \[Q, D\] .* got \(3,\)"),
    ],
)
def test_embeddings_that_do_not_belong_together_are_refused(function, arrays, message: str) -> None:
    with pytest.raises(RerankError, match=message):
        function(*arrays, plain_problem(*arrays))


@pytest.mark.parametrize("function", [k_reciprocal, expand_queries])
def test_a_problem_of_other_numbers_is_refused(function) -> None:
    with pytest.raises(RerankError, match="expected a problem of 2 queries and 3 references, got one of 3 and 3"):
        function(EYE[:2], EYE, plain_problem(EYE, EYE))


def test_the_usual_settings_stand_where_none_is_given() -> None:
    assert checked_options("none") == {}
    assert checked_options("expand", {"k": 5}) == {"k": 5, "alpha": 3.0}
    assert checked_options("k_reciprocal") == {"k1": 20, "k2": 6, "weight": 0.3}


def test_the_nearest_references_are_those_of_no_label() -> None:
    """Whatever label and camera they have; ignored ones and the query's own row are none."""
    ids = np.zeros(3, np.int64)
    given = numbered(
        ids, ids, np.array([0, -1, -1]), query_cameras=ids, reference_cameras=ids, ignore=np.array([False, False, True])
    )
    near = nearest_references(EYE, EYE, given, 3, 1)
    assert near.top_rows.tolist() == [[1, -1, -1], [1, 0, -1], [0, 1, -1]]


@pytest.mark.parametrize("threads", [1, 3])
def test_parts_come_back_in_order(threads: int) -> None:
    assert in_parts(7, 3, threads, lambda mine: (mine.start, mine.stop)) == [(0, 3), (3, 6), (6, 7)]
    assert in_parts(0, 3, threads, lambda mine: mine) == []
