"""Embeddings on the grid and their exact inner products, compiled by numba.

Letters in shapes: N rows, Q queries, R references, D embedding.
"""

from typing import NamedTuple

import numpy as np

from lookalike.jit import jit

# Sums of values on the grid may be reordered: they are exact. There are no NaNs; infinities serve as marks.
_compiled = jit(fastmath={"reassoc", "contract", "nsz", "nnan"})
_in_order = jit()


class Vectors(NamedTuple):
    """Embeddings on the grid.

    Attributes:
        queries: float32 [Q, D].
        references: float32 [R, D].
        offsets: float64 [R], taken off the inner products: half the squared lengths, or zeros.
    """

    queries: np.ndarray
    references: np.ndarray
    offsets: np.ndarray


@_compiled
def score(vectors: Vectors, q: int, row: int) -> float:
    """The inner product of a query and a reference on the grid minus the reference's offset, exactly."""
    total = 0.0
    query, reference = vectors.queries[q], vectors.references[row]
    for d in range(query.shape[0]):  # numba turns loops over whole rows into vector instructions
        total += np.float64(query[d]) * np.float64(reference[d])
    exact: float = total - vectors.offsets[row]
    return exact


@_in_order
def to_grid(
    embeddings: np.ndarray, unit: bool, scale: float, grid: float, values: np.ndarray, offsets: np.ndarray
) -> None:
    """Writes float32 [N, D], unit length or divided by `scale`, as multiples of 1 / `grid`; the same on any machine.

    From 0.5 on float32 is coarser than the grid, so such values are rounded once more, to even multiples.
    `offsets` float64 [N] become half the squared lengths where `unit` is off.
    """
    for n in range(embeddings.shape[0]):
        row, into = embeddings[n], values[n]
        length = np.sqrt(_squares(row)) if unit else scale
        for d in range(row.shape[0]):
            into[d] = np.rint(np.float64(row[d]) / length * grid) / grid
        if not unit:
            offsets[n] = _squares(into) / 2


@_in_order
def _squares(row: np.ndarray) -> float:
    """The sum of squares in float64 (float32 overflows from lengths of 1e19), four at a time, in a fixed order."""
    whole = row.shape[0] // 4 * 4
    first, second, third, fourth = 0.0, 0.0, 0.0, 0.0
    for d in range(0, whole, 4):
        first += np.float64(row[d]) * np.float64(row[d])
        second += np.float64(row[d + 1]) * np.float64(row[d + 1])
        third += np.float64(row[d + 2]) * np.float64(row[d + 2])
        fourth += np.float64(row[d + 3]) * np.float64(row[d + 3])
    for d in range(whole, row.shape[0]):
        first += np.float64(row[d]) * np.float64(row[d])
    return (first + second) + (third + fourth)
