import numpy as np
import pytest

from lookalike.metrics.votes import choose_vote, vote, vote_all, weighted_vote


@pytest.mark.parametrize(
    ("labels", "similarity", "winner"),
    [
        ("a", [0.1], "a"),
        ("abb", [0.9, 0.2, 0.1], "b"),  # most frequent
        ("abba", [0.9, 0.6, 0.5, 0.1], "b"),  # 2 against 2: 1.1 over 1.0
        ("abba", [0.875, 0.5, 0.25, -0.125], "a"),  # 0.75 against 0.75, one of them by a negative value: the nearer
        ("baab", [0.75, 0.5, 0.5, 0.25], "b"),  # 1.0 against 1.0: the nearer, not the first in the alphabet
        ("ab", [-0.5, -0.75], "a"),
        ("zyx", [0.5, 0.5, 0.5], "z"),
        ("abb", [-0.1, -0.8, -0.9], "b"),  # votes count before similarity, below zero too
    ],
)
def test_vote(labels: str, similarity: list[float], winner: str) -> None:
    assert labels[vote(np.array(list(labels)), np.array(similarity, np.float32))] == winner


def test_votes_of_many_queries_are_those_of_one() -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 4, (300, 12))
    similarity = rng.choice([0.75, 0.5, 0.25, -0.25], (300, 12)).astype(np.float32)
    for row, size in enumerate(rng.integers(0, 13, 300)):
        ids[row, size:] = -1
    for k in (1, 3, 12, 50):
        winners = vote_all(ids, similarity, k)
        for row, winner in enumerate(winners):
            near = ids[row][ids[row] >= 0][:k]
            assert winner == (vote(near, similarity[row, : len(near)]) if len(near) else -1)


def test_a_near_neighbour_outweighs_a_crowd_behind_it() -> None:
    labels, similarity = np.array(["a", "b", "b", "b"]), np.array([0.9, 0.6, 0.6, 0.6], np.float32)
    assert labels[vote(labels, similarity)] == "b"
    place, share = weighted_vote(labels, similarity)
    assert (labels[place], share) == ("a", pytest.approx(1 / (1 + 3 * np.exp(-0.3 / 0.07)), rel=1e-5))


def test_how_neighbours_vote_is_what_names_most_queries_rightly() -> None:
    small = np.array([["a", "b", "b", "b", None]], object)
    near = np.array([[0.62, 0.6, 0.6, 0.6, -np.inf]], np.float32)
    assert choose_vote(small, near, np.array(["a"], object)) == (1, True)
    assert choose_vote(small, near, np.array(["b"], object)) == (5, True), "weighted, and more voters, where all agree"
