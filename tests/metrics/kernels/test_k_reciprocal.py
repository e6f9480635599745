import numpy as np
import pytest

from lookalike.metrics.exact_grid import on_grid
from lookalike.metrics.kernels.grid import Vectors
from lookalike.metrics.kernels.k_reciprocal import (
    Neighbours,
    Sparse,
    averages,
    halves_of,
    inverted,
    jaccard_distances,
    mutual_among,
    mutual_with,
    score_at,
    weights_of,
)
from metrics.random_problems import with_duplicates


def graph(seed: int, k: int) -> tuple[Vectors, np.ndarray, np.ndarray]:
    """References among themselves: vectors, exact scores [R, R] and the k nearest others of each, int32 [R, k]."""
    rng = np.random.default_rng(seed)
    side = on_grid(with_duplicates(rng, 20, 5), "cosine", 0.0, 1)
    scores = side.values.astype(np.float64) @ side.values.astype(np.float64).T
    near = np.array([np.lexsort((np.arange(20), -line)) for line in scores])
    near = np.array([[row for row in line if row != r][:k] for r, line in enumerate(near)], np.int32)
    return Vectors(side.values, side.values, side.offsets), scores, near


def drawn(rng: np.random.Generator, count: int, rows: int) -> tuple[Sparse, np.ndarray]:
    """Sparse vectors of sum 1, some of them empty, and the same as a table [N, R]."""
    table = rng.random((count, rows)) * (rng.random((count, rows)) < 0.3)
    table[::5] = 0
    table /= np.maximum(table.sum(1, keepdims=True), 1e-300)
    starts = np.concatenate([[0], np.cumsum((table > 0).sum(1))])
    return Sparse(starts, np.nonzero(table)[1].astype(np.int32), table[table > 0]), table


def dense(vectors: Sparse, rows: int, empty: float = 0.0) -> np.ndarray:
    table = np.full((len(vectors.starts) - 1, rows), empty)
    for n in range(len(table)):
        entries = slice(vectors.starts[n], vectors.starts[n + 1])
        assert (np.diff(vectors.rows[entries]) > 0).all()
        table[n, vectors.rows[entries]] = vectors.values[entries]
    return table


@pytest.mark.parametrize("seed", range(10))
def test_mutual_neighbours(seed: int) -> None:
    vectors, scores, near = graph(seed, 6)
    lists = near.tolist()
    mutual = mutual_among(near, 5, 7, 4)
    assert mutual.tolist() == [[n in lists[other][:4] for other in lists[n][:4]] for n in range(5, 12)]
    halves = halves_of(near, 3)
    assert halves.shape == (20, 4)
    for row, line in enumerate(halves.tolist()):
        members = [row, *(other for other in lists[row][:3] if row in lists[other][:3])]
        assert line == members + [-1] * (4 - len(members))
    assert score_at(vectors, near, 2).tolist() == [scores[row, lists[row][2]] for row in range(20)]
    assert (score_at(vectors, near, 9) == -np.inf).all()


@pytest.mark.parametrize("seed", range(10))
def test_a_query_stands_among_the_first_k_of_a_reference_if_it_is_as_near_as_the_k_th(seed: int) -> None:
    vectors, scores, near = graph(seed, 6)
    among = Neighbours(near, score_at(vectors, near, 4), score_at(vectors, near, 5), halves_of(near, 2))
    own = np.where(np.arange(20) % 2, np.arange(20), -1)
    mutual = mutual_with(vectors, near, own, among, 5)
    for q in range(20):
        for place, row in enumerate(near[q].tolist()):
            others = [other for other in near[row].tolist() if other != own[q]]
            assert mutual[q, place] == (scores[q, row] >= scores[row, others[4]])


def test_weights_sum_to_one_over_the_expanded_set() -> None:
    """Reference 0 and its mutual neighbours 1 and 2; the half of 1 is the set's own, that of 2 brings two more."""
    vectors, scores, _ = graph(0, 6)
    near = np.int32([[1, 2, 3]])
    halves = np.full((20, 4), -1, np.int32)
    halves[:, 0] = np.arange(20)
    halves[1, 1:3] = [0, 2]
    halves[2, 1:4] = [0, 1, 7]
    mutual, nobody = np.array([[True, True, False]]), np.array([-1])
    weights = weights_of(vectors._replace(queries=vectors.queries[:1]), near, mutual, np.array([0]), nobody, halves)
    assert weights.rows.tolist() == [0, 1, 2, 7], "three quarters of the half of 2 are in the set"
    expected = np.exp(scores[0, [0, 1, 2, 7]])
    np.testing.assert_allclose(weights.values, expected / expected.sum(), rtol=1e-12)
    without = weights_of(
        vectors._replace(queries=vectors.queries[:1]), near, mutual, np.array([-1]), np.array([7]), halves
    )
    assert without.rows.tolist() == [1, 2], "the own row counts neither way"


@pytest.mark.parametrize("seed", range(10))
def test_means_inversion_and_distances_are_those_of_tables(seed: int) -> None:
    rng = np.random.default_rng(seed)
    (queries, query_table), (among, table) = drawn(rng, 9, 30), drawn(rng, 30, 30)
    near = rng.integers(-1, 30, (9, 3)).astype(np.int32)
    mean = averages(queries, near, among)
    for q, line in enumerate(dense(mean, 30)):
        parts = [part for part in (query_table[q],) if part.any()]
        parts += [table[row] for row in near[q] if row >= 0]
        np.testing.assert_allclose(line, np.mean(parts, axis=0) if parts else 0, atol=1e-15)
    by_row = inverted(among)
    np.testing.assert_array_equal(dense(by_row, 30), table.T)
    own = rng.integers(-1, 30, 9)
    distances = dense(jaccard_distances(queries, own, by_row), 30, empty=1.0)
    for q in range(9):
        shared = np.minimum(query_table[q], table).sum(1)
        expected = np.where(shared > 0, 1 - shared / (2 - shared), 1.0)
        if own[q] >= 0:
            expected[own[q]] = 1.0
        np.testing.assert_allclose(distances[q], expected, atol=1e-12)
