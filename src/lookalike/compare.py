"""Results side by side."""

import numpy as np
import pandas as pd

from lookalike.bootstrap import p_values, resampled
from lookalike.evaluate import RetrievalResult, weighted
from lookalike.inputs import EvaluationError


def paired_bootstrap(first: RetrievalResult, second: RetrievalResult) -> pd.DataFrame:
    """Whether two results on the same queries differ by more than the choice of labels explains.

    Args:
        first: One model or setting.
        second: Another, measured on the same queries in the same order.

    Returns:
        A row per metric that both have and that is a mean over queries: `first`, `second`, `difference` (second -
        first), its 95 % interval `low`, `high`, and `p`, two-sided, by bootstrap over labels (Efron and Tibshirani
        1993, chapter 16), at least 2 / 1001. With few labels `p` is too small: two labels that both became better give
        the least possible value.

    Raises:
        EvaluationError: Other queries, labels or rules, or fewer than two labels.
    """
    one, other = first.per_query, second.per_query
    if len(one) != len(other) or not (one["label"].to_numpy() == other["label"].to_numpy()).all():
        raise EvaluationError(
            f"expected two results on the same queries in the same order, got {len(one)} and {len(other)} queries: "
            "evaluate both models with the same query list"
        )
    sides = [
        (result.counts["references"], "AP trapezoid" in result.protocol, result.per_query["positives"].tolist())
        for result in (first, second)
    ]
    if sides[0] != sides[1]:
        raise EvaluationError(
            "expected two results under the same rules, got other references, positives or another kind of AP: "
            "evaluate both models with the same references, camera_rule, ignore and ap"
        )
    names = [name for name in first.metrics if name in second.metrics and name in one]
    codes = pd.factorize(one["label"])[0]
    if codes.max(initial=0) < 1:
        raise EvaluationError("a bootstrap over labels needs queries of at least two labels, got one")
    both = []
    for table in (one, other):
        values, weight = weighted(table, names)
        both.append(resampled(codes, values, weight))
    drawn = both[1] - both[0]
    low, high = np.nanpercentile(drawn, [2.5, 97.5], axis=0)
    before, after = ([result.metrics[name] for name in names] for result in (first, second))
    return pd.DataFrame(
        {
            "first": before,
            "second": after,
            "difference": np.subtract(after, before),
            "low": low,
            "high": high,
            "p": p_values(drawn),
        },
        index=pd.Index(names, name="metric"),
    )
