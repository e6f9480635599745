"""How well queries find their label among references: metrics with their protocol and 95 % intervals.

Definitions (one query with P valid positives at ranks r_1 < ... < r_P, 1 = nearest); docs/evaluation.md explains each:

| metric | over | value |
|---|---|---|
| accuracy@k | all queries | 1 if the label voted by the first k valid references is right (see `votes.vote`) |
| cmc@k | queries with a valid positive | 1 if r_1 <= k |
| map | same | mean over i of i / r_i (`ap="trapezoid"`: as map_trapezoid) |
| map_trapezoid | same | the original Market-1501 code's: mean over i of (i / r_i + (i - 1) / (r_i - 1)) / 2 |
| minp | same | P / r_P |
| r_precision, map_at_r | same | Musgrave et al. 2020: the first P ranks only |
| precision@k, recall@k, mrr | same | positives in the first k over k, over P; 1 / r_1 |
| auroc, dir@far0.01, dir@far0.1 | all, where some labels are unknown | see `open_set` |

Letters in shapes: Q queries, R references, D embedding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from lookalike.metrics.exact_grid import Similarity
from lookalike.metrics.figures import summary, table_of
from lookalike.metrics.inputs import checked_pair
from lookalike.metrics.k_reciprocal import k_reciprocal
from lookalike.metrics.options import AveragePrecision, EvaluationOptions
from lookalike.metrics.problem import Problem
from lookalike.metrics.query_expansion import expand_queries
from lookalike.metrics.ranking import rank
from lookalike.metrics.ranks import Ranks
from lookalike.metrics.rerank_options import Rerank
from lookalike.metrics.reranked import rank_reranked
from lookalike.metrics.result import Conditions, RetrievalResult
from lookalike.metrics.sightings import TimeRules, Times


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
    query_times: Times | None = None,
    reference_times: Times | None = None,
    camera_rule_seconds: float | None = None,
    elsewhere_seconds: float | None = None,
    ks: Sequence[int] = (1, 5, 10, 20),
    vote_ks: Sequence[int] = (1, 5, 10),
    ap: AveragePrecision = "rectangle",
    similarity: Similarity = "cosine",
    threads: int | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    rerank: Rerank = "none",
    rerank_options: Mapping[str, Any] | None = None,
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
        query_times: When each query was taken, for the next two: seconds of one clock, or datetimes; missing where
            it is not known. Of what lasts a while, such as tracklets, a pair of arrays: when it begins, when it ends.
        reference_times: The same of the references.
        camera_rule_seconds: The camera rule leaves out only what was taken within so many seconds of the query.
        elsewhere_seconds: References of any label are left out that another camera took within so many seconds of the
            query: nobody is at two places at once. Cameras that see the same place must have one number.
        ks: Depths for cmc, precision and recall.
        vote_ks: Depths for accuracy.
        ap: How precision is averaged in `map`.
        similarity: `cosine`, or `euclidean`: minus the distance of the embeddings as they are.
        threads: None = one per core; the result does not depend on it.
        device: `cuda` multiplies on a GPU through torch; the result is the same.
        rerank: `expand` moves every query towards its nearest references, `k_reciprocal` orders by a distance that
            tells how much neighbours overlap (see `k_reciprocal`); similarities are minus that distance then.
        rerank_options: Settings of it: k and alpha, or k1, k2 and weight.

    Raises:
        RerankError: A setting of `rerank` is unknown or out of its range.
        EvaluationError: Sizes differ, something is empty, an embedding is zero or not finite, or a setting is unknown.
    """
    options = EvaluationOptions(ks, vote_ks, ap, similarity, threads, device, rerank, rerank_options or {})
    query, reference = checked_pair(query, reference, similarity)
    problem = Problem.of(
        query_labels,
        reference_labels,
        query_cameras=query_cameras,
        reference_cameras=reference_cameras,
        ignore=ignore,
        exclude_self=exclude_self,
        camera_rule=camera_rule,
        query_times=query_times,
        reference_times=reference_times,
        time_rules=TimeRules(camera_rule_seconds, elsewhere_seconds),
        rows=(len(query), len(reference)),
    )
    return result_of(_ranked(query, reference, problem, options), problem, options)


def evaluate_problem(
    query: np.ndarray,
    reference: np.ndarray,
    problem: Problem,
    options: EvaluationOptions = EvaluationOptions(),  # noqa: B008 - frozen
) -> RetrievalResult:
    """As `evaluate`, of a problem whose labels and cameras are numbered and checked.

    Args:
        query: float32 [Q, D]; any length but zero (for `euclidean` any).
        reference: float32 [R, D].
        problem: Of these Q queries and R references.
        options: How it is measured.

    Raises:
        EvaluationError: Embeddings are of another number or size, or one is zero or not finite.
    """
    query, reference = checked_pair(query, reference, options.similarity)
    problem.check_rows(query, reference)
    return result_of(_ranked(query, reference, problem, options), problem, options)


def result_of(ranks: Ranks, problem: Problem, options: EvaluationOptions) -> RetrievalResult:
    """What follows from the ranks of a problem.

    Args:
        ranks: Of its Q queries.
        problem: Who asked and who answered.
        options: How it was measured.
    """
    per_query = table_of(ranks, problem, options)
    metrics, intervals = summary(per_query)
    matched = int((per_query["positives"] > 0).sum())
    counts = problem.counts()
    queries = counts.pop("queries")
    counts = {
        "queries": queries,
        "queries_with_positive": matched,
        "queries_without_positive": queries - matched,
        **counts,
    }
    conditions = Conditions(
        problem.query_cameras is not None,
        options.ap,
        options.similarity,
        options.rerank,
        options.rerank_settings,
        bool((problem.own_row >= 0).any()),
    )
    if problem.sightings is not None:
        rules = problem.sightings.rules(conditions.camera_rule)
        conditions = replace(
            conditions,
            camera_rule_seconds=rules.camera_rule_seconds,
            elsewhere_seconds=rules.elsewhere_seconds,
        )
    return RetrievalResult(metrics, intervals, counts, conditions, per_query, ranks.top_rows, ranks.top_similarity)


def _ranked(query: np.ndarray, reference: np.ndarray, problem: Problem, options: EvaluationOptions) -> Ranks:
    """Ranks after the re-ranking, if there is one."""
    ks, top, threads = tuple(options.ks), max([1, *options.vote_ks]), options.threads
    settings: dict[str, Any] = options.rerank_settings
    if options.rerank == "k_reciprocal":
        reranked = k_reciprocal(query, reference, problem, **settings, threads=threads)
        return rank_reranked(query, reference, problem, reranked, ks=ks, top=top, threads=threads)
    if options.rerank == "expand":
        query = expand_queries(query, reference, problem, **settings, threads=threads)
    how: dict[str, Any] = {"similarity": options.similarity, "threads": threads, "device": options.device}
    return rank(query, reference, problem, ks=ks, top=top, **how)
