"""Retrieval problems made from a seed, every awkward kind in turn, and slow writings of what is found in them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from lookalike.metrics.problem import Problem
from lookalike.metrics.ranks import Ranks
from lookalike.metrics.sightings import NO_TIME_RULES, TimeRules

AWKWARD = (
    *("plain", "exact ties", "all ignored", "one label", "unknown labels", "missing cameras", "own rows"),
    *("one camera", "negative", "collapsed", "cameras of one side unknown"),
)
EYE, TWO = np.eye(2, dtype=np.float32), ["a", "b"]


def unit(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    rows = rng.standard_normal((count, size))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def with_duplicates(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    return unit(rng, max(1, count // 3), size)[rng.integers(0, max(1, count // 3), count)]


def exact_ties(rng: np.random.Generator, count: int) -> np.ndarray:
    """Four of eight values are 1 or -1: lengths and cosines are exact and tie again and again; many rows are alike."""
    rows = rng.choice([-1.0, 1.0], (max(1, count // 2), 8)) * (rng.random((max(1, count // 2), 8)).argsort(1) < 4)
    return rows[rng.integers(0, len(rows), count)].astype(np.float32)


def numbered(
    query_labels: np.ndarray, reference_labels: np.ndarray, own_row: np.ndarray | None = None, **rules: Any
) -> Problem:
    """The problem of whole numbers as labels, with ignore, query_cameras and reference_cameras."""
    return Problem.of(query_labels, reference_labels, exclude_self=False if own_row is None else own_row, **rules)


@dataclass(frozen=True)
class Case:
    """One problem as people have it."""

    kind: str
    query: np.ndarray
    reference: np.ndarray
    query_labels: list[str]
    reference_labels: list[str]
    query_cameras: list[int | None] | None
    reference_cameras: list[int | None] | None
    ignore: np.ndarray
    own_row: np.ndarray
    camera_rule: bool = True
    query_times: tuple[np.ndarray, np.ndarray] | None = None  # when each begins and ends, NaN where that is not known
    reference_times: tuple[np.ndarray, np.ndarray] | None = None
    time_rules: TimeRules = NO_TIME_RULES
    problem: Problem = field(init=False)

    def __post_init__(self) -> None:
        problem = Problem.of(
            self.query_labels,
            self.reference_labels,
            query_cameras=self.query_cameras,
            reference_cameras=self.reference_cameras,
            ignore=self.ignore,
            exclude_self=self.own_row,
            camera_rule=self.camera_rule,
            query_times=self.query_times,
            reference_times=self.reference_times,
            time_rules=self.time_rules,
        )
        object.__setattr__(self, "problem", problem)


def case(seed: int, timed: bool = False) -> Case:
    """A small problem; which awkwardness it has goes round with the seed, the rest is drawn.

    `timed` ones have rules that ask for times, where they have cameras.
    """
    rng, kind = np.random.default_rng(seed), AWKWARD[seed % len(AWKWARD)]
    queries, references = int(rng.integers(1, 14)), int(rng.integers(1, 50))
    labels = 1 if kind == "one label" else int(rng.integers(2, 8))
    query_labels, reference_labels = rng.integers(0, labels, queries), rng.integers(0, labels, references)
    query, reference = embeddings(rng, kind, queries, references)
    own_row = np.full(queries, -1)
    if kind == "own rows" or rng.random() < 0.3:
        own_row = rng.integers(-1, references, queries)
        for row in np.flatnonzero(own_row >= 0)[::2]:
            query[row], query_labels[row] = reference[own_row[row]], reference_labels[own_row[row]]
    if kind == "unknown labels":
        query_labels = np.where(rng.random(queries) < 0.6, query_labels + labels, query_labels)
    cameras: list[list[int | None] | None] = [None, None]
    if "camera" in kind or rng.random() < 0.6:
        different = 1 if kind == "one camera" else 3
        gaps = [0.4, 0.4] if kind == "missing cameras" else [0.0, 0.0]
        gaps[1] = 1.0 if kind == "cameras of one side unknown" else gaps[1]
        for side, count in enumerate((queries, references)):
            drawn = np.where(rng.random(count) < gaps[side], -1, rng.integers(0, different, count)).tolist()
            cameras[side] = [None if camera < 0 else camera for camera in drawn]
    share = 1.0 if kind == "all ignored" else rng.choice([0.0, 0.3])
    ignore, rule = rng.random(references) < share, bool(rng.random() < 0.8)
    texts = [[f"label {label}" for label in side.tolist()] for side in (query_labels, reference_labels)]
    made = (kind, query, reference, *texts, *cameras, ignore, own_row, rule)
    return Case(*made, *_times(seed, queries, references, rule)) if timed and cameras[0] else Case(*made)


def _times(seed: int, queries: int, references: int, camera_rule: bool) -> tuple:
    """Moments or spans in steps of half a second, some of them not known, and limits that fall on them."""
    rng = np.random.default_rng([seed, 1])
    sides = []
    for count in (queries, references):
        since = np.where(rng.random(count) < 0.15, np.nan, rng.integers(-20, 20, count) / 2)
        sides.append((since, since + (rng.integers(0, 9, count) / 2 if seed % 3 == 0 else 0)))
    limits = [float(limit) if rng.random() < 0.7 else None for limit in rng.integers(0, 9, 2) / 2]
    return *sides, TimeRules(limits[0] if camera_rule else None, limits[1])


def embeddings(rng: np.random.Generator, kind: str, queries: int, references: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows, float32 [Q, D] and [R, D]."""
    if kind == "exact ties":
        return exact_ties(rng, queries) / 2, exact_ties(rng, references) / 2
    query, reference = unit(rng, queries, 6), with_duplicates(rng, references, 6)
    if kind == "collapsed":
        return np.repeat(reference[:1], queries, 0), np.repeat(reference[:1], references, 0)
    if kind == "negative":
        away = np.float32([3, 0, 0, 0, 0, 0])
        query, reference = query + away, reference - away
        return tuple(side / np.linalg.norm(side, axis=1, keepdims=True) for side in (query, reference))
    return query, reference


def plain_valid(given: Case) -> list[list[bool]]:
    """The rule in plain words, pair by pair, from labels and cameras as they were given."""
    with_cameras = given.camera_rule and given.query_cameras is not None and given.reference_cameras is not None
    valid = []
    for q, label in enumerate(given.query_labels):
        line = []
        for row, other in enumerate(given.reference_labels):
            counts = True
            if given.ignore[row]:
                counts = False
            if given.own_row[q] == row:
                counts = False
            limit, away = given.time_rules.camera_rule_seconds, given.time_rules.elsewhere_seconds
            if with_cameras and label == other and given.query_cameras[q] is not None:
                same_camera = given.query_cameras[q] == given.reference_cameras[row]
                near = limit is None or apart(given, q, row) <= limit
                counts = counts and not (same_camera and near)
            if away is not None and None not in (given.query_cameras[q], given.reference_cameras[row]):
                other_camera = given.query_cameras[q] != given.reference_cameras[row]
                counts = counts and not (other_camera and apart(given, q, row) <= away)
            line.append(counts)
        valid.append(line)
    return valid


def apart(given: Case, q: int, row: int) -> float:
    """Seconds between a query and a reference: 0 where they overlap, infinite where a time is not known."""
    (begin, end), (other_begin, other_end) = (
        [float(side[place]) for side in times]
        for times, place in ((given.query_times, q), (given.reference_times, row))
    )
    if any(np.isnan([begin, other_begin])):
        return np.inf
    return max(other_begin - end, begin - other_end, 0.0)


def exact_scores(query: np.ndarray, reference: np.ndarray, similarity: str) -> np.ndarray:
    """Scores in whole numbers, so without any rounding beyond the grid that `exact_grid` puts embeddings on."""

    def whole(rows: np.ndarray, length: np.ndarray) -> np.ndarray:
        return np.rint(rows.astype(np.float64) / length * 2.0**25).astype(np.float32).astype(np.int64)

    lengths = [np.sqrt((rows.astype(np.float64) ** 2).sum(1, keepdims=True)) for rows in (query, reference)]
    if similarity == "euclidean":
        longest = 2.0 ** np.ceil(np.log2(max(part.max() for part in lengths)))
        lengths = [np.array(longest)] * 2
    asking, answering = whole(query, lengths[0]), whole(reference, lengths[1])
    return 2 * asking @ answering.T - (similarity == "euclidean") * (answering * answering).sum(1)


def plain_order(scores: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Valid rows, best score first, then by row."""
    rows = np.flatnonzero(valid)
    return rows[np.lexsort((rows, -scores[rows]))]


def many(seed: int = 0, queries: int = 600) -> tuple:
    rng = np.random.default_rng(seed)
    reference = rng.standard_normal((150, 24)).astype(np.float32)[rng.integers(0, 150, 300)]
    references = [f"class {n}" for n in rng.integers(0, 30, 300)]
    asked = [f"class {n}" for n in rng.integers(0, 33, queries)]
    return rng.standard_normal((queries, 24)).astype(np.float32), reference, asked, references


def ranked(pattern: str) -> tuple:
    """One query of label a and references with the labels of `pattern`, nearest first."""
    angles = np.linspace(0.1, 1.2, len(pattern))
    reference = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    return np.array([[1.0, 0.0]], np.float32), reference, ["a"], list(pattern)


def assert_sorted(
    ranks: Ranks, query: np.ndarray, reference: np.ndarray, valid: np.ndarray, same_label: np.ndarray, similarity: str
) -> None:
    """Compares every rank (by `hits` at every depth), every mean and every neighbour with plain sorting.

    `valid` and `same_label` are bool [Q, R]; the ranks have all depths from 1 to R.
    """
    count, kept = len(reference), ranks.top_rows.shape[1]
    scores = exact_scores(query, reference, similarity)
    for q in range(len(query)):
        order = plain_order(scores[q], valid[q])
        right = same_label[q, order]
        places = np.flatnonzero(right) + 1
        hits = np.zeros(count, int)
        hits[: len(order)] = np.cumsum(right)
        hits[len(order) :] = right.sum()
        assert ranks.hits[q].tolist() == hits.tolist()
        total = len(places)
        assert (ranks.positives[q], ranks.first[q], ranks.last[q]) == (
            total,
            places[0] if total else 0,
            places[-1] if total else 0,
        )
        precision = (np.arange(total) + 1) / places
        before = np.where(places > 1, np.arange(total) / np.maximum(places - 1, 1), 1.0)
        expected = [precision.sum(), ((precision + before) / 2).sum(), precision[places <= total].sum()]
        measured = [ranks.ap[q], ranks.ap_trapezoid[q], ranks.ap_at_r[q], ranks.r_precision[q]]
        assert measured == pytest.approx([value / max(total, 1) for value in [*expected, (places <= total).sum()]])
        near = order[:kept]
        assert ranks.top_rows[q].tolist() == near.tolist() + [-1] * (kept - len(near))
        strangers = order[~right]
        for value, rows in ((ranks.top_similarity[q, : len(near)], near), (ranks.top_other[q, None], strangers[:1])):
            if similarity == "cosine":
                shown = scores[q, rows] / 2.0**51
            else:
                shown = -np.linalg.norm(reference[rows].astype(np.float64) - query[q], axis=1)
            np.testing.assert_allclose(value[: len(rows)], shown, rtol=1e-6, atol=1e-6)
        if not len(strangers):
            assert ranks.top_other[q] == -np.inf
