"""Rules of cameras and times: what they leave out, what people may give, and what the protocol says."""

import tracemalloc
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from lookalike.metrics.columns import EvaluationError
from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.problem import Problem
from lookalike.metrics.sightings import TimeRules

# One query, label a, camera 1, at 100 s; five references: the label, camera and time of each.
SEEN = [("a", 1, 95.0), ("a", 1, 300.0), ("b", 2, 101.0), ("a", 2, 104.0), ("b", 1, 100.0)]
LABELS, CAMERAS, TIMES = map(list, zip(*SEEN, strict=True))


def valid(times: list | np.ndarray = TIMES, query_time: object = 100.0, **rules: float | None) -> list[bool]:
    problem = Problem.of(
        ["a"],
        LABELS,
        query_cameras=[1],
        reference_cameras=CAMERAS,
        query_times=[query_time],
        reference_times=times,
        time_rules=TimeRules(**rules),
    )
    return problem.valid(0).tolist()


def test_the_camera_rule_may_hold_for_a_while_only() -> None:
    assert valid() == [False, False, True, True, True]
    assert valid(camera_rule_seconds=5) == [False, True, True, True, True]
    assert valid(camera_rule_seconds=4.999) == [True, True, True, True, True]
    assert valid(camera_rule_seconds=200) == [False, False, True, True, True]


def test_what_another_camera_saw_at_the_time_is_left_out_whatever_its_label_is() -> None:
    assert valid(elsewhere_seconds=1) == [False, False, False, True, True]
    assert valid(elsewhere_seconds=4) == [False, False, False, False, True]
    assert valid(elsewhere_seconds=0.5, camera_rule_seconds=0) == [True, True, True, True, True]


def test_no_rule_of_times_holds_without_a_time() -> None:
    times = [None, 300.0, float("nan"), None, 100.0]
    assert valid(times, camera_rule_seconds=5, elsewhere_seconds=5) == [True] * 5
    assert valid(TIMES, None, camera_rule_seconds=5, elsewhere_seconds=5) == [True] * 5


@pytest.mark.parametrize(
    "as_given",
    [
        lambda second: np.datetime64("2024-05-31T12:00:00") + np.timedelta64(int(second * 1000), "ms"),
        lambda second: pd.Timestamp("2024-05-31") + pd.Timedelta(seconds=second),
        lambda second: datetime.fromtimestamp(1_700_000_000 + second, UTC),
        lambda second: 63_000_000_000 + second,
    ],
)
def test_times_may_be_datetimes_or_seconds_of_any_clock(as_given: object) -> None:
    times = [as_given(second) for second in TIMES]
    expected = valid(camera_rule_seconds=5, elsewhere_seconds=1)
    assert valid(times, as_given(100.0), camera_rule_seconds=5, elsewhere_seconds=1) == expected
    assert expected == [False, True, False, True, True]


def test_tracklets_are_apart_by_the_time_between_them() -> None:
    begins, ends = np.array([0.0, 50.0, 90.0, 111.0]), np.array([200.0, 98.0, 95.0, 130.0])
    problem = Problem.of(
        ["a"],
        ["b"] * 4,
        query_cameras=[1],
        reference_cameras=[2] * 4,
        query_times=(np.array([100.0]), np.array([110.0])),
        reference_times=(begins, ends),
        time_rules=TimeRules(elsewhere_seconds=2),
    )
    assert problem.valid(0).tolist() == [False, False, True, False]


def test_the_protocol_says_the_rules_and_where_they_may_be_wrong() -> None:
    rng = np.random.default_rng(0)
    result = evaluate(
        rng.standard_normal((2, 4)),
        rng.standard_normal((5, 4)),
        ["a", "a"],
        LABELS,
        query_cameras=[1, 1],
        reference_cameras=CAMERAS,
        query_times=[100.0, None],
        reference_times=TIMES,
        camera_rule_seconds=60,
        elsewhere_seconds=4.5,
    )
    assert (
        "; same label and camera within 60 s left out; other cameras within 4.5 s left out; of 1 queries their own "
        "label was there, too: do cameras see the same place?; 1 queries and references without a time: no rule of "
        "times holds for them; AP rectangle" in result.protocol
    )
    assert result.to_dict()["conditions"]["elsewhere_seconds"] == 4.5
    assert result.counts["queries_seen_elsewhere"] == 1
    assert result.counts["without_time"] == 1


def test_an_own_row_is_not_seen_elsewhere() -> None:
    problem = Problem.of(
        ["a", "b"],
        ["a", "b"],
        query_cameras=[1, 2],
        reference_cameras=[2, 1],
        query_times=[0, 0],
        reference_times=[0, 0],
        exclude_self=True,
        time_rules=TimeRules(elsewhere_seconds=1),
    )
    assert problem.seen_elsewhere().tolist() == [False, False]
    assert problem.valid(slice(None)).tolist() == [[False, True], [True, False]]
    assert problem.part(np.array([0]), np.array([1])).valid(0).tolist() == [True]


def test_memory_does_not_grow_with_the_pairs() -> None:
    """All of one label at one time: a number for each pair would take 275 MiB."""
    count = 6000
    problem = Problem.of(
        ["a"] * count,
        ["a"] * count,
        query_cameras=[1] * count,
        reference_cameras=[2] * count,
        query_times=np.zeros(count),
        reference_times=np.zeros(count),
        time_rules=TimeRules(elsewhere_seconds=1),
    )
    tracemalloc.start()
    try:
        assert problem.seen_elsewhere().all()
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


CAMERAS_GIVEN = {"query_cameras": [1], "reference_cameras": CAMERAS}
TIMES_GIVEN = {"query_times": [100.0], "reference_times": TIMES}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"elsewhere_seconds": -1}, "elsewhere_seconds: expected seconds from 0, or None, got -1"),
        ({"camera_rule_seconds": True}, "camera_rule_seconds: expected seconds from 0, or None, got True"),
        ({"elsewhere_seconds": "2"}, "elsewhere_seconds: expected seconds from 0, or None, got '2'"),
        ({"elsewhere_seconds": float("nan")}, "elsewhere_seconds: expected seconds from 0, or None, got nan"),
        ({"elsewhere_seconds": 1, **CAMERAS_GIVEN}, "expected times and cameras of queries and of references: give"),
        ({"elsewhere_seconds": 1, **TIMES_GIVEN}, "expected times and cameras of queries and of references: give"),
        (
            {"camera_rule_seconds": 5, "camera_rule": False, **CAMERAS_GIVEN, **TIMES_GIVEN},
            "camera_rule_seconds=5 and camera_rule=False: it limits the camera rule: leave one of them out",
        ),
        (
            {"elsewhere_seconds": 1, **CAMERAS_GIVEN, **TIMES_GIVEN, "query_times": ["noon"]},
            "query times: expected seconds or datetimes, got 'noon'",
        ),
        (
            {"elsewhere_seconds": 1, **CAMERAS_GIVEN, **TIMES_GIVEN, "query_times": [1.0, 2.0]},
            "one time per query expected, got 1 embeddings and 2 of these",
        ),
        (
            {"elsewhere_seconds": 1, **CAMERAS_GIVEN, **TIMES_GIVEN, "query_times": [1e300]},
            "query times: expected seconds, up to 1e12 of them, got 1e",
        ),
        (
            {
                "elsewhere_seconds": 1,
                **CAMERAS_GIVEN,
                **TIMES_GIVEN,
                "query_times": (np.array([2.0]), np.array([1.0])),
            },
            r"query times: row 0 ends before it begins: give \(begin, end\)",
        ),
        *(
            (
                {"elsewhere_seconds": 1, **CAMERAS_GIVEN, **TIMES_GIVEN, "query_times": sides},
                "query times: row 0 has a begin or an end alone: give both, or neither",
            )
            for sides in ((np.array([np.nan]), np.array([1.0])), (np.array([1.0]), np.array([np.nan])))
        ),
    ],
)
def test_what_cannot_be_is_refused(given: dict, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        evaluate(np.ones((1, 2)), np.ones((5, 2)), ["a"], LABELS, **given)
