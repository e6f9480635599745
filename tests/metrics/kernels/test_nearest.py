import numpy as np
import pytest

from lookalike.metrics.kernels.above import Positives
from lookalike.metrics.kernels.nearest import Nearest, begin, take
from lookalike.metrics.kernels.valid import positives_of
from metrics.kernels.tiles import SLACK, blurred, tiles


def nothing_yet(queries: int, top: int) -> Nearest:
    return Nearest(np.full((queries, top), -1), np.full((queries, top), -np.inf), np.full(queries, -np.inf))


def sorted_rows(scores: np.ndarray, valid: np.ndarray) -> list[int]:
    rows = np.flatnonzero(valid)
    return rows[np.lexsort((rows, -scores[rows]))].tolist()


@pytest.mark.parametrize("top", [1, 3, 70])
@pytest.mark.parametrize("size", [1, 7, 64])
@pytest.mark.parametrize("first", range(0, 110, 11))
def test_the_nearest_are_those_of_plain_sorting(first: int, size: int, top: int) -> None:
    for seed in range(first, first + 11):
        given = tiles(seed)
        nearest = nothing_yet(len(given.scores), top)
        starts, rows, scores = positives_of(given.vectors, given.queries, given.references)
        bounds = scores.astype(np.float32)
        begin(nearest, Positives(starts, rows, scores, bounds, bounds, np.zeros(len(rows), np.int64)))
        masked = np.where(given.strangers, blurred(given.scores, seed), np.float32(-np.inf))
        for start in range(0, masked.shape[1], size):
            tile = np.ascontiguousarray(masked[:, start : start + size])
            take(tile, start, given.vectors, nearest, SLACK)
        valid = given.problem.valid(slice(None))
        for q, line in enumerate(given.scores):
            order = sorted_rows(line, valid[q])[:top]
            assert nearest.rows[q].tolist() == order + [-1] * (top - len(order))
            assert nearest.scores[q, : len(order)].tolist() == line[order].tolist()
            others = sorted_rows(line, given.strangers[q])
            assert nearest.other[q] == (line[others[0]] if others else -np.inf)


def test_what_was_near_for_the_query_before_settles_nothing() -> None:
    """The second query is far from all that the first one found."""
    given = tiles(0)
    line = np.zeros((2, 64), np.float32)
    line[0], line[1] = np.linspace(0.9, 0.3, 64), np.linspace(-0.9, -0.3, 64)
    reference = np.zeros((64, 2), np.float32)
    reference[:, 0], reference[:, 1] = line
    vectors = given.vectors._replace(queries=np.eye(2, dtype=np.float32), references=reference, offsets=np.zeros(64))
    nearest = nothing_yet(2, 5)
    take(
        line.copy(),
        100,
        vectors._replace(references=np.pad(reference, ((100, 0), (0, 0))), offsets=np.zeros(164)),
        nearest,
        SLACK,
    )
    assert nearest.rows.tolist() == [[100, 101, 102, 103, 104], [163, 162, 161, 160, 159]]
