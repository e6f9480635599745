"""Exact ranks of the positives of every query: pure arrays in, arrays out; no sorting, no Q x R matrix.

Which references are ranked for a query says its `Problem`. Order: similarity descending, then reference row ascending.

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

from lookalike.errors import LookalikeError, install
from lookalike.metrics.exact_grid import OnGrid, Similarity, lengths_of, on_grid, shown
from lookalike.metrics.problem import Problem
from lookalike.metrics.ranks import Ranks, empty_ranks, take_ranks
from lookalike.metrics.valid_references import ANY_TIME, NEVER, NO_QUERY_CAMERA, NO_REFERENCE_CAMERA
from lookalike.parallel import one_blas_thread

if TYPE_CHECKING:
    import torch

    from lookalike.metrics.kernels.grid import Vectors
    from lookalike.metrics.kernels.valid import QueryFacts, ReferenceFacts

QUERIES, REFERENCES = 384, 512  # of a tile: its similarities and embeddings stay in a core's second cache


@dataclass(frozen=True)
class _Task:
    """What is ranked: embeddings on the grid, what the rule asks, and by how much a float32 product may be off."""

    grid: OnGrid
    vectors: "Vectors"
    queries: "QueryFacts"
    references: "ReferenceFacts"
    slack: float
    similarity: Similarity


def rank(
    query: np.ndarray,
    reference: np.ndarray,
    problem: Problem,
    *,
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
        problem: Of these Q queries and R references.
        ks: Depths of `Ranks.hits`.
        top: K, how many nearest rows to keep, at least 1.
        similarity: `cosine`, or `euclidean` for minus the distance.
        threads: None = one per core.
        device: `cuda` multiplies and counts on a GPU through torch (see `ranks_torch`); the result is the same.

    Raises:
        LookalikeError: `cuda` without torch or without a CUDA device, or a problem of other numbers.
    """
    problem.check_rows(query, reference)
    threads = threads or os.cpu_count() or 1
    gpu = _gpu() if device == "cuda" else None
    task = _task(query, reference, problem, similarity, threads)
    result = empty_ranks(len(query), ks, min(max(top, 1), len(reference)))
    depths = np.array(ks, np.int64)

    def tile(first: int, buffer: np.ndarray) -> None:
        _rank_tile(task, first, buffer, depths, result)

    if gpu is None:
        over_tiles(len(query), threads, tile)
    else:
        _rank_on(gpu, task, threads, depths, result)
    return result


def bare_product(query: np.ndarray, reference: np.ndarray, threads: int | None = None) -> None:
    """Multiplies as `rank` does, in the same tiles, and throws the products away: what its speed is measured by."""

    def tile(first: int, buffer: np.ndarray) -> None:
        part = query[first : first + QUERIES]
        for start in range(0, len(reference), REFERENCES):
            product(part, reference[start : start + REFERENCES], buffer)

    over_tiles(len(query), threads or os.cpu_count() or 1, tile)


def product(query: np.ndarray, reference: np.ndarray, buffer: np.ndarray) -> np.ndarray:
    """Inner products [B, N] of a tile, written into a buffer of `QUERIES` * `REFERENCES`."""
    tile = buffer[: len(query) * len(reference)].reshape(len(query), len(reference))
    return np.matmul(query, reference.T, out=tile)


def over_tiles(queries: int, threads: int, tile: Callable[[int, np.ndarray], None]) -> None:
    """Calls `tile` for every tile of queries, with a buffer, on threads that each multiply alone."""
    starts = list(range(0, queries, QUERIES))

    def work(mine: list[int]) -> None:
        buffer = np.empty(QUERIES * REFERENCES, np.float32)
        while True:
            try:
                first = mine.pop()  # a list is a queue that threads may share
            except IndexError:
                return
            tile(first, buffer)

    starts.reverse()
    with one_blas_thread(), ThreadPoolExecutor(max(1, min(threads, len(starts)))) as pool:
        for done in [pool.submit(work, starts) for _ in range(min(threads, len(starts)))]:
            done.result()


def _task(query: np.ndarray, reference: np.ndarray, problem: Problem, similarity: Similarity, threads: int) -> _Task:
    from lookalike.metrics.kernels.grid import Vectors

    longest = 0.0
    if similarity == "euclidean":
        longest = max(lengths_of(query).max(initial=0.0), lengths_of(reference).max(initial=0.0))
    references = on_grid(reference, similarity, longest, threads)
    queries = references if query is reference else on_grid(query, similarity, longest, threads)
    vectors = Vectors(queries.values, references.values, references.offsets)
    return _Task(queries, vectors, *facts_of(problem), slack_of(query.shape[1]), similarity)


def slack_of(dimensions: int) -> float:
    """By how much a float32 product of embeddings on the grid may be off.

    Higham 2002, section 3.1: a sum of D products of unit vectors is off by at most D u / (1 - D u), in any order; 4 u
    more for the rounding of an offset, its subtraction, the length of a vector on the grid, and of a bound; 1.01 for
    1 / (1 - D u) up to D = 160,000.

    Args:
        dimensions: D.
    """
    return 1.01 * (dimensions + 4) * 2.0**-24


def facts_of(problem: Problem, tile: int = REFERENCES) -> tuple["QueryFacts", "ReferenceFacts"]:
    """What the compiled rule asks: references by label; where no camera counts, all are unknown.

    Args:
        problem: Whose rules.
        tile: How many references a tile has; within each they are put in the order of their times.
    """
    from lookalike.metrics.kernels.valid import QueryFacts, ReferenceFacts

    sightings, (queries, references) = problem.sightings, problem.rows
    seen, seen_by = problem.query_cameras, problem.reference_cameras
    camera_rule, elsewhere, longest, by_time = ANY_TIME, NEVER, 0, np.zeros(0, np.int64)
    spans = [np.zeros(count, np.int64) for count in (queries, queries, references, references)]
    if sightings is not None:
        camera_rule, elsewhere = NEVER if seen is None else sightings.camera_rule, sightings.elsewhere
        seen, seen_by = sightings.query_cameras, sightings.reference_cameras
        spans = [sightings.query_since, sightings.query_until, sightings.reference_since, sightings.reference_until]
        longest = int((spans[3] - spans[2]).max(initial=0))
    if elsewhere >= 0:
        by_time = np.lexsort((spans[2], np.arange(references) // tile))
    if seen is None or seen_by is None:
        seen, seen_by = np.full(queries, NO_QUERY_CAMERA), np.full(references, NO_REFERENCE_CAMERA)
    labels = problem.reference_labels
    starts = np.cumsum(np.bincount(labels + 1, minlength=len(problem.names) + 1))
    by_label = np.argsort(labels, kind="stable")
    asked = QueryFacts(problem.query_labels, seen, problem.own_row, *spans[:2])
    facts = starts, by_label, seen_by, problem.ignore, spans[2], spans[3], by_time
    return asked, ReferenceFacts(*facts, longest, camera_rule, elsewhere)


def _rank_tile(task: _Task, first: int, buffer: np.ndarray, ks: np.ndarray, result: Ranks) -> None:
    """Ranks for the queries from `first` on, written into `result`."""
    from lookalike.metrics.kernels import above, nearest, ranks, valid

    mine, offsets = slice(first, first + QUERIES), task.vectors.offsets
    queries = valid.QueryFacts(*(part[mine] for part in task.queries))
    vectors = task.vectors._replace(queries=task.vectors.queries[mine])
    starts, rows, scores = valid.positives_of(vectors, queries, task.references)
    positives = above.Positives(starts, rows, scores, *outward(scores, task.slack), np.zeros(len(rows), np.int64))
    top_rows = result.top_rows[mine]
    near = nearest.Nearest(top_rows, np.full(top_rows.shape, -np.inf), np.full(len(top_rows), -np.inf))
    nearest.begin(near, positives)
    for start in range(0, len(vectors.references), REFERENCES):
        end = start + REFERENCES
        tile = product(vectors.queries, vectors.references[start:end], buffer)
        if task.similarity == "euclidean":
            tile -= offsets[start:end].astype(np.float32)
        ranks.scan(tile, start, vectors, queries, task.references, positives, near, task.slack)
    above.finish(starts, positives.above)
    _take_nearest(task, mine, near.rows, near.scores, near.other, result)
    take_ranks(starts, positives.above, ks, mine, result)


def _gpu() -> "torch.device":
    try:
        from lookalike.metrics.kernels import ranks_torch
    except ImportError as error:
        raise LookalikeError(f"device=cuda needs torch ({error}): {install('train')}, or use device=cpu") from error
    return ranks_torch.cuda()


def _rank_on(device: "torch.device", task: _Task, threads: int, ks: np.ndarray, result: Ranks) -> None:
    from lookalike.metrics.kernels import ranks_torch
    from lookalike.metrics.kernels.search_torch import Search

    top = result.top_rows.shape[1]
    search = Search(task.vectors, task.queries, task.references, top, task.slack, threads)
    for block in ranks_torch.rank_blocks(search, device):
        result.top_rows[block.mine] = block.top_rows
        _take_nearest(task, block.mine, block.top_rows, block.top_scores, block.other, result)
        take_ranks(block.starts, block.ranks, ks, block.mine, result)


def _take_nearest(
    task: _Task,
    mine: slice | np.ndarray,
    top_rows: np.ndarray,
    top_scores: np.ndarray,
    other: np.ndarray,
    result: Ranks,
) -> None:
    result.top_other[mine] = shown(other[:, None], task.grid, mine, task.similarity)[:, 0]
    result.top_similarity[mine] = np.where(top_rows >= 0, shown(top_scores, task.grid, mine, task.similarity), 0)


def outward(scores: np.ndarray, slack: float) -> tuple[np.ndarray, np.ndarray]:
    """float32 bounds of where a float32 product of the same value may lie, rounded outwards."""
    low, high = (scores - slack).astype(np.float32), (scores + slack).astype(np.float32)
    return np.nextafter(low, np.float32(-np.inf)), np.nextafter(high, np.float32(np.inf))
