"""Embeddings on the grid are the same however they get there."""

import sys
from types import ModuleType

import numpy as np
import pytest

from lookalike.metrics.exact_grid import few_on_grid, on_grid


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 13, 128, 511, 1280])
def test_the_grid_is_that_of_the_compiled_kernel_to_the_last_bit(size: int) -> None:
    rng = np.random.default_rng(size)
    rows = rng.standard_normal((300, size)).astype(np.float32) * rng.uniform(1e-3, 1e3, (300, 1)).astype(np.float32)
    np.testing.assert_array_equal(few_on_grid(rows), on_grid(rows, "cosine", 0.0, 1).values)


def test_a_few_do_not_wait_for_kernels_that_another_thread_is_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a module is there already, and half empty."""
    rows = np.random.default_rng(0).standard_normal((3, 10), np.float32)
    expected = few_on_grid(rows)
    monkeypatch.setitem(sys.modules, "lookalike.metrics.kernels.grid", ModuleType("half"))
    np.testing.assert_array_equal(few_on_grid(rows), expected)
