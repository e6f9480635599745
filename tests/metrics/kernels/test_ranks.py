import numpy as np
import pytest

from lookalike.metrics.kernels.above import Positives, finish
from lookalike.metrics.kernels.nearest import Nearest, begin
from lookalike.metrics.kernels.ranks import scan
from lookalike.metrics.kernels.valid import positives_of
from metrics.kernels.tiles import SLACK, blurred, tiles


@pytest.mark.parametrize("size", [5, 64])
@pytest.mark.parametrize("first", range(0, 110, 11))
def test_a_scan_masks_keeps_and_counts(first: int, size: int) -> None:
    for seed in range(first, first + 11):
        given = tiles(seed, size)
        starts, rows, scores = positives_of(given.vectors, given.queries, given.references)
        low, high = (scores - 2 * SLACK).astype(np.float32), (scores + 2 * SLACK).astype(np.float32)
        positives = Positives(starts, rows, scores, low, high, np.zeros(len(rows), np.int64))
        count = len(given.scores)
        nearest = Nearest(np.full((count, 4), -1), np.full((count, 4), -np.inf), np.full(count, -np.inf))
        begin(nearest, positives)
        whole = blurred(given.scores, seed)
        for start in range(0, whole.shape[1], size):
            tile = np.ascontiguousarray(whole[:, start : start + size])
            scan(tile, start, given.vectors, given.queries, given.references, positives, nearest, SLACK)
        finish(starts, positives.above)
        for q, valid in enumerate(given.problem.valid(slice(None))):
            order = np.flatnonzero(valid)
            order = order[np.lexsort((order, -given.scores[q, order]))].tolist()
            assert positives.above[starts[q] : starts[q + 1]].tolist() == [
                order.index(row) + 1 for row in rows[starts[q] : starts[q + 1]]
            ]
            assert nearest.rows[q].tolist() == (order + [-1] * 4)[:4]
