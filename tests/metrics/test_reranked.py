import numpy as np
import pytest

from lookalike.metrics.columns import EvaluationError
from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.k_reciprocal import k_reciprocal
from lookalike.metrics.query_expansion import expand_queries
from lookalike.metrics.ranking import rank
from lookalike.metrics.rerank_options import RerankError
from lookalike.metrics.reranked import rank_reranked
from metrics.random_problems import numbered
from metrics.rerank_problems import clusters, dense, grid_cosines, plain_problem, problem

EYE = np.eye(3, dtype=np.float32)


@pytest.mark.parametrize("seed", range(60))
def test_ranks_are_those_of_plain_sorting(seed: int) -> None:
    (query, reference), options, given = problem(seed)
    rng, count = np.random.default_rng(seed), len(reference)
    ids, other = rng.integers(0, 4, len(query)), rng.integers(0, 4, count)
    cameras = (rng.integers(0, 2, len(query)), rng.integers(0, 2, count)) if seed % 2 else (None, None)
    labelled = numbered(
        ids, other, given.own_row, ignore=given.ignore, query_cameras=cameras[0], reference_cameras=cameras[1]
    )
    reranked = k_reciprocal(query, reference, labelled, **options)
    ranks = rank_reranked(query, reference, labelled, reranked, ks=tuple(range(1, count + 1)), top=7)
    cosines, weight = grid_cosines(query, reference), options["weight"]
    for q in range(len(query)):
        final = weight * (1 - cosines[q]) + (1 - weight) * dense(reranked, q, count)
        valid = ~given.ignore
        if given.own_row[q] >= 0:
            valid = valid & (np.arange(count) != given.own_row[q])
        if seed % 2:
            valid = valid & ~((other == ids[q]) & (cameras[1] == cameras[0][q]))
        order = sorted(np.flatnonzero(valid).tolist(), key=lambda r, final=final: (final[r], r))
        places = [place for place, r in enumerate(order, 1) if other[r] == ids[q]]
        assert ranks.hits[q].tolist() == [sum(place <= k for place in places) for k in range(1, count + 1)]
        assert (ranks.positives[q], ranks.first[q], ranks.last[q]) == (
            len(places),
            places[0] if places else 0,
            places[-1] if places else 0,
        )
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
    given = numbered(ids, other)
    reranked = k_reciprocal(query, reference, given, weight=1.0)
    plain, same = rank(query, reference, given), rank_reranked(query, reference, given, reranked)
    for name in ("first", "last", "ap", "top_rows"):
        assert np.array_equal(getattr(plain, name), getattr(same, name)), name


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("size", [1, 7])
def test_queries_never_see_each_other(size: int, threads: int) -> None:
    query, reference, ids, other = clusters(4, queries=300, references=700)
    reference[::5] = reference[3]  # duplicates
    query[::9] = reference[3]
    own, ignore = np.where(np.arange(300) % 9 == 0, 3, -1), np.arange(700) % 6 == 1
    given = numbered(ids, other, own, ignore=ignore)
    whole = k_reciprocal(query, reference, given, threads=2)
    moved = expand_queries(query, reference, given, threads=2)
    ranks = rank_reranked(query, reference, given, whole, ks=(1, 5), threads=2)
    for first in (0, 9, 254, 293):
        mine = slice(first, first + size)
        alone = numbered(ids[mine], other, own[mine], ignore=ignore)
        part = k_reciprocal(query[mine], reference, alone, threads=threads)
        assert np.array_equal(expand_queries(query[mine], reference, alone, threads=threads), moved[mine])
        entries = slice(whole.starts[first], whole.starts[first + size])
        assert np.array_equal(part.starts, whole.starts[first : first + size + 1] - whole.starts[first])
        assert np.array_equal(part.rows, whole.rows[entries])
        assert np.array_equal(part.jaccard, whole.jaccard[entries])
        there = rank_reranked(query[mine], reference, alone, part, ks=(1, 5), threads=threads)
        for name, values in vars(there).items():
            assert np.array_equal(values, getattr(ranks, name)[mine]), name


def test_a_re_ranking_of_other_queries_and_other_distances_are_refused() -> None:
    reranked = k_reciprocal(EYE[:2], EYE, plain_problem(EYE[:2], EYE))
    with pytest.raises(RerankError, match="expected the re-ranking of 3 queries, got that of 2"):
        rank_reranked(EYE, EYE, numbered(np.arange(3), np.arange(3)), reranked)
    with pytest.raises(RerankError, match="expected a problem of 3 queries and 3 references, got one of 2 and 3"):
        rank_reranked(EYE, EYE, numbered(np.arange(2), np.arange(3)), reranked)
    for rerank in ("k_reciprocal", "expand"):
        with pytest.raises(EvaluationError, match=f"rerank {rerank}: expected similarity cosine, got euclidean"):
            evaluate(EYE, EYE, list("abc"), list("abc"), rerank=rerank, similarity="euclidean")
