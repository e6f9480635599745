import numpy as np
import pytest

from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.intervals import p_values
from metrics.random_problems import many


def test_intervals_hold_the_value_and_are_repeatable() -> None:
    result = evaluate(*many())
    np.random.seed(5)  # noqa: NPY002 - the global generator must not matter
    assert evaluate(*many()).intervals == result.intervals
    assert set(result.intervals) == set(result.metrics) - {"auroc", "dir@far0.01", "dir@far0.1"}
    for name, (low, high) in result.intervals.items():
        assert 0 <= low <= result.metrics[name] <= high <= 1, name
    assert result.intervals["map"][0] < result.metrics["map"] < result.intervals["map"][1]


def test_intervals_are_over_labels_not_queries() -> None:
    """Two labels, one always right, one always wrong: whatever the number of queries, anything may be true."""
    query = np.repeat(np.eye(2, dtype=np.float32), 300, 0)
    result = evaluate(query, np.eye(2, dtype=np.float32), ["a"] * 300 + ["b"] * 300, ["a", "c"])
    assert result.metrics["accuracy@1"] == 0.5
    assert result.intervals["accuracy@1"] == (0.0, 1.0)


def test_p_counts_only_draws_that_exist() -> None:
    differences = np.r_[np.full(900, np.nan), np.full(99, 0.5), -0.5][:, None]
    assert p_values(differences) == pytest.approx(2 * 2 / 101)
