import numpy as np
import pytest

from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.open_set import OpenSetError, choose_threshold
from metrics.random_problems import EYE, many


def test_open_set_by_hand() -> None:
    """Known: 0.9 right, 0.8 wrong, 0.6 right; unknown: 0.7, 0.5."""
    cosines = [0.9, 0.8, 0.6, 0.7, 0.5]
    query = np.array([[c, np.sqrt(1 - c * c), 0] for c in cosines], np.float32)
    reference = np.array([[1, 0, 0], [0, 0, 1]], np.float32)
    metrics = evaluate(query, reference, ["a", "b", "a", "x", "y"], ["a", "b"]).metrics
    assert metrics["auroc"] == pytest.approx(5 / 6)
    assert metrics["dir@far0.1"] == metrics["dir@far0.01"] == pytest.approx(1 / 3)  # above 0.7, and right: one of three
    assert "auroc" not in evaluate(query[:3], reference, ["a", "b", "a"], ["a", "b"]).metrics


def test_a_threshold_lets_in_what_was_wanted() -> None:
    per_query = evaluate(*many(queries=500)).per_query
    for rate in (0.0, 0.05, 0.5, 1.0):
        threshold = choose_threshold(per_query, rate)
        unknown = per_query["similarity"][~per_query["known"]].to_numpy()
        assert (threshold.queries, threshold.trained) == (len(unknown), False), "real ones alone, none that is played"
        assert (unknown > threshold.similarity).mean() <= rate
        assert (unknown >= threshold.similarity).sum() + 1 > rate * (len(unknown) + 1) - 1e-9
        right = (per_query["predicted"] == per_query["label"]) & (per_query["similarity"] > threshold.similarity)
        assert threshold.detection_rate == pytest.approx(right[per_query["known"]].mean())
    with pytest.raises(OpenSetError, match="references of at least two labels, got one"):
        choose_threshold(evaluate(EYE, EYE[:1], ["a", "a"], ["a"]).per_query, 0.1)
