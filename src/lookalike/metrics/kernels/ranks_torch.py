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
from math import isqrt
from typing import Any

import numpy as np
import torch

from lookalike.errors import LookalikeError
from lookalike.metrics.kernels import ranks as rank_kernels

_MOST, _ON_CPU = 4 << 30, 512 << 20  # bytes to work in, beside the references: never more on a GPU; always on a CPU
_PER_SIMILARITY = 48  # bytes for each in a tile: product, two int32 places, marks, the list of all if all are near
_PER_POSITIVE = 64  # bytes for each place in a padded table
_QUERIES, _REFERENCES = 4096, 16384  # of a tile at most: larger ones are not faster
_MARGIN = 16  # references that topk takes beyond K before a row is sorted exactly
_POSITIVES_OF = 64  # queries whose positives one thread scores at a time
_NONE = float("-inf")


@dataclass(frozen=True)
class Search:
    """What is ranked; embeddings on the grid.

    Attributes:
        queries: float32 [all queries, D].
        references: float32 [R, D].
        offsets: float64 [R], taken off the inner products: half the squared lengths, or zeros.
        labels: int64 [all queries], in 0 ... L, L being the label of queries whose label no reference has.
        mates_start: int64 [L + 2], where each label begins in `mates`.
        mates: int64 [R], reference rows by label, ascending within.
        seen: int64 [all queries], cameras of the queries, or empty.
        cameras: int64 [R], cameras of the references, or empty.
        ignore: bool [R], references left out.
        own: int64 [all queries], the reference row that is the query itself, or -1.
        top: K, at most R.
        slack: By how much a float32 product may be off.
        threads: For the positives, which are scored on the CPU.
    """

    queries: np.ndarray
    references: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    mates_start: np.ndarray
    mates: np.ndarray
    seen: np.ndarray
    cameras: np.ndarray
    ignore: np.ndarray
    own: np.ndarray
    top: int
    slack: float
    threads: int


@dataclass(frozen=True)
class Found:
    """What was found for some of the queries.

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


@dataclass(frozen=True)
class Sizes:
    """How much is done at a time; it changes no result.

    Attributes:
        queries: Q of a block at most.
        references: N of a tile at most.
        table: Q x (P + 1) at most, unless one query alone has more.
        pairs: Exact inner products at a time.
        rows: Rows of a tile that are sorted exactly at a time.
        resident: Whether all references stay on the device; otherwise they are sent tile by tile for every block.
    """

    queries: int
    references: int
    table: int
    pairs: int
    rows: int
    resident: bool


@dataclass(frozen=True)
class _Tile:
    """References first ... first + N - 1 on the device; `bias` is minus the offset in float32, -inf where ignored."""

    first: int
    values: torch.Tensor
    offsets: torch.Tensor
    bias: torch.Tensor
    codes: torch.Tensor


@dataclass(frozen=True)
class _Block:
    """Some queries and what is known of them so far.

    `scores`, `rows`, `low` and `high` are [Q, P], the positives from the farthest to the nearest, +inf behind the last;
    `histogram` int64 [Q, P + 1] counts references by the number of positives they stand above; `best` float64 and
    `best_rows` int64 [Q, K] are the nearest references of other labels, -inf and -1 behind the last.
    """

    queries: torch.Tensor
    labels: torch.Tensor
    own: np.ndarray
    scores: torch.Tensor
    rows: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    histogram: torch.Tensor
    best: torch.Tensor
    best_rows: torch.Tensor


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


def sizes_for(search: Search, device: torch.device) -> Sizes:
    """Sizes for the free memory of a device: at most half of it for references, half of the rest (or `_MOST`) to work.

    Args:
        search: What is ranked.
        device: Where.
    """
    count, size = search.references.shape
    resident, working, small = True, _ON_CPU, count * 16  # offsets, biases and label codes always stay on the device
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        free = torch.cuda.mem_get_info(device)[0] + unused
        resident = 4 * count * size + small <= free // 2
        working = max(min((free - small - resident * 4 * count * size) // 2, _MOST), 1 << 20)
    similarities = working // _PER_SIMILARITY
    widest = working // 4 // _PER_POSITIVE
    queries = max(1, min(_QUERIES, isqrt(similarities), widest // (2 * search.top + _MARGIN)))
    references = max(1, min(_REFERENCES, similarities // queries))
    pairs, rows = working // 8 // (32 * size), working // 8 // (40 * references + 12 * size)
    return Sizes(queries, references, max(1, widest), max(1, pairs), max(1, rows), resident)


def rank_blocks(search: Search, device: torch.device) -> Iterator[Found]:
    """Ranks all queries, block by block, those with the fewest positives first.

    Args:
        search: What is ranked.
        device: Where; any device of torch that knows float64.

    Yields:
        What was found; each query is in one of them.

    Raises:
        LookalikeError: The device multiplies more coarsely than float32.
    """
    sizes = sizes_for(search, device)
    whole = _references(search, device, sizes.resident)
    mates = np.diff(search.mates_start)[search.labels]
    order, first = np.argsort(mates, kind="stable"), 0
    while first < len(order):
        last = min(first + sizes.queries, len(order))
        while last - first > 1 and (last - first) * (mates[order[last - 1]] + 1) > sizes.table:
            last = first + (last - first) // 2
        with _full_precision(device):
            found = _rank_block(search, order[first:last], whole, sizes, device)
        yield found
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


def _references(search: Search, device: torch.device, resident: bool) -> _Tile:
    """All references as one tile, of which `values` are left in the computer's memory where they are not resident."""
    codes = np.empty(len(search.references), np.int32)
    codes[search.mates] = np.repeat(np.arange(len(search.mates_start) - 1), np.diff(search.mates_start))
    bias = np.where(search.ignore, np.float32(_NONE), -search.offsets.astype(np.float32))
    values = torch.from_numpy(search.references)
    offsets, biases, labels = (torch.from_numpy(part).to(device) for part in (search.offsets, bias, codes))
    return _Tile(0, values.to(device) if resident else values, offsets, biases, labels)


def _rank_block(search: Search, mine: np.ndarray, whole: _Tile, sizes: Sizes, device: torch.device) -> Found:
    starts, rows, scores = _positives(search, mine)
    block = _begin(search, mine, starts, rows, scores, device)
    for first in range(0, len(search.references), sizes.references):
        part = slice(first, first + sizes.references)
        values = whole.values[part].to(device)
        tile = _Tile(first, values, whole.offsets[part], whole.bias[part], whole.codes[part])
        similarity = _similarities(block, tile, search.slack)
        _take_nearest(block, tile, similarity, search.slack, sizes)
        _count_above(block, tile, similarity, sizes)
    query, place = _places(starts)
    above = np.cumsum(block.histogram.cpu().numpy()[:, ::-1], axis=1)[:, ::-1]
    ranks = above[query, np.diff(starts)[query] - place] + place + 1
    best, best_rows = block.best.cpu().numpy(), block.best_rows.cpu().numpy()
    top_scores, top_rows = _with_positives(best, best_rows, starts, rows, scores)
    return Found(mine, starts, ranks, top_rows, top_scores, best[:, :1].max(1, initial=_NONE))


def _positives(search: Search, mine: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `rank_kernels.positives_of`, on several threads."""

    def some(first: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        few = mine[first : first + _POSITIVES_OF]
        seen = search.seen[few] if len(search.seen) else search.seen
        found: tuple[np.ndarray, np.ndarray, np.ndarray] = rank_kernels.positives_of(
            search.queries[few], search.references, search.offsets, search.labels[few], search.mates_start,
            search.mates, seen, search.cameras, search.ignore, search.own[few],
        )  # fmt: skip
        return found

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
) -> _Block:
    count, most = len(mine), int(np.diff(starts).max())
    query, place = _places(starts)
    column = np.diff(starts)[query] - 1 - place
    padded_scores, padded_rows = np.full((count, most), np.inf), np.zeros((count, most), np.int64)
    padded_scores[query, column], padded_rows[query, column] = scores, rows
    exact = torch.from_numpy(padded_scores).to(device)
    infinite = torch.full((), torch.inf, device=device)
    return _Block(
        torch.from_numpy(search.queries[mine]).to(device),
        torch.from_numpy(search.labels[mine].astype(np.int32)).to(device),
        search.own[mine],
        exact,
        torch.from_numpy(padded_rows).to(device),
        torch.nextafter((exact - search.slack).float(), -infinite),
        torch.nextafter((exact + search.slack).float(), infinite),
        torch.zeros((count, most + 1), dtype=torch.int64, device=device),
        torch.full((count, search.top), _NONE, dtype=torch.float64, device=device),
        torch.full((count, search.top), -1, dtype=torch.int64, device=device),
    )


def _similarities(block: _Block, tile: _Tile, slack: float) -> torch.Tensor:
    """float32 [Q, N], -inf for references of the query's label, its own row and the ignored ones."""
    product = block.queries @ tile.values.T
    if tile.first == 0:
        few = product[:256, :32].double() - block.queries[:256].double() @ tile.values[:32].double().T
        if few.abs().max() > slack:
            raise LookalikeError(
                "device=cuda multiplies more coarsely than float32: unset NVIDIA_TF32_OVERRIDE, or use device=cpu"
            )
    product += tile.bias
    product.masked_fill_(block.labels[:, None] == tile.codes, _NONE)
    inside = np.flatnonzero((block.own >= tile.first) & (block.own < tile.first + len(tile.values)))
    if len(inside):
        query, column = (torch.from_numpy(part).to(product.device) for part in (inside, block.own[inside] - tile.first))
        product[query, column] = _NONE
    return product


def _exact(block: _Block, tile: _Tile, query: torch.Tensor, column: torch.Tensor, pairs: int) -> torch.Tensor:
    """Exact scores float64 [M] of M pairs of a query and a column of a tile; zeros have no sign."""
    parts = zip(torch.split(query, pairs), torch.split(column, pairs), strict=True)
    products = [(block.queries[q].double() * tile.values[n].double()).sum(1) for q, n in parts]
    return torch.cat(products) - tile.offsets[column] + 0.0


def _take_nearest(block: _Block, tile: _Tile, similarity: torch.Tensor, slack: float, sizes: Sizes) -> None:
    """Puts the nearest references of a tile among the nearest so far.

    The K-th exact score of a tile is at least the K-th float32 value less slack, so what may belong to the first K has
    a float32 value within twice the slack. Where `topk` did not reach that far, the row is sorted exactly.
    """
    keep, width = block.best.shape[1], similarity.shape[1]
    taken = min(width, keep + _MARGIN)
    values, columns = similarity.topk(taken, 1)
    need = torch.maximum(values[:, min(keep, taken) - 1].double() - 2 * slack, block.best[:, -1] - slack)
    wanted = (values.double() >= need[:, None]) & (values > _NONE)
    short = wanted[:, -1] & (taken < width)
    wanted &= ~short[:, None]
    columns, order = columns.sort(1)  # ties go by row
    at = torch.nonzero(wanted.gather(1, order).view(-1)).view(-1)
    scores = torch.full(columns.shape, _NONE, dtype=torch.float64, device=columns.device)
    scores.view(-1)[at] = _exact(block, tile, at // taken, columns.view(-1)[at], sizes.pairs)
    _merge(block, torch.arange(len(scores), device=scores.device), scores, columns + tile.first)
    for rows in torch.split(torch.nonzero(short).view(-1), sizes.rows):
        exact = block.queries[rows].double() @ tile.values.double().T - tile.offsets + 0.0
        exact.masked_fill_(similarity[rows] == _NONE, _NONE)
        scores, columns = exact.sort(stable=True, dim=1, descending=True)
        _merge(block, rows, scores[:, :keep], columns[:, :keep] + tile.first)


def _merge(block: _Block, at: torch.Tensor, scores: torch.Tensor, rows: torch.Tensor) -> None:
    """Merges candidates of a tile [len(at), any], in the order of rows among equal scores, into the nearest so far."""
    keep = block.best.shape[1]
    scores, order = torch.cat([block.best[at], scores], 1).sort(stable=True, dim=1, descending=True)
    block.best_rows[at] = torch.cat([block.best_rows[at], rows], 1).gather(1, order[:, :keep])
    block.best[at] = scores[:, :keep]


def _count_above(block: _Block, tile: _Tile, similarity: torch.Tensor, sizes: Sizes) -> None:
    """Adds a tile to the histogram: for each reference how many positives of the query it stands above."""
    count, most = block.scores.shape
    width = similarity.shape[1]
    if not most:
        return
    # Surely above those with high < value, surely below those with value < low; low < high, so place <= reach.
    place = torch.searchsorted(block.high, similarity, out_int32=True).view(-1)
    reach = torch.searchsorted(block.low, similarity, out_int32=True, right=True).view(-1)
    for near in torch.split(torch.nonzero(place != reach).view(-1), sizes.pairs):
        query, column = near // width, near % width
        value = _exact(block, tile, query, column, sizes.pairs)
        start, stop, row = place[near].long(), reach[near].long(), column + tile.first
        for _ in range(int((stop - start).max()).bit_length() if len(near) else 0):
            middle = torch.minimum((start + stop) // 2, stop - 1).clamp_(min=0)
            score, positive = block.scores[query, middle], block.rows[query, middle]
            above = (value > score) | ((value == score) & (row < positive))
            searching = start < stop
            start = torch.where(searching & above, middle + 1, start)
            stop = torch.where(searching & ~above, middle, stop)
        place[near] = start.int()
    place.view(count, width).add_(torch.arange(count, dtype=torch.int32, device=place.device)[:, None] * (most + 1))
    block.histogram.add_(torch.bincount(place, minlength=block.histogram.numel()).view_as(block.histogram))


def _with_positives(
    best: np.ndarray, best_rows: np.ndarray, starts: np.ndarray, rows: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of all: those of other labels [Q, K] and the positives, score descending, then row ascending."""
    keep = best.shape[1]
    query, place = _places(starts)
    first = place < keep
    both = np.full((len(best), 2 * keep), _NONE)
    both_rows = np.full(both.shape, -1, np.int64)
    both[:, :keep], both_rows[:, :keep] = best, np.where(best > _NONE, best_rows, -1)
    both[query[first], keep + place[first]] = scores[first]
    both_rows[query[first], keep + place[first]] = rows[first]
    order = np.lexsort((both_rows, -both))[:, :keep]
    return np.take_along_axis(both, order, 1), np.take_along_axis(both_rows, order, 1)
