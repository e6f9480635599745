"""How well queries find their label among references: metrics with their protocol and 95 % intervals.

Definitions (one query with P valid positives at ranks r_1 < ... < r_P, 1 = nearest); docs/evaluation.md explains each:

| metric | over | value |
|---|---|---|
| accuracy@k | all queries | 1 if the label voted by the first k valid references is right (see `ranking.vote`) |
| cmc@k | queries with a valid positive | 1 if r_1 <= k |
| map | same | mean over i of i / r_i (`ap="trapezoid"`: as map_trapezoid) |
| map_trapezoid | same | the original Market-1501 code's: mean over i of (i / r_i + (i - 1) / (r_i - 1)) / 2 |
| minp | same | P / r_P |
| r_precision, map_at_r | same | Musgrave et al. 2020: the first P ranks only |
| precision@k, recall@k, mrr | same | positives in the first k over k, over P; 1 / r_1 |
| auroc, dir@far0.01, dir@far0.1 | all, where some labels are unknown | see `openset` |

Letters in shapes: Q queries, R references, D embedding.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from lookalike.metrics.exact_grid import Similarity
from lookalike.metrics.intervals import resampled
from lookalike.metrics.k_reciprocal import k_reciprocal, rank_reranked
from lookalike.metrics.open_set import open_set_metrics
from lookalike.metrics.problem import EvaluationError, camera_ids, checked_embeddings, label_ids, one_each, own_rows
from lookalike.metrics.query_expansion import expand_queries
from lookalike.metrics.ranking import rank
from lookalike.metrics.ranks import Ranks
from lookalike.metrics.rerank_options import Rerank, checked_options
from lookalike.metrics.result import RetrievalResult
from lookalike.metrics.votes import vote_all


def evaluate(
    query: np.ndarray,
    reference: np.ndarray,
    query_labels: Sequence[Any],
    reference_labels: Sequence[Any],
    *,
    query_cameras: Sequence[Any] | np.ndarray | None = None,
    reference_cameras: Sequence[Any] | np.ndarray | None = None,
    ignore: np.ndarray | None = None,
    exclude_self: bool | np.ndarray = False,
    camera_rule: bool = True,
    ks: Sequence[int] = (1, 5, 10, 20),
    vote_ks: Sequence[int] = (1, 5, 10),
    ap: Literal["rectangle", "trapezoid"] = "rectangle",
    similarity: Similarity = "cosine",
    threads: int | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    rerank: Rerank = "none",
    rerank_options: dict[str, Any] | None = None,
) -> RetrievalResult:
    """Measures retrieval, nearest-neighbour accuracy and, where labels are unknown, their rejection.

    Args:
        query: float32 [Q, D]; any length but zero (for `euclidean` any).
        reference: float32 [R, D].
        query_labels: Q labels, strings or whole numbers (compared as text).
        reference_labels: R labels.
        query_cameras: Q cameras, missing where unknown; with `reference_cameras` and `camera_rule`, references of the
            same label and camera are left out.
        reference_cameras: R cameras.
        ignore: bool [R], references left out of every ranking.
        exclude_self: True when queries are the references row by row; or int [Q], the own row of each query or -1.
        camera_rule: Whether the camera rule is on.
        ks: Depths for cmc, precision and recall.
        vote_ks: Depths for accuracy.
        ap: How precision is averaged in `map`.
        similarity: `cosine`, or `euclidean`: minus the distance of the embeddings as they are.
        threads: None = one per core; the result does not depend on it.
        device: `cuda` multiplies on a GPU through torch; the result is the same.
        rerank: `expand` moves every query towards its nearest references, `k_reciprocal` orders by a distance that
            tells how much neighbours overlap (see `rerank`); similarities are minus that distance then.
        rerank_options: Settings of it: k and alpha, or k1, k2 and weight.

    Raises:
        RerankError: A setting of `rerank` is unknown or out of its range.
        EvaluationError: Sizes differ, something is empty, an embedding is zero or not finite, or a setting is unknown.
    """
    _check_settings([*ks, *vote_ks], ap, similarity, device, threads, rerank, camera_rule)
    options = checked_options(rerank, rerank_options)
    same = query is reference
    query = checked_embeddings(query, "query", similarity)
    reference = query if same else checked_embeddings(reference, "reference", similarity)
    if query.shape[1] != reference.shape[1]:
        raise EvaluationError(
            f"embeddings of one size expected, got {query.shape[1]} and {reference.shape[1]}: embed both with one model"
        )
    one_each("query", len(query), label=query_labels, camera=query_cameras)
    one_each("reference", len(reference), label=reference_labels, camera=reference_cameras, ignore=ignore)
    own_row = own_rows(exclude_self, len(query), len(reference))
    ids, names = label_ids(query_labels, reference_labels)
    query_ids, reference_ids = ids[: len(query)], ids[len(query) :]
    left_out = np.zeros(len(reference), bool) if ignore is None else np.asarray(ignore, bool)
    cameras: tuple[Any, Any] = (None, None)
    if camera_rule and query_cameras is not None and reference_cameras is not None:
        cameras = camera_ids(query_cameras, reference_cameras)
    ranks = _ranked(
        rerank,
        options,
        query,
        reference,
        query_ids,
        reference_ids,
        query_cameras=cameras[0],
        reference_cameras=cameras[1],
        ignore=left_out,
        own_row=own_row,
        ks=tuple(ks),
        top=max([1, *vote_ks]),
        similarity=similarity,
        threads=threads,
        device=device,
    )
    known = _known(query_ids, reference_ids, left_out, own_row)
    columns = {"label": names[query_ids], **_votes(ranks, query_ids, reference_ids, names, vote_ks), "known": known}
    per_query = pd.DataFrame({**columns, **_averages(ranks, ks, ap)})
    counts = _counts(per_query, query_ids, reference_ids, left_out)
    metrics, intervals = _summary(per_query)
    right = per_query["predicted"].to_numpy() == per_query["label"].to_numpy()
    metrics |= open_set_metrics(per_query["similarity"].to_numpy(), right, known)
    words = ", ".join([rerank, *(f"{name} {value:g}" for name, value in options.items())])
    protocol = _protocol(counts, cameras[0] is not None, own_row, ap, similarity, words)
    return RetrievalResult(metrics, intervals, counts, protocol, per_query, ranks.top_rows, ranks.top_similarity)


def _check_settings(
    depths: list[Any], ap: str, similarity: str, device: str, threads: int | None, rerank: str, rule: Any
) -> None:
    if not isinstance(rule, bool | np.bool_):
        raise EvaluationError(f"camera_rule: expected True or False, got {rule!r}")
    if any(not isinstance(k, int | np.integer) or k < 1 for k in depths) or ap not in ("rectangle", "trapezoid"):
        raise EvaluationError(
            f"expected depths that are whole numbers from 1 and ap rectangle or trapezoid, got {depths} and {ap}"
        )
    if similarity not in ("cosine", "euclidean") or device not in ("cpu", "cuda"):
        raise EvaluationError(
            f"expected similarity cosine or euclidean, device cpu or cuda: got {similarity}, {device}"
        )
    if threads is not None and threads < 1:
        raise EvaluationError(f"threads: expected 1 or more, or None for one per core, got {threads}")
    if rerank != "none" and similarity != "cosine":
        raise EvaluationError(f"rerank {rerank}: expected similarity cosine, got {similarity}")
    if rerank == "k_reciprocal" and device != "cpu":
        raise EvaluationError(f"rerank k_reciprocal: expected device cpu, got {device}: it has no GPU back end")


def _ranked(
    rerank: Rerank,
    options: dict[str, Any],
    query: np.ndarray,
    reference: np.ndarray,
    query_ids: np.ndarray,
    reference_ids: np.ndarray,
    *,
    similarity: Similarity,
    device: Literal["cpu", "cuda"],
    **rules: Any,
) -> Ranks:
    """Ranks after the re-ranking, if there is one."""
    options = options | {name: rules[name] for name in ("ignore", "own_row", "threads")}
    if rerank == "k_reciprocal":
        reranked = k_reciprocal(query, reference, **options)
        return rank_reranked(query, reference, query_ids, reference_ids, reranked, **rules)
    if rerank == "expand":
        query = expand_queries(query, reference, **options)
    return rank(query, reference, query_ids, reference_ids, similarity=similarity, device=device, **rules)


def _known(query_ids: np.ndarray, reference_ids: np.ndarray, ignore: np.ndarray, own: np.ndarray | None) -> np.ndarray:
    """Whether another reference that counts has the query's label (its camera does not matter here)."""
    size = max(query_ids.max(initial=0), reference_ids.max(initial=0)) + 1
    counts = np.bincount(reference_ids[~ignore], minlength=size)[query_ids]
    if own is not None:
        itself = (own >= 0) & ~ignore[own] & (reference_ids[own] == query_ids)
        counts = counts - itself
    known: np.ndarray = counts > 0
    return known


def _votes(
    ranks: Ranks, query_ids: np.ndarray, reference_ids: np.ndarray, names: np.ndarray, vote_ks: Sequence[int]
) -> dict[str, np.ndarray]:
    found = ranks.top_rows >= 0
    ids = np.where(found, reference_ids[ranks.top_rows], -1)
    predicted = np.where(found[:, 0], names[ids[:, 0]], "")
    columns: dict[str, np.ndarray] = {}
    for k in sorted({1, *vote_ks}):
        winner = vote_all(ids, ranks.top_similarity, k)
        columns[f"accuracy@{k}"] = (
            (winner >= 0) & (ids[np.arange(len(ids)), np.maximum(winner, 0)] == query_ids)
        ).astype(np.float64)
    nearest = np.where(found[:, 0], ranks.top_similarity[:, 0], -np.inf)
    similarities = {"similarity": nearest, "similarity_other": ranks.top_other}
    return {"predicted": predicted, **similarities, **columns}


def _averages(ranks: Ranks, ks: Sequence[int], ap: str) -> dict[str, np.ndarray]:
    """Every metric that follows from the ranks of the positives; 0 for queries without any."""
    counts = ranks.positives
    matched, some = counts > 0, np.maximum(counts, 1)
    columns: dict[str, np.ndarray] = {"positives": counts, "first_positive": ranks.first, "last_positive": ranks.last}
    for place, k in enumerate(ks):
        columns[f"cmc@{k}"] = (ranks.hits[:, place] > 0).astype(np.float64)
    columns["map"] = ranks.ap if ap == "rectangle" else ranks.ap_trapezoid
    columns["map_trapezoid"] = ranks.ap_trapezoid
    columns["minp"] = np.where(matched, counts / np.maximum(ranks.last, 1), 0.0)
    columns["mrr"] = np.where(matched, 1 / np.maximum(ranks.first, 1), 0.0)
    columns |= {"r_precision": ranks.r_precision, "map_at_r": ranks.ap_at_r}
    for place, k in enumerate(ks):
        columns[f"precision@{k}"] = ranks.hits[:, place] / k
        columns[f"recall@{k}"] = ranks.hits[:, place] / some
    return columns


def _counts(
    per_query: pd.DataFrame, query_ids: np.ndarray, reference_ids: np.ndarray, ignore: np.ndarray
) -> dict[str, int]:
    matched = int((per_query["positives"] > 0).sum())
    asked = np.zeros(max(query_ids.max(), reference_ids.max()) + 1, bool)
    asked[query_ids] = True
    return {
        "queries": len(per_query),
        "queries_with_positive": matched,
        "queries_without_positive": len(per_query) - matched,
        "queries_of_unknown_label": int((~per_query["known"]).sum()),
        "references": int((~ignore).sum()),
        "ignored": int(ignore.sum()),
        "distractors": int((~asked[reference_ids] & ~ignore).sum()),
    }


def weighted(per_query: pd.DataFrame, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Values float64 [Q, M] and weights [Q, M] of some metrics: queries without a positive count in accuracy alone."""
    values = per_query[names].to_numpy(np.float64)
    everywhere = np.array([name.startswith("accuracy") for name in names])
    weight = (everywhere | (per_query["positives"].to_numpy() > 0)[:, None]).astype(np.float64)
    return values, weight


def _summary(per_query: pd.DataFrame) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Means, and 95 % intervals by drawing labels with replacement: queries of one label are not independent."""
    about = ("label", "predicted", "similarity", "similarity_other", "known", "positives", "first_positive")
    names = [str(name) for name in per_query if name not in (*about, "last_positive")]
    values, weight = weighted(per_query, names)
    names = [name for name, total in zip(names, weight.sum(axis=0), strict=True) if total]
    values, weight = values[:, : len(names)], weight[:, : len(names)]  # accuracies stand first
    means = (values * weight).sum(axis=0) / weight.sum(axis=0)
    metrics = dict(zip(names, means.tolist(), strict=True))
    codes = pd.factorize(per_query["label"])[0]
    if codes.max() < 1:
        return metrics, {}
    low, high = np.nanpercentile(resampled(codes, values, weight), [2.5, 97.5], axis=0)
    return metrics, dict(zip(names, zip(low.tolist(), high.tolist(), strict=True), strict=True))


def _protocol(
    counts: dict[str, int], cameras: bool, own_row: np.ndarray | None, ap: str, similarity: Similarity, rerank: str
) -> str:
    rules = [
        f"{counts['queries']} queries ({counts['queries_without_positive']} without a valid positive: "
        "wrong in accuracy, left out of the rest)",
        f"{counts['references']} references, {counts['ignored']} ignored, {counts['distractors']} distractors",
        "same label and camera left out" if cameras else "no camera rule",
        f"AP {ap}",
    ]
    if similarity != "cosine":
        rules.append(f"{similarity} distance")
    if rerank != "none":
        rules.append(f"re-ranked by {rerank}")
    if own_row is not None and (own_row >= 0).any():
        rules.append("a query never finds itself")
    return "; ".join(rules)
