"""A block of queries against a tile of references, on any torch.device: similarities, nearest references, counts.

Letters in shapes: Q queries of a block, N references of a tile, D embedding, M pairs, P positives (of the query with
most of them where a table is padded), K neighbours kept.
"""

from dataclasses import dataclass

import numpy as np
import torch

from lookalike.errors import LookalikeError
from lookalike.metrics.kernels.search_torch import MARGIN, Search, Sizes
from lookalike.metrics.valid_references import elsewhere, in_time, left_out

NONE = float("-inf")


@dataclass(frozen=True)
class Tile:
    """References first ... first + N - 1 on the device.

    `values` float32 [N, D] and `offsets` float64 [N] as in `Vectors`, `bias` float32 [N] is minus the offset; `rows`
    int32, `labels` int32 and `ignore` bool [N] are what the rule asks; so are `cameras`, `since` and `until`, int64
    [3, N] of `seen`, where other cameras are left out within `elsewhere` milliseconds.
    """

    first: int
    values: torch.Tensor
    offsets: torch.Tensor
    bias: torch.Tensor
    rows: torch.Tensor
    labels: torch.Tensor
    ignore: torch.Tensor
    seen: torch.Tensor
    elsewhere: int

    def part(self, rows: slice) -> "Tile":
        """Some of the references, all on the device."""
        values = self.values[rows].to(self.bias.device)
        offsets, bias, own = self.offsets[rows], self.bias[rows], self.rows[rows]
        asked = self.labels[rows], self.ignore[rows], self.seen[:, rows]
        return Tile(rows.start, values, offsets, bias, own, *asked, self.elsewhere)


@dataclass(frozen=True)
class Block:
    """Some queries, what the rule asks of them, and what they have met so far.

    `scores`, `rows`, `low` and `high` are [Q, P], the positives from the farthest to the nearest, +inf behind the last;
    `seen` int64 [3, Q] are cameras and times as in `Tile`;
    `histogram` int64 [Q, P + 1] counts references by the number of positives they stand above; `best` float64 and
    `best_rows` int64 [Q, K] are the nearest references of other labels, -inf and -1 behind the last.
    """

    queries: torch.Tensor
    labels: torch.Tensor
    own_row: torch.Tensor
    seen: torch.Tensor
    scores: torch.Tensor
    rows: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    histogram: torch.Tensor
    best: torch.Tensor
    best_rows: torch.Tensor


def references(search: Search, device: torch.device, resident: bool) -> Tile:
    """All references as one tile, of which `values` are left in the computer's memory where they are not resident."""
    vectors, facts = search.vectors, search.references
    labels = np.empty(len(facts.rows), np.int32)
    labels[facts.rows] = np.repeat(np.arange(len(facts.starts) - 1), np.diff(facts.starts))
    bias, rows = -vectors.offsets.astype(np.float32), np.arange(len(labels), dtype=np.int32)
    values = torch.from_numpy(vectors.references)
    asked = np.stack([facts.cameras, facts.since, facts.until]) if facts.elsewhere >= 0 else np.zeros((3, 0), np.int64)
    parts = [torch.from_numpy(part).to(device) for part in (vectors.offsets, bias, rows, labels, facts.ignore, asked)]
    offsets, biases, own, numbers, ignore, seen = parts
    values = values.to(device) if resident else values
    return Tile(0, values, offsets, biases, own, numbers, ignore, seen, facts.elsewhere)


def similarities(block: Block, tile: Tile, slack: float) -> torch.Tensor:
    """float32 [Q, N], -inf but for the valid references of other labels.

    That is the rule with all references of the query's label taken for its own camera's: positives are ranked apart.
    """
    product = block.queries @ tile.values.T
    if tile.first == 0:
        few = product[:256, :32].double() - block.queries[:256].double() @ tile.values[:32].double().T
        if few.abs().max() > slack:
            raise LookalikeError(
                "device=cuda multiplies more coarsely than float32: unset NVIDIA_TF32_OVERRIDE, or use device=cpu"
            )
    product += tile.bias
    itself, same_label = block.own_row[:, None] == tile.rows, block.labels[:, None] == tile.labels
    always = torch.ones((), dtype=torch.bool, device=product.device)
    away = ~always
    if tile.elsewhere >= 0:
        (camera, *asked), (other, *seen) = block.seen[:, :, None], tile.seen
        near = in_time(asked[0], asked[1], seen[0], seen[1], tile.elsewhere)
        away = elsewhere(camera, other, near)
    return product.masked_fill_(left_out(tile.ignore, itself, same_label, always, away), NONE)


def _exact(block: Block, tile: Tile, query: torch.Tensor, column: torch.Tensor, pairs: int) -> torch.Tensor:
    """Exact scores float64 [M] of M pairs of a query and a column of a tile; zeros have no sign."""
    parts = zip(torch.split(query, pairs), torch.split(column, pairs), strict=True)
    products = [(block.queries[q].double() * tile.values[n].double()).sum(1) for q, n in parts]
    return torch.cat(products) - tile.offsets[column] + 0.0


def take_nearest(block: Block, tile: Tile, similarity: torch.Tensor, slack: float, sizes: Sizes) -> None:
    """Puts the nearest references of a tile among the nearest so far.

    The K-th exact score of a tile is at least the K-th float32 value less slack, so what may belong to the first K has
    a float32 value within twice the slack. Where `topk` did not reach that far, the row is sorted exactly.
    """
    keep, width = block.best.shape[1], similarity.shape[1]
    taken = min(width, keep + MARGIN)
    values, columns = similarity.topk(taken, 1)
    need = torch.maximum(values[:, min(keep, taken) - 1].double() - 2 * slack, block.best[:, -1] - slack)
    wanted = (values.double() >= need[:, None]) & (values > NONE)
    short = wanted[:, -1] & (taken < width)
    wanted &= ~short[:, None]
    columns, order = columns.sort(1)  # ties go by row
    at = torch.nonzero(wanted.gather(1, order).view(-1)).view(-1)
    scores = torch.full(columns.shape, NONE, dtype=torch.float64, device=columns.device)
    scores.view(-1)[at] = _exact(block, tile, at // taken, columns.view(-1)[at], sizes.pairs)
    _merge(block, torch.arange(len(scores), device=scores.device), scores, columns + tile.first)
    for rows in torch.split(torch.nonzero(short).view(-1), sizes.rows):
        exact = block.queries[rows].double() @ tile.values.double().T - tile.offsets + 0.0
        exact.masked_fill_(similarity[rows] == NONE, NONE)
        scores, columns = exact.sort(stable=True, dim=1, descending=True)
        _merge(block, rows, scores[:, :keep], columns[:, :keep] + tile.first)


def _merge(block: Block, at: torch.Tensor, scores: torch.Tensor, rows: torch.Tensor) -> None:
    """Merges candidates of a tile [len(at), any], in the order of rows among equal scores, into the nearest so far."""
    keep = block.best.shape[1]
    scores, order = torch.cat([block.best[at], scores], 1).sort(stable=True, dim=1, descending=True)
    block.best_rows[at] = torch.cat([block.best_rows[at], rows], 1).gather(1, order[:, :keep])
    block.best[at] = scores[:, :keep]


def count_above(block: Block, tile: Tile, similarity: torch.Tensor, sizes: Sizes) -> None:
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
