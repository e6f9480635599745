"""When the images of a protocol were taken: what rules of time ask for.

Letters in shapes: N images.
"""

import numpy as np
import pandas as pd

from lookalike.data.dates import read_dates
from lookalike.data.tables import ManifestError

Span = tuple[np.ndarray, np.ndarray]
FIRST, LAST = "taken_first", "taken_last"  # columns of rows that stand for several images


def taken(rows: pd.DataFrame) -> np.ndarray:
    """When each image was taken, seconds, float64 [N]; NaN where its cell is empty, or has no time of day.

    Args:
        rows: Of all sides of a protocol together, so that one order of day and month holds: a column `seconds`, on one
            clock for all cameras, or else `date`, with times of day.

    Raises:
        ManifestError: Neither is there, no cell is filled, a cell is no time, no date has a time of day, or they
            are of several time zones.
    """
    way_out = "give a column seconds (one clock for all cameras) or date (2024-05-31 14:22:33), or leave the rule out"
    name = next((name for name in ("seconds", "date") if name in rows and (rows[name] != "").any()), None)
    if name is None:
        raise ManifestError(f"camera_rule_seconds and elsewhere_seconds: no image says when it was taken: {way_out}")
    cells = rows[name].fillna("").astype(str)
    if name == "date":
        dates = read_dates(cells.tolist(), rows["path"].tolist())
        if dates.problems:
            more = f" ({len(dates.problems)} such problems)" if len(dates.problems) > 1 else ""
            raise ManifestError(f"camera_rule_seconds and elsewhere_seconds: {dates.problems[0]}{more}")
        if not dates.timed:
            raise ManifestError(f"camera_rule_seconds and elsewhere_seconds: dates have no time of day: {way_out}")
        if len(dates.zones) > 1:
            zones = ", ".join(zone or "none" for zone in dates.zones[:4])
            raise ManifestError(
                f"camera_rule_seconds and elsewhere_seconds: dates are of several time zones ({zones}): write them in "
                "one, or give a column seconds"
            )
        return np.where(dates.clocked, dates.seconds, np.nan)  # a day alone is no midnight
    seconds: np.ndarray = pd.to_numeric(cells.where(cells != "", None), errors="coerce").to_numpy(np.float64)
    wrong = np.flatnonzero((cells != "").to_numpy() & ~(np.abs(seconds) <= 1e12))
    if len(wrong):
        raise ManifestError(
            f"{rows['path'].iloc[wrong[0]]}: seconds is {cells.iloc[wrong[0]]!r}: expected a number, such as 12.04 "
            f"({len(wrong)} such cells)"
        )
    return seconds


def spans(queries: pd.DataFrame, references: pd.DataFrame) -> tuple[Span, Span]:
    """When each query and each reference begins and ends, a pair of float64 each; an image is a moment.

    Raises:
        ManifestError: See `taken`.
    """
    sides = queries, references
    if all(FIRST in side for side in sides):
        asked, answered = ((side[FIRST].to_numpy(np.float64), side[LAST].to_numpy(np.float64)) for side in sides)
        return asked, answered
    asking, answering = np.split(taken(pd.concat(sides)), [len(queries)])
    return (asking, asking), (answering, answering)
