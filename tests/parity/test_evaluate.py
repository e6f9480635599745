"""Every metric against a slow writing of its own: no arrays, no numbered labels, a walk down the list of neighbours."""

import math

import numpy as np
import pytest

from lookalike.metrics.evaluate import evaluate

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
    hits_so_far, area, corners, area_at_r, old, last = 0, 0.0, 0.0, 0.0, 1.0, 0
    for place, hit in enumerate(hits, 1):
        hits_so_far += hit
        precision = hits_so_far / place
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
    for q, asking in enumerate(plain_unit(query)):
        near = []
        for r, answering in enumerate(references):
            if settings.get("ignore") is not None and settings["ignore"][r]:
                continue
            if own is not False and r == (q if own is True else own[q]):
                continue
            same_camera = (
                settings.get("camera_rule") and settings["query_cameras"][q] == settings["reference_cameras"][r]
            )
            if same_camera and of_reference[r] == of_query[q]:
                continue
            similarity = float(np.float32(sum(a * b for a, b in zip(asking, answering, strict=True))))
            near.append((-similarity, r))
        neighbours = [(-value, of_reference[r]) for value, r in sorted(near)]
        accuracy, rest = plain_query(neighbours, of_query[q], settings)
        for name, value in {**accuracy, **rest}.items():
            sums[name], sizes[name] = sums.get(name, 0.0) + value, sizes.get(name, 0) + 1
        others = [
            of_reference[r]
            for r in range(len(references))
            if not (settings.get("ignore") is not None and settings["ignore"][r])
            and not (own is not False and r == (q if own is True else own[q]))
        ]
        best = neighbours[0] if neighbours else (-math.inf, "")
        nearest.append((round(best[0], 6), best[1] == of_query[q], of_query[q] in others))
        positives = [place for place, (_, label) in enumerate(neighbours, 1) if label == of_query[q]]
        rows.append([neighbours[0][1] if neighbours else "", len(positives), positives[0] if positives else 0])
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
    genuine = [(value, right) for value, right, enrolled in nearest if enrolled]
    unknown = [value for value, _, enrolled in nearest if not enrolled]
    if not genuine or not unknown:
        return {}
    pairs = [1.0 if value > limit else 0.5 if value == limit else 0.0 for value, _ in genuine for limit in unknown]
    metrics = {"auroc": sum(pairs) / len(pairs)}
    for rate in (0.01, 0.1):
        best = 0.0
        for limit in unknown:  # a lower threshold never detects fewer
            if sum(value > limit for value in unknown) <= rate * len(unknown):
                best = max(best, sum(right and value > limit for value, right in genuine) / len(genuine))
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
