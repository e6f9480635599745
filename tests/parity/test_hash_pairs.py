"""Pairs of near hashes against all compared with all."""

import numpy as np

from lookalike.auditing.candidate_pairs import hash_pairs


def brute_pairs(hashes: np.ndarray, mirrored: np.ndarray, radius: int) -> set[tuple[int, int]]:
    def distance(a: int, b: int) -> int:
        return ((a ^ b) & (2**64 - 1)).bit_count()

    return {
        (i, j)
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if min(
            distance(int(hashes[i]), int(hashes[j])),
            distance(int(mirrored[i]), int(hashes[j])),
            distance(int(hashes[i]), int(mirrored[j])),
        )
        <= radius
    }


def test_hash_pairs_are_those_of_all_with_all() -> None:
    rng = np.random.default_rng(0)
    start = rng.integers(-(2**63), 2**63, 60, dtype=np.int64)
    hashes = np.concatenate([start] * 5)
    for i in range(60, 300):
        for bit in rng.choice(64, i % 7, replace=False):
            hashes[i] ^= np.int64(np.uint64(1) << np.uint64(bit))
    mirrored = rng.integers(-(2**63), 2**63, 300, dtype=np.int64)
    mirrored[:60] = rng.permutation(hashes[240:])
    hashes = np.unique(hashes)
    mirrored = mirrored[: len(hashes)]
    assert len(hashes) > 250
    expected = brute_pairs(hashes, mirrored, 3)
    assert len(expected) > 100
    assert {tuple(pair) for pair in hash_pairs(hashes, mirrored).tolist()} == expected
