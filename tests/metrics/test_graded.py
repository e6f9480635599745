"""Figures of queries that say themselves what is right, against the authors' rule written out from its definition."""

import numpy as np
import pytest

from lookalike.metrics.columns import EvaluationError
from lookalike.metrics.graded import Sides, graded, means

KS = (1, 5, 10)


def by_definition(query: np.ndarray, reference: np.ndarray, side: Sides) -> list[float]:
    """Of one query: junk is taken out of the order, then trapezoids below precision over recall are summed up.

    `compute_ap` and `compute_map` of github.com/filipradenovic/revisitop define it so: a right image at place r (from
    0), the j-th right one, adds (j / r + (j + 1) / (r + 1)) / 2 over their number, with 1 for j / r at place 0;
    precision at k is that at the lesser of k and the place of the last right one.
    """
    unit = reference.astype(np.float64) / np.linalg.norm(reference.astype(np.float64), axis=1, keepdims=True)
    order = np.argsort(-(unit @ (query.astype(np.float64) / np.linalg.norm(query))), kind="stable")
    right, left_out = ({*rows.tolist()} for rows in side)
    places = [place for place, row in enumerate(row for row in order if row not in left_out) if row in right]
    if not places:
        return [np.nan] * (1 + len(KS))
    area = 0.0
    for count, place in enumerate(places):
        before = 1.0 if place == 0 else count / place
        area += (before + (count + 1) / (place + 1)) / 2 / len(places)
    precisions = []
    for k in KS:
        depth = min(places[-1] + 1, k)
        precisions.append(sum(place < depth for place in places) / depth)
    return [area, *precisions]


def problem(
    seed: int, queries: int = 12, references: int = 60
) -> tuple[np.ndarray, np.ndarray, dict[str, list[Sides]]]:
    rng = np.random.default_rng(seed)
    query, reference = (rng.normal(size=(count, 16)).astype(np.float32) for count in (queries, references))
    sides: dict[str, list[Sides]] = {"easy": [], "hard": []}
    for number in range(queries):
        for pairs in sides.values():
            drawn = rng.permutation(references)
            count = 0 if number == 3 else int(rng.integers(1, 15))
            pairs.append((np.sort(drawn[:count]), np.sort(drawn[count : count + int(rng.integers(0, 20))])))
            near = drawn[: count // 2]
            reference[near] += query[number] * 0.7  # so that some are found and some are not
    return query, reference, sides


@pytest.mark.parametrize("seed", range(8))
def test_every_figure_is_that_of_the_authors_rule(seed: int) -> None:
    query, reference, sides = problem(seed)
    table = graded(query, reference, sides, ks=KS)
    assert list(table) == [f"{name}_{side}" for side in sides for name in ("map", "mp@1", "mp@5", "mp@10")]
    for side, pairs in sides.items():
        expected = [by_definition(query[row], reference, pair) for row, pair in enumerate(pairs)]
        made = table[[f"{name}_{side}" for name in ("map", "mp@1", "mp@5", "mp@10")]].to_numpy()
        assert np.allclose(made, np.array(expected), rtol=0, atol=1e-12, equal_nan=True)
        assert np.isnan(made[3]).all()
    metrics, intervals = means(table, [str(row % 4) for row in range(len(query))])
    for name in table:
        assert metrics[name] == pytest.approx(np.nanmean(table[name]), abs=1e-12)
        assert intervals[name][0] <= metrics[name] <= intervals[name][1]


def test_equal_similarities_are_ordered_by_row() -> None:
    reference = np.ones((4, 2), np.float32)
    sides = {"easy": [(np.array([1]), np.array([0])), (np.array([3]), np.empty(0, np.int64))]}
    table = graded(np.ones((2, 2), np.float32), reference, sides, ks=(1,))
    assert table["map_easy"].tolist() == [1.0, (0 / 3 + 1 / 4) / 2]
    assert table["mp@1_easy"].tolist() == [1.0, 0.0]


def test_precision_stops_at_the_last_right_one() -> None:
    """Two right ones at places 1 and 2: at depth 10 both are there, and nothing behind them counts."""
    reference = np.array([[1, 0], [1, 0.1], [1, 0.5], [0, 1]], np.float32)
    table = graded(np.array([[1, 0]], np.float32), reference, {"easy": [(np.array([0, 1]), np.empty(0, np.int64))]})
    assert table.loc[0].tolist() == [1.0, 1.0, 1.0, 1.0]


def test_other_numbers_of_queries_are_refused() -> None:
    query, reference, sides = problem(0)
    with pytest.raises(EvaluationError, match="easy: expected right references of 11 queries, got 12"):
        graded(query[:-1], reference, sides)


def test_one_label_has_no_interval() -> None:
    query, reference, sides = problem(1)
    assert means(graded(query, reference, sides), ["a"] * len(query))[1] == {}
