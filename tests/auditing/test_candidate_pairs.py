"""Pairs of images worth a closer look."""

import numpy as np

from lookalike.auditing.candidate_pairs import hash_pairs, neighbours
from lookalike.auditing.duplicates import groups_of


def test_equal_hashes_are_chained_not_paired_all_with_all() -> None:
    hashes = np.zeros(5000, np.int64)
    pairs = hash_pairs(hashes, hashes)
    assert len(pairs) == 4999
    assert len(set(groups_of(pairs, 5000).tolist())) == 1


def test_neighbours_leave_the_image_itself_out_even_among_copies() -> None:
    rng = np.random.default_rng(1)
    embeddings = rng.standard_normal((300, 16)).astype(np.float32)
    embeddings[100:150] = embeddings[100]
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    rows, similarity = neighbours(embeddings, 10)
    assert rows.shape == similarity.shape == (300, 10)
    assert not (rows == np.arange(300)[:, None]).any()
    exact = embeddings @ embeddings.T
    np.fill_diagonal(exact, -2)
    np.testing.assert_allclose(similarity, np.sort(exact, 1)[:, ::-1][:, :10], atol=1e-5)
