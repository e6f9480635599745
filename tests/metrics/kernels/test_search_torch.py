import numpy as np
import pytest
import torch

from lookalike.metrics.kernels.grid import Vectors
from lookalike.metrics.kernels.search_torch import Search, Sizes, sizes_for
from lookalike.metrics.kernels.valid import QueryFacts, ReferenceFacts


def test_sizes_stay_within_the_memory_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def sizes(free: int, references: int, top: int = 10) -> Sizes:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (free, 0))
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda *_: 0)
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda *_: 0)
        nothing = np.zeros(0, np.int64)
        wide = np.broadcast_to(np.zeros(512, np.float32), (references, 512))
        facts = QueryFacts(*[nothing] * 5), ReferenceFacts(*[nothing] * 7, 0, -1, -1)
        return sizes_for(Search(Vectors(wide, wide, nothing), *facts, top, 1e-5, 1), torch.device("cuda"))

    large = sizes(80 << 30, 1_000_000)
    assert (large.queries, large.references, large.resident) == (4096, 16384, True)
    assert not sizes(8 << 30, 3_000_000).resident
    for free in (1 << 28, 1 << 30, 8 << 30, 80 << 30):
        for top in (1, 10, 5000):
            some = sizes(free, 50_000, top)
            work = min(free // 2, 4 << 30)
            assert some.queries * some.references * 48 <= work
            assert some.queries * (2 * top + 16) * 64 <= work // 4
            assert some.table * 64 <= work // 4
            assert some.pairs * 512 * 32 <= work // 8
