"""Embeddings on a grid on which a float64 inner product is exact, so that no rank depends on how sums are rounded.

Letters in shapes: N rows, D embedding, Q queries, K neighbours kept.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np

Similarity = Literal["cosine", "euclidean"]
_GRID = 2.0**25  # values below 1 stay float32, and a sum of their products stays below 2^53 grid steps
_ROWS = 1024  # put on the grid at a time


@dataclass(frozen=True)
class OnGrid:
    """Embeddings on the grid: float32 [N, D] times `scale`; offsets float64 [N] are half the squared lengths."""

    values: np.ndarray
    offsets: np.ndarray
    scale: float


def lengths_of(embeddings: np.ndarray) -> np.ndarray:
    """The lengths of float32 [N, D], float64 [N], summed in float64: squares of float32 overflow from 1e19."""
    parts = [embeddings[first : first + _ROWS] for first in range(0, len(embeddings), _ROWS)]
    lengths = [np.sqrt(np.einsum("nd,nd->n", part, part, dtype=np.float64)) for part in parts]
    return np.concatenate([np.zeros(0), *lengths])


def on_grid(embeddings: np.ndarray, similarity: Similarity, longest: float, threads: int) -> OnGrid:
    """Whole multiples of 1 / `_GRID`, off by 4.5e-8 at most: unit vectors, or all divided by one power of two."""
    from lookalike.metrics.kernels import grid

    scale = 2.0 ** np.ceil(np.log2(longest)) if longest > 0 else 1.0
    values, offsets = np.empty(embeddings.shape, np.float32), np.zeros(len(embeddings))

    def part(first: int) -> None:
        mine = slice(first, first + _ROWS)
        grid.to_grid(embeddings[mine], similarity == "cosine", scale, _GRID, values[mine], offsets[mine])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(part, range(0, len(embeddings), _ROWS)))
    return OnGrid(values, offsets, scale)


def few_on_grid(embeddings: np.ndarray) -> np.ndarray:
    """Unit vectors of a few embeddings on the grid, float32 [N, D], as `on_grid` gives them.

    Without compiled code where none is loaded yet: a search for one image starts sooner than the compiler does.
    """
    if (kernel := sys.modules.get("lookalike.metrics.kernels.grid")) is not None:
        compiled = np.empty(embeddings.shape, np.float32)
        kernel.to_grid(np.ascontiguousarray(embeddings), True, 1.0, _GRID, compiled, np.zeros(len(embeddings)))
        return compiled
    values = embeddings.astype(np.float64)
    whole = values.shape[1] // 4 * 4
    # The sums of the kernel, in its order: four side by side, the rest on the first.
    sums = np.zeros((len(values), 4))
    if whole:
        sums = np.cumsum((values[:, :whole] ** 2).reshape(len(values), -1, 4), axis=1)[:, -1]
    for column in range(whole, values.shape[1]):
        sums[:, 0] += values[:, column] ** 2
    lengths = np.sqrt((sums[:, 0] + sums[:, 1]) + (sums[:, 2] + sums[:, 3]))
    gridded: np.ndarray = (np.rint(values / lengths[:, None] * _GRID) / _GRID).astype(np.float32)
    return gridded


def shown(scores: np.ndarray, query: OnGrid, mine: slice | np.ndarray, similarity: Similarity) -> np.ndarray:
    """What is told of exact scores [Q, K]: the cosine, or minus the distance, as |x - y|^2 = |x|^2 - 2 score."""
    if similarity == "cosine":
        return scores
    squared = 2 * query.offsets[mine, None] - 2 * scores
    return np.where(np.isfinite(scores), -np.sqrt(np.maximum(squared, 0)) * query.scale, scores)
