import os
import subprocess
import sys

import numpy as np
import pytest

from lookalike.ranking import rank, vote


def unit(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    rows = rng.standard_normal((count, size))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def with_duplicates(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    return unit(rng, max(1, count // 3), size)[rng.integers(0, max(1, count // 3), count)]


def by_sorting(query, reference, valid):
    """Rows of the valid references, nearest first, by plain sorting of float32 similarities; ties by row."""
    orders = []
    for q, one in enumerate(query.astype(np.float64)):
        near = [(-float(np.float32(sum(one * other))), row) for row, other in enumerate(reference.astype(np.float64))]
        orders.append([(row, -value) for value, row in sorted(near) if valid[q][row]])
    return orders


@pytest.mark.parametrize("seed", range(40))
def test_ranks_are_those_of_plain_sorting(seed: int) -> None:
    rng = np.random.default_rng(seed)
    queries, references, top = (int(rng.integers(1, high)) for high in (9, 30, 35))
    query, reference = unit(rng, queries, 6), with_duplicates(rng, references, 6)
    ids, other = rng.integers(0, 4, queries), rng.integers(0, 4, references)
    seen, camera = rng.integers(0, 2, queries), rng.integers(0, 2, references)
    ignore, own = rng.random(references) < 0.2, rng.integers(-1, references, queries)
    ranks = rank(
        query,
        reference,
        ids,
        other,
        query_cameras=seen,
        reference_cameras=camera,
        ignore=ignore,
        own_row=own,
        top=top,
    )
    valid = [
        [not ignore[r] and r != own[q] and not (other[r] == ids[q] and camera[r] == seen[q]) for r in range(references)]
        for q in range(queries)
    ]
    kept = min(top, references)
    for q, order in enumerate(by_sorting(query, reference, valid)):
        found = ranks.positives[ranks.starts[q] : ranks.starts[q + 1]].tolist()
        assert found == [place for place, (row, _) in enumerate(order, 1) if other[row] == ids[q]]
        near = [row for row, _ in order][:kept]
        assert ranks.top_rows[q].tolist() == near + [-1] * (kept - len(near))
        values = [value for _, value in order][:kept]
        np.testing.assert_allclose(ranks.top_similarity[q], values + [0] * (kept - len(near)), atol=1e-7)


def test_shapes_and_types_without_queries_and_without_positives() -> None:
    reference = np.eye(3, dtype=np.float32)
    none = rank(reference[:0], reference, np.zeros(0, np.int64), np.arange(3))
    assert (none.starts.tolist(), none.positives.tolist(), none.top_rows.shape) == ([0], [], (0, 3))
    lone = rank(reference[:2], reference, np.array([7, 2]), np.arange(3), top=1)
    assert (lone.starts.tolist(), lone.positives.tolist(), lone.top_rows.tolist()) == ([0, 0, 1], [3], [[0], [1]])
    types = [array.dtype for array in (lone.starts, lone.positives, lone.top_rows, lone.top_similarity)]
    assert types == [np.int64, np.int64, np.int64, np.float32]


ANY_PLACE = """
import numpy as np
from lookalike.ranking import rank
rng = np.random.default_rng(0)
for size in (3, 31, 128, 513):
    for references in (5, 13, 63, 1003):
        base = rng.standard_normal((300 + 3, size))
        base = (base / np.linalg.norm(base, axis=1, keepdims=True)).astype(np.float32)
        query, pick = base[3:], rng.integers(0, 3, references)
        reference, ids, other = base[:3][pick], np.zeros(300, int), np.arange(references) % 2
        whole = rank(query, reference, ids, other, top=references)
        for row, similarity in zip(whole.top_rows, whole.top_similarity):
            for copy in range(3):
                mine = pick[row] == copy
                assert len(set(similarity[mine])) <= 1, "duplicates differ"
                assert (np.diff(row[mine]) > 0).all(), "ties are not by row"
        for first, last in ((0, 1), (255, 257), (299, 300), (5, 12)):
            part = rank(query[first:last], reference, ids[first:last], other, top=references)
            assert (part.top_rows == whole.top_rows[first:last]).all()
            assert (part.top_similarity == whole.top_similarity[first:last]).all(), "another place, another value"
            assert (part.positives == whole.positives[whole.starts[first] : whole.starts[last]]).all()
print("same")
"""


@pytest.mark.parametrize("processor", ["", "Haswell", "Prescott"])
def test_neither_kernel_nor_place_parts_exact_duplicates(processor: str) -> None:
    """The float32 kernels that OpenBLAS takes on AVX2 processors round by the place in the array."""
    environment = {**os.environ, **({"OPENBLAS_CORETYPE": processor} if processor else {})}
    done = subprocess.run([sys.executable, "-c", ANY_PLACE], env=environment, capture_output=True, text=True)
    assert done.stdout == "same\n", done.stderr


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
