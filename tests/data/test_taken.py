"""When images were taken: from which column, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from lookalike.data.protocol import Protocol
from lookalike.data.tables import ManifestError
from lookalike.data.taken import spans
from lookalike.metrics.sightings import TimeRules


def rows(cameras: list[int | None] | None = None, **columns: list[str]) -> pd.DataFrame:
    count = len(next(iter(columns.values())))
    table = pd.DataFrame({"path": [f"{row}.jpg" for row in range(count)], "label": "a", "ignore": False, **columns})
    return table.assign(camera=pd.array(cameras or [1] * count, "Int64"))


def test_seconds_come_before_dates() -> None:
    asking, answering = rows(seconds=["12.5", ""], date=["x", "y"]), rows(seconds=["0"], date=["z"])
    (asked, asked_until), (answered, _) = spans(asking, answering)
    np.testing.assert_array_equal(asked, [12.5, np.nan])
    np.testing.assert_array_equal(asked_until, asked)
    assert answered.tolist() == [0.0]


def test_a_day_without_a_time_is_no_midnight() -> None:
    (asked, _), (answered, _) = spans(rows(date=["2024-05-31", ""]), rows(date=["2024-05-31 00:00:01"]))
    assert np.isnan(asked).all()
    assert not np.isnan(answered).any()


def test_the_dates_of_both_sides_tell_the_order_of_day_and_month() -> None:
    (asked, _), (answered, _) = spans(rows(date=["03/04/2024 10:00:00.5"]), rows(date=["25/04/2024 10:00:00"]))
    assert answered[0] - asked[0] == 22 * 86400 - 0.5


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": ["a"]}, r"no image says when it was taken: give a column seconds \(one clock for all cameras\) or"),
        ({"seconds": [""], "date": [""]}, "no image says when it was taken"),
        ({"date": ["2024-05-31"]}, "dates have no time of day: give a column seconds"),
        (
            {"date": ["2024-10-27 02:30:00+02:00", "2024-10-27 02:30:00+01:00"]},
            r"several time zones \(\+0100, \+0200\): write them in one, or give a column seconds",
        ),
        ({"date": ["2024-10-27 02:30:00Z", "2024-10-27 02:30:00"]}, r"several time zones \(none, \+0000\)"),
        ({"date": ["noon"]}, "0.jpg: date is 'noon': expected such as 2024-05-31"),
        ({"seconds": ["noon"]}, r"0.jpg: seconds is 'noon': expected a number, such as 12.04 \(1 such cells\)"),
        ({"seconds": ["inf"]}, "0.jpg: seconds is 'inf': expected a number"),
    ],
)
def test_what_tells_no_time_is_refused(columns: dict, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        spans(rows(**columns), rows(**columns).iloc[:0])


def test_a_rule_of_times_needs_cameras() -> None:
    protocol = Protocol(rows(seconds=["1"]), rows([None], seconds=["1"]), np.array([-1]))
    with pytest.raises(ManifestError, match="no query or no reference has a camera: give a column camera, or leave"):
        protocol.problem(True, TimeRules(elsewhere_seconds=1))
    assert protocol.problem(True).sightings is None
