import json
import math
import warnings

import numpy as np
import pandas as pd
import pytest

from lookalike.evaluate import EvaluationError, evaluate

BIG = 2**24  # from here on float32 cannot tell neighbouring whole numbers apart


def problem(seed: int) -> tuple[tuple, dict]:
    """A small problem with a bit of everything that is awkward: arguments and settings of `evaluate`."""
    rng = np.random.default_rng(seed)
    queries, references = int(rng.integers(1, 12)), int(rng.integers(1, 26))
    same_images = rng.random() < 0.25
    if same_images:
        queries = references

    def embeddings(count: int) -> np.ndarray:
        if seed % 2:  # any length, duplicates
            return rng.standard_normal((count, 6)).astype(np.float32)[rng.integers(0, count, count)] * 7
        # Four of eight values are 1 or -1, so lengths and cosines are exact and tie again and again, below zero too.
        signs = rng.choice([-1.0, 1.0], (count, 8)) * (rng.random((count, 8)).argsort(1) < 4)
        return (signs * 2.0 ** rng.integers(-3, 4, (count, 1))).astype(np.float32)

    def labels(count: int, lone: str) -> list[str]:
        shared = [str(BIG + int(n)) for n in rng.integers(0, 5, count)]
        return [f"{lone}{i}" if rng.random() < 0.1 else label for i, label in enumerate(shared)]

    query, reference = embeddings(queries), embeddings(references)
    of_query, of_reference = labels(queries, "asked"), labels(references, "known")
    settings: dict = {"ks": (1, 3, 40), "vote_ks": (1, 4, 40), "ap": ("rectangle", "trapezoid")[seed // 2 % 2]}
    if same_images:
        query, of_query, settings["exclude_self"] = reference, of_reference, True
    elif rng.random() < 0.3:
        settings["exclude_self"] = rng.integers(-1, references, queries)
    if rng.random() < 0.5:
        settings["ignore"] = rng.random(references) < 0.3
    if rng.random() < 0.6:
        cameras = int(rng.integers(1, 4))
        settings["query_cameras"] = rng.integers(0, cameras, queries)
        settings["reference_cameras"] = rng.integers(0, cameras, references)
        settings["camera_rule"] = bool(rng.random() < 0.8)
    return (query, reference, of_query, of_reference), settings


def plain_unit(rows: np.ndarray) -> list[list[float]]:
    lengths = [math.sqrt(sum(float(x) ** 2 for x in row)) for row in rows]
    return [[float(np.float32(float(x) / n)) for x in row] for row, n in zip(rows, lengths, strict=True)]


def plain_vote(near: list[tuple[float, str]]) -> str:
    def strength(label: str) -> tuple[float, float, int]:
        mine = [similarity for similarity, other in near if other == label]
        return len(mine), sum(mine), -next(i for i, (_, other) in enumerate(near) if other == label)

    return max({label for _, label in near}, key=strength)


def plain_query(near: list[tuple[float, str]], label: str, settings: dict) -> tuple[dict, dict]:
    """Accuracies and, where there is a positive, the rest, by walking down the list of neighbours."""
    accuracy = {f"accuracy@{k}": float(bool(near) and plain_vote(near[:k]) == label) for k in {1, *settings["vote_ks"]}}
    hits = [other == label for _, other in near]
    total = sum(hits)
    if not total:
        return accuracy, {}
    found, area, area_at_r, old, last = 0, 0.0, 0.0, 1.0, 0
    for place, hit in enumerate(hits, 1):
        found += hit
        precision = found / place
        if hit:
            last = place
            area += precision if settings["ap"] == "rectangle" else (old + precision) / 2
            area_at_r += precision if place <= total else 0
        old = precision
    rest = {
        "map": area / total,
        "minp": total / last,
        "mrr": 1 / (hits.index(True) + 1),
        "r_precision": sum(hits[:total]) / total,
        "map_at_r": area_at_r / total,
    }
    for k in settings["ks"]:
        rest[f"cmc@{k}"] = float(any(hits[:k]))
        rest[f"precision@{k}"] = sum(hits[:k]) / k
        rest[f"recall@{k}"] = sum(hits[:k]) / total
    return accuracy, rest


def plain_metrics(query, reference, of_query, of_reference, **settings) -> tuple[dict, list[list]]:
    """The slow independent writing: metrics, and per query what was found."""
    references = plain_unit(reference)
    own = settings.get("exclude_self", False)
    rows, sums, sizes = [], {}, {}
    for q, one in enumerate(plain_unit(query)):
        near = []
        for r, other in enumerate(references):
            if settings.get("ignore") is not None and settings["ignore"][r]:
                continue
            if own is not False and r == (q if own is True else own[q]):
                continue
            same_camera = (
                settings.get("camera_rule") and settings["query_cameras"][q] == settings["reference_cameras"][r]
            )
            if same_camera and of_reference[r] == of_query[q]:
                continue
            similarity = float(np.float32(sum(a * b for a, b in zip(one, other, strict=True))))
            near.append((-similarity, r))
        found = [(-value, of_reference[r]) for value, r in sorted(near)]
        accuracy, rest = plain_query(found, of_query[q], settings)
        for name, value in {**accuracy, **rest}.items():
            sums[name], sizes[name] = sums.get(name, 0.0) + value, sizes.get(name, 0) + 1
        positives = [place for place, (_, label) in enumerate(found, 1) if label == of_query[q]]
        rows.append([found[0][1] if found else "", len(positives), positives[0] if positives else 0])
    return {name: sums[name] / sizes[name] for name in sums}, rows


@pytest.mark.parametrize("seed", range(200))
def test_every_metric_is_that_of_the_slow_writing(seed: int) -> None:
    arrays, settings = problem(seed)
    result = evaluate(*arrays, **settings)
    metrics, rows = plain_metrics(*arrays, **settings)
    assert set(result.metrics) == set(metrics)
    assert result.metrics == pytest.approx(metrics, abs=1e-9)
    assert result.per_query[["predicted", "positives", "first_positive"]].to_numpy().tolist() == rows
    missed = sum(not positives for _, positives, _ in rows)
    ignored = int(np.sum(settings.get("ignore", 0)))
    assert result.counts == {
        "queries": len(rows),
        "queries_with_positive": len(rows) - missed,
        "queries_without_positive": missed,
        "references": len(arrays[1]) - ignored,
        "ignored": ignored,
    }


def test_the_random_problems_reach_every_corner() -> None:
    seen: set[str] = set()
    for seed in range(200):
        (query, reference, of_query, of_reference), settings = problem(seed)
        similarity = np.array(plain_unit(query)) @ np.array(plain_unit(reference)).T
        counts = evaluate(query, reference, of_query, of_reference, **settings).counts
        seen |= {f"{name}={settings.get(name) is not None}" for name in ("ignore", "exclude_self", "query_cameras")}
        seen |= {f"ap={settings['ap']}", f"own rows given={isinstance(settings.get('exclude_self'), np.ndarray)}"}
        seen |= {f"negative={similarity.min() < 0}", f"unmatched={counts['queries_without_positive'] > 0}"}
        seen |= {f"ties={any(len(set(row)) < len(row) for row in similarity.tolist())}"}
        seen |= {f"few={len(reference) < 4}", f"one camera={len(set(settings.get('query_cameras', [0, 1]))) == 1}"}
        seen |= {f"none matched={counts['queries_with_positive'] == 0}"}
        seen |= {f"camera rule={settings.get('camera_rule')}"}
    either = ("ignore", "exclude_self", "query_cameras", "own rows given", "negative", "unmatched", "ties", "few")
    either += ("one camera", "none matched", "camera rule")
    assert {f"{name}={value}" for name in either for value in (True, False)} <= seen
    assert {"ap=rectangle", "ap=trapezoid"} <= seen


def ranked(pattern: str) -> tuple:
    """One query of label a and references with the labels of `pattern`, nearest first."""
    angles = np.linspace(0.1, 1.2, len(pattern))
    reference = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    return np.array([[1.0, 0.0]], np.float32), reference, ["a"], list(pattern)


RIGHT_FIRST = {"cmc@1": 1, "cmc@2": 1, "minp": 3 / 4, "mrr": 1, "r_precision": 2 / 3, "map_at_r": (1 + 2 / 3) / 3}
RIGHT_FIRST |= {"precision@2": 1 / 2, "recall@2": 1 / 3, "precision@10": 3 / 10, "recall@10": 1, "cmc@10": 1}
RIGHT_FIRST |= {"precision@1": 1, "recall@1": 1 / 3, "accuracy@1": 1, "accuracy@2": 1, "accuracy@5": 1}
WRONG_FIRST = {"cmc@1": 0, "cmc@2": 1, "minp": 2 / 5, "mrr": 1 / 2, "r_precision": 1 / 2, "map_at_r": (1 / 2) / 2}
WRONG_FIRST |= {"precision@2": 1 / 2, "recall@2": 1 / 2, "precision@10": 2 / 10, "recall@10": 1, "cmc@10": 1}
WRONG_FIRST |= {"precision@1": 0, "recall@1": 0, "accuracy@1": 0, "accuracy@2": 0, "accuracy@5": 0}


@pytest.mark.parametrize(
    ("pattern", "ap", "expected"),
    [
        ("abaab", "rectangle", RIGHT_FIRST | {"map": (1 + 2 / 3 + 3 / 4) / 3}),
        ("abaab", "trapezoid", RIGHT_FIRST | {"map": ((1 + 1) / 2 + (1 / 2 + 2 / 3) / 2 + (2 / 3 + 3 / 4) / 2) / 3}),
        ("babba", "rectangle", WRONG_FIRST | {"map": (1 / 2 + 2 / 5) / 2}),
        ("babba", "trapezoid", WRONG_FIRST | {"map": ((0 + 1 / 2) / 2 + (1 / 4 + 2 / 5) / 2) / 2}),
    ],
)
def test_five_references_by_hand(pattern: str, ap: str, expected: dict) -> None:
    result = evaluate(*ranked(pattern), ks=(1, 2, 10), vote_ks=(1, 2, 5), ap=ap)
    assert result.metrics == pytest.approx(expected, abs=1e-12)
    assert f"AP {ap}" in result.protocol


def test_a_similarity_below_zero_is_still_a_rank() -> None:
    """Retrieval metrics of torchmetrics count scores up to 0 as irrelevant."""
    query = np.array([[1.0, 0.0]], np.float32)
    reference = np.array([[-0.9, 0.1], [-0.1, 0.9], [-0.5, 0.5], [0, 1]], np.float32)
    metrics = evaluate(query, reference, ["a"], ["b", "a", "b", "b"]).metrics
    assert (metrics["mrr"], metrics["map"], metrics["cmc@5"]) == (0.5, 0.5, 1.0)
    assert evaluate(query, reference[1:2], ["a"], ["a"]).metrics["map"] == 1.0
    assert evaluate(query, np.float32([[0, 1]]), ["a"], ["a"]).metrics["cmc@1"] == 1.0


def test_labels_that_float32_would_merge_stay_apart() -> None:
    one, two = str(BIG), str(BIG + 1)
    result = evaluate(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), [one, two], [two, one])
    assert result.metrics["accuracy@1"] == 0.0
    assert result.per_query["predicted"].tolist() == [two, one]
    assert result.metrics["mrr"] == 0.5


def many(seed: int = 0, queries: int = 600) -> tuple:
    rng = np.random.default_rng(seed)
    reference = rng.standard_normal((150, 24)).astype(np.float32)[rng.integers(0, 150, 300)]
    known = [f"class {n}" for n in rng.integers(0, 30, 300)]
    asked = [f"class {n}" for n in rng.integers(0, 33, queries)]
    return rng.standard_normal((queries, 24)).astype(np.float32), reference, asked, known


@pytest.mark.parametrize("size", [1, 7])
def test_a_query_is_measured_alike_in_any_company(size: int) -> None:
    query, reference, asked, known = many()
    whole = evaluate(query, reference, asked, known).per_query
    for first in (0, 250, 255, 590):
        part = evaluate(query[first : first + size], reference, asked[first : first + size], known).per_query
        pd.testing.assert_frame_equal(part, whole[first : first + size].reset_index(drop=True), check_exact=True)


def test_intervals_hold_the_value_and_are_repeatable() -> None:
    result = evaluate(*many())
    np.random.seed(5)  # noqa: NPY002 - the global generator must not matter
    assert evaluate(*many()).intervals == result.intervals
    assert set(result.intervals) == set(result.metrics)
    for name, (low, high) in result.intervals.items():
        assert 0 <= low <= result.metrics[name] <= high <= 1, name
    assert result.intervals["map"][0] < result.metrics["map"] < result.intervals["map"][1]


def test_intervals_are_over_labels_not_queries() -> None:
    """Two labels, one always right, one always wrong: whatever the number of queries, anything may be true."""
    query = np.repeat(np.eye(2, dtype=np.float32), 300, 0)
    result = evaluate(query, np.eye(2, dtype=np.float32), ["a"] * 300 + ["b"] * 300, ["a", "c"])
    assert result.metrics["accuracy@1"] == 0.5
    assert result.intervals["accuracy@1"] == (0.0, 1.0)


def test_one_label_has_no_interval_and_no_match_has_no_retrieval_metric() -> None:
    one = evaluate(*ranked("abaab"))
    assert one.intervals == {}
    assert "95 %" not in str(one)
    assert one.to_dict()["intervals_95"] == {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        none = evaluate(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), ["x", "y"], ["a", "b"])
    assert set(none.metrics) == set(none.intervals) == {"accuracy@1", "accuracy@5", "accuracy@10"}
    assert "2 queries (2 without a valid positive" in none.protocol


def test_the_result_is_readable_and_serialisable() -> None:
    query, reference, asked, known = many(queries=40)
    ignore = np.arange(300) % 10 == 0
    result = evaluate(query, reference, asked, known, ignore=ignore, exclude_self=np.r_[3, np.full(39, -1)])
    text = str(result)
    low, high = result.intervals["map"]
    assert f"{result.metrics['map']:.4f}   95 % {low:.4f} to {high:.4f}" in text
    assert text.splitlines()[0] == f"protocol: {result.protocol}"
    assert len(text.splitlines()) == 1 + len(result.metrics)
    for rule in ("40 queries", "270 references, 30 ignored", "no camera rule", "AP rectangle", "never finds itself"):
        assert rule in result.protocol
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert plain["metrics"] == result.metrics
    assert plain["counts"] == result.counts
    assert plain["intervals_95"]["map"] == [low, high]


def test_the_camera_rule_is_named_and_can_be_switched_off() -> None:
    arrays = np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), ["a", "b"], ["a", "b"]
    cameras = {"query_cameras": [1, 1], "reference_cameras": [1, 2]}
    on, off = evaluate(*arrays, **cameras), evaluate(*arrays, **cameras, camera_rule=False)
    assert (on.metrics["accuracy@1"], off.metrics["accuracy@1"]) == (0.5, 1.0)
    assert "same label and camera left out" in on.protocol
    assert "no camera rule" in off.protocol


def test_per_label_puts_the_worst_first() -> None:
    query = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2]]
    table = evaluate(query, np.eye(3, dtype=np.float32), list("aabbc"), ["a", "b", "d"]).per_label()
    assert table.to_dict("list") == {"label": ["c", "a", "b"], "queries": [1, 2, 2], "accuracy@1": [0.0, 1.0, 1.0]}


def test_embeddings_may_have_any_length_but_zero() -> None:
    query, reference, asked, known = many(queries=20)
    scale = np.float32(2.0) ** np.resize([-100, 0, 80], (300, 1)).astype(np.float32)
    assert evaluate(query, reference * scale, asked, known).metrics == pytest.approx(
        evaluate(query, reference, asked, known).metrics
    )


EYE = np.eye(2, dtype=np.float32)
TWO = ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ((np.array([[1, 0], [0, 0]]), EYE, TWO, TWO), {}, r"query embeddings: 1 row\(s\) .* zero .*first: row 1"),
        ((EYE, np.array([[np.nan, 0], [np.inf, 1]]), TWO, TWO), {}, r"reference embeddings: 2 row\(s\).*not finite"),
        ((EYE[:0], EYE, [], TWO), {}, r"query embeddings: .*N > 0, got shape \(0, 2\)"),
        ((EYE, EYE[:0], TWO, []), {}, r"reference embeddings: .*N > 0"),
        ((EYE[0], EYE, ["a"], TWO), {}, r"expected a float array \[N, D\].*\(2,\)"),
        ((EYE, np.eye(3), TWO, list("abc")), {}, "embeddings of one size expected, got 2 and 3"),
        ((EYE, EYE, ["a"], TWO), {}, "one label per query expected, got 2 embeddings and 1"),
        ((EYE, EYE, TWO, list("abc")), {}, "one label per reference expected, got 2 embeddings and 3"),
        ((EYE, EYE, TWO, TWO), {"query_cameras": [1], "reference_cameras": [1, 1]}, "one camera per query"),
        ((EYE, EYE, TWO, TWO), {"query_cameras": [1, 1], "reference_cameras": [1]}, "one camera per reference"),
        ((EYE, EYE, TWO, TWO), {"ignore": np.zeros(3, bool)}, "one ignore per reference expected"),
        ((EYE[:1], EYE, ["a"], TWO), {"exclude_self": True}, "exclude_self: expected .* 1 queries and 2 references"),
        ((EYE, EYE, TWO, TWO), {"exclude_self": np.array([0, 2])}, "exclude_self: .* up to 2"),
        ((EYE, EYE, TWO, TWO), {"exclude_self": np.array([0])}, "exclude_self: .*got 1 rows"),
        ((EYE, EYE, TWO, TWO), {"ks": (0, 1)}, "expected depths from 1"),
        ((EYE, EYE, TWO, TWO), {"vote_ks": (-1,)}, "expected depths from 1"),
        ((EYE, EYE, TWO, TWO), {"ap": "square"}, "ap rectangle or trapezoid, got .* and square"),
    ],
)
def test_what_is_no_retrieval_problem_is_refused(arguments: tuple, settings: dict, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        evaluate(*arguments, **settings)


def test_no_depths_at_all_still_gives_the_rest() -> None:
    metrics = evaluate(EYE, EYE, TWO, TWO, ks=(), vote_ks=()).metrics
    assert set(metrics) == {"accuracy@1", "map", "minp", "mrr", "r_precision", "map_at_r"}
