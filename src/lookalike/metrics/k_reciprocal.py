"""k-reciprocal re-ranking: an order from how much the neighbours of query and reference overlap.

Labels play no role in it (nor do cameras), ignored references and a query's own row neither, and queries never see each
other: the order a query gets does not depend on which queries are asked along with it.

Letters in shapes: Q queries, R references, D embedding, K neighbours kept.
"""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lookalike.metrics.exact_grid import on_grid
from lookalike.metrics.problem import Problem
from lookalike.metrics.rerank_options import PART, check_arrays, checked_options, in_parts, nearest_references

if TYPE_CHECKING:
    from lookalike.metrics.kernels.grid import Vectors
    from lookalike.metrics.kernels.k_reciprocal import Neighbours, Sparse


@dataclass(frozen=True)
class Reranked:
    """Jaccard distances of k-reciprocal re-ranking; those that are not listed are 1.

    Attributes:
        starts: int64 [Q + 1], query q has the entries starts[q] ... starts[q + 1] - 1.
        rows: int32 [entries], reference rows, ascending within a query.
        jaccard: float64 [entries], in 0..1, below 1.
        weight: Share of the original distance in the final one.
    """

    starts: np.ndarray
    rows: np.ndarray
    jaccard: np.ndarray
    weight: float


@dataclass(frozen=True)
class _Graph:
    """The references among themselves: computed once, the same for every query.

    `side` holds the references on both sides; `vectors` stands before and `by_row` after local expansion.
    """

    side: "Vectors"
    neighbours: "Neighbours"
    vectors: "Sparse"
    by_row: "Sparse"


def k_reciprocal(
    query: np.ndarray,
    reference: np.ndarray,
    problem: Problem,
    *,
    k1: int = 20,
    k2: int = 6,
    weight: float = 0.3,
    threads: int | None = None,
) -> Reranked:
    """k-reciprocal re-ranking (Zhong, Zheng, Cao and Li, CVPR 2017) in which every query is alone with the references.

    In the paper all queries and references form one graph, so each query changes the result of the others. Here the
    graph is that of the references, and a query is added to it alone, without changing it. Step by step:

    1. Distance d = 1 - cosine, half the paper's squared euclidean distance of unit vectors. The authors' code divides
       each row by its largest distance, so that one far outlier changes every weight; half is about the same, because
       unrelated images are about orthogonal: `weight` keeps its meaning and a distance depends on its pair alone.
    2. N(x, k): x itself and its k nearest references, ties by row. R(x, k): those y of N(x, k) with x in N(y, k), as in
       the authors' code. For a query, x in N(y, k) means that fewer than k references other than its own row are nearer
       to y than x is (the query wins ties, since queries stand before references there), and it is no member of its
       own sets, because no reference's vector can hold it: its weights are shared by references alone.
    3. R*(x): R(x, k1) and, of every y in it, R(y, round(k1 / 2)) if more than two thirds of that are in R(x, k1) (the
       code's rule; the paper says at least). R(y, .) is that among references; the own row counts neither way.
    4. V(x): exp(-d(x, y)) for y in R*(x), 0 elsewhere, divided by the sum.
    5. Local query expansion: V becomes the mean of the V of x and of its k2 - 1 nearest references; a query whose R* is
       empty has no V of its own, so the mean is that of the others.
    6. Jaccard distance: 1 - sum of min(V(q), V(r)) / sum of max(V(q), V(r)), over inverted lists.
    7. Final distance: weight * d + (1 - weight) * Jaccard distance, see `reranked.rank_reranked`.

    A query's own row is never used by that query, but it is a reference like any other to the other references.
    No Q x R and no R x R array is made: a vector has about k1 * k2 entries, at most k1 * k1 * k2, and the result holds,
    per query, the references that share one with it (hundreds where labels are apart, thousands where they mix).

    Args:
        query: float32 [Q, D], finite, of any length but zero.
        reference: float32 [R, D], same.
        problem: Says which references are ignored and which is the query itself: they are not used.
        k1: Neighbours in a k-reciprocal set, at least 1.
        k2: Vectors in a mean, 1 ... k1; 1 = no local query expansion.
        weight: Share of the original distance, 0..1 (the paper's lambda).
        threads: None = one per core; the result does not depend on it.

    Returns:
        The Jaccard distances below 1 of every query.

    Raises:
        RerankError: A setting is out of its range, or arrays do not belong together.
    """
    checked_options("k_reciprocal", {"k1": k1, "k2": k2, "weight": weight})
    check_arrays(query, reference, problem)
    threads = threads or os.cpu_count() or 1
    used = np.flatnonzero(~problem.ignore)
    if not len(used) or not len(query):
        return Reranked(np.zeros(len(query) + 1, np.int64), np.zeros(0, np.int32), np.zeros(0), float(weight))
    place = np.full(len(reference) + 1, -1, np.int64)  # the last place is that of no own row
    place[used] = np.arange(len(used))
    alone = Problem.unlabelled(np.zeros(len(used), bool), place[problem.own_row])
    references = reference if len(used) == len(reference) else reference[used]
    near = nearest_references(query, references, alone, k1, threads).top_rows.astype(np.int32)
    graph = _graph(references, k1, k2, threads)
    entries = _of_queries(query, alone.own_row, near, graph, k2, threads)
    return Reranked(entries.starts, used.astype(np.int32)[entries.rows], entries.values, float(weight))


def _joined(parts: "list[Sparse]") -> "Sparse":
    from lookalike.metrics.kernels.k_reciprocal import Sparse

    starts = np.concatenate([[0], np.cumsum(np.concatenate([np.diff(part.starts) for part in parts]))])
    rows, values = (np.concatenate([getattr(part, name) for part in parts]) for name in ("rows", "values"))
    return Sparse(starts.astype(np.int64), rows, values)


def _graph(reference: np.ndarray, k1: int, k2: int, threads: int) -> _Graph:
    from lookalike.metrics.kernels import k_reciprocal as kernels
    from lookalike.metrics.kernels.grid import Vectors

    count = len(reference)
    on_both = on_grid(reference, "cosine", 0.0, threads)
    side = Vectors(on_both.values, on_both.values, on_both.offsets)
    every, nobody = np.arange(count), np.full(count, -1)
    others = Problem.unlabelled(np.zeros(count, bool), every)
    near = nearest_references(reference, reference, others, k1 + 1, threads).top_rows.astype(np.int32)
    last, beyond = (kernels.score_at(side, near, place) for place in (k1 - 1, k1))
    halves = kernels.halves_of(near, int(np.around(k1 / 2)))

    def weights(mine: slice) -> "Sparse":
        mutual = kernels.mutual_among(near, mine.start, mine.stop - mine.start, k1)
        part = side._replace(queries=side.queries[mine])
        entries: Sparse = kernels.weights_of(part, near[mine, :k1], mutual, every[mine], nobody[mine], halves)
        return entries

    before = after = _joined(in_parts(count, PART, threads, weights))

    def averages(mine: slice) -> "Sparse":
        part = before._replace(starts=before.starts[mine.start : mine.stop + 1])
        entries: Sparse = kernels.averages(part, near[mine, : k2 - 1], before)
        return entries

    if k2 > 1:
        after = _joined(in_parts(count, PART, threads, averages))
    return _Graph(side, kernels.Neighbours(near, last, beyond, halves), before, kernels.inverted(after))


def _of_queries(query: np.ndarray, own: np.ndarray, near: np.ndarray, graph: _Graph, k2: int, threads: int) -> "Sparse":
    """The Jaccard distances below 1 of every query; `near` int32 [Q, k1]."""
    from lookalike.metrics.kernels import k_reciprocal as kernels

    queries, k1 = on_grid(query, "cosine", 0.0, threads).values, near.shape[1]

    def distances(mine: slice) -> "Sparse":
        rows, nobody = near[mine], np.full(mine.stop - mine.start, -1)
        side = graph.side._replace(queries=queries[mine])
        mutual = kernels.mutual_with(side, rows, own[mine], graph.neighbours, k1)
        entries: Sparse = kernels.weights_of(side, rows, mutual, nobody, own[mine], graph.neighbours.halves)
        if k2 > 1:
            entries = kernels.averages(entries, rows[:, : k2 - 1], graph.vectors)
        distances: Sparse = kernels.jaccard_distances(entries, own[mine], graph.by_row)
        return distances

    return _joined(in_parts(len(query), PART, threads, distances))
