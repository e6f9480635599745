"""Pairs of images worth a closer look."""

import numpy as np
import pandas as pd

from lookalike.auditing.candidate_pairs import NEAREST, candidates, cross_candidates, hash_pairs, neighbours
from lookalike.auditing.duplicates import groups_of
from lookalike.auditing.file_facts import Facts


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


def facts_of(embeddings: np.ndarray, contents: list[str]) -> Facts:
    count = len(contents)
    # Hashes that differ in about half of their bits, so that only embeddings make pairs.
    hashes = np.random.default_rng(9).integers(-(2**63), 2**63, (2, count), dtype=np.int64)
    table = pd.DataFrame({"sha256": contents, "box": "", "error": "", "hash": hashes[0], "hash_mirrored": hashes[1]})
    return Facts(table, embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), 0)


def test_candidates_are_the_nearest_five_by_rows_of_the_facts_without_equal_files() -> None:
    embeddings = np.random.default_rng(2).standard_normal((40, 8)).astype(np.float32)
    facts = facts_of(embeddings, [f"{number}" for number in range(38)] + ["1", "1"])
    rows = np.arange(0, 40, 2)
    nearest, _ = neighbours(facts.embeddings[rows], 10)
    pairs = candidates(facts, rows, nearest)
    assert {row for pair in pairs.tolist() for row in pair} <= set(rows.tolist())
    expected = {
        tuple(sorted((int(rows[place]), int(rows[neighbour]))))
        for place in range(len(rows))
        for neighbour in nearest[place, :NEAREST]
    }
    assert {tuple(pair) for pair in pairs.tolist()} == expected
    copied = facts_of(embeddings, ["same"] * 40)
    assert len(candidates(copied, rows, nearest)) == 0


def test_every_image_is_compared_with_the_nearest_of_each_other_split() -> None:
    embeddings = np.random.default_rng(3).standard_normal((30, 8)).astype(np.float32)
    facts = facts_of(embeddings, [f"{number}" for number in range(30)])
    split = np.repeat([0, 1, 2], [3, 9, 18])
    rows = np.setdiff1d(np.arange(30), [4, 20])
    pairs = cross_candidates(facts, rows, split)
    assert (split[pairs[:, 0]] != split[pairs[:, 1]]).all()
    assert not np.isin(pairs, [4, 20]).any()
    similarity = facts.embeddings @ facts.embeddings.T
    for smaller, larger in ((0, 1), (0, 2), (1, 2)):
        answering = rows[split[rows] == larger]
        for row in rows[split[rows] == smaller]:
            best = answering[np.argsort(-similarity[row, answering])[:NEAREST]]
            met = pairs[(pairs == row).any(1)]
            assert set(best.tolist()) <= set(met.ravel().tolist())
    assert len(cross_candidates(facts, rows[:3], split)) == 0, "one split alone"
