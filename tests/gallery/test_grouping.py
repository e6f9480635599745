"""Bursts, groups and the order of labelling, on embeddings that can be looked through."""

import numpy as np
import pytest

from lookalike.gallery.grouping import bursts, cut_of, density, doubt, grouped, label_next, observed, own_cut


def turned(*degrees: float) -> np.ndarray:
    """Unit vectors of a plane."""
    angles = np.deg2rad(np.array(degrees))
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


def scattered(count: int, size: int) -> np.ndarray:
    embeddings = np.random.default_rng(3).normal(size=(count, size)).astype(np.float32)
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def test_the_cut_is_half_way_between_labels_and_within() -> None:
    embeddings, labels = scattered(200, 16), np.arange(200) // 10
    similarity, same = embeddings @ embeddings.T, labels[:, None] == labels
    within = similarity[same].sum() - len(labels)
    expected = (np.quantile(similarity[~same], 0.97) + within / (same.sum() - len(labels))) / 2
    assert cut_of(embeddings, labels) == pytest.approx(expected, abs=1e-5)
    assert cut_of(embeddings, labels.astype(str)) == cut_of(embeddings, labels)
    pairs = similarity[np.triu_indices(200, 1)]
    assert cut_of(embeddings, np.arange(200)) == pytest.approx(np.quantile(pairs, 0.97), abs=1e-4)


def test_the_cut_of_many_references_is_that_of_a_sample() -> None:
    embeddings, labels = scattered(4500, 8), np.arange(4500) // 10
    assert cut_of(embeddings, labels) == cut_of(embeddings[::3], labels[::3])


def test_without_references_the_cut_divides_best() -> None:
    embeddings = turned(0, 2, 4, 90, 92, 94, 180, 182, 184)
    cut = own_cut(embeddings)
    assert np.cos(np.deg2rad(86)) < cut < np.cos(np.deg2rad(3))
    assert len(set(grouped(embeddings, cut).tolist())) == 3
    assert own_cut(turned(0, 5)) == own_cut(turned(0, 0, 0)) == 1.0


@pytest.mark.parametrize(
    ("degrees", "cameras", "seconds", "numbers"),
    [
        ([0, 5, 9], [1, 1, 1], [0, 2, 4], [0, 0, 0]),  # each within three seconds of the one before
        ([0, 5, 9], [1, 1, 1], [4, 0, 2], [0, 0, 0]),  # in any order
        ([0, 5, 9], [1, 1, 1], [0, 3.5, 5], [0, 1, 1]),
        ([0, 5, 9], [1, 2, 1], [0, 0, 0], [0, 1, 0]),  # another camera
        ([0, 90, 5, 95], [1, 1, 1, 1], [0, 0, 1, 1], [0, 1, 0, 1]),  # two things pass by together
        ([0, 5], [1, 1], [np.nan, np.nan], [0, 1]),
        ([0, 5, 7], [1, 1, 1], [np.nan, 0, 1], [0, 1, 1]),
    ],
)
def test_a_burst_is_one_observation(
    degrees: list[float], cameras: list[int], seconds: list[float], numbers: list[int]
) -> None:
    assert bursts(turned(*degrees), np.array(cameras), np.array(seconds, float), 0.9).tolist() == numbers


def test_an_observation_is_the_mean_of_its_images() -> None:
    seen = observed(turned(0, 20, 90), np.array([0, 0, 1]))
    assert np.allclose(seen, turned(10, 90), atol=1e-6)
    assert seen.dtype == np.float32


def test_groups_are_those_of_average_linkage_written_slowly() -> None:
    embeddings = scattered(24, 4)
    similarity, cut = embeddings.astype(float) @ embeddings.T.astype(float), 0.4
    clusters = [[row] for row in range(24)]
    while len(clusters) > 1:
        best, first, second = max(
            (similarity[np.ix_(clusters[i], clusters[j])].mean(), i, j)
            for i in range(len(clusters))
            for j in range(i + 1, len(clusters))
        )
        if best <= cut:
            break
        clusters[first] += clusters.pop(second)
    codes = grouped(embeddings, cut)
    assert sorted(map(sorted, clusters)) == sorted(np.flatnonzero(codes == code).tolist() for code in np.unique(codes))
    assert 1 < len(clusters) < 24


def test_few_images_need_no_linkage() -> None:
    assert grouped(turned(), 0.5).tolist() == []
    assert grouped(turned(3), 0.5).tolist() == [0]
    assert len(set(grouped(turned(0, 0), 0.5).tolist())) == 1


def test_doubt_is_near_the_cut_or_between_two_labels() -> None:
    doubts = doubt(np.array([0.6, 0.9, 0.9, 0.1], np.float32), np.array([0.1, 0.1, 0.9, -1.0], np.float32), 0.6)
    assert np.allclose(doubts, [1, 0.7, 1, 0.5], atol=1e-6)


def test_what_differs_most_is_labelled_next() -> None:
    assert label_next(turned(0, 1, 90, 40), np.ones(4)).tolist() == [0, 2, 3, 1]
    assert label_next(turned(0, 1, 90, 40), np.array([0.1, 1, 1, 1])).tolist() == [1, 2, 3, 0]
    assert label_next(turned(0, 0, 0), np.zeros(3)).tolist() == [0, 1, 2]


def test_what_stands_alone_weighs_little() -> None:
    weights = density(turned(0, 1, 2, 3, 4, 5, 180))
    assert (weights[:6] > 0.99).all()
    assert weights[6] == 0
    assert density(turned(0)).tolist() == [1]
    assert density(turned(0, 60)) == pytest.approx([0.25, 0.25], abs=1e-6)
