"""From ranks to a table of all queries, and from the table to means with intervals.

Letters in shapes: Q queries, K neighbours kept, M metrics.
"""

import numpy as np
import pandas as pd

from lookalike.metrics.intervals import resampled
from lookalike.metrics.open_set import open_set_metrics
from lookalike.metrics.options import EvaluationOptions
from lookalike.metrics.problem import Problem
from lookalike.metrics.ranks import Ranks
from lookalike.metrics.votes import vote_all

# What the table tells of a query beside the figures that are averaged.
_ABOUT = {"label", "predicted", "similarity", "similarity_other", "known", "positives", "first_positive"} | {
    "last_positive"
}


def table_of(ranks: Ranks, problem: Problem, options: EvaluationOptions) -> pd.DataFrame:
    """A row per query, as `RetrievalResult.per_query` explains."""
    columns = {"label": problem.names[problem.query_labels], **_votes(ranks, problem, options)}
    return pd.DataFrame({**columns, "known": problem.enrolled(), **_averages(ranks, options)})


def _votes(ranks: Ranks, problem: Problem, options: EvaluationOptions) -> dict[str, np.ndarray]:
    there = ranks.top_rows >= 0
    ids = np.where(there, problem.reference_labels[ranks.top_rows], -1)
    predicted = np.where(there[:, 0], problem.names[ids[:, 0]], "")
    columns: dict[str, np.ndarray] = {}
    for k in sorted({1, *options.vote_ks}):
        winner = vote_all(ids, ranks.top_similarity, k)
        right = ids[np.arange(len(ids)), np.maximum(winner, 0)] == problem.query_labels
        columns[f"accuracy@{k}"] = ((winner >= 0) & right).astype(np.float64)
    nearest = np.where(there[:, 0], ranks.top_similarity[:, 0], -np.inf)
    similarities = {"similarity": nearest, "similarity_other": ranks.top_other}
    return {"predicted": predicted, **similarities, **columns}


def _averages(ranks: Ranks, options: EvaluationOptions) -> dict[str, np.ndarray]:
    """Every metric that follows from the ranks of the positives; 0 for queries without any."""
    counts = ranks.positives
    matched, some = counts > 0, np.maximum(counts, 1)
    columns: dict[str, np.ndarray] = {"positives": counts, "first_positive": ranks.first, "last_positive": ranks.last}
    for place, k in enumerate(options.ks):
        columns[f"cmc@{k}"] = (ranks.hits[:, place] > 0).astype(np.float64)
    columns["map"] = ranks.ap if options.ap == "rectangle" else ranks.ap_trapezoid
    columns["map_trapezoid"] = ranks.ap_trapezoid
    columns["minp"] = np.where(matched, counts / np.maximum(ranks.last, 1), 0.0)
    columns["mrr"] = np.where(matched, 1 / np.maximum(ranks.first, 1), 0.0)
    columns |= {"r_precision": ranks.r_precision, "map_at_r": ranks.ap_at_r}
    for place, k in enumerate(options.ks):
        columns[f"precision@{k}"] = ranks.hits[:, place] / k
        columns[f"recall@{k}"] = ranks.hits[:, place] / some
    return columns


def weighted(per_query: pd.DataFrame, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Values float64 [Q, M] and weights [Q, M] of some metrics: queries without a positive count in accuracy alone."""
    values = per_query[names].to_numpy(np.float64)
    everywhere = np.array([name.startswith("accuracy") for name in names])
    weight = (everywhere | (per_query["positives"].to_numpy() > 0)[:, None]).astype(np.float64)
    return values, weight


def summary(per_query: pd.DataFrame) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Means, and 95 % intervals by drawing labels with replacement: queries of one label are not independent."""
    names = [str(name) for name in per_query if name not in _ABOUT]
    values, weight = weighted(per_query, names)
    names = [name for name, total in zip(names, weight.sum(axis=0), strict=True) if total]
    values, weight = values[:, : len(names)], weight[:, : len(names)]  # accuracies stand first
    means = (values * weight).sum(axis=0) / weight.sum(axis=0)
    metrics = dict(zip(names, means.tolist(), strict=True))
    right = per_query["predicted"].to_numpy() == per_query["label"].to_numpy()
    metrics |= open_set_metrics(per_query["similarity"].to_numpy(), right, per_query["known"].to_numpy())
    codes = pd.factorize(per_query["label"])[0]
    if codes.max() < 1:
        return metrics, {}
    low, high = np.nanpercentile(resampled(codes, values, weight), [2.5, 97.5], axis=0)
    return metrics, dict(zip(names, zip(low.tolist(), high.tolist(), strict=True), strict=True))
