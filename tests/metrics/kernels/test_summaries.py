import numpy as np
import pytest

from lookalike.metrics.kernels.summaries import summarise, vote_all


@pytest.mark.parametrize("seed", range(20))
def test_sums_are_those_of_a_plain_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 6, 8)
    ranks = [np.sort(rng.choice(np.arange(1, 12), size, replace=False)) for size in sizes]
    depths = np.array([1, 3, 20])
    out, hits = np.zeros((8, 6)), np.zeros((8, 3), np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    summarise(starts, np.concatenate([np.zeros(0, np.int64), *ranks]).astype(np.int64), depths, out, hits)
    for q, mine in enumerate(ranks):
        precision = [place / rank for place, rank in enumerate(mine, 1)]
        before = [(place - 1) / (rank - 1) if rank > 1 else 1.0 for place, rank in enumerate(mine, 1)]
        inside = [rank <= len(mine) for rank in mine]
        expected = [sum(precision), (sum(precision) + sum(before)) / 2, np.dot(precision, inside), sum(inside)]
        expected += [mine[0], mine[-1]] if len(mine) else [0, 0]
        assert out[q].tolist() == pytest.approx(expected)
        assert hits[q].tolist() == [sum(rank <= depth for rank in mine) for depth in depths]


def test_votes_by_hand() -> None:
    """Most votes; then the larger sum; then the nearer; none where nobody stands."""
    labels = np.array([[5, 2, 2, -1], [5, 2, 2, 5], [5, 2, 2, 5], [2, 5, -1, -1], [-1, -1, -1, -1]])
    similarity = np.float32(
        [[0.9, 0.2, 0.1, 0], [0.9, 0.6, 0.5, 0.1], [0.875, 0.5, 0.25, -0.125], [0.5, 0.5, 0, 0], [0, 0, 0, 0]]
    )
    assert vote_all(labels, similarity, 4).tolist() == [1, 1, 0, 0, -1]
    assert vote_all(labels, similarity, 1).tolist() == [0, 0, 0, 0, -1]
    assert vote_all(labels, similarity, 100).tolist() == [1, 1, 0, 0, -1]
