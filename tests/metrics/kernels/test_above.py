import numpy as np
import pytest

from lookalike.metrics.kernels.above import Positives, count, count_from, finish
from lookalike.metrics.kernels.grid import Vectors
from lookalike.metrics.kernels.valid import positives_of
from metrics.kernels.tiles import SLACK, blurred, tiles


def positives_with(starts: np.ndarray, rows: np.ndarray, scores: np.ndarray) -> Positives:
    low, high = (scores - 2 * SLACK).astype(np.float32), (scores + 2 * SLACK).astype(np.float32)
    return Positives(starts, rows, scores, low, high, np.zeros(len(rows), np.int64))


@pytest.mark.parametrize("size", [1, 7, 64])
@pytest.mark.parametrize("first", range(0, 220, 11))
def test_ranks_are_those_of_plain_counting(first: int, size: int) -> None:
    for seed in range(first, first + 11):
        given = tiles(seed)
        positives = positives_with(*positives_of(given.vectors, given.queries, given.references))
        masked = np.where(given.strangers, blurred(given.scores, seed), np.float32(-np.inf))
        for start in range(0, masked.shape[1], size):
            count(np.ascontiguousarray(masked[:, start : start + size]), start, given.vectors, positives)
        finish(positives.starts, positives.above)
        valid = given.problem.valid(slice(None))
        for q in range(len(valid)):
            order = np.flatnonzero(valid[q])
            order = order[np.lexsort((order, -given.scores[q, order]))].tolist()
            mine = slice(positives.starts[q], positives.starts[q + 1])
            assert positives.above[mine].tolist() == [order.index(row) + 1 for row in positives.rows[mine]]


@pytest.mark.parametrize("positives", [95, 96, 300])
@pytest.mark.parametrize("spread", [1.0, 3e-6, 0.0])
def test_many_positives_are_counted_by_search_to_the_same_ranks(positives: int, spread: float) -> None:
    """On either side of the number from which on they are searched; values too near for float32, and equal ones."""
    rng = np.random.default_rng(positives)
    values = np.float32(0.5 + spread * np.rint(rng.uniform(-0.4, 0.4, 900) * 2**18) / 2**18)
    reference = np.stack([values, np.zeros_like(values)], 1)
    vectors = Vectors(np.float32([[1, 0]]), reference, np.zeros(900))
    exact = values.astype(np.float64)
    rows = rng.permutation(900)[:positives]
    rows = rows[np.lexsort((rows, -exact[rows]))]
    given = positives_with(np.array([0, positives]), rows, exact[rows])
    tile = blurred(exact[None], positives)
    tile[0, rows] = -np.inf
    for start in (0, 256, 512, 768):
        count(np.ascontiguousarray(tile[:, start : start + 256]), start, vectors, given)
    finish(given.starts, given.above)
    order = np.lexsort((np.arange(900), -exact))
    assert given.above.tolist() == (np.argsort(order)[rows] + 1).tolist()


def test_counting_passes_over_what_is_masked() -> None:
    line = np.float32([-np.inf, 0.25, 0.5, -1.0])
    assert [count_from(line, np.float32(least)) for least in (-3e38, 0.25, 0.3, 2)] == [3, 2, 1, 0]
