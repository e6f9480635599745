import numpy as np
import pytest
import torch

from lookalike.metrics.kernels.search_torch import Search
from lookalike.metrics.kernels.tiles_torch import Block, references, similarities
from metrics.kernels.tiles import SLACK, Tiles, tiles

CPU = torch.device("cpu")


def block_of(given: Tiles) -> Block:
    """All queries of a problem, as though none had a positive."""
    count = len(given.scores)
    facts = (given.queries.labels, given.queries.own_row)
    empty, seen = torch.zeros((count, 0)), (given.queries.cameras, given.queries.since, given.queries.until)
    return Block(
        torch.from_numpy(given.vectors.queries),
        *(torch.from_numpy(part.astype(np.int32)) for part in facts),
        torch.from_numpy(np.stack(seen)),
        empty.double(),
        empty.long(),
        empty,
        empty,
        torch.zeros((count, 1), dtype=torch.int64),
        torch.full((count, 3), -torch.inf, dtype=torch.float64),
        torch.full((count, 3), -1),
    )


@pytest.mark.parametrize("size", [1, 7, 64])
@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("first", range(0, 110, 11))
def test_a_tile_keeps_the_valid_references_of_other_labels(first: int, resident: bool, size: int) -> None:
    for seed in range(first, first + 11):
        given = tiles(seed)
        search = Search(given.vectors, given.queries, given.references, 3, SLACK, 1)
        whole, block = references(search, CPU, resident), block_of(given)
        for start in range(0, given.scores.shape[1], size):
            part = slice(start, start + size)
            tile = whole.part(part)
            values = similarities(block, tile, SLACK).numpy()
            assert (np.isfinite(values) == given.strangers[:, part]).all()
            expected = given.scores[:, part][given.strangers[:, part]]
            np.testing.assert_allclose(values[given.strangers[:, part]], expected, atol=SLACK)
