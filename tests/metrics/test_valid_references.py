"""The one rule: what it says, and that everything which asks what counts gets the answer of `Problem.valid`."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch

from lookalike.auditing.leaks import shown_to
from lookalike.data.protocol import Protocol
from lookalike.metrics.evaluate import evaluate_problem
from lookalike.metrics.k_reciprocal import k_reciprocal
from lookalike.metrics.kernels import ranks_torch
from lookalike.metrics.kernels.search_torch import Sizes
from lookalike.metrics.options import EvaluationOptions
from lookalike.metrics.ranking import rank
from lookalike.metrics.reranked import rank_reranked
from lookalike.metrics.valid_references import left_out
from lookalike.reports.similarities import BINS, compare_similarities
from metrics.random_problems import AWKWARD, Case, assert_sorted, case, plain_valid
from metrics.rerank_problems import dense, grid_cosines

TOGETHER = 11  # problems of one test: one of each kind
PARTS = range(0, 165, TOGETHER)
every_problem = pytest.mark.parametrize("first", PARTS)


def problems(first: int, timed: bool = True) -> list[Case]:
    """Every other one has rules that ask for times."""
    return [case(seed, timed and seed % 2 == 1) for seed in range(first, first + TOGETHER)]


def valid_of(given: Case) -> np.ndarray:
    """bool [Q, R], a query at a time."""
    return np.array([given.problem.valid(q) for q in range(len(given.query))])


@pytest.mark.parametrize("facts", list(product([False, True], repeat=5)))
def test_the_rule_in_words(facts: tuple[bool, ...]) -> None:
    ignored, itself, same_label, same_camera, elsewhere = facts
    expected = True if ignored or itself or elsewhere else same_label and same_camera
    assert left_out(*facts) is expected
    assert left_out(*(np.array([fact]) for fact in facts)).tolist() == [expected]
    assert left_out(*(torch.tensor([fact]) for fact in facts)).tolist() == [expected]


@every_problem
def test_valid_is_the_rule_pair_by_pair(first: int) -> None:
    for given in problems(first):
        assert valid_of(given).tolist() == plain_valid(given)


def test_the_random_problems_reach_every_corner() -> None:
    seen: set[str] = set()
    for given in (given for first in PARTS for given in problems(first)):
        problem, cosines = given.problem, grid_cosines(given.query, given.reference)
        valid, kinds = valid_of(given), {given.kind}
        kinds |= {"ties"} if any(len(set(row)) < len(row) for row in cosines.tolist()) else set()
        kinds |= {"negative similarities"} if (cosines < 0).all() else set()
        kinds |= {"none valid"} if not valid.any() else set()
        kinds |= {"own row"} if (problem.own_row >= 0).any() else set()
        kinds |= {"one label in all"} if len(problem.names) == 1 else set()
        if problem.query_cameras is not None:
            hidden = problem.same_label(slice(None)) & ~valid & ~problem.ignore
            kinds |= {"camera rule", *(["hidden by camera"] if hidden.any() else [])}
            kinds |= {"missing camera"} if None in given.query_cameras else set()
        if problem.sightings is not None:
            rules = given.time_rules
            kinds |= {"limited camera rule"} if rules.camera_rule_seconds is not None else set()
            kinds |= {"without a time"} if problem.sightings.without_time() else {"with all times"}
            lasting = (problem.sightings.reference_until > problem.sightings.reference_since).any()
            kinds |= {"spans"} if lasting else {"moments"}
            if rules.elsewhere_seconds is not None:
                away = problem.sightings.elsewhere_of(slice(None), np.arange(len(given.reference)))
                kinds |= {"own label elsewhere"} if (away & problem.same_label(slice(None))).any() else set()
                kinds |= {"others elsewhere"} if (away & ~problem.same_label(slice(None))).any() else set()
        unmatched = ~(valid & problem.same_label(slice(None))).any(1)
        kinds |= {"unmatched"} if unmatched.any() else {"all matched"}
        seen |= kinds | ({"unknown"} if not problem.enrolled().all() else {"all known"})
    names = {"ties", "negative similarities", "none valid", "own row", "one label in all", "camera rule", "unmatched"}
    names |= {"limited camera rule", "without a time", "with all times", "spans", "moments"}
    names |= {"own label elsewhere", "others elsewhere"}
    assert names | {"hidden by camera", "missing camera", "all matched", "unknown", "all known", *AWKWARD} <= seen


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@every_problem
def test_the_numba_ranking(first: int, similarity: str) -> None:
    for given in problems(first):
        depths = tuple(range(1, len(given.reference) + 1))
        ranks = rank(given.query, given.reference, given.problem, ks=depths, top=7, similarity=similarity)
        same_label = given.problem.same_label(slice(None))
        assert_sorted(ranks, given.query, given.reference, valid_of(given), same_label, similarity)


@pytest.mark.parametrize("sizes", [Sizes(3, 7, 20, 5, 2, True), Sizes(5, 16, 4, 1, 1, False)])
@every_problem
def test_the_torch_ranking(first: int, sizes: Sizes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks_torch, "cuda", lambda: torch.device("cpu"))
    monkeypatch.setattr(ranks_torch, "sizes_for", lambda *_: sizes)
    for given in problems(first):
        depths = tuple(range(1, len(given.reference) + 1))
        ranks = rank(given.query, given.reference, given.problem, ks=depths, top=7, device="cuda")
        same_label = given.problem.same_label(slice(None))
        assert_sorted(ranks, given.query, given.reference, valid_of(given), same_label, "cosine")


@every_problem
def test_re_ranking(first: int) -> None:
    for given in problems(first):
        arrays, count = (given.query, given.reference, given.problem), len(given.reference)
        reranked = k_reciprocal(*arrays, k1=4, k2=2)
        ranks = rank_reranked(*arrays, reranked, ks=(1,), top=count)
        cosines = grid_cosines(given.query, given.reference)
        for q, valid in enumerate(valid_of(given)):
            assert not (dense(reranked, q, count)[given.ignore | (np.arange(count) == given.own_row[q])] < 1).any()
            final = 0.3 * (1 - cosines[q]) + (1 - 0.3) * dense(reranked, q, count)
            order = sorted(np.flatnonzero(valid).tolist(), key=lambda r, final=final: (final[r], r))
            assert ranks.top_rows[q].tolist() == order + [-1] * (count - len(order))
            assert ranks.positives[q] == (valid & given.problem.same_label(q)).sum()


@every_problem
def test_query_expansion_and_every_figure(first: int) -> None:
    """The neighbours of a result are valid, whichever way they were found, and all of them are there."""
    for given in problems(first):
        valid, count = valid_of(given), len(given.reference)
        for rerank in ("none", "expand"):
            options = EvaluationOptions(rerank=rerank, vote_ks=(count,))
            result = evaluate_problem(given.query, given.reference, given.problem, options)
            for q, rows in enumerate(result.neighbours):
                assert sorted(rows[rows >= 0]) == np.flatnonzero(valid[q]).tolist()
            positives = (valid & given.problem.same_label(slice(None))).sum(1)
            assert result.per_query["positives"].tolist() == positives.tolist()


def protocol_of(given: Case) -> Protocol:
    """The same as rows of a data set."""

    def rows(labels: list[str], cameras: list[int | None] | None, **columns: np.ndarray) -> pd.DataFrame:
        paths = [f"{number}.jpg" for number in range(len(labels))]
        seen_by = pd.array(cameras or [None] * len(labels), "Int64")
        return pd.DataFrame({"path": paths, "label": labels, "camera": seen_by, **columns})

    references = rows(given.reference_labels, given.reference_cameras, ignore=given.ignore)
    return Protocol(references, rows(given.query_labels, given.query_cameras), given.own_row, "test")


@every_problem
def test_the_histograms_of_a_report(first: int) -> None:
    for given in problems(first, timed=False):
        counts = compare_similarities(given.query, given.reference, protocol_of(given), given.camera_rule)
        similarity = np.clip(given.query @ given.reference.T, -1, 1)
        valid, same_label = valid_of(given), given.problem.same_label(slice(None))
        places = np.minimum(((similarity + 1) * (BINS / 2)).astype(int), BINS - 1)
        for kind, pairs in ((counts.genuine, valid & same_label), (counts.impostor, valid & ~same_label)):
            assert kind.tolist() == np.bincount(places[pairs], minlength=BINS).tolist()
        best = [line[pairs].max(initial=-2) for line, pairs in zip(similarity, valid & same_label, strict=True)]
        np.testing.assert_array_equal(counts.nearest_genuine, np.where(np.array(best) < -1, np.nan, best))


@every_problem
def test_the_leaks_of_an_audit(first: int) -> None:
    for number, given in enumerate(problems(first, timed=False)):
        rng = np.random.default_rng(first + number)
        pictures = [rng.integers(0, 6, len(side)) for side in (given.query, given.reference)]
        wider = {0: {1, 2}, 3: {5}}
        leaked = shown_to(given.problem, *pictures, wider)
        for q, valid in enumerate(valid_of(given)):
            together = {int(pictures[0][q]), *wider.get(int(pictures[0][q]), ())}
            assert leaked[q] == any(int(picture) in together for picture in pictures[1][valid])
