"""One tile of similarities taken into account: ranks of positives counted, nearest references kept; compiled by numba.

Letters in shapes: Q queries of a tile, N references of a tile.
"""

import numpy as np

from lookalike.jit import jit
from lookalike.metrics.kernels.above import Positives, count
from lookalike.metrics.kernels.grid import Vectors
from lookalike.metrics.kernels.nearest import Nearest, take
from lookalike.metrics.kernels.valid import QueryFacts, ReferenceFacts, mask

_compiled = jit(fastmath={"reassoc", "contract", "nsz", "nnan"})


@_compiled
def scan(
    tile: np.ndarray,
    first: int,
    vectors: Vectors,
    queries: QueryFacts,
    references: ReferenceFacts,
    positives: Positives,
    nearest: Nearest,
    slack: float,
) -> None:
    """Takes one tile into account: adds to `above` of the positives, and puts what is near among the nearest.

    Args:
        tile: float32 [Q, N], similarities; it is changed.
        first: The reference row of its first column.
        vectors: Embeddings of the tile's queries and of all references.
        queries: Facts of the tile's queries.
        references: Facts of all references.
        positives: Those of the tile's queries.
        nearest: Those of the tile's queries.
        slack: By how much a similarity may be off.
    """
    mask(tile, first, queries, references)
    take(tile, first, vectors, nearest, slack)
    count(tile, first, vectors, positives)
