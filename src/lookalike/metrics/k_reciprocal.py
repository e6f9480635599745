"""k-reciprocal re-ranking: an order from how much the neighbours of query and reference overlap.

Labels play no role in it (nor do cameras), ignored references and a query's own row neither, and queries never see each
other: the order a query gets does not depend on which queries are asked along with it.

Letters in shapes: Q queries, R references, D embedding, K neighbours kept.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lookalike.metrics.exact_grid import OnGrid, on_grid
from lookalike.metrics.ranks import Ranks, empty_ranks, take_ranks
from lookalike.metrics.rerank_options import (
    PART,
    RerankError,
    check_arrays,
    checked_options,
    in_parts,
    nearest_references,
)

_QUERIES, _REFERENCES = 16, 4096  # rows of exact float64 scores, and references that are turned into float64, at a time
_Sparse = tuple[np.ndarray, np.ndarray, np.ndarray]  # starts, rows and values, see `rerank_kernels`


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

    `near` int32 [R, K + 1], neighbours; `last` and `beyond` float64 [R], similarities of the k1-th and of the next;
    `halves` int32 [R, H + 1], mutual neighbours within k1 / 2; `vectors` before and `inverted` after local expansion.
    """

    side: OnGrid
    near: np.ndarray
    last: np.ndarray
    beyond: np.ndarray
    halves: np.ndarray
    vectors: _Sparse
    inverted: _Sparse


def k_reciprocal(
    query: np.ndarray,
    reference: np.ndarray,
    *,
    k1: int = 20,
    k2: int = 6,
    weight: float = 0.3,
    ignore: np.ndarray | None = None,
    own_row: np.ndarray | None = None,
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
    7. Final distance: weight * d + (1 - weight) * Jaccard distance, see `rank_reranked`.

    A query's own row is never used by that query, but it is a reference like any other to the other references.
    No Q x R and no R x R array is made: a vector has about k1 * k2 entries, at most k1 * k1 * k2, and the result holds,
    per query, the references that share one with it (hundreds where labels are apart, thousands where they mix).

    Args:
        query: float32 [Q, D], finite, of any length but zero.
        reference: float32 [R, D], same.
        k1: Neighbours in a k-reciprocal set, at least 1.
        k2: Vectors in a mean, 1 ... k1; 1 = no local query expansion.
        weight: Share of the original distance, 0..1 (the paper's lambda).
        ignore: bool [R], references that are not used.
        own_row: int64 [Q], the reference row that is the query itself, or -1.
        threads: None = one per core; the result does not depend on it.

    Returns:
        The Jaccard distances below 1 of every query.

    Raises:
        RerankError: A setting is out of its range, or arrays do not belong together.
    """
    checked_options("k_reciprocal", {"k1": k1, "k2": k2, "weight": weight})
    check_arrays(query, reference, ignore, own_row)
    threads = threads or os.cpu_count() or 1
    used = np.arange(len(reference)) if ignore is None else np.flatnonzero(~np.asarray(ignore, bool))
    if not len(used) or not len(query):
        return Reranked(np.zeros(len(query) + 1, np.int64), np.zeros(0, np.int32), np.zeros(0), float(weight))
    place = np.full(len(reference) + 1, -1, np.int64)  # the last place is that of no own row
    place[used] = np.arange(len(used))
    own = place[np.full(len(query), -1) if own_row is None else np.asarray(own_row)]
    references = reference if len(used) == len(reference) else reference[used]
    near = nearest_references(query, references, k1, None, own, threads).top_rows.astype(np.int32)
    starts, rows, jaccard = _of_queries(query, own, near, _graph(references, k1, k2, threads), k2, threads)
    return Reranked(starts, used.astype(np.int32)[rows], jaccard, float(weight))


def rank_reranked(
    query: np.ndarray,
    reference: np.ndarray,
    query_ids: np.ndarray,
    reference_ids: np.ndarray,
    reranked: Reranked,
    *,
    query_cameras: np.ndarray | None = None,
    reference_cameras: np.ndarray | None = None,
    ignore: np.ndarray | None = None,
    own_row: np.ndarray | None = None,
    ks: tuple[int, ...] = (),
    top: int = 10,
    threads: int | None = None,
) -> Ranks:
    """Ranks as `ranking.rank` does, by weight * (1 - cosine) + (1 - weight) * Jaccard distance, smallest first.

    The cosines are exact and the rest is float64, one value at a time, so nothing depends on the company; ties are
    ordered by row. Memory stays at 16 rows of R values per thread.

    Args:
        query: float32 [Q, D], as `k_reciprocal` was given; so are reference, ignore and own_row.
        reference: float32 [R, D].
        query_ids: int64 [Q], label ids.
        reference_ids: int64 [R], label ids in the same numbering.
        reranked: What `k_reciprocal` returned for these.
        query_cameras: int64 [Q]; with `reference_cameras`, references of the same label and camera are left out.
        reference_cameras: int64 [R].
        ignore: bool [R], references that neither help nor hurt.
        own_row: int64 [Q], the reference row that is the query itself, or -1.
        ks: Depths of `Ranks.hits`.
        top: K, how many nearest rows to keep, at least 1.
        threads: None = one per core; the result does not depend on it.

    Returns:
        Ranks, whose similarities are minus the final distance.

    Raises:
        RerankError: Arrays do not belong together.
    """
    from threadpoolctl import threadpool_limits

    check_arrays(query, reference, ignore, own_row)
    if len(reranked.starts) != len(query) + 1:
        raise RerankError(f"expected the re-ranking of {len(query)} queries, got that of {len(reranked.starts) - 1}")
    threads = threads or os.cpu_count() or 1
    queries, references = (on_grid(part, "cosine", 0.0, threads).values for part in (query, reference))
    result = empty_ranks(len(query), ks, min(max(top, 1), len(reference)))
    usable = np.ones(len(reference), bool) if ignore is None else ~np.asarray(ignore, bool)

    def valid(q: int) -> np.ndarray:
        rows = usable.copy()
        if query_cameras is not None and reference_cameras is not None:
            rows &= (reference_ids != query_ids[q]) | (reference_cameras != query_cameras[q])
        if own_row is not None and own_row[q] >= 0:
            rows[own_row[q]] = False
        return rows

    def block(mine: slice) -> None:
        _rank_block(
            queries, references, query_ids, reference_ids, reranked, valid, np.array(ks, np.int64), mine, result
        )

    with threadpool_limits(1, "blas"):
        in_parts(len(query), _QUERIES, threads, block)
    return result


def _joined(parts: list[_Sparse]) -> _Sparse:
    counts, rows, values = zip(*((np.diff(starts), rows, values) for starts, rows, values in parts), strict=True)
    starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
    return starts, np.concatenate(rows), np.concatenate(values)


def _graph(reference: np.ndarray, k1: int, k2: int, threads: int) -> _Graph:
    from lookalike.metrics.kernels import k_reciprocal as kernels

    side, count = on_grid(reference, "cosine", 0.0, threads), len(reference)
    every, nobody = np.arange(count), np.full(count, -1)
    near = nearest_references(reference, reference, k1 + 1, None, every, threads).top_rows.astype(np.int32)
    last, beyond = (kernels.score_at(side.values, side.offsets, near, place) for place in (k1 - 1, k1))
    halves = kernels.halves_of(near, int(np.around(k1 / 2)))

    def vectors(mine: slice) -> Any:
        mutual = kernels.mutual_among(near, mine.start, mine.stop - mine.start, k1)
        return kernels.vectors(side.values[mine], side.values, side.offsets, near[mine, :k1], mutual, every[mine],
                               nobody[mine], halves)  # fmt: skip

    before = after = _joined(in_parts(count, PART, threads, vectors))

    def averages(mine: slice) -> Any:
        starts, rows, values = before
        return kernels.averages(starts[mine.start : mine.stop + 1], rows, values, near[mine, : k2 - 1], *before)

    if k2 > 1:
        after = _joined(in_parts(count, PART, threads, averages))
    return _Graph(side, near, last, beyond, halves, before, kernels.inverted(*after))


def _of_queries(query: np.ndarray, own: np.ndarray, near: np.ndarray, graph: _Graph, k2: int, threads: int) -> _Sparse:
    """The Jaccard distances below 1 of every query; `near` int32 [Q, k1]."""
    from lookalike.metrics.kernels import k_reciprocal as kernels

    queries, k1 = on_grid(query, "cosine", 0.0, threads).values, near.shape[1]
    among = (graph.side.values, graph.side.offsets)

    def distances(mine: slice) -> Any:
        rows, nobody = near[mine], np.full(mine.stop - mine.start, -1)
        mutual = kernels.mutual_with(queries[mine], *among, rows, graph.near, graph.last, graph.beyond, own[mine], k1)
        found = kernels.vectors(queries[mine], *among, rows, mutual, nobody, own[mine], graph.halves)
        if k2 > 1:
            found = kernels.averages(*found, rows[:, : k2 - 1], *graph.vectors)
        return kernels.jaccard_distances(*found, own[mine], *graph.inverted)

    return _joined(in_parts(len(query), PART, threads, distances))


def _rank_block(
    queries: np.ndarray, references: np.ndarray, query_ids: np.ndarray, reference_ids: np.ndarray, reranked: Reranked,
    valid: Callable[[int], np.ndarray], ks: np.ndarray, mine: slice, result: Ranks,
) -> None:  # fmt: skip
    """Ranks for some queries, written into `result`; a product of values on the grid is exact in float64."""
    wide, count = queries[mine].astype(np.float64), len(references)
    scores = np.empty((len(wide), count))
    for first in range(0, count, _REFERENCES):
        part = slice(first, first + _REFERENCES)
        scores[:, part] = wide @ references[part].astype(np.float64).T
    places = []
    for line, q in enumerate(range(mine.start, mine.stop)):
        entries = slice(reranked.starts[q], reranked.starts[q + 1])
        jaccard = np.ones(count)
        jaccard[reranked.rows[entries]] = reranked.jaccard[entries]
        distance = reranked.weight * (1 - scores[line]) + (1 - reranked.weight) * jaccard
        rows = np.flatnonzero(valid(q))
        order = rows[np.argsort(distance[rows], kind="stable")]
        right = reference_ids[order] == query_ids[q]
        places.append(np.flatnonzero(right) + 1)
        nearest = order[: result.top_rows.shape[1]]
        result.top_rows[q, : len(nearest)] = nearest
        result.top_similarity[q, : len(nearest)] = -distance[nearest]
        if not right.all():
            result.top_other[q] = -distance[order[np.argmin(right)]]
    starts = np.concatenate([[0], np.cumsum([len(part) for part in places])]).astype(np.int64)
    take_ranks(starts, np.concatenate(places).astype(np.int64), ks, mine, result)
