"""When and by which camera images were taken, and which references that leaves out.

Nobody is at two places at once: what another camera saw at the time of the query shows another individual, unless two
cameras see the same place. And what one camera saw a moment before or after the query is nearly the query itself.

Times are whole milliseconds, so that no limit depends on rounding. An image is a moment; a tracklet lasts a while.

Letters in shapes: Q queries, R references, B some of the queries, N some of the references.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from lookalike.metrics.columns import EvaluationError, column_of
from lookalike.metrics.inputs import camera_ids, one_each
from lookalike.metrics.valid_references import ANY_TIME, NEVER, NO_QUERY_TIME, NO_REFERENCE_TIME, elsewhere, in_time

_MOST_SECONDS = 1e12  # 30,000 years; far below the time of an image that has none


@dataclass(frozen=True, eq=False)
class Sightings:
    """Times and cameras of queries and references, and how near in time is near.

    Attributes:
        query_since: int64 [Q], milliseconds, when each query begins; `NO_QUERY_TIME` where that is not known.
        query_until: int64 [Q], when it ends: the same for an image.
        reference_since: int64 [R], likewise, `NO_REFERENCE_TIME` where it is not known.
        reference_until: int64 [R].
        query_cameras: int64 [Q], as in `Problem`, also where no camera rule applies.
        reference_cameras: int64 [R].
        camera_rule: Milliseconds within which the camera rule holds; `ANY_TIME` at any time.
        elsewhere: Milliseconds within which other cameras are left out; `NEVER` for no such rule.
    """

    query_since: np.ndarray
    query_until: np.ndarray
    reference_since: np.ndarray
    reference_until: np.ndarray
    query_cameras: np.ndarray
    reference_cameras: np.ndarray
    camera_rule: int = ANY_TIME
    elsewhere: int = NEVER

    def part(self, queries: np.ndarray, references: np.ndarray) -> "Sightings":
        """Those of some queries and some references, int64 rows."""
        return replace(
            self,
            query_since=self.query_since[queries],
            query_until=self.query_until[queries],
            reference_since=self.reference_since[references],
            reference_until=self.reference_until[references],
            query_cameras=self.query_cameras[queries],
            reference_cameras=self.reference_cameras[references],
        )

    def within_camera_rule(self, queries: int | slice | np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Whether references are so near in time that the camera rule holds, as of `Problem.valid`."""
        near: np.ndarray = in_time(*self._spans(queries, rows), self.camera_rule)
        return near

    def elsewhere_of(self, queries: int | slice | np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Whether references were seen by another camera at the time of queries, as of `Problem.valid`."""
        near: np.ndarray = in_time(*self._spans(queries, rows), self.elsewhere)
        away: np.ndarray = elsewhere(self.query_cameras[queries, None], self.reference_cameras[rows], near)
        return away

    def rules(self, camera_rule: bool = True) -> "TimeRules":
        """The rules as people give them; where the camera rule is off, it has no limit."""
        seconds = (limit / 1000 for limit in (self.camera_rule, self.elsewhere))
        limited, away = camera_rule and self.camera_rule != ANY_TIME, self.elsewhere != NEVER
        return TimeRules(*(value if on else None for value, on in zip(seconds, (limited, away), strict=True)))

    def without_time(self) -> int:
        """How many queries and references have no time."""
        return int((self.query_since == NO_QUERY_TIME).sum() + (self.reference_since == NO_REFERENCE_TIME).sum())

    def _spans(
        self, queries: int | slice | np.ndarray, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        asked = self.query_since[queries, None], self.query_until[queries, None]
        return *asked, self.reference_since[rows], self.reference_until[rows]


Times = Sequence[Any] | np.ndarray | tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class TimeRules:
    """Rules that ask when images were taken.

    Attributes:
        camera_rule_seconds: The camera rule holds within so many seconds alone; None at any time.
        elsewhere_seconds: Leave out what other cameras saw within so many seconds; None for no such rule.
    """

    camera_rule_seconds: float | None = None
    elsewhere_seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuses what is no time."""
        for name in ("camera_rule_seconds", "elsewhere_seconds"):
            value = getattr(self, name)
            fits = isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) <= _MOST_SECONDS
            if value is not None and not fits:
                raise EvaluationError(f"{name}: expected seconds from 0, or None, got {value!r}")

    def __bool__(self) -> bool:
        """Whether any rule asks for times."""
        return self.camera_rule_seconds is not None or self.elsewhere_seconds is not None


NO_TIME_RULES = TimeRules()


def sightings_of(
    rules: TimeRules,
    times: tuple[Times | None, Times | None],
    cameras: tuple[np.ndarray | None, np.ndarray | None],
    rows: tuple[int, int],
    camera_rule: bool,
) -> Sightings | None:
    """What the rules ask for; None where they ask for nothing.

    Args:
        rules: Which.
        times: Of queries and references, each as `evaluate` takes it.
        cameras: Of both, as `column_of` gives them.
        rows: Q and R.
        camera_rule: Whether the camera rule is on.

    Raises:
        EvaluationError: Times or cameras are missing or of another number, or the camera rule is off and limited.
    """
    if not rules:
        return None
    if rules.camera_rule_seconds is not None and not camera_rule:
        raise EvaluationError(
            f"camera_rule_seconds={rules.camera_rule_seconds:g} and camera_rule=False: it limits the camera rule: "
            "leave one of them out"
        )
    seen, seen_by = cameras
    if times[0] is None or times[1] is None or seen is None or seen_by is None:
        raise EvaluationError(
            "camera_rule_seconds and elsewhere_seconds: expected times and cameras of queries and of references: give "
            "query_times, reference_times, query_cameras and reference_cameras"
        )
    asked = _spans_of(times[0], "query", rows[0], NO_QUERY_TIME)
    answered = _spans_of(times[1], "reference", rows[1], NO_REFERENCE_TIME)
    limits = (rules.camera_rule_seconds, ANY_TIME), (rules.elsewhere_seconds, NEVER)
    within = (default if seconds is None else round(seconds * 1000) for seconds, default in limits)
    return Sightings(*asked, *answered, *camera_ids(seen, seen_by), *within)


def _spans_of(times: Times, of: str, count: int, unknown: int) -> tuple[np.ndarray, np.ndarray]:
    """When each begins and ends, int64 [N] milliseconds."""
    pair = isinstance(times, tuple) and len(times) == 2 and all(isinstance(side, np.ndarray) for side in times)
    sides = times if pair else (times, times)
    since, until = (_milliseconds(column_of(side, f"{of} times"), f"{of} times", unknown) for side in sides)
    one_each(of, count, time=since)
    one_each(of, count, time=until)
    if (half := (since == unknown) != (until == unknown)).any():
        raise EvaluationError(
            f"{of} times: row {int(np.argmax(half))} has a begin or an end alone: give both, or neither"
        )
    if (since > until).any():
        row = int(np.argmax(since > until))
        raise EvaluationError(f"{of} times: row {row} ends before it begins: give (begin, end)")
    return since, until


def _milliseconds(column: np.ndarray, name: str, unknown: int) -> np.ndarray:
    """int64 [N]; `unknown` where a value is missing."""
    if column.dtype.kind == "O":
        column = np.array([_seconds(value, name) for value in column], np.float64)
    if column.dtype.kind not in "iuf":
        raise EvaluationError(f"{name}: expected seconds or datetimes, got {column.dtype}: give numbers or datetimes")
    seconds = column.astype(np.float64)
    missing = np.isnan(seconds)
    if (np.abs(seconds[~missing]) > _MOST_SECONDS).any():
        raise EvaluationError(f"{name}: expected seconds, up to 1e12 of them, got {np.nanmax(np.abs(seconds)):g}")
    return np.where(missing, unknown, np.rint(np.where(missing, 0, seconds) * 1000).astype(np.int64))


def _seconds(value: object, name: str) -> float:
    if value is None or value is pd.NA or value is pd.NaT:
        return float("nan")
    if isinstance(value, datetime):  # of pandas, too
        return float(pd.Timestamp(value).timestamp())
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    raise EvaluationError(f"{name}: expected seconds or datetimes, got {value!r}: give numbers or datetimes")
