"""Dates as tables have them: ISO, as cameras write them, or day, month and year in the order that the column shows.

Letters in shapes: N rows.
"""

import re
from dataclasses import dataclass
from datetime import datetime

import numpy as np

_YEAR_FIRST = re.compile(
    r"(\d{4})(?:[-/:.]?(\d{2})(?:[-/:.]?(\d{2}))?)?"
    r"(?:(?:[T _-]+|(?<=\d{8}))(\d{1,2})[:.h-]?(\d{2})(?:[:.m-]?(\d{2}(?:[.,]\d+)?))?)?\s*(Z|[+-]\d{2}:?\d{2})?"
)
_YEAR_LAST = re.compile(
    r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?:[T ,]+(\d{1,2}):(\d{2})(?::(\d{2}(?:[.,]\d+)?))?\s*(am|pm)?)?", re.IGNORECASE
)
_MONTHS = 12
_EPOCH = datetime(1, 1, 1)
DAY = 86400.0  # seconds


@dataclass(frozen=True)
class Dates:
    """Points in time of a column.

    Attributes:
        seconds: float64 [N], on the clock that wrote them; NaN where there is none.
        clocked: bool [N], whether a time of day is written, midnight or not.
        zones: The time zones of those, as +0200; empty text where none is written.
        problems: Of the cells that are no date, in words.
    """

    seconds: np.ndarray
    clocked: np.ndarray
    zones: list[str]
    problems: list[str]

    @property
    def timed(self) -> bool:
        """Whether any has a time of day but midnight, which programs write where they know none."""
        return bool((self.seconds[~np.isnan(self.seconds)] % DAY).any())


def read_dates(texts: list[str], names: list[str] | None = None) -> Dates:
    """Reads the dates of a column; one that is ambiguous (03/04/2020, and none above 12) is read day first, and told.

    Args:
        texts: N cells; an empty one is no date. Time zones are passed over: clocks of cameras have none.
        names: What to call the N cells in problems, such as the paths of their images; None for their rows.
    """
    distinct = sorted(set(texts) - {""})
    day_first, problems = _order(distinct)
    values: dict[str, float] = {"": np.nan}
    first = {text: place for place, text in reversed(list(enumerate(texts)))}
    for text in distinct:
        values[text] = _seconds(text, day_first)
        if np.isnan(values[text]):
            cell = names[first[text]] if names else f"row {first[text] + 2}"
            problems.append(f"{cell}: date is {text!r}: expected such as 2024-05-31 or 31.05.2024")
    seconds = np.array([values[text] for text in texts], float)
    zones = {text: zone for text in distinct if (zone := _zone(text)) is not None}
    clocked = np.array([text in zones for text in texts], bool)
    return Dates(seconds, clocked, sorted(set(zones.values())), problems)


def plain(texts: list[str]) -> list[str]:
    """The cells of a column with its dates as 2024-05-31T14:22:33.5+0200, so that parts are read as the whole tells.

    What is not written, as the time of day, is left out there, too.

    Args:
        texts: As they stand; what is no date stays, and all do where day and month cannot be told apart.
    """
    distinct = sorted(set(texts) - {""})
    day_first, problems = _order(distinct)
    if problems:
        return texts
    whole = {text: _iso(text, seconds) for text in distinct if not np.isnan(seconds := _seconds(text, day_first))}
    return [whole.get(text, text) for text in texts]


def written(seconds: float) -> str:
    """The day of a point in time, as 2024-05-31."""
    return str(_point(seconds))[:10]


def _iso(text: str, seconds: float) -> str:
    zone = _zone(text)
    if zone is None:
        return written(seconds)
    fraction = f"{seconds % 1:.3f}"[1:].rstrip("0.") if seconds % 1 < 0.9995 else ".999"
    return f"{_point(seconds)}{fraction}{zone}"


def _zone(text: str) -> str | None:
    """The time zone of a date with a time of day, empty where none is written; None without a time of day."""
    if year_last := _YEAR_LAST.fullmatch(text):
        return None if year_last[5] is None else ""
    year_first = _YEAR_FIRST.fullmatch(text)
    if year_first is None or year_first[4] is None:
        return None
    zone = year_first[7] or ""
    return "+0000" if zone == "Z" else zone.replace(":", "")


def _point(seconds: float) -> np.datetime64:
    return np.datetime64("0001-01-01", "s") + np.timedelta64(int(seconds), "s")


def _order(texts: list[str]) -> tuple[bool, list[str]]:
    """Whether dates with the year last start with the day, and what is wrong with them."""
    matches = [match for text in texts if (match := _YEAR_LAST.fullmatch(text))]
    firsts = [match[0] for match in matches if int(match[1]) > _MONTHS]
    seconds = [match[0] for match in matches if int(match[3]) > _MONTHS]
    if firsts and seconds:
        return True, [f"date is {firsts[0]!r} here and {seconds[0]!r} there: expected day and month in one order"]
    unclear = [match[0] for match in matches if match[2] != "." and match[1] != match[3]]
    if unclear and not firsts and not seconds:
        return True, [
            f"date is {unclear[0]!r}: day or month first? No date of the column tells: write it as 2024-05-31"
        ]
    return not seconds, []


def _seconds(text: str, day_first: bool) -> float:
    year_first, year_last = _YEAR_FIRST.fullmatch(text), _YEAR_LAST.fullmatch(text)
    if year_last:
        first, second, year = int(year_last[1]), int(year_last[3]), int(year_last[4])
        day, month = (first, second) if day_first else (second, first)
        hour, minute, second, fraction = _clock(*year_last.groups()[4:7])
        if year_last[8]:
            hour = hour % 12 + (12 if year_last[8].lower() == "pm" else 0)
    elif year_first:
        year, month, day = (int(part or 1) for part in year_first.groups()[:3])
        hour, minute, second, fraction = _clock(*year_first.groups()[3:6])
    else:
        return float("nan")
    try:
        return (datetime(year, month, day, hour, minute, second) - _EPOCH).total_seconds() + fraction
    except ValueError:
        return float("nan")


def _clock(hour: str | None, minute: str | None, second: str | None) -> tuple[int, int, int, float]:
    """Hours, minutes, seconds and a fraction of a second."""
    whole, _, fraction = (second or "0").replace(",", ".").partition(".")
    return int(hour or 0), int(minute or 0), int(whole), float(f"0.{fraction or 0}")
