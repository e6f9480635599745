import numpy as np
import pytest

from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.k_reciprocal import k_reciprocal
from lookalike.metrics.problem import Problem
from lookalike.metrics.reranked import rank_reranked
from metrics.random_problems import numbered
from metrics.rerank_problems import clusters, plain_problem


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("rerank", "gain"), [("k_reciprocal", 0.03), ("expand", 0.02)])
def test_both_raise_map_where_labels_are_clusters(rerank: str, gain: float, seed: int) -> None:
    query, reference, ids, other = clusters(seed)
    plain = evaluate(query, reference, ids, other).metrics["map"]
    assert evaluate(query, reference, ids, other, rerank=rerank).metrics["map"] > plain + gain


def test_ignored_references_might_as_well_not_be_there() -> None:
    query, reference, ids, other = clusters(5)
    ignore = np.random.default_rng(0).random(len(reference)) < 0.4
    kept = np.flatnonzero(~ignore)
    given, alone = numbered(ids, other, ignore=ignore), numbered(ids, other[kept])
    with_them = k_reciprocal(query, reference, given)
    without = k_reciprocal(query, reference[kept], alone)
    assert np.array_equal(with_them.rows, kept[without.rows])
    assert np.array_equal(with_them.jaccard, without.jaccard)
    far = np.where(ignore[:, None], np.float32(-9), reference)
    assert np.array_equal(k_reciprocal(query, far, given).jaccard, with_them.jaccard)
    ranks = rank_reranked(query, reference, given, with_them)
    assert np.array_equal(ranks.ap, rank_reranked(query, reference[kept], alone, without).ap)


def test_a_query_never_finds_its_own_row() -> None:
    reference = clusters(6)[1]
    own = np.arange(len(reference))
    reranked = k_reciprocal(reference, reference, Problem.unlabelled(np.zeros(len(own), bool), own))
    assert len(reranked.rows)
    assert not (np.repeat(own, np.diff(reranked.starts)) == reranked.rows).any()


def test_labels_and_cameras_play_no_role() -> None:
    query, reference, ids, other = clusters(3)
    cameras = {"query_cameras": ids % 3, "reference_cameras": other % 3}
    labelled = k_reciprocal(query, reference, numbered(ids, other, **cameras))
    plain = k_reciprocal(query, reference, plain_problem(query, reference))
    assert np.array_equal(labelled.rows, plain.rows)
    assert np.array_equal(labelled.jaccard, plain.jaccard)


def test_nothing_to_use_changes_nothing() -> None:
    query, reference, ids, other = clusters(7, queries=5, references=9)
    everything = numbered(ids, other, ignore=np.ones(9, bool))
    none = k_reciprocal(query, reference, everything)
    assert (none.starts.tolist(), none.rows.tolist(), none.weight) == ([0] * 6, [], 0.3)
    assert rank_reranked(query, reference, everything, none).positives.tolist() == [0] * 5
    assert k_reciprocal(query[:0], reference, plain_problem(query[:0], reference)).starts.tolist() == [0]
    lone = k_reciprocal(query, reference[:1], plain_problem(query, reference[:1]))
    assert (lone.rows.tolist(), lone.jaccard.tolist()) == ([0] * 5, [0.0] * 5)
