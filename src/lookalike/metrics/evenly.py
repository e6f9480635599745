"""Rows spread evenly over many, for what is measured on some of them."""

import numpy as np


def evenly(count: int, most: int) -> np.ndarray:
    """The first row, the last, and rows between them at the same distance, int64, ascending.

    Args:
        count: How many rows there are, at least 1.
        most: How many are chosen; all where there are no more.
    """
    rows: np.ndarray = np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))
    return rows
