"""Results side by side."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lookalike.metrics.columns import EvaluationError
from lookalike.metrics.figures import weighted
from lookalike.metrics.intervals import RESAMPLES, p_values, resampled
from lookalike.metrics.result import RetrievalResult


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
    tables = first.per_query, second.per_query
    labels = tables[0]["label"].to_numpy()
    if len(labels) != len(tables[1]) or not (labels == tables[1]["label"].to_numpy()).all():
        raise EvaluationError(
            f"expected two results on the same queries in the same order, got {len(labels)} and {len(tables[1])} "
            "queries: evaluate both models with the same query list"
        )
    sides = [
        (result.counts["references"], result.conditions.ap, result.per_query["positives"].tolist())
        for result in (first, second)
    ]
    if sides[0] != sides[1]:
        raise EvaluationError(
            "expected two results under the same rules, got other references, positives or another kind of AP: "
            "evaluate both models with the same references, camera_rule, ignore and ap"
        )
    names = [name for name in first.metrics if name in second.metrics and name in tables[0]]
    codes = pd.factorize(labels)[0]
    if codes.max(initial=0) < 1:
        raise EvaluationError("a bootstrap over labels needs queries of at least two labels, got one")
    both = []
    for table in tables:
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


@dataclass(frozen=True)
class Group:
    """One setting, measured with several seeds on the same queries.

    Attributes:
        name: What it is called.
        right: float64 [S, Q], a value per seed and query, such as accuracy@1.
    """

    name: str
    right: np.ndarray


def compare_groups(groups: list[Group], labels: np.ndarray) -> tuple[dict[str, tuple[float, float]], pd.DataFrame]:
    """Means over seeds with intervals, and every pair of groups tested on the same queries.

    Labels and seeds are drawn with replacement (a bootstrap of two levels): queries of one label are not independent,
    and neither are those of one training run. p is corrected for the number of pairs (Holm 1979).

    Args:
        groups: G of them, with at least one seed each.
        labels: Q labels.

    Returns:
        Name -> 95 % interval of the mean; and a row per pair: first, second, difference (second - first), low, high, p,
        p_holm. Both hold only the choice of queries where there is one seed.
    """
    codes = pd.factorize(labels)[0]
    drawn = _drawn(groups, codes)
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    intervals = {group.name: (float(low[i]), float(high[i])) for i, group in enumerate(groups)}
    pairs = [(i, j) for i in range(len(groups)) for j in range(i + 1, len(groups))]
    means = [float(group.right.mean()) for group in groups]
    rows = []
    for i, j in pairs:
        differences = drawn[:, j] - drawn[:, i]
        ends = np.percentile(differences, [2.5, 97.5])
        p = float(p_values(differences[:, None])[0])
        rows.append((groups[i].name, groups[j].name, means[j] - means[i], ends[0], ends[1], p))
    tests = pd.DataFrame(rows, columns=["first", "second", "difference", "low", "high", "p"])
    return intervals, tests.assign(p_holm=holm(tests["p"].to_numpy(float)))


def holm(p: np.ndarray) -> np.ndarray:
    """Values of p corrected for their number by Holm's step-down procedure (Holm 1979), float64 of the same shape."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1.0, stepped)
    return corrected


def _drawn(groups: list[Group], codes: np.ndarray) -> np.ndarray:
    """float64 [RESAMPLES, G]: means over labels and seeds drawn with replacement."""
    count = int(codes.max()) + 1
    sizes = np.bincount(codes, minlength=count).astype(float)
    rng = np.random.default_rng(0)
    times = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(float)  # [R, L]
    columns = []
    for group in groups:
        seeds = len(group.right)
        sums = np.stack([np.bincount(codes, row, minlength=count) for row in group.right])  # [S, L]
        share = rng.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES) / seeds  # [R, S]
        columns.append(((times @ sums.T) * share).sum(1) / (times @ sizes))
    return np.stack(columns, 1)
