"""The torch back end of `ranking.rank`: the same ranks and neighbours as its numba path, counted on a GPU.

A float32 product is off by at most `slack`, so most references are above or below a positive beyond doubt; the others
are settled by exact float64 inner products (embeddings are on a grid, so no order of summing rounds). A tile of
references is searched among the thresholds of each query's positives; the places found become a histogram, whose sums
from the top are the counts above each positive. All of it takes any torch.device; only `cuda` looks for a GPU.

Letters in shapes: Q queries of a block, N references of a tile, R references, D embedding, P positives (of the query
with most of them where a table is padded), K neighbours kept.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lookalike.errors import LookalikeError
from lookalike.metrics.kernels.search_torch import Search, Sizes, sizes_for
from lookalike.metrics.kernels.tiles_torch import (
    NONE,
    Block,
    Tile,
    count_above,
    references,
    similarities,
    take_nearest,
)
from lookalike.metrics.kernels.valid import QueryFacts, positives_of

_POSITIVES_OF = 64  # queries whose positives one thread scores at a time


def cuda() -> torch.device:
    """The current GPU.

    Raises:
        LookalikeError: There is none.
    """
    if not torch.cuda.is_available():
        raise LookalikeError(
            "device=cuda: torch finds no CUDA device here: use device=cpu, or check the driver with nvidia-smi"
        )
    return torch.device("cuda", torch.cuda.current_device())


@dataclass(frozen=True)
class BlockRanks:
    """Ranks and neighbours of some of the queries.

    Attributes:
        mine: int64 [Q], which queries.
        starts: int64 [Q + 1], where the positives of each begin.
        ranks: int64 [sum of P], ranks of the positives, nearest first, 1 = nearest.
        top_rows: int64 [Q, K], nearest valid references, -1 behind the last.
        top_scores: float64 [Q, K], their exact scores, -inf behind the last.
        other: float64 [Q], exact score of the nearest valid reference of another label, or -inf.
    """

    mine: np.ndarray
    starts: np.ndarray
    ranks: np.ndarray
    top_rows: np.ndarray
    top_scores: np.ndarray
    other: np.ndarray


def rank_blocks(search: Search, device: torch.device) -> Iterator[BlockRanks]:
    """Ranks all queries, block by block, those with the fewest positives first.

    Args:
        search: What is ranked.
        device: Where; any device of torch that knows float64.

    Yields:
        Their ranks and neighbours; each query is in one of them.

    Raises:
        LookalikeError: The device multiplies more coarsely than float32.
    """
    sizes = sizes_for(search, device)
    whole = references(search, device, sizes.resident)
    mates = np.diff(search.references.starts)[search.queries.labels]
    order, first = np.argsort(mates, kind="stable"), 0
    while first < len(order):
        last = min(first + sizes.queries, len(order))
        while last - first > 1 and (last - first) * (mates[order[last - 1]] + 1) > sizes.table:
            last = first + (last - first) // 2
        with _full_precision(device):
            ranks = _rank_block(search, order[first:last], whole, sizes, device)
        yield ranks
        first = last


@contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    """float32 products in float32, whatever the process asks for; its settings are as before afterwards.

    torch keeps two settings, an older one for all and newer ones (from 2.9) for each library. Reading the older fails
    where the newer contradict it, which they do only if it is `highest`.
    """
    libraries: list[Any] = [torch.backends.cuda.matmul, getattr(torch.backends.mkldnn, "matmul", None)]
    newer = [(library, library.fp32_precision) for library in libraries if hasattr(library, "fp32_precision")]
    try:
        older = torch.get_float32_matmul_precision()
    except RuntimeError:
        older = "highest"
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.inference_mode(), torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(older)
        for library, value in newer:
            library.fp32_precision = value


def _rank_block(search: Search, mine: np.ndarray, whole: Tile, sizes: Sizes, device: torch.device) -> BlockRanks:
    starts, rows, scores = _positives(search, mine)
    block = _begin(search, mine, starts, rows, scores, device)
    for first in range(0, len(whole.values), sizes.references):
        tile = whole.part(slice(first, first + sizes.references))
        similarity = similarities(block, tile, search.slack)
        take_nearest(block, tile, similarity, search.slack, sizes)
        count_above(block, tile, similarity, sizes)
    query, place = _places(starts)
    above = np.cumsum(block.histogram.cpu().numpy()[:, ::-1], axis=1)[:, ::-1]
    ranks = above[query, np.diff(starts)[query] - place] + place + 1
    best, best_rows = block.best.cpu().numpy(), block.best_rows.cpu().numpy()
    top_scores, top_rows = _with_positives(best, best_rows, starts, rows, scores)
    return BlockRanks(mine, starts, ranks, top_rows, top_scores, best[:, :1].max(1, initial=NONE))


def _positives(search: Search, mine: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `valid.positives_of`, on several threads."""

    def some(first: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        few = mine[first : first + _POSITIVES_OF]
        vectors = search.vectors._replace(queries=search.vectors.queries[few])
        queries = QueryFacts(*(part[few] for part in search.queries))
        positives: tuple[np.ndarray, np.ndarray, np.ndarray] = positives_of(vectors, queries, search.references)
        return positives

    with ThreadPoolExecutor(search.threads) as pool:
        starts, rows, scores = zip(*pool.map(some, range(0, len(mine), _POSITIVES_OF)), strict=True)
    counts = np.concatenate([np.diff(part) for part in starts])
    return np.concatenate([[0], np.cumsum(counts)]), np.concatenate(rows), np.concatenate(scores)


def _places(starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each positive its query and its place among the query's positives, 0 = nearest."""
    query = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    return query, np.arange(starts[-1]) - starts[query]


def _begin(
    search: Search, mine: np.ndarray, starts: np.ndarray, rows: np.ndarray, scores: np.ndarray, device: torch.device
) -> Block:
    count, most = len(mine), int(np.diff(starts).max())
    query, place = _places(starts)
    column = np.diff(starts)[query] - 1 - place
    padded_scores, padded_rows = np.full((count, most), np.inf), np.zeros((count, most), np.int64)
    padded_scores[query, column], padded_rows[query, column] = scores, rows
    exact = torch.from_numpy(padded_scores).to(device)
    infinite, asking = torch.full((), torch.inf, device=device), search.queries
    return Block(
        torch.from_numpy(search.vectors.queries[mine]).to(device),
        torch.from_numpy(search.queries.labels[mine].astype(np.int32)).to(device),
        torch.from_numpy(search.queries.own_row[mine].astype(np.int32)).to(device),
        torch.from_numpy(np.stack([asking.cameras[mine], asking.since[mine], asking.until[mine]])).to(device),
        exact,
        torch.from_numpy(padded_rows).to(device),
        torch.nextafter((exact - search.slack).float(), -infinite),
        torch.nextafter((exact + search.slack).float(), infinite),
        torch.zeros((count, most + 1), dtype=torch.int64, device=device),
        torch.full((count, search.top), NONE, dtype=torch.float64, device=device),
        torch.full((count, search.top), -1, dtype=torch.int64, device=device),
    )


def _with_positives(
    best: np.ndarray, best_rows: np.ndarray, starts: np.ndarray, rows: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of all: those of other labels [Q, K] and the positives, score descending, then row ascending."""
    keep = best.shape[1]
    query, place = _places(starts)
    first = place < keep
    both = np.full((len(best), 2 * keep), NONE)
    both_rows = np.full(both.shape, -1, np.int64)
    both[:, :keep], both_rows[:, :keep] = best, np.where(best > NONE, best_rows, -1)
    both[query[first], keep + place[first]] = scores[first]
    both_rows[query[first], keep + place[first]] = rows[first]
    order = np.lexsort((both_rows, -both))[:, :keep]
    return np.take_along_axis(both, order, 1), np.take_along_axis(both_rows, order, 1)
