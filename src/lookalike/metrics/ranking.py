"""Exact ranks of the positives of every query: pure arrays in, arrays out; no sorting, no Q x R matrix.

For query q the valid references are all, minus the ignored ones, minus those with the same label and the same camera
(when cameras are given), minus q itself. Order: similarity descending, then reference row ascending.

How: the similarities of the positives are known exactly; for each of them the references above it are counted, tile by
tile of a float32 product. Embeddings are rounded to a grid on which a float64 inner product is exact, and a reference
too close to a positive for float32 to tell is compared there. So tile shape, processor, BLAS and the number of threads
cannot change a rank.

Letters in shapes: Q queries, R references, D embedding, K neighbours kept.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from lookalike.errors import LookalikeError
from lookalike.metrics.exact_grid import OnGrid, Similarity, lengths_of, on_grid, shown
from lookalike.metrics.ranks import Ranks, empty_ranks, take_ranks

if TYPE_CHECKING:
    import torch


_QUERIES, _REFERENCES = 384, 512  # of a tile: its similarities and embeddings stay in a core's second cache


@dataclass(frozen=True)
class _Problem:
    query: OnGrid
    reference: OnGrid
    labels: np.ndarray
    mates_start: np.ndarray
    mates: np.ndarray
    seen: np.ndarray
    cameras: np.ndarray
    ignore: np.ndarray
    own: np.ndarray
    slack: float
    similarity: Similarity


def rank(
    query: np.ndarray,
    reference: np.ndarray,
    query_ids: np.ndarray,
    reference_ids: np.ndarray,
    *,
    query_cameras: np.ndarray | None = None,
    reference_cameras: np.ndarray | None = None,
    ignore: np.ndarray | None = None,
    own_row: np.ndarray | None = None,
    ks: tuple[int, ...] = (),
    top: int = 10,
    similarity: Similarity = "cosine",
    threads: int | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
) -> Ranks:
    """Ranks all valid references of every query.

    Args:
        query: float32 [Q, D], finite; for `cosine` any length but zero.
        reference: float32 [R, D], same.
        query_ids: int64 [Q], label ids.
        reference_ids: int64 [R], label ids in the same numbering.
        query_cameras: int64 [Q]; with `reference_cameras`, references of the same label and camera are left out.
        reference_cameras: int64 [R].
        ignore: bool [R], references that neither help nor hurt.
        own_row: int64 [Q], the reference row that is the query itself, or -1.
        ks: Depths of `Ranks.hits`.
        top: K, how many nearest rows to keep, at least 1.
        similarity: `cosine`, or `euclidean` for minus the distance.
        threads: None = one per core.
        device: `cuda` multiplies and counts on a GPU through torch (see `rank_torch`); the result is the same.

    Raises:
        LookalikeError: `cuda` without torch or without a CUDA device.
    """
    threads = threads or os.cpu_count() or 1
    gpu = _gpu() if device == "cuda" else None
    problem = _problem(query, reference, query_ids, reference_ids, query_cameras, reference_cameras, ignore, own_row,
                       similarity, threads)  # fmt: skip
    result = empty_ranks(len(query), ks, min(max(top, 1), len(reference)))
    depths = np.array(ks, np.int64)

    def tile(first: int, buffer: np.ndarray) -> None:
        _rank_tile(problem, first, buffer, depths, result)

    if gpu is None:
        _over_tiles(len(query), threads, tile)
    else:
        _rank_on(gpu, problem, threads, depths, result)
    return result


def bare_product(query: np.ndarray, reference: np.ndarray, threads: int | None = None) -> None:
    """Multiplies as `rank` does, in the same tiles, and throws the products away: what its speed is measured by."""

    def tile(first: int, buffer: np.ndarray) -> None:
        part = query[first : first + _QUERIES]
        for start in range(0, len(reference), _REFERENCES):
            _product(part, reference[start : start + _REFERENCES], buffer)

    _over_tiles(len(query), threads or os.cpu_count() or 1, tile)


def _product(query: np.ndarray, reference: np.ndarray, buffer: np.ndarray) -> np.ndarray:
    tile = buffer[: len(query) * len(reference)].reshape(len(query), len(reference))
    return np.matmul(query, reference.T, out=tile)


def _over_tiles(queries: int, threads: int, tile: Callable[[int, np.ndarray], None]) -> None:
    """Calls `tile` for every tile of queries, with a buffer, on threads that each multiply alone."""
    from threadpoolctl import threadpool_limits

    starts = list(range(0, queries, _QUERIES))

    def work(mine: list[int]) -> None:
        buffer = np.empty(_QUERIES * _REFERENCES, np.float32)
        while True:
            try:
                first = mine.pop()  # a list is a queue that threads may share
            except IndexError:
                return
            tile(first, buffer)

    starts.reverse()
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(max(1, min(threads, len(starts)))) as pool:
        for done in [pool.submit(work, starts) for _ in range(min(threads, len(starts)))]:
            done.result()


def _problem(
    query: np.ndarray, reference: np.ndarray, query_ids: np.ndarray, reference_ids: np.ndarray,
    query_cameras: np.ndarray | None, reference_cameras: np.ndarray | None, ignore: np.ndarray | None,
    own_row: np.ndarray | None, similarity: Similarity, threads: int,
) -> _Problem:  # fmt: skip
    longest = 0.0
    if similarity == "euclidean":
        longest = max(lengths_of(query).max(initial=0.0), lengths_of(reference).max(initial=0.0))
    references = on_grid(reference, similarity, longest, threads)
    queries = references if query is reference else on_grid(query, similarity, longest, threads)
    count = len(query)
    ids, codes = np.unique(reference_ids, return_inverse=True)
    place = np.searchsorted(ids, query_ids)
    known = np.append(ids, [0])[place] == query_ids
    labels = np.where(known & (place < len(ids)), place, len(ids)).astype(np.int64)
    # The last label is nobody's: queries whose label is unknown find no mates there.
    mates_start = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(ids) + 1))]).astype(np.int64)
    cameras = query_cameras is not None and reference_cameras is not None
    return _Problem(
        queries,
        references,
        labels,
        mates_start,
        np.argsort(codes, kind="stable").astype(np.int64),
        np.asarray(query_cameras if cameras else [], np.int64),
        np.asarray(reference_cameras if cameras else [], np.int64),
        np.zeros(len(reference), bool) if ignore is None else np.asarray(ignore, bool),
        np.full(count, -1, np.int64) if own_row is None else np.asarray(own_row, np.int64),
        # Higham 2002, section 3.1: a sum of D products of unit vectors is off by at most D u / (1 - D u), in any order.
        # 4 u more for the rounding of an offset, its subtraction, the length of a vector on the grid, and of a bound;
        # 1.01 for 1 / (1 - D u) up to D = 160,000.
        1.01 * (query.shape[1] + 4) * 2.0**-24,
        similarity,
    )


def _rank_tile(problem: _Problem, first: int, buffer: np.ndarray, ks: np.ndarray, result: Ranks) -> None:
    """Ranks for the queries from `first` on, written into `result`."""
    from lookalike.metrics.kernels import ranks as kernels

    mine = slice(first, first + _QUERIES)
    queries, references, offsets = problem.query.values[mine], problem.reference.values, problem.reference.offsets
    labels, own, seen = problem.labels[mine], problem.own[mine], problem.seen[mine]
    mates = (labels, problem.mates_start, problem.mates)
    starts, rows, scores = kernels.positives_of(queries, references, offsets, *mates, seen, problem.cameras,
                                                problem.ignore, own)  # fmt: skip
    low, high = _outward(scores, problem.slack)
    above = np.zeros(len(rows), np.int64)
    top_rows, top_scores = result.top_rows[mine], np.full(result.top_rows[mine].shape, -np.inf)
    kept, other = np.zeros(len(queries), np.int64), np.full(len(queries), -np.inf)
    kernels.begin_top(starts, rows, scores, top_rows, top_scores, kept)
    for start in range(0, len(references), _REFERENCES):
        end = min(start + _REFERENCES, len(references))
        tile = _product(queries, references[start:end], buffer)
        if problem.similarity == "euclidean":
            tile -= offsets[start:end].astype(np.float32)
        columns = np.flatnonzero(problem.ignore[start:end])
        kernels.scan(tile, start, queries, references, offsets, *mates, own, columns, starts, rows, scores, low, high,
                     above, top_rows, top_scores, kept, other, problem.slack)  # fmt: skip
    kernels.finish(starts, above)
    _take_nearest(problem, mine, top_rows, top_scores, other, result)
    take_ranks(starts, above, ks, mine, result)


def _gpu() -> "torch.device":
    try:
        from lookalike.metrics.kernels import ranks_torch as rank_torch
    except ImportError as error:
        raise LookalikeError(
            f"device=cuda needs torch ({error}): pip install 'lookalike[train]', or use device=cpu"
        ) from error
    return rank_torch.cuda()


def _rank_on(device: "torch.device", problem: _Problem, threads: int, ks: np.ndarray, result: Ranks) -> None:
    from lookalike.metrics.kernels import ranks_torch as rank_torch

    search = rank_torch.Search(
        problem.query.values, problem.reference.values, problem.reference.offsets, problem.labels, problem.mates_start,
        problem.mates, problem.seen, problem.cameras, problem.ignore, problem.own, result.top_rows.shape[1],
        problem.slack, threads,
    )  # fmt: skip
    for found in rank_torch.rank_blocks(search, device):
        result.top_rows[found.mine] = found.top_rows
        _take_nearest(problem, found.mine, found.top_rows, found.top_scores, found.other, result)
        take_ranks(found.starts, found.ranks, ks, found.mine, result)


def _take_nearest(
    problem: _Problem, mine: slice | np.ndarray, top_rows: np.ndarray, top_scores: np.ndarray, other: np.ndarray,
    result: Ranks,
) -> None:  # fmt: skip
    result.top_other[mine] = shown(other[:, None], problem.query, mine, problem.similarity)[:, 0]
    result.top_similarity[mine] = np.where(top_rows >= 0, shown(top_scores, problem.query, mine, problem.similarity), 0)


def _outward(scores: np.ndarray, slack: float) -> tuple[np.ndarray, np.ndarray]:
    """float32 bounds of where a float32 product of the same value may lie, rounded outwards."""
    low, high = (scores - slack).astype(np.float32), (scores + slack).astype(np.float32)
    return np.nextafter(low, np.float32(-np.inf)), np.nextafter(high, np.float32(np.inf))
