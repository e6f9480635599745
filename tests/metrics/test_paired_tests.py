import numpy as np
import pytest

from lookalike.metrics.columns import EvaluationError
from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.paired_tests import paired_bootstrap
from metrics.random_problems import many, ranked


def test_a_paired_bootstrap_tells_a_better_model_from_the_same() -> None:
    query, reference, asked, labels = many(queries=400)
    centres = np.random.default_rng(9).standard_normal((33, 24)).astype(np.float32)
    better_query = query + 1.5 * centres[[int(label.split()[1]) for label in asked]]
    better_reference = reference + 1.5 * centres[[int(label.split()[1]) for label in labels]]
    worse, better = evaluate(query, reference, asked, labels), evaluate(better_query, better_reference, asked, labels)
    table = paired_bootstrap(worse, better)
    assert table.loc["map", "first"] == worse.metrics["map"]
    assert table.loc["map", "difference"] == pytest.approx(better.metrics["map"] - worse.metrics["map"])
    assert 0 < table.loc["map", "low"] < table.loc["map", "difference"] < table.loc["map", "high"]
    assert table.loc["map", "p"] == pytest.approx(2 / 1001)
    same = paired_bootstrap(worse, worse)
    assert (same["difference"] == 0).all()
    assert (same["p"] == 1).all()
    with pytest.raises(EvaluationError, match="the same queries in the same order, got 400 and 40 queries"):
        paired_bootstrap(worse, evaluate(*many(queries=40)))
    with pytest.raises(EvaluationError, match="at least two labels, got one"):
        paired_bootstrap(evaluate(*ranked("ab")), evaluate(*ranked("ab")))


def test_results_under_other_rules_are_not_compared() -> None:
    arrays = many(queries=60)
    cameras = {"query_cameras": np.arange(60) % 2, "reference_cameras": np.arange(300) % 2}
    result = evaluate(*arrays, **cameras)
    for rules in ({"camera_rule": False}, {"ap": "trapezoid"}):
        with pytest.raises(EvaluationError, match="two results under the same rules"):
            paired_bootstrap(result, evaluate(*arrays, **cameras, **rules))
