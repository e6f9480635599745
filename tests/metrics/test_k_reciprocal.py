import numpy as np
import pytest

from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.k_reciprocal import Reranked, k_reciprocal, rank_reranked
from lookalike.metrics.problem import EvaluationError
from lookalike.metrics.query_expansion import expand_queries
from lookalike.metrics.ranking import rank
from lookalike.metrics.rerank_options import RerankError


def embeddings(rng: np.random.Generator, count: int, size: int = 6) -> np.ndarray:
    return (rng.standard_normal((count, size)) * rng.choice([0.1, 1.0, 30.0], (count, 1))).astype(np.float32)


def exact_ties(rng: np.random.Generator, count: int) -> np.ndarray:
    """Four of eight values are 1 or -1: lengths and cosines are exact and tie again and again; many rows are alike."""
    rows = rng.choice([-1.0, 1.0], (max(1, count // 2), 8)) * (rng.random((max(1, count // 2), 8)).argsort(1) < 4)
    return rows[rng.integers(0, len(rows), count)].astype(np.float32)


def clusters(seed: int, queries: int = 60, references: int = 400, noise: float = 1.0) -> tuple[np.ndarray, ...]:
    """Labels that are stretched along a curve each, so that the ends of one are far from each other."""
    rng = np.random.default_rng(seed)
    one, other, third = (rng.standard_normal((12, 16)) for _ in range(3))

    def side(count: int) -> tuple[np.ndarray, np.ndarray]:
        ids, along = rng.integers(0, 12, count), rng.uniform(0, 1.2, (count, 1))
        rows = one[ids] * np.cos(along) + other[ids] * np.sin(along) + third[ids] * np.sin(2 * along) * 0.3
        return (rows + noise * 0.45 * rng.standard_normal(rows.shape)).astype(np.float32), ids

    (query, query_ids), (reference, reference_ids) = side(queries), side(references)
    return query, reference, query_ids, reference_ids


def problem(seed: int) -> tuple[tuple[np.ndarray, np.ndarray], dict, dict]:
    """Arrays, settings and rules of a random problem; every third has exact ties, some have few references."""
    rng = np.random.default_rng(seed)
    queries, references = int(rng.integers(1, 9)), int(rng.integers(1, 60))
    make = exact_ties if seed % 3 == 0 else embeddings
    query, reference = make(rng, queries), make(rng, references)
    k1 = int(rng.integers(1, 14))
    options = {"k1": k1, "k2": int(rng.integers(1, k1 + 1)), "weight": float(rng.choice([0.0, 0.3, 1.0]))}
    rules = {}
    if rng.random() < 0.5:
        rules["ignore"] = rng.random(references) < 0.3
    if rng.random() < 0.5:
        rules["own_row"] = rng.integers(-1, references, queries)
        for q in np.flatnonzero(rules["own_row"] >= 0)[::2]:
            query[q] = reference[rules["own_row"][q]]
    return (query, reference), options, rules


def grid_cosines(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Cosines in whole numbers over 2^50, so nothing is rounded beyond the grid that `ranking` puts embeddings on."""

    def whole(part: np.ndarray) -> np.ndarray:
        lengths = np.sqrt((part.astype(np.float64) ** 2).sum(1, keepdims=True))
        return np.rint(part / lengths * 2.0**25).astype(np.float32).astype(np.int64)

    return (whole(rows) @ whole(others).T) / 2.0**50


def plain_jaccard(query, reference, q: int, k1: int, k2: int, ignore=None, own_row=None) -> np.ndarray:
    """Jaccard distances [R] of one query, alone with all references in one dense graph, by the algorithm's own steps.

    Image 0 of the graph is the query. Neighbour lists are full sorted rows; the lists of references are those among
    references (`among`), and those in which the query asks for its place have it in (`with_query`).
    """
    used = [r for r in range(len(reference)) if ignore is None or not ignore[r]]
    own = -1 if own_row is None else int(own_row[q])
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
    found = np.ones(len(reference))
    for j in others:
        largest = np.maximum(mean[0], mean[j]).sum()
        found[used[j - 1]] = 1 - np.minimum(mean[0], mean[j]).sum() / largest
    return found


def dense(reranked: Reranked, q: int, count: int) -> np.ndarray:
    entries = slice(reranked.starts[q], reranked.starts[q + 1])
    assert (np.diff(reranked.rows[entries]) > 0).all()
    assert (reranked.jaccard[entries] < 1).all()
    found = np.ones(count)
    found[reranked.rows[entries]] = reranked.jaccard[entries]
    return found


@pytest.mark.parametrize("seed", range(120))
def test_jaccard_distances_are_those_of_the_dense_graph(seed: int) -> None:
    (query, reference), options, rules = problem(seed)
    reranked = k_reciprocal(query, reference, **options, **rules)
    assert reranked.weight == options.pop("weight")
    for q in range(len(query)):
        expected = plain_jaccard(query, reference, q, **options, **rules)
        np.testing.assert_allclose(dense(reranked, q, len(reference)), expected, atol=1e-12)


def test_the_random_problems_reach_every_corner() -> None:
    seen = set()
    for seed in range(120):
        (query, reference), options, rules = problem(seed)
        reranked = k_reciprocal(query, reference, **options, **rules)
        seen |= {f"few={len(reference) <= options['k1']}", f"k2=1 {options['k2'] == 1}", f"k1=1 {options['k1'] == 1}"}
        seen |= {f"ignore={'ignore' in rules}", f"own={'own_row' in rules}", f"ties={seed % 3 == 0}"}
        seen |= {f"nothing={count == 0}" for count in np.diff(reranked.starts)}
        seen |= {f"negative={value < 0}" for value in grid_cosines(query, reference).ravel()}
    names = ("few", "ignore", "own", "ties", "nothing", "negative")
    assert {f"{name}={value}" for name in names for value in (True, False)} <= seen
    assert {"k2=1 True", "k2=1 False", "k1=1 True", "k1=1 False"} <= seen


@pytest.mark.parametrize("seed", range(60))
def test_ranks_are_those_of_plain_sorting(seed: int) -> None:
    (query, reference), options, rules = problem(seed)
    rng, count = np.random.default_rng(seed), len(reference)
    ids, other = rng.integers(0, 4, len(query)), rng.integers(0, 4, count)
    cameras = (rng.integers(0, 2, len(query)), rng.integers(0, 2, count)) if seed % 2 else (None, None)
    reranked = k_reciprocal(query, reference, **options, **rules)
    ranks = rank_reranked(query, reference, ids, other, reranked, query_cameras=cameras[0],
                          reference_cameras=cameras[1], ks=tuple(range(1, count + 1)), top=7, **rules)  # fmt: skip
    cosines, weight = grid_cosines(query, reference), options["weight"]
    for q in range(len(query)):
        final = weight * (1 - cosines[q]) + (1 - weight) * dense(reranked, q, count)
        valid = ~rules["ignore"] if "ignore" in rules else np.ones(count, bool)
        if "own_row" in rules and rules["own_row"][q] >= 0:
            valid = valid & (np.arange(count) != rules["own_row"][q])
        if seed % 2:
            valid = valid & ~((other == ids[q]) & (cameras[1] == cameras[0][q]))
        order = sorted(np.flatnonzero(valid).tolist(), key=lambda r, final=final: (final[r], r))
        places = [place for place, r in enumerate(order, 1) if other[r] == ids[q]]
        assert ranks.hits[q].tolist() == [sum(place <= k for place in places) for k in range(1, count + 1)]
        assert (ranks.positives[q], ranks.first[q], ranks.last[q]) == (
            len(places), places[0] if places else 0, places[-1] if places else 0,
        )  # fmt: skip
        precision = [n / place for n, place in enumerate(places, 1)]
        assert ranks.ap[q] == pytest.approx(sum(precision) / max(len(places), 1))
        kept = min(7, count)
        assert ranks.top_rows[q].tolist() == (order + [-1] * kept)[:kept]
        shown = [-final[r] for r in order[:kept]] + [0.0] * (kept - len(order[:kept]))
        np.testing.assert_array_equal(ranks.top_similarity[q], np.array(shown, np.float32))
        strangers = [r for r in order if other[r] != ids[q]]
        assert ranks.top_other[q] == (np.float32(-final[strangers[0]]) if strangers else -np.inf)


def test_with_all_weight_on_the_distance_the_ranks_are_the_plain_ones() -> None:
    query, reference, ids, other = clusters(0)
    reranked = k_reciprocal(query, reference, weight=1.0)
    plain, same = rank(query, reference, ids, other), rank_reranked(query, reference, ids, other, reranked)
    for name in ("first", "last", "ap", "top_rows"):
        assert np.array_equal(getattr(plain, name), getattr(same, name)), name


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("rerank", "gain"), [("k_reciprocal", 0.03), ("expand", 0.02)])
def test_both_raise_map_where_labels_are_clusters(rerank: str, gain: float, seed: int) -> None:
    query, reference, ids, other = clusters(seed)
    plain = evaluate(query, reference, ids, other).metrics["map"]
    assert evaluate(query, reference, ids, other, rerank=rerank).metrics["map"] > plain + gain


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
    found = evaluate(query, reference, ids, other, rerank="k_reciprocal").per_query["map"]
    plain = evaluate(query, reference, ids, other).per_query["map"]
    gaps = []
    for q in range(len(query)):
        images = np.concatenate([query[q : q + 1], reference])
        order = np.argsort(authors_code(1 - grid_cosines(images, images)), kind="stable")
        places = np.flatnonzero(other[order] == ids[q]) + 1
        gaps.append(np.mean(np.arange(1, len(places) + 1) / places) - found[q])
    assert np.abs(gaps).mean() < 0.01 < (found - plain).mean() / 5


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("size", [1, 7])
def test_queries_never_see_each_other(size: int, threads: int) -> None:
    query, reference, ids, other = clusters(4, queries=300, references=700)
    reference[::5] = reference[3]  # duplicates
    query[::9] = reference[3]
    own = np.where(np.arange(300) % 9 == 0, 3, -1)
    rules = {"ignore": np.arange(700) % 6 == 1}
    whole = k_reciprocal(query, reference, own_row=own, **rules, threads=2)
    moved = expand_queries(query, reference, own_row=own, **rules, threads=2)
    ranks = rank_reranked(query, reference, ids, other, whole, own_row=own, **rules, ks=(1, 5), threads=2)
    for first in (0, 9, 254, 293):
        mine = slice(first, first + size)
        alone = {"own_row": own[mine], **rules, "threads": threads}
        part = k_reciprocal(query[mine], reference, **alone)
        assert np.array_equal(expand_queries(query[mine], reference, **alone), moved[mine])
        entries = slice(whole.starts[first], whole.starts[first + size])
        assert np.array_equal(part.starts, whole.starts[first : first + size + 1] - whole.starts[first])
        assert np.array_equal(part.rows, whole.rows[entries])
        assert np.array_equal(part.jaccard, whole.jaccard[entries])
        there = rank_reranked(query[mine], reference, ids[mine], other, part, ks=(1, 5), **alone)
        for name, values in vars(there).items():
            assert np.array_equal(values, getattr(ranks, name)[mine]), name


def test_ignored_references_might_as_well_not_be_there() -> None:
    query, reference, ids, other = clusters(5)
    ignore = np.random.default_rng(0).random(len(reference)) < 0.4
    kept = np.flatnonzero(~ignore)
    with_them = k_reciprocal(query, reference, ignore=ignore)
    without = k_reciprocal(query, reference[kept])
    assert np.array_equal(with_them.rows, kept[without.rows])
    assert np.array_equal(with_them.jaccard, without.jaccard)
    assert np.array_equal(expand_queries(query, reference, ignore=ignore), expand_queries(query, reference[kept]))
    far = np.where(ignore[:, None], np.float32(-9), reference)
    assert np.array_equal(k_reciprocal(query, far, ignore=ignore).jaccard, with_them.jaccard)
    one = rank_reranked(query, reference, ids, other, with_them, ignore=ignore)
    assert np.array_equal(one.ap, rank_reranked(query, reference[kept], ids, other[kept], without).ap)


def test_a_query_never_finds_its_own_row() -> None:
    reference = clusters(6)[1]
    own = np.arange(len(reference))
    reranked = k_reciprocal(reference, reference, own_row=own)
    assert len(reranked.rows)
    assert not (np.repeat(own, np.diff(reranked.starts)) == reranked.rows).any()
    changed = reference.copy()
    changed[0] = -reference[0]  # query 0 keeps its embedding, its own row gets another one
    assert np.array_equal(
        expand_queries(reference[:1], reference, own_row=own[:1]),
        expand_queries(reference[:1], changed, own_row=own[:1]),
    )


@pytest.mark.parametrize("k", [1, 4, 50])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(6))
def test_expansion_is_that_of_a_plain_loop(seed: int, alpha: float, k: int) -> None:
    (query, reference), _, rules = problem(seed)
    moved = expand_queries(query, reference, k=k, alpha=alpha, **rules)
    assert moved.dtype == np.float32
    cosines = grid_cosines(query, reference)
    for q, row in enumerate(query.astype(np.float64)):
        usable = [r for r in range(len(reference)) if "ignore" not in rules or not rules["ignore"][r]]
        usable = [r for r in usable if "own_row" not in rules or rules["own_row"][q] != r]
        total = row / np.linalg.norm(row)
        for r in sorted(usable, key=lambda r, line=cosines[q]: (-line[r], r))[:k]:
            other = reference[r].astype(np.float64)
            if cosines[q, r] > 0:
                total = total + cosines[q, r] ** alpha * other / np.linalg.norm(other)
        np.testing.assert_allclose(moved[q], total / np.linalg.norm(total), atol=2e-7)


def test_nothing_to_use_changes_nothing() -> None:
    query, reference, ids, other = clusters(7, queries=5, references=9)
    everything = np.ones(9, bool)
    none = k_reciprocal(query, reference, ignore=everything)
    assert (none.starts.tolist(), none.rows.tolist(), none.weight) == ([0] * 6, [], 0.3)
    unit = query / np.linalg.norm(query, axis=1, keepdims=True)
    np.testing.assert_allclose(expand_queries(query, reference, ignore=everything), unit, atol=1e-7)
    assert rank_reranked(query, reference, ids, other, none, ignore=everything).positives.tolist() == [0] * 5
    assert k_reciprocal(query[:0], reference).starts.tolist() == [0]
    lone = k_reciprocal(query, reference[:1])
    assert (lone.rows.tolist(), lone.jaccard.tolist()) == ([0] * 5, [0.0] * 5)


def test_the_protocol_names_the_re_ranking_and_its_settings() -> None:
    arrays = clusters(8)
    plain, none = evaluate(*arrays), evaluate(*arrays, rerank="none", rerank_options={})
    assert plain.to_dict() == none.to_dict()
    assert "re-ranked" not in plain.protocol
    result = evaluate(*arrays, rerank="k_reciprocal", rerank_options={"k1": 10})
    assert "; re-ranked by k_reciprocal, k1 10, k2 6, weight 0.3" in result.protocol
    assert (
        "; re-ranked by expand, k 10, alpha 0.5"
        in evaluate(*arrays, rerank="expand", rerank_options={"alpha": 0.5}).protocol
    )
    assert (result.neighbour_similarity <= 0).all()
    assert (np.diff(result.neighbour_similarity) <= 0).all()


EYE = np.eye(3, dtype=np.float32)


@pytest.mark.parametrize(
    ("rerank", "options", "message"),
    [
        ("k_reciprocal", {"k1": 0}, "expected k1 a whole number from 1, got 0"),
        ("k_reciprocal", {"k1": 2.5}, "expected k1 a whole number from 1, got 2.5"),
        ("k_reciprocal", {"k1": True}, "expected k1 a whole number from 1, got True"),
        ("k_reciprocal", {"k2": 0}, "expected k2 a whole number from 1, got 0"),
        ("k_reciprocal", {"k1": 5}, r"expected k2 up to k1 \(5\), got 6: lower k2 or raise k1"),
        ("k_reciprocal", {"weight": 1.01}, r"expected weight in 0\.\.1, got 1.01"),
        ("k_reciprocal", {"weight": float("nan")}, r"expected weight in 0\.\.1, got nan"),
        ("k_reciprocal", {"weight": "much"}, r"expected weight in 0\.\.1, got 'much'"),
        ("k_reciprocal", {"wait": 0.1}, "k_reciprocal: k1, k2, weight, got wait; did you mean weight"),
        ("expand", {"alpha": -1}, "expected alpha a number from 0, got -1"),
        ("expand", {"alpha": float("inf")}, "expected alpha a number from 0, got inf"),
        ("expand", {"k": 0}, "expected k a whole number from 1, got 0"),
        ("expand", {"k1": 5}, "expected options of rerank expand: k, alpha, got k1"),
        ("none", {"k": 5}, "expected options of rerank none: no option, got k"),
        ("k_reciprocl", {}, "expected rerank none, k_reciprocal, expand, got k_reciprocl; did you mean k_reciprocal"),
    ],
)
def test_settings_out_of_range_are_refused(rerank: str, options: dict, message: str) -> None:
    with pytest.raises(RerankError, match=message):
        evaluate(EYE, EYE, list("abc"), list("abc"), rerank=rerank, rerank_options=options)
    function = {"k_reciprocal": k_reciprocal, "expand": expand_queries}.get(rerank)
    if function and "did you mean" not in message and "options" not in message:
        with pytest.raises(RerankError, match=message):
            function(EYE, EYE, **options)


@pytest.mark.parametrize("function", [k_reciprocal, expand_queries])
@pytest.mark.parametrize(
    ("arrays", "rules", "message"),
    [
        ((EYE, EYE[:, :2]), {}, r"expected embeddings .* got \(3, 3\) and \(3, 2\)"),
        ((EYE, EYE[:0]), {}, r"R > 0, got \(3, 3\) and \(0, 3\)"),
        ((EYE[0], EYE), {}, r"expected embeddings \[Q, D\] .* got \(3,\)"),
        ((EYE, EYE), {"ignore": np.zeros(2, bool)}, r"expected ignore of shape \(3,\), got \(2,\)"),
        ((EYE[:2], EYE), {"own_row": np.zeros(3, int)}, r"expected own_row of shape \(2,\), got \(3,\)"),
        ((EYE[:2], EYE), {"own_row": np.array([-1, 3])}, r"expected own_row in -1\.\.2, got -1 to 3"),
        ((EYE[:2], EYE), {"own_row": np.array([-2, 0])}, r"expected own_row in -1\.\.2, got -2 to 0"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(function, arrays, rules, message: str) -> None:
    with pytest.raises(RerankError, match=message):
        function(*arrays, **rules)


def test_a_re_ranking_of_other_queries_and_other_distances_are_refused() -> None:
    reranked = k_reciprocal(EYE[:2], EYE)
    with pytest.raises(RerankError, match="expected the re-ranking of 3 queries, got that of 2"):
        rank_reranked(EYE, EYE, np.arange(3), np.arange(3), reranked)
    for rerank in ("k_reciprocal", "expand"):
        with pytest.raises(EvaluationError, match=f"rerank {rerank}: expected similarity cosine, got euclidean"):
            evaluate(EYE, EYE, list("abc"), list("abc"), rerank=rerank, similarity="euclidean")
