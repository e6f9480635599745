"""What thresholds do: by hand, against a plain loop, and in agreement with `auroc` and `dir@far`."""

import json

import numpy as np
import pandas as pd
import pytest

from lookalike.metrics.acceptance import Acceptance, Rate, acceptance, acceptance_curve
from lookalike.metrics.evaluate import evaluate
from metrics.random_problems import many


def by_hand() -> pd.DataFrame:
    """Known: 0.9 right, 0.8 wrong, 0.6 right; unknown: 0.7, 0.5."""
    rows = [("a", "a", 0.9, True), ("b", "a", 0.8, True), ("a", "a", 0.6, True)]
    rows += [("x", "a", 0.7, False), ("y", "b", 0.5, False)]
    return pd.DataFrame(rows, columns=["label", "predicted", "similarity", "known"])


def test_shares_by_hand() -> None:
    found = acceptance(by_hand(), 0.65)
    assert (found.named_rightly.value, found.named_rightly.queries) == (pytest.approx(1 / 3), 3)
    assert found.named_wrongly.value == pytest.approx(1 / 3)
    assert (found.unknown_accepted.value, found.unknown_accepted.queries) == (0.5, 2)
    assert found.balanced_accuracy == pytest.approx((1 / 3 + 0.5) / 2)
    low, high = found.balanced_interval
    assert 0 <= low < found.balanced_accuracy < high <= 1
    assert acceptance(by_hand(), 0.7).unknown_accepted.value == 0, "what is no more similar is not accepted"
    everything = acceptance(by_hand(), -1.0)
    assert everything.balanced_accuracy == pytest.approx((2 / 3 + 0) / 2)
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["balanced_accuracy"]["value"] == found.balanced_accuracy
    assert content["unknown_accepted"]["queries"] == 2


def test_the_curve_by_hand() -> None:
    curve = acceptance_curve(by_hand())
    assert curve.similarity.tolist() == [0.7, 0.5, -np.inf]
    assert curve.unknown_accepted.tolist() == [0, 0.5, 1]
    assert curve.named_rightly.tolist() == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    assert json.loads(json.dumps(curve.to_dict(), allow_nan=False))["threshold"] == [0.7, 0.5, None]


def test_the_curve_is_that_of_a_loop_and_holds_dir_at_far() -> None:
    result = evaluate(*many(queries=500))
    per_query, curve = result.per_query, acceptance_curve(result.per_query)
    for limit, unknown, rightly in zip(curve.similarity, curve.unknown_accepted, curve.named_rightly, strict=True):
        if np.isfinite(limit):
            at = acceptance(per_query.assign(similarity=per_query["similarity"].astype(float).round(6)), limit)
            assert (at.unknown_accepted.value, at.named_rightly.value) == (unknown, rightly)
    assert (np.diff(curve.unknown_accepted) > 0).all()
    assert (np.diff(curve.named_rightly) >= 0).all()
    for rate in (0.01, 0.1):
        allowed = curve.unknown_accepted <= rate + 1e-9
        assert result.metrics[f"dir@far{rate:g}"] == pytest.approx(curve.named_rightly[allowed][-1])
    written = curve.to_dict()
    assert len(written["threshold"]) <= 200
    assert written["unknown_accepted"][-1] == 1


def test_the_interval_of_the_mean_is_that_of_simulated_shares() -> None:
    """Two independent shares of 200 images, each image of a label of its own."""
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        frame = pd.DataFrame({"label": np.arange(400).astype(str), "known": np.arange(400) < 200})
        accepted = np.where(frame["known"], rng.random(400) < 0.9, rng.random(400) < 0.2)
        frame = frame.assign(predicted=frame["label"], similarity=accepted.astype(float))
        low, high = acceptance(frame, 0.5).balanced_interval
        inside += low <= (0.9 + 0.8) / 2 <= high
    assert 0.92 <= inside / 400 <= 0.98


def test_it_reads_as_a_share_with_its_interval() -> None:
    rate = Rate(0.25, (0.1, 0.4), 8)
    assert str(rate) == "0.250 (0.100 to 0.400)"
    assert Acceptance(0.5, rate, rate, rate).to_dict()["known_named_wrongly"] == rate.to_dict()
