"""What the torch back end of `ranking.rank` searches, and how much of it at a time.

Letters in shapes: Q queries of a block, N references of a tile, R references, P positives of a query, K neighbours.
"""

from dataclasses import dataclass
from math import isqrt

import torch

from lookalike.metrics.kernels.grid import Vectors
from lookalike.metrics.kernels.valid import QueryFacts, ReferenceFacts

MARGIN = 16  # references that topk takes beyond K before a row is sorted exactly
_MOST, _ON_CPU = 4 << 30, 512 << 20  # bytes to work in, beside the references: never more on a GPU; always on a CPU
_PER_SIMILARITY = 48  # bytes for each in a tile: product, two int32 places, marks, the list of all if all are near
_PER_POSITIVE = 64  # bytes for each place in a padded table
_PER_REFERENCE = 48  # bytes that stay on the device beside its embedding
_QUERIES, _REFERENCES = 4096, 16384  # of a tile at most: larger ones are not faster


@dataclass(frozen=True)
class Search:
    """What is ranked.

    Attributes:
        vectors: Embeddings of all queries and of all references.
        queries: Facts of all queries.
        references: Facts of all references.
        top: K, at most R.
        slack: By how much a float32 product may be off.
        threads: For the positives, which are scored on the CPU.
    """

    vectors: Vectors
    queries: QueryFacts
    references: ReferenceFacts
    top: int
    slack: float
    threads: int


@dataclass(frozen=True)
class Sizes:
    """How much is done at a time; it changes no result.

    Attributes:
        queries: Q of a block at most.
        references: N of a tile at most.
        table: Q x (P + 1) at most, unless one query alone has more.
        pairs: Exact inner products at a time.
        rows: Rows of a tile that are sorted exactly at a time.
        resident: Whether all references stay on the device; otherwise they are sent tile by tile for every block.
    """

    queries: int
    references: int
    table: int
    pairs: int
    rows: int
    resident: bool


def sizes_for(search: Search, device: torch.device) -> Sizes:
    """Sizes for the free memory of a device: at most half of it for references, half of the rest (or `_MOST`) to work.

    Args:
        search: What is ranked.
        device: Where.
    """
    count, size = search.vectors.references.shape
    resident, working, small = True, _ON_CPU, count * _PER_REFERENCE
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        free = torch.cuda.mem_get_info(device)[0] + unused
        resident = 4 * count * size + small <= free // 2
        working = max(min((free - small - resident * 4 * count * size) // 2, _MOST), 1 << 20)
    similarities = working // _PER_SIMILARITY
    widest = working // 4 // _PER_POSITIVE
    queries = max(1, min(_QUERIES, isqrt(similarities), widest // (2 * search.top + MARGIN)))
    references = max(1, min(_REFERENCES, similarities // queries))
    pairs, rows = working // 8 // (32 * size), working // 8 // (40 * references + 12 * size)
    return Sizes(queries, references, max(1, widest), max(1, pairs), max(1, rows), resident)
