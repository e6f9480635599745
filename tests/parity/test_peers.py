"""Our figures against the peers': their packages where they come with training, else their definitions, written again.

The problems have no equal similarities: where there are some the peers leave their order open (docs/evaluation.md).
"""

import numpy as np
import pytest
import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from torchmetrics.functional.retrieval import (
    retrieval_average_precision,
    retrieval_precision,
    retrieval_recall,
    retrieval_reciprocal_rank,
)

from lookalike.metrics.evaluate import evaluate
from metrics.random_problems import unit

KS = (1, 3, 10)
OF_PML = {
    "mean_average_precision": "map",
    "mean_reciprocal_rank": "mrr",
    "precision_at_1": "cmc@1",
    "r_precision": "r_precision",
    "mean_average_precision_at_r": "map_at_r",
}
every_seed = pytest.mark.parametrize("seed", range(12))


def problem(seed: int, cameras: bool = True) -> tuple[tuple, dict]:
    """Arrays with whole numbers as labels, and cameras, junk, distractors and queries without a positive."""
    rng = np.random.default_rng(seed)
    queries, references = int(rng.integers(5, 30)), int(rng.integers(30, 90))
    asked, answers = rng.integers(0, 7, queries), rng.integers(0, 8, references)
    asked[-1], answers[:5] = 99, rng.integers(0, 7)
    given = {"query_cameras": rng.integers(0, 3, queries), "reference_cameras": rng.integers(0, 3, references)}
    given = (given | {"ignore": rng.random(references) < 0.1}) if cameras else {}
    return (unit(rng, queries, 8), unit(rng, references, 8), asked, answers), given


def ordered(arrays: tuple, given: dict, q: int) -> np.ndarray:
    """Whether the references that count have the query's label, nearest first: what the peers' code starts from."""
    query, reference, asked, answers = arrays
    order = np.argsort(-(reference.astype(np.float64) @ query[q].astype(np.float64)))
    remove = (answers[order] == asked[q]) & (given["reference_cameras"][order] == given["query_cameras"][q])
    return (answers[order] == asked[q])[~remove & ~given["ignore"][order]]


def fastreid(matches: np.ndarray) -> tuple[np.ndarray, float, float]:
    """cmc, average precision and inverse penalty of one query as fast-reid's and torchreid's `eval_market1501` do."""
    cmc = matches.astype(np.float64).cumsum()
    last = np.max(np.where(matches)[0])
    penalty = cmc[last] / (last + 1.0)
    precision = cmc / (np.arange(len(cmc)) + 1.0)
    return np.minimum(cmc, 1), (precision * matches).sum() / matches.sum(), penalty


def market_code(matches: np.ndarray) -> float:
    """Average precision of one query as the code published with Market-1501 adds it up, rank by rank."""
    good = np.flatnonzero(matches) + 1
    old_recall, old_precision, area, intersect = 0.0, 1.0, 0.0, 0
    for rank in range(1, len(matches) + 1):
        flag = rank in good
        intersect += flag
        recall, precision = intersect / len(good), intersect / rank
        area += (recall - old_recall) * ((old_precision + precision) / 2)
        old_recall, old_precision = recall, precision
    return area


@every_seed
def test_fastreid_and_torchreid(seed: int) -> None:
    arrays, given = problem(seed)
    ours = evaluate(*arrays, **given, ks=KS)
    lines = [ordered(arrays, given, q) for q in range(len(arrays[0]))]
    values = [fastreid(line) for line in lines if line.any()]
    assert 0 < len(values) < len(lines) == ours.counts["queries"]
    assert ours.metrics["map"] == pytest.approx(np.mean([precision for _, precision, _ in values]), abs=1e-12)
    assert ours.metrics["minp"] == pytest.approx(np.mean([penalty for _, _, penalty in values]), abs=1e-12)
    for k in KS:
        assert ours.metrics[f"cmc@{k}"] == pytest.approx(np.mean([cmc[k - 1] for cmc, _, _ in values]), abs=1e-12)


@every_seed
def test_the_code_published_with_market(seed: int) -> None:
    arrays, given = problem(seed)
    ours = evaluate(*arrays, **given, ap="trapezoid")
    lines = [ordered(arrays, given, q) for q in range(len(arrays[0]))]
    areas = [market_code(line) for line in lines if line.any()]
    assert ours.metrics["map"] == ours.metrics["map_trapezoid"] == pytest.approx(np.mean(areas), abs=1e-12)


@every_seed
def test_open_metric_learning(seed: int) -> None:
    """Its precision@k is over min(k, P), its map@k over the positives found within k, so only the whole one is ours."""
    arrays, given = problem(seed)
    ours = evaluate(*arrays, **given, ks=KS).per_query
    for q in range(len(arrays[0])):
        line = ordered(arrays, given, q)
        if not line.any():
            continue
        total, hits = line.sum(), line.cumsum()
        for k in KS:
            assert ours[f"precision@{k}"][q] * k / min(k, total) == pytest.approx(hits[k - 1] / min(k, total))
        precision = (hits / np.arange(1, len(line) + 1))[line]
        assert ours["map"][q] == pytest.approx(precision.mean(), abs=1e-12)


def exact_neighbours(
    query: torch.Tensor, k: int, reference: torch.Tensor, ref_includes_query: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """The calculator's neighbours by cosines in float64: in float32 two of them may change places."""
    values, rows = (query.double() @ reference.double().T).sort(dim=1, descending=True)
    first = int(ref_includes_query)
    return values[:, first : k + first], rows[:, first : k + first]


@pytest.mark.parametrize("leave_one_out", [False, True])
@every_seed
def test_pytorch_metric_learning(seed: int, leave_one_out: bool) -> None:
    (query, reference, asked, answers), _ = problem(seed, cameras=False)
    if leave_one_out:
        query, asked = reference, answers
    calculator = AccuracyCalculator(tuple(OF_PML), device=torch.device("cpu"), knn_func=exact_neighbours)
    theirs = calculator.get_accuracy(
        torch.from_numpy(query),
        torch.from_numpy(asked),
        torch.from_numpy(reference),
        torch.from_numpy(answers),
        ref_includes_query=leave_one_out,
    )
    ours = evaluate(query, reference, asked, answers, exclude_self=leave_one_out).metrics
    for name, name_here in OF_PML.items():
        assert ours[name_here] == pytest.approx(theirs[name], abs=1e-6), name


@every_seed
def test_torchmetrics_once_no_score_is_below_zero(seed: int) -> None:
    """A document with a score of 0 or less counts as irrelevant there: similarities are moved up by 2."""
    arrays, given = problem(seed)
    query, reference, asked, answers = arrays
    ours = evaluate(*arrays, **given, ks=KS).per_query
    for q in range(len(query)):
        valid = ~given["ignore"] & ~((answers == asked[q]) & (given["reference_cameras"] == given["query_cameras"][q]))
        target = torch.from_numpy(answers[valid] == asked[q])
        scores = torch.from_numpy(reference[valid].astype(np.float64) @ query[q].astype(np.float64) + 2)
        if not target.any():
            assert ours["positives"][q] == 0
            continue
        assert ours["map"][q] == pytest.approx(float(retrieval_average_precision(scores, target)), abs=1e-6)
        assert ours["mrr"][q] == pytest.approx(float(retrieval_reciprocal_rank(scores, target)), abs=1e-6)
        for k in KS:
            precision, recall = (each(scores, target, k) for each in (retrieval_precision, retrieval_recall))
            assert ours[f"precision@{k}"][q] == pytest.approx(float(precision), abs=1e-6)
            assert ours[f"recall@{k}"][q] == pytest.approx(float(recall), abs=1e-6)
