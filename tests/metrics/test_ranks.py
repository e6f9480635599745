import numpy as np
import pytest

from lookalike.metrics.ranks import empty_ranks, take_ranks


def test_nothing_is_there_before_anything_is_taken() -> None:
    ranks = empty_ranks(2, (1, 5), 3)
    assert ranks.hits.tolist() == [[0, 0]] * 2
    assert ranks.top_rows.tolist() == [[-1] * 3] * 2
    assert ranks.top_other.tolist() == [-np.inf] * 2
    assert (ranks.top_similarity.dtype, ranks.ap.dtype, ranks.first.dtype) == (np.float32, np.float64, np.int64)


@pytest.mark.parametrize("mine", [slice(1, 4), np.array([3, 0, 2])])
def test_what_follows_from_ranks_is_written_to_its_queries(mine) -> None:
    """Three queries of four: positives at ranks 2, 3, 5; none; at rank 1."""
    ranks = empty_ranks(4, (1, 3), 1)
    take_ranks(np.array([0, 3, 3, 4]), np.array([2, 3, 5, 1]), np.array([1, 3]), mine, ranks)
    assert ranks.positives[mine].tolist() == [3, 0, 1]
    assert ranks.first[mine].tolist() == [2, 0, 1]
    assert ranks.last[mine].tolist() == [5, 0, 1]
    assert ranks.hits[mine].tolist() == [[0, 2], [0, 0], [1, 1]]
    assert ranks.ap[mine].tolist() == pytest.approx([(1 / 2 + 2 / 3 + 3 / 5) / 3, 0, 1])
    trapezoid = ((1 / 2 + 0) / 2 + (2 / 3 + 1 / 2) / 2 + (3 / 5 + 2 / 4) / 2) / 3
    assert ranks.ap_trapezoid[mine].tolist() == pytest.approx([trapezoid, 0, 1])
    assert ranks.ap_at_r[mine].tolist() == pytest.approx([(1 / 2 + 2 / 3) / 3, 0, 1])
    assert ranks.r_precision[mine].tolist() == pytest.approx([2 / 3, 0, 1])
    other = np.setdiff1d(np.arange(4), np.arange(4)[mine])
    assert ranks.positives[other].tolist() == [0]
