"""k-reciprocal distances against a dense graph by the algorithm's own steps, and against the authors' program."""

import numpy as np
import pytest

from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.k_reciprocal import k_reciprocal
from lookalike.metrics.problem import Problem
from metrics.rerank_problems import clusters, dense, grid_cosines, problem


def plain_jaccard(query: np.ndarray, reference: np.ndarray, q: int, given: Problem, k1: int, k2: int) -> np.ndarray:
    """Jaccard distances [R] of one query, alone with all references in one dense graph, by the algorithm's own steps.

    Image 0 of the graph is the query. Neighbour lists are full sorted rows; the lists of references are those among
    references (`among`), and those in which the query asks for its place have it in (`with_query`).
    """
    used = [r for r in range(len(reference)) if not given.ignore[r]]
    own = int(given.own_row[q])
    own = used.index(own) + 1 if own in used else -1
    images = np.concatenate([query[q : q + 1], reference[used]])
    distance = 1 - grid_cosines(images, images)
    count = len(images)

    def sorted_row(i: int, members: list[int]) -> list[int]:
        return [i, *sorted((j for j in members if j != i), key=lambda j: (distance[i, j], j))]

    others = [j for j in range(1, count) if j != own]
    of_query = sorted_row(0, others)
    among = {i: sorted_row(i, list(range(1, count))) for i in range(1, count)}
    with_query = {i: sorted_row(i, [0, *others]) for i in range(1, count)}

    def reciprocal(i: int, k: int) -> set[int]:
        if i == 0:
            return {j for j in of_query[1 : k + 1] if 0 in with_query[j][: k + 1]}
        return {j for j in among[i][: k + 1] if i in among[j][: k + 1]}

    near = [reciprocal(i, k1) for i in range(count)]
    half = [reciprocal(i, round(k1 / 2)) for i in range(count)]  # Python and NumPy round halves to even
    vectors = np.zeros((count, count))
    for i in range(count):
        members = set(near[i])
        for j in near[i]:
            more = half[j] - {own} if i == 0 else half[j]
            if len(more & near[i]) > 2 / 3 * len(more):
                members |= more
        for j in members:
            vectors[i, j] = np.exp(-distance[i, j])
        if members:
            vectors[i] /= vectors[i].sum()
    rows = {0: of_query, **among}
    mean = np.zeros_like(vectors)
    for i in range(count):
        parts = [vectors[j] for j in rows[i][:k2] if vectors[j].any()]
        mean[i] = np.mean(parts, axis=0) if parts else 0
    distances = np.ones(len(reference))
    for j in others:
        largest = np.maximum(mean[0], mean[j]).sum()
        distances[used[j - 1]] = 1 - np.minimum(mean[0], mean[j]).sum() / largest
    return distances


@pytest.mark.parametrize("seed", range(120))
def test_jaccard_distances_are_those_of_the_dense_graph(seed: int) -> None:
    (query, reference), options, given = problem(seed)
    reranked = k_reciprocal(query, reference, given, **options)
    assert reranked.weight == options.pop("weight")
    for q in range(len(query)):
        expected = plain_jaccard(query, reference, q, given, **options)
        np.testing.assert_allclose(dense(reranked, q, len(reference)), expected, atol=1e-12)


def test_the_random_problems_reach_every_corner() -> None:
    seen = set()
    for seed in range(120):
        (query, reference), options, given = problem(seed)
        reranked = k_reciprocal(query, reference, given, **options)
        seen |= {f"few={len(reference) <= options['k1']}", f"k2=1 {options['k2'] == 1}", f"k1=1 {options['k1'] == 1}"}
        seen |= {f"ignore={given.ignore.any()}", f"own={(given.own_row >= 0).any()}", f"ties={seed % 3 == 0}"}
        seen |= {f"nothing={count == 0}" for count in np.diff(reranked.starts)}
        seen |= {f"negative={value < 0}" for value in grid_cosines(query, reference).ravel()}
    names = ("few", "ignore", "own", "ties", "nothing", "negative")
    assert {f"{name}={value}" for name in names for value in (True, False)} <= seen
    assert {"k2=1 True", "k2=1 False", "k1=1 True", "k1=1 False"} <= seen


def authors_code(distance: np.ndarray, k1: int = 20, k2: int = 6, weight: float = 0.3) -> np.ndarray:
    """Final distances of image 0 to the rest as the authors' program computes them, in a graph that holds image 0."""
    rank_of = np.argsort(distance, 1, kind="stable")
    vectors = np.zeros_like(distance)

    def reciprocal(i: int, k: int) -> np.ndarray:
        forward = rank_of[i, : k + 1]
        return forward[(rank_of[forward, : k + 1] == i).any(1)]

    for i in range(len(distance)):
        near = members = reciprocal(i, k1)
        for j in near:
            half = reciprocal(j, int(np.around(k1 / 2)))
            if len(np.intersect1d(half, near)) > 2 / 3 * len(half):
                members = np.union1d(members, half)
        vectors[i, members] = np.exp(-distance[i, members]) / np.exp(-distance[i, members]).sum()
    mean = np.array([vectors[row[:k2]].mean(0) for row in rank_of])
    shared = np.minimum(mean[0], mean).sum(1)
    return ((1 - weight) * (1 - shared / (2 - shared)) + weight * distance[0])[1:]


def test_a_graph_that_the_query_does_not_change_orders_as_the_authors_does() -> None:
    query, reference, ids, other = clusters(1, queries=12, references=200, noise=1.3)
    ours = evaluate(query, reference, ids, other, rerank="k_reciprocal").per_query["map"]
    plain = evaluate(query, reference, ids, other).per_query["map"]
    gaps = []
    for q in range(len(query)):
        images = np.concatenate([query[q : q + 1], reference])
        order = np.argsort(authors_code(1 - grid_cosines(images, images)), kind="stable")
        places = np.flatnonzero(other[order] == ids[q]) + 1
        gaps.append(np.mean(np.arange(1, len(places) + 1) / places) - ours[q])
    assert np.abs(gaps).mean() < 0.01 < (ours - plain).mean() / 5
