"""How well queries find their label among references: metrics with their protocol and 95 % intervals.

Definitions (one query with P valid positives at ranks r_1 < ... < r_P, 1 = nearest):

| metric | over | value |
|---|---|---|
| accuracy@k | all queries | 1 if the label voted by the first k valid references is right (see `ranking.vote`) |
| cmc@k | queries with a valid positive | 1 if r_1 <= k |
| map | same | mean over i of i / r_i (`ap="trapezoid"`: the original Market-1501 code's average) |
| minp | same | P / r_P |
| r_precision, map_at_r | same | Musgrave et al. 2020: the first P ranks only |
| precision@k, recall@k, mrr | same | positives in the first k over k, over P; 1 / r_1 |

Letters in shapes: Q queries, R references, D embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from lookalike.errors import LookalikeError
from lookalike.ranking import Ranks, rank, vote

_RESAMPLES = 1000
_SEED = 0


class EvaluationError(LookalikeError):
    """The arrays do not describe a retrieval problem."""


@dataclass(frozen=True)
class RetrievalResult:
    """Metrics of one evaluation.

    Attributes:
        metrics: Name -> value in 0..1; the names are those of the table above.
        intervals: Name -> (low, high), 95 % by bootstrap over labels; absent with fewer than two labels.
        counts: queries, queries_with_positive, queries_without_positive, references, ignored.
        protocol: The rules in words.
        per_query: One row per query: label, predicted, similarity of the nearest, positives, rank of the first
            positive (0 = none) and the metrics that are averaged.
    """

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    counts: dict[str, int]
    protocol: str
    per_query: pd.DataFrame

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        intervals = {name: list(pair) for name, pair in self.intervals.items()}
        return {"protocol": self.protocol, "counts": self.counts, "metrics": self.metrics, "intervals_95": intervals}

    def per_label(self) -> pd.DataFrame:
        """Queries and accuracy@1 of each label, worst first."""
        groups = self.per_query.groupby("label", sort=True)["accuracy@1"]
        table = pd.DataFrame({"queries": groups.count(), "accuracy@1": groups.mean()})
        return table.sort_values("accuracy@1", kind="stable").reset_index()

    def __str__(self) -> str:
        lines = [f"protocol: {self.protocol}"]
        for name, value in self.metrics.items():
            interval = "   95 % {:.4f} to {:.4f}".format(*self.intervals[name]) if name in self.intervals else ""
            lines.append(f"{name:<14}{value:.4f}{interval}")
        return "\n".join(lines)


def evaluate(
    query: np.ndarray,
    reference: np.ndarray,
    query_labels: Sequence[str],
    reference_labels: Sequence[str],
    *,
    query_cameras: np.ndarray | None = None,
    reference_cameras: np.ndarray | None = None,
    ignore: np.ndarray | None = None,
    exclude_self: bool | np.ndarray = False,
    camera_rule: bool = True,
    ks: Sequence[int] = (1, 5, 10, 20),
    vote_ks: Sequence[int] = (1, 5, 10),
    ap: Literal["rectangle", "trapezoid"] = "rectangle",
) -> RetrievalResult:
    """Measures retrieval and nearest-neighbour accuracy by cosine similarity.

    Args:
        query: float32 [Q, D], any length but zero.
        reference: float32 [R, D].
        query_labels: Q labels.
        reference_labels: R labels.
        query_cameras: int [Q]; with `reference_cameras` and `camera_rule`, same label and camera is left out.
        reference_cameras: int [R].
        ignore: bool [R], references left out of every ranking.
        exclude_self: True when queries are the references row by row; or int [Q], the own row of each query or -1.
        camera_rule: Whether the camera rule is on.
        ks: Depths for cmc, precision and recall.
        vote_ks: Depths for accuracy.
        ap: How precision is averaged.

    Raises:
        EvaluationError: Sizes differ, something is empty, an embedding is zero or not finite, or a setting is unknown.
    """
    if min([1, *ks, *vote_ks]) < 1 or ap not in ("rectangle", "trapezoid"):
        raise EvaluationError(f"expected depths from 1 and ap rectangle or trapezoid, got {[*ks, *vote_ks]} and {ap}")
    query, reference = _unit(query, "query"), _unit(reference, "reference")
    if query.shape[1] != reference.shape[1]:
        raise EvaluationError(f"embeddings of one size expected, got {query.shape[1]} and {reference.shape[1]}")
    _one_each("query", len(query), label=query_labels, camera=query_cameras)
    _one_each("reference", len(reference), label=reference_labels, camera=reference_cameras, ignore=ignore)
    own_row = _own_rows(exclude_self, len(query), len(reference))
    _, codes = np.unique(np.array([*query_labels, *reference_labels], dtype=str), return_inverse=True)
    query_ids, reference_ids = codes[: len(query)], codes[len(query) :]
    left_out = np.zeros(len(reference), bool) if ignore is None else np.asarray(ignore, bool)
    cameras = camera_rule and query_cameras is not None and reference_cameras is not None
    ranks = rank(
        query,
        reference,
        query_ids,
        reference_ids,
        query_cameras=np.asarray(query_cameras) if cameras else None,
        reference_cameras=np.asarray(reference_cameras) if cameras else None,
        ignore=left_out,
        own_row=own_row,
        top=max([1, *vote_ks]),
    )
    per_query = pd.DataFrame({"label": list(query_labels)})
    per_query = per_query.assign(**_votes(ranks, query_ids, reference_ids, np.asarray(reference_labels, str), vote_ks))
    per_query = per_query.assign(**_from_ranks(ranks, ks, ap))
    matched = per_query["positives"] > 0
    ignored = int(left_out.sum())
    counts = {
        "queries": len(query),
        "queries_with_positive": int(matched.sum()),
        "queries_without_positive": int((~matched).sum()),
        "references": len(reference) - ignored,
        "ignored": ignored,
    }
    metrics, intervals = _summary(per_query, matched.to_numpy())
    return RetrievalResult(metrics, intervals, counts, _protocol(counts, cameras, own_row, ap), per_query)


def _unit(embeddings: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(embeddings, np.float32)
    if array.ndim != 2 or not len(array):
        raise EvaluationError(f"{name} embeddings: expected a float array [N, D] with N > 0, got shape {array.shape}")
    norms = np.sqrt(np.einsum("nd,nd->n", array, array, dtype=np.float64))  # float32 overflows from lengths of 1e19
    wrong = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
    if len(wrong):
        raise EvaluationError(
            f"{name} embeddings: {len(wrong)} row(s) are zero or not finite (first: row {wrong[0]}): "
            "check the weights and the images"
        )
    unit: np.ndarray = (array / norms[:, None]).astype(np.float32)
    return unit


def _one_each(of: str, count: int, **given: Sequence[str] | np.ndarray | None) -> None:
    for name, values in given.items():
        if values is not None and len(values) != count:
            raise EvaluationError(f"one {name} per {of} expected, got {count} embeddings and {len(values)} of these")


def _own_rows(exclude_self: bool | np.ndarray, queries: int, references: int) -> np.ndarray | None:
    if exclude_self is False:
        return None
    rows = np.arange(queries) if exclude_self is True else np.asarray(exclude_self)
    last = max(rows, default=-1)
    if len(rows) != queries or last >= references or (exclude_self is True and queries != references):
        raise EvaluationError(
            "exclude_self: expected the reference row of each query (or -1), or True when both are the same images, "
            f"got {len(rows)} rows up to {last} for {queries} queries and {references} references"
        )
    return rows


def _votes(
    ranks: Ranks, query_ids: np.ndarray, reference_ids: np.ndarray, names: np.ndarray, vote_ks: Sequence[int]
) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {f"accuracy@{k}": np.zeros(len(query_ids)) for k in sorted({1, *vote_ks})}
    predicted = np.full(len(query_ids), "", dtype=object)
    for row, (near, similarity) in enumerate(zip(ranks.top_rows, ranks.top_similarity, strict=True)):
        near, similarity = near[near >= 0], similarity[near >= 0]
        if not len(near):
            continue
        predicted[row] = str(names[near[0]])
        for name, column in columns.items():
            k = int(name.partition("@")[2])
            winner = near[vote(reference_ids[near[:k]], similarity[:k])]
            column[row] = reference_ids[winner] == query_ids[row]
    return {"predicted": predicted, "similarity": ranks.top_similarity[:, 0], **columns}


def _from_ranks(ranks: Ranks, ks: Sequence[int], ap: str) -> dict[str, np.ndarray]:
    """Every metric that follows from the ranks of the positives; 0 for queries without any."""
    counts = np.diff(ranks.starts)
    owner = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(owner)) - ranks.starts[owner] + 1
    at = ranks.positives.astype(np.float64)
    some = np.maximum(counts, 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(owner, weights=values, minlength=len(counts)) / some

    first, last = np.zeros(len(counts)), np.zeros(len(counts))
    matched = counts > 0
    first[matched], last[matched] = at[ranks.starts[:-1][matched]], at[ranks.starts[1:][matched] - 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = place / at
        before = np.where(at > 1, (place - 1) / (at - 1), 1.0)
        columns = {"positives": counts, "first_positive": first.astype(np.int64)}
        columns |= {f"cmc@{k}": (matched & (first <= k)).astype(float) for k in ks}
        columns["map"] = mean(precision if ap == "rectangle" else (precision + before) / 2)
        columns["minp"] = np.where(matched, counts / last, 0.0)
        columns["mrr"] = np.where(matched, 1 / first, 0.0)
    within = at <= counts[owner]
    columns |= {"r_precision": mean(within), "map_at_r": mean(within * precision)}
    for k in ks:
        columns[f"precision@{k}"] = mean(at <= k) * counts / k
        columns[f"recall@{k}"] = mean(at <= k)
    return columns


def _summary(per_query: pd.DataFrame, matched: np.ndarray) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    others = ("label", "predicted", "similarity", "positives", "first_positive")
    names = [str(name) for name in per_query if name not in others]
    names = [name for name in names if matched.any() or name.startswith("accuracy@")]
    values = per_query[names].to_numpy(float)
    weight = np.column_stack([np.ones(len(matched)) if name.startswith("accuracy@") else matched for name in names])
    metrics = dict(zip(names, ((values * weight).sum(0) / weight.sum(0)).tolist(), strict=True))
    codes = np.unique(per_query["label"].to_numpy(str), return_inverse=True)[1]
    labels = int(codes.max()) + 1
    if labels < 2:
        return metrics, {}
    sums, sizes = (np.zeros((labels, len(names))) for _ in range(2))
    np.add.at(sums, codes, values * weight)
    np.add.at(sizes, codes, weight)
    draws = np.random.default_rng(_SEED).multinomial(labels, np.full(labels, 1 / labels), size=_RESAMPLES)
    with np.errstate(invalid="ignore"):
        low, high = np.nanpercentile((draws @ sums) / (draws @ sizes), [2.5, 97.5], axis=0)
    return metrics, dict(zip(names, zip(low.tolist(), high.tolist(), strict=True), strict=True))


def _protocol(counts: dict[str, int], cameras: bool, own_row: np.ndarray | None, ap: str) -> str:
    rules = [
        f"{counts['queries']} queries ({counts['queries_without_positive']} without a valid positive: "
        "wrong in accuracy, left out of the rest)",
        f"{counts['references']} references, {counts['ignored']} ignored",
        "same label and camera left out" if cameras else "no camera rule",
        f"AP {ap}",
    ]
    if own_row is not None and (own_row >= 0).any():
        rules.append("a query never finds itself")
    return "; ".join(rules)
