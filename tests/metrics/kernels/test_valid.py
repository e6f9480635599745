import numpy as np
import pytest

from lookalike.metrics.kernels.valid import mask, positives_of
from metrics.kernels.tiles import blurred, tiles

every_problem = pytest.mark.parametrize("first", range(0, 220, 11))


@every_problem
def test_positives_are_the_valid_references_of_the_label_nearest_first(first: int) -> None:
    for seed in range(first, first + 11):
        given = tiles(seed)
        starts, rows, scores = positives_of(given.vectors, given.queries, given.references)
        assert (starts.dtype, rows.dtype, scores.dtype) == (np.int64, np.int64, np.float64)
        assert starts[-1] == len(rows) == len(scores)
        right = given.problem.valid(slice(None)) & given.problem.same_label(slice(None))
        for q, valid in enumerate(right):
            expected = np.flatnonzero(valid)
            expected = expected[np.lexsort((expected, -given.scores[q, expected]))]
            assert rows[starts[q] : starts[q + 1]].tolist() == expected.tolist()
            assert scores[starts[q] : starts[q + 1]].tolist() == given.scores[q, expected].tolist()


@pytest.mark.parametrize("size", [1, 7, 64])
@every_problem
def test_a_mask_leaves_the_valid_references_of_other_labels(first: int, size: int) -> None:
    for seed in range(first, first + 11):
        given = tiles(seed, size)
        whole = blurred(given.scores, seed)
        for start in range(0, whole.shape[1], size):
            part = slice(start, start + size)
            tile = np.ascontiguousarray(whole[:, part])
            mask(tile, start, given.queries, given.references)
            assert np.array_equal(tile, np.where(given.strangers[:, part], whole[:, part], -np.inf))
