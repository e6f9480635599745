import numpy as np
import pytest

from lookalike.metrics.exact_grid import on_grid
from lookalike.metrics.kernels.grid import Vectors, score, to_grid
from metrics.random_problems import unit

GRID = 2.0**25


@pytest.mark.parametrize("size", [1, 3, 8, 129])
def test_a_score_is_exact(size: int) -> None:
    """The same as with whole numbers of any size."""
    rng = np.random.default_rng(size)
    query, reference = (on_grid(unit(rng, 20, size), "cosine", 0.0, 1).values for _ in range(2))
    offsets = rng.integers(0, 2**20, 20) / GRID
    vectors = Vectors(query, reference, offsets)
    for q in range(20):
        steps = [[int(value * GRID) for value in rows[q].tolist()] for rows in (query, reference)]
        exact = sum(a * b for a, b in zip(*steps, strict=True)) - int(offsets[q] * GRID) * int(GRID)
        assert score(vectors, q, q) == exact / GRID**2


def test_unit_rows_end_on_whole_multiples() -> None:
    rng = np.random.default_rng(0)
    rows = (unit(rng, 50, 7) * rng.choice([1e-20, 1.0, 1e20], (50, 1))).astype(np.float32)
    values, offsets = np.empty_like(rows), np.full(50, 9.0)
    to_grid(rows, True, 1.0, GRID, values, offsets)
    assert (values.astype(np.float64) * GRID == np.rint(values.astype(np.float64) * GRID)).all()
    np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1, atol=1e-6)
    assert (offsets == 9.0).all(), "lengths are all one: there is nothing to take off"


def test_rows_of_any_length_share_one_scale() -> None:
    rows = np.float32([[3, 4], [0, 0], [-8, 0]])
    values, offsets = np.empty_like(rows), np.empty(3)
    to_grid(rows, False, 8.0, GRID, values, offsets)
    assert values.tolist() == [[0.375, 0.5], [0, 0], [-1, 0]]
    assert offsets.tolist() == [25 / 128, 0, 0.5]


def test_a_row_ends_on_the_same_multiples_in_any_company() -> None:
    rows = unit(np.random.default_rng(1), 40, 33)
    values, alone, nothing = np.empty_like(rows), np.empty((1, 33), np.float32), np.zeros(40)
    to_grid(rows, True, 1.0, GRID, values, nothing)
    for n in (0, 17, 39):
        to_grid(rows[n : n + 1], True, 1.0, GRID, alone, nothing[:1])
        assert np.array_equal(alone[0], values[n])
