"""The figures of a data set by the rule of its papers, where that asks for more than was measured already.

Letters in shapes: Q queries, R references, D embedding, M metrics.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lookalike.data.grades import DIFFICULTIES
from lookalike.data.layouts.layout import Standard
from lookalike.data.manifest import Manifest
from lookalike.data.protocol import Protocol
from lookalike.evaluation.identify import Rules
from lookalike.evaluation.multi_query import multi_query
from lookalike.evaluation.tracklets import Pool, pooling_of
from lookalike.metrics.evaluate import evaluate_problem
from lookalike.metrics.graded import Sides, graded, means
from lookalike.metrics.intervals import resampled
from lookalike.metrics.options import EvaluationOptions
from lookalike.metrics.result import RetrievalResult

Interval = tuple[float, float]


@dataclass(frozen=True)
class PaperRow:
    """What the papers print of one gallery.

    Attributes:
        metrics: Our name -> value, 0 to 1.
        intervals_95: Of the same names, where there is one.
        without_positive: How many queries no reference can answer.
    """

    metrics: dict[str, float]
    intervals_95: dict[str, Interval]
    without_positive: int


def paper_row(
    standard: Standard,
    manifest: Manifest,
    rules: Rules,
    result: RetrievalResult,
    protocol: Protocol,
    embedded: tuple[np.ndarray, np.ndarray],
) -> PaperRow:
    """The figures that the papers print, taken from a result where it has them, else measured.

    Copies of a query's own file answer it, as in the papers, whatever `keep_copies` says.

    Args:
        standard: The protocol of the papers.
        manifest: The data set.
        rules: How embeddings are compared.
        result: What was measured.
        protocol: By which protocol.
        embedded: Of queries, float32 [Q, D], and references [R, D].
    """
    if manifest.grades:
        return _of_grades(manifest, rules, protocol, embedded)
    asked = with_copies(manifest, protocol, rules.pool)
    if asked is not protocol or not {*standard.metrics} <= result.metrics.keys():
        result = evaluate_problem(*embedded, asked.problem(standard.camera_rule), _options(standard, rules))
    metrics, intervals = _over_all(result, standard) if standard.lone_missed else (result.metrics, result.intervals)
    names = [name for name in standard.metrics if name in metrics]
    return PaperRow(
        {name: metrics[name] for name in names},
        {name: intervals[name] for name in names if name in intervals},
        result.counts["queries_without_positive"],
    )


def with_copies(manifest: Manifest, protocol: Protocol, pool: Pool | None) -> Protocol:
    """The protocol in which copies of a query's file answer it, row by row the same; itself where they do already.

    Args:
        manifest: The data set.
        protocol: One of its own, image by image or by tracklet.
        pool: As in `Rules`, by which tracklets were made.
    """
    if not protocol.copies or protocol.copies_kept:
        return protocol
    kept = replace(manifest, keep_copies=True)
    whole = multi_query(kept, kept.protocol(protocol.split), pool)
    pooling = pooling_of(whole, pool) if protocol.tracklets else None
    return pooling.protocol if pooling else whole


def _options(standard: Standard, rules: Rules) -> EvaluationOptions:
    depths = {int(name.partition("@")[2]) for name in standard.metrics if "@" in name}
    return EvaluationOptions(ks=sorted(depths | {1}), similarity=rules.similarity, device=rules.device)


def _of_grades(
    manifest: Manifest, rules: Rules, protocol: Protocol, embedded: tuple[np.ndarray, np.ndarray]
) -> PaperRow:
    """Where each query says itself which references are right; what is marked as ignored is left out, too."""
    place = pd.Index(protocol.references["path"])
    marked = np.flatnonzero(protocol.references["ignore"].to_numpy(bool))
    asked = [manifest.grades[path] for path in protocol.queries["path"]]

    def rows(paths: frozenset[str]) -> np.ndarray:
        there: np.ndarray = place.get_indexer(sorted(paths))
        return np.asarray(there[there >= 0], np.int64)

    sides: dict[str, list[Sides]] = {}
    for difficulty in DIFFICULTIES:
        pairs = (grades.sides(difficulty) for grades in asked)
        sides[difficulty] = [(rows(right), np.union1d(rows(out), marked).astype(np.int64)) for right, out in pairs]
    per_query = graded(*embedded, sides, similarity=rules.similarity).dropna(axis=1, how="all")
    metrics, intervals = means(per_query, protocol.queries["label"].tolist())
    return PaperRow(metrics, intervals, int(per_query.isna().all(axis=1).sum()))


def _over_all(result: RetrievalResult, standard: Standard) -> tuple[dict[str, float], dict[str, Interval]]:
    """Means over all queries: those that nothing can answer have 0."""
    names = [name for name in standard.metrics if name in result.per_query]
    values = result.per_query[names].to_numpy(np.float64)
    metrics = dict(zip(names, values.mean(axis=0).tolist(), strict=True))
    codes = pd.factorize(result.per_query["label"])[0]
    if codes.max() < 1:
        return metrics, {}
    low, high = np.percentile(resampled(codes, values, np.ones_like(values)), [2.5, 97.5], axis=0)
    return metrics, dict(zip(names, zip(low.tolist(), high.tolist(), strict=True), strict=True))
