import os
import subprocess
import sys

import numpy as np
import pytest

from lookalike.metrics.columns import EvaluationError
from lookalike.metrics.ranking import bare_product, rank
from metrics.random_problems import assert_sorted, numbered, unit, with_duplicates


def check(query, reference, ids, other, *, similarity="cosine", top=10, threads=None, **rules):
    """Compares with plain sorting of what is valid, written here once more."""
    count = len(reference)
    given = numbered(ids, other, **rules)
    ranks = rank(
        query, reference, given, ks=tuple(range(1, count + 1)), top=top, similarity=similarity, threads=threads
    )
    assert ranks.top_rows.shape[1] == min(top, count)
    valid = np.ones((len(query), count), bool)
    if "ignore" in rules:
        valid &= ~rules["ignore"]
    if "query_cameras" in rules:
        valid &= (other != ids[:, None]) | (rules["reference_cameras"] != rules["query_cameras"][:, None])
    if "own_row" in rules:
        valid &= np.arange(count) != rules["own_row"][:, None]
    assert_sorted(ranks, query, reference, valid, other == ids[:, None], similarity)
    return ranks


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize("seed", range(40))
def test_ranks_are_those_of_plain_sorting(seed: int, similarity: str) -> None:
    rng = np.random.default_rng(seed)
    queries, references, top = (int(rng.integers(1, high)) for high in (9, 30, 35))
    query, reference = unit(rng, queries, 6), with_duplicates(rng, references, 6)
    if similarity == "euclidean":
        query, reference = query * 3, reference * rng.choice([0.0, 1.0, 20.0], (references, 1)).astype(np.float32)
    rules = {}
    if seed % 4:
        rules = {"query_cameras": rng.integers(0, 2, queries), "reference_cameras": rng.integers(0, 2, references)}
    check(
        query,
        reference,
        rng.integers(0, 4, queries),
        rng.integers(0, 4, references),
        similarity=similarity,
        top=top,
        ignore=rng.random(references) < 0.2,
        own_row=rng.integers(-1, references, queries),
        **rules,
    )


@pytest.mark.parametrize("labels", [2, 40, 400])
def test_several_tiles_many_positives_and_near_ties(labels: int) -> None:
    """Three tiles of references; with two labels a query has some 600 positives, with 400 one to five."""
    rng = np.random.default_rng(labels)
    query, reference = unit(rng, 7, 24), unit(rng, 1300, 24)
    near = rng.integers(0, 1300, 400)
    reference[near] = reference[rng.integers(0, 1300, 400)]  # exact ties
    reference[near[:200]] += rng.normal(0, 3e-8, (200, 24)).astype(np.float32)  # closer than float32 can tell
    ids, other = rng.integers(0, labels, 7), rng.integers(0, labels, 1300)
    rules = {"query_cameras": rng.integers(0, 3, 7), "reference_cameras": rng.integers(0, 3, 1300)}
    check(query, reference, ids, other, ignore=rng.random(1300) < 0.1, **rules)
    check(query, reference, ids, other, similarity="euclidean", top=40)


@pytest.mark.parametrize("labels", [3, 700])
def test_all_references_alike(labels: int) -> None:
    """A collapsed model: everything ties, so rows alone decide."""
    rng = np.random.default_rng(1)
    query, reference = np.repeat(unit(rng, 1, 16), 5, 0), np.repeat(unit(rng, 1, 16), 1100, 0)
    check(query, reference, rng.integers(0, labels, 5), rng.integers(0, labels, 1100), own_row=np.arange(5))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 7, 900])
def test_chunks_and_threads_change_nothing(size: int, threads: int) -> None:
    rng = np.random.default_rng(3)
    query, reference = unit(rng, 900, 33), with_duplicates(rng, 1100, 33)
    ids, other = rng.integers(0, 50, 900), rng.integers(0, 50, 1100)
    whole = rank(query, reference, numbered(ids, other), ks=(1, 5, 10), threads=1)
    for first in (0, 380, 893)[: 3 if size < 900 else 1]:
        mine = slice(first, first + size)
        part = rank(query[mine], reference, numbered(ids[mine], other), ks=(1, 5, 10), threads=threads)
        for name, values in vars(part).items():
            assert np.array_equal(values, getattr(whole, name)[mine]), name


def test_the_memory_layout_of_the_caller_does_not_matter() -> None:
    rng = np.random.default_rng(4)
    query, reference = unit(rng, 20, 12), unit(rng, 60, 12)
    ids, other = rng.integers(0, 5, 20), rng.integers(0, 5, 60)
    given = numbered(ids, other)
    plain = rank(query, reference, given)
    wide = np.zeros((60, 24), np.float32)
    wide[:, ::2] = reference
    for odd in (np.asfortranarray(reference), wide[:, ::2], reference.astype(np.float64)):
        assert np.array_equal(rank(query, odd, given).top_rows, plain.top_rows)


def test_shapes_and_types_without_queries_and_without_positives() -> None:
    reference = np.eye(3, dtype=np.float32)
    none = rank(reference[:0], reference, numbered(np.zeros(0, np.int64), np.arange(3)))
    assert (none.positives.shape, none.top_rows.shape) == ((0,), (0, 3))
    lone = rank(reference[:2], reference, numbered(np.array([7, 2]), np.arange(3)), top=1, ks=(3,))
    assert (lone.first.tolist(), lone.hits.tolist(), lone.top_rows.tolist()) == ([0, 3], [[0], [1]], [[0], [1]])
    types = [lone.first.dtype, lone.hits.dtype, lone.top_rows.dtype, lone.top_similarity.dtype, lone.top_other.dtype]
    assert types == [np.int64, np.int64, np.int64, np.float32, np.float32]


def test_a_problem_of_other_numbers_is_refused() -> None:
    rows = np.eye(3, dtype=np.float32)
    with pytest.raises(EvaluationError, match="one label per query expected, got 2 embeddings and 3 of these"):
        rank(rows[:2], rows, numbered(np.arange(3), np.arange(3)))
    with pytest.raises(EvaluationError, match="one label per reference expected, got 2 embeddings and 3 of these"):
        rank(rows, rows[:2], numbered(np.arange(3), np.arange(3)))


def test_the_bare_product_leaves_its_input_alone() -> None:
    query = unit(np.random.default_rng(0), 700, 8)
    before = query.copy()
    bare_product(query, query, threads=2)
    assert np.array_equal(query, before)


ANY_PLACE = """
import numpy as np
from lookalike.metrics.problem import Problem
from lookalike.metrics.ranking import rank
rng = np.random.default_rng(0)
for size in (3, 31, 128, 513):
    for references in (5, 13, 63, 1003):
        base = rng.standard_normal((300 + 3, size))
        base = (base / np.linalg.norm(base, axis=1, keepdims=True)).astype(np.float32)
        query, pick = base[3:], rng.integers(0, 3, references)
        reference, ids, other = base[:3][pick], np.zeros(300, int), np.arange(references) % 2
        whole = rank(query, reference, Problem.of(ids, other), top=references)
        for row, similarity in zip(whole.top_rows, whole.top_similarity):
            for copy in range(3):
                mine = pick[row] == copy
                assert len(set(similarity[mine])) <= 1, "duplicates differ"
                assert (np.diff(row[mine]) > 0).all(), "ties are not by row"
        for first, last in ((0, 1), (255, 257), (299, 300), (5, 12)):
            part = rank(query[first:last], reference, Problem.of(ids[first:last], other), top=references)
            assert (part.top_rows == whole.top_rows[first:last]).all()
            assert (part.top_similarity == whole.top_similarity[first:last]).all(), "another place, another value"
            assert (part.first == whole.first[first:last]).all() and (part.ap == whole.ap[first:last]).all()
print("same")
"""


@pytest.mark.parametrize("processor", ["", "Haswell", "Prescott"])
def test_neither_kernel_nor_place_parts_exact_duplicates(processor: str) -> None:
    """The float32 kernels that OpenBLAS takes on AVX2 processors round by the place in the array."""
    environment = {**os.environ, **({"OPENBLAS_CORETYPE": processor} if processor else {})}
    done = subprocess.run([sys.executable, "-c", ANY_PLACE], env=environment, capture_output=True, text=True)
    assert done.stdout == "same\n", done.stderr
