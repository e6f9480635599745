import json
import math
import warnings

import numpy as np
import pandas as pd
import pytest

from lookalike.metrics.camera_pairs import per_camera_pair
from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.intervals import p_values
from lookalike.metrics.open_set import OpenSetError, choose_threshold
from lookalike.metrics.paired_tests import paired_bootstrap
from lookalike.metrics.problem import EvaluationError

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
    found, area, corners, area_at_r, old, last = 0, 0.0, 0.0, 0.0, 1.0, 0
    for place, hit in enumerate(hits, 1):
        found += hit
        precision = found / place
        if hit:
            last = place
            area += precision
            corners += (old + precision) / 2
            area_at_r += precision if place <= total else 0
        old = precision
    rest = {
        "map": (area if settings["ap"] == "rectangle" else corners) / total,
        "map_trapezoid": corners / total,
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
    rows, sums, sizes, nearest = [], {}, {}, []
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
        others = [
            of_reference[r]
            for r in range(len(references))
            if not (settings.get("ignore") is not None and settings["ignore"][r])
            and not (own is not False and r == (q if own is True else own[q]))
        ]
        best = found[0] if found else (-math.inf, "")
        nearest.append((round(best[0], 6), best[1] == of_query[q], of_query[q] in others))
        positives = [place for place, (_, label) in enumerate(found, 1) if label == of_query[q]]
        rows.append([found[0][1] if found else "", len(positives), positives[0] if positives else 0])
    return {name: sums[name] / sizes[name] for name in sums} | plain_open_set(nearest), rows


def known_labels(arrays: tuple, settings: dict) -> list[bool]:
    """Of each query, whether a reference that is neither ignored nor the query itself has its label."""
    _, reference, of_query, of_reference = arrays
    own, ignore = settings.get("exclude_self", False), settings.get("ignore", [False] * len(reference))
    return [
        any(
            name == label and not ignore[r] and not (own is not False and r == (q if own is True else own[q]))
            for r, name in enumerate(of_reference)
        )
        for q, label in enumerate(of_query)
    ]


def plain_open_set(nearest: list[tuple[float, bool, bool]]) -> dict[str, float]:
    """By comparing all pairs and trying all thresholds; `nearest` holds similarity, right, known of each query."""
    known = [(value, right) for value, right, enrolled in nearest if enrolled]
    unknown = [value for value, _, enrolled in nearest if not enrolled]
    if not known or not unknown:
        return {}
    pairs = [1.0 if one > other else 0.5 if one == other else 0.0 for one, _ in known for other in unknown]
    metrics = {"auroc": sum(pairs) / len(pairs)}
    for rate in (0.01, 0.1):
        best = 0.0
        for limit in unknown:  # a lower threshold never detects fewer
            if sum(value > limit for value in unknown) <= rate * len(unknown):
                best = max(best, sum(right and value > limit for value, right in known) / len(known))
        metrics[f"dir@far{rate:g}"] = best
    return metrics


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
        "queries_of_unknown_label": sum(not enrolled for enrolled in known_labels(arrays, settings)),
        "references": len(arrays[1]) - ignored,
        "ignored": ignored,
        "distractors": sum(
            label not in arrays[2] for r, label in enumerate(arrays[3]) if not settings.get("ignore", np.zeros(99))[r]
        ),
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
    trapezoid = evaluate(*ranked(pattern), ap="trapezoid").metrics["map"]
    assert result.metrics == pytest.approx(expected | {"map_trapezoid": trapezoid}, abs=1e-12)
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
    assert set(result.intervals) == set(result.metrics) - {"auroc", "dir@far0.01", "dir@far0.1"}
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
    assert table["map"].isna().tolist() == [True, False, False]
    plain = table.fillna(-1.0).to_dict("list")
    assert plain["label"] == ["c", "a", "b"]
    assert (plain["queries"], plain["accuracy@1"], plain["map"]) == ([1, 2, 2], [0.0, 1.0, 1.0], [-1.0, 1.0, 1.0])


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
        ((EYE, EYE, TWO, TWO), {"exclude_self": np.array([0])}, "exclude_self: .*got 1 rows from"),
        ((EYE, EYE, TWO, TWO), {"exclude_self": np.array([0, -2])}, "exclude_self: .* from -2 up to 0"),
        ((EYE, EYE, TWO, TWO), {"device": "gpu"}, "device cpu or cuda: got cosine, gpu"),
        ((EYE, EYE, TWO, TWO), {"ks": (0, 1)}, "expected depths that are whole numbers from 1"),
        ((EYE, EYE, TWO, TWO), {"vote_ks": (-1,)}, "expected depths that are whole numbers from 1"),
        ((EYE, EYE, ["a", None], TWO), {}, r"query labels: 1 missing \(first: row 1\)"),
        ((EYE, EYE, TWO, np.array([np.nan, np.nan])), {}, r"reference labels: 2 missing \(first: row 0\)"),
        ((EYE, [["x", "y"]] * 2, TWO, TWO), {}, "reference embeddings: expected a float array"),
        ((EYE, EYE, TWO, TWO), {"ks": (1.5,)}, "depths that are whole numbers from 1"),
        ((EYE, EYE, TWO, TWO), {"camera_rule": "false"}, "camera_rule: expected True or False, got 'false'"),
        ((EYE, EYE, TWO, TWO), {"threads": 0}, "threads: expected 1 or more, .*got 0"),
        ((EYE, EYE, TWO, TWO), {"exclude_self": np.array([0.5, 1.0])}, "exclude_self: expected the reference row"),
        (
            (EYE, EYE, TWO, TWO),
            {"rerank": "k_reciprocal", "device": "cuda"},
            "rerank k_reciprocal: expected device cpu",
        ),
        ((EYE, EYE, TWO, TWO), {"similarity": "dot"}, "expected similarity cosine or euclidean, .*got dot"),
        ((EYE, EYE, TWO, TWO), {"ap": "square"}, "ap rectangle or trapezoid, got .* and square"),
    ],
)
def test_what_is_no_retrieval_problem_is_refused(arguments: tuple, settings: dict, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        evaluate(*arguments, **settings)


def test_no_depths_at_all_still_gives_the_rest() -> None:
    metrics = evaluate(EYE, EYE, TWO, TWO, ks=(), vote_ks=()).metrics
    assert set(metrics) == {"accuracy@1", "map", "map_trapezoid", "minp", "mrr", "r_precision", "map_at_r"}


def test_labels_may_be_numbers_of_any_kind_on_either_side() -> None:
    query, reference, asked, known = many(queries=60)
    numbers = [int(label.split()[1]) + BIG for label in asked], [int(label.split()[1]) + BIG for label in known]
    expected = evaluate(query, reference, asked, known).metrics
    whole = [np.array(part, np.float64) for part in numbers]
    assert evaluate(query, reference, whole[0], numbers[1]).metrics == expected
    for one, other in ((list, list), (np.array, np.array), (list, np.array), (lambda x: list(map(str, x)), np.array)):
        assert evaluate(query, reference, one(numbers[0]), other(numbers[1])).metrics == expected


def test_euclidean_distance_sees_lengths() -> None:
    query, reference = np.float32([[1, 0]]), np.float32([[10, 0], [1, 0.5], [0, 0]])
    cosine = evaluate(query, reference[:2], ["a"], ["a", "b"])
    euclidean = evaluate(query, reference, ["a"], ["a", "b", "c"], similarity="euclidean")
    assert (cosine.metrics["mrr"], euclidean.metrics["mrr"]) == (1.0, 1 / 3)
    assert euclidean.neighbours.tolist() == [[1, 2, 0]]
    assert euclidean.neighbour_similarity[0] == pytest.approx([-0.5, -1, -9])
    assert "euclidean distance" in euclidean.protocol


def test_threads_and_chunks_give_the_same_result() -> None:
    query, reference, asked, known = many(queries=900)
    whole = evaluate(query, reference, asked, known, threads=1)
    assert evaluate(query, reference, asked, known, threads=2).to_dict() == whole.to_dict()


def test_the_same_array_twice_is_leave_one_out() -> None:
    rows = many(queries=40)[0]
    labels = [f"{n % 9}" for n in range(40)]
    shared = evaluate(rows, rows, labels, labels, exclude_self=True)
    assert shared.to_dict() == evaluate(rows.copy(), rows, labels, labels, exclude_self=True).to_dict()
    assert (shared.neighbours != np.arange(40)[:, None]).all()


def test_open_set_by_hand() -> None:
    """Known: 0.9 right, 0.8 wrong, 0.6 right; unknown: 0.7, 0.5."""
    cosines = [0.9, 0.8, 0.6, 0.7, 0.5]
    query = np.array([[c, np.sqrt(1 - c * c), 0] for c in cosines], np.float32)
    reference = np.array([[1, 0, 0], [0, 0, 1]], np.float32)
    metrics = evaluate(query, reference, ["a", "b", "a", "x", "y"], ["a", "b"]).metrics
    assert metrics["auroc"] == pytest.approx(5 / 6)
    assert metrics["dir@far0.1"] == metrics["dir@far0.01"] == pytest.approx(1 / 3)  # above 0.7, and right: one of three
    assert "auroc" not in evaluate(query[:3], reference, ["a", "b", "a"], ["a", "b"]).metrics


def test_a_threshold_lets_in_what_was_wanted() -> None:
    per_query = evaluate(*many(queries=500)).per_query
    for rate in (0.0, 0.05, 0.5, 1.0):
        threshold = choose_threshold(per_query, rate)
        played = np.where(per_query["known"], per_query["similarity_other"], per_query["similarity"])
        assert threshold.measured_false_accept_rate == (played > threshold.similarity).mean() <= rate
        lower = np.sort(played[played < threshold.similarity])[-1] if rate < 1 else -1.0
        assert (played > lower).mean() > rate or rate == 1.0
        right = (per_query["predicted"] == per_query["label"]) & (per_query["similarity"] > threshold.similarity)
        assert threshold.detection_rate == pytest.approx(right[per_query["known"]].mean())
    with pytest.raises(OpenSetError, match="references of at least two labels, got one"):
        choose_threshold(evaluate(EYE, EYE[:1], ["a", "a"], ["a"]).per_query, 0.1)


def test_a_paired_bootstrap_tells_a_better_model_from_the_same() -> None:
    query, reference, asked, known = many(queries=400)
    centres = np.random.default_rng(9).standard_normal((33, 24)).astype(np.float32)
    better_query = query + 1.5 * centres[[int(label.split()[1]) for label in asked]]
    better_reference = reference + 1.5 * centres[[int(label.split()[1]) for label in known]]
    worse, better = evaluate(query, reference, asked, known), evaluate(better_query, better_reference, asked, known)
    table = paired_bootstrap(worse, better)
    assert table.loc["map", "first"] == worse.metrics["map"]
    assert table.loc["map", "difference"] == pytest.approx(better.metrics["map"] - worse.metrics["map"])
    assert 0 < table.loc["map", "low"] < table.loc["map", "difference"] < table.loc["map", "high"]
    assert table.loc["map", "p"] == pytest.approx(2 / 1001)
    same = paired_bootstrap(worse, worse)
    assert (same["difference"] == 0).all()
    assert (same["p"] == 1).all()
    with pytest.raises(EvaluationError, match="the same queries in the same order, got 400 and 40 queries"):
        paired_bootstrap(worse, evaluate(*many(queries=40)))
    with pytest.raises(EvaluationError, match="at least two labels, got one"):
        paired_bootstrap(evaluate(*ranked("ab")), evaluate(*ranked("ab")))


def test_camera_pairs_are_evaluations_of_their_own() -> None:
    query, reference, asked, known = many(queries=90)
    seen, cameras, ignore = np.arange(90) % 3, np.arange(300) % 4, np.arange(300) % 11 == 0
    table = per_camera_pair(query, reference, asked, known, seen, cameras, ignore)
    assert len(table) == 3 * 4 - 3
    for row in table.itertuples(index=False):
        one, other = seen == row[0], (cameras == row[1]) & ~ignore
        alone = evaluate(
            query[one],
            reference[other],
            [a for a, x in zip(asked, one, strict=True) if x],
            [k for k, x in zip(known, other, strict=True) if x],
        )
        assert row[2] == alone.counts["queries_with_positive"]
        assert row[3:] == pytest.approx((alone.metrics["cmc@1"], alone.metrics["map"]), abs=1e-12)


def test_cameras_may_be_names_and_may_be_missing() -> None:
    reference = np.eye(3, dtype=np.float32)
    common = (reference[:2], reference, ["a", "b"], ["a", "b", "a"])
    named = evaluate(*common, query_cameras=["door", None], reference_cameras=["door", "hall", None])
    numbers = evaluate(*common, query_cameras=[1, -1], reference_cameras=[1, 2, 3])
    assert named.per_query["positives"].tolist() == numbers.per_query["positives"].tolist() == [1, 1]
    both = evaluate(*common, query_cameras=[1.2, np.nan], reference_cameras=[1.7, np.nan, 1.2])
    assert both.per_query["positives"].tolist() == [1, 1]  # 1.2 and 1.7 differ; unknown is the same as no other
    texts = evaluate(*common, query_cameras=["1", "7"], reference_cameras=np.array([1.0, 2.0, 3.0]))
    assert texts.per_query["positives"].tolist() == [1, 1]


def test_pairs_leave_unknown_cameras_out() -> None:
    table = per_camera_pair(EYE, EYE, TWO, TWO, [1, None], [2, None])
    assert table.values.tolist() == [[1, 2, 1, 1.0, 1.0]]


def test_results_under_other_rules_are_not_compared() -> None:
    arrays = many(queries=60)
    cameras = {"query_cameras": np.arange(60) % 2, "reference_cameras": np.arange(300) % 2}
    one, other = evaluate(*arrays, **cameras), evaluate(*arrays, **cameras, camera_rule=False)
    for second in (other, evaluate(*arrays, **cameras, ap="trapezoid")):
        with pytest.raises(EvaluationError, match="two results under the same rules"):
            paired_bootstrap(one, second)


def test_p_counts_only_draws_that_exist() -> None:
    differences = np.r_[np.full(900, np.nan), np.full(99, 0.5), -0.5][:, None]
    assert p_values(differences) == pytest.approx(2 * 2 / 101)
