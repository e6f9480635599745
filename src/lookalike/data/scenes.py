"""Which images show one scene (a burst, a video, an encounter), by what their table and the names of their files say.

Pixels are not looked at: `lookalike audit` does that. Letters in shapes: N rows.
"""

import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from lookalike.data.dates import DAY, read_dates
from lookalike.data.tables import original_rows

BURST = 60.0  # seconds between two images of one scene, at most
_STAMP = (  # 20240531_142233 in a name, with any of the usual marks and a prefix
    r"(?<!\d)((?:19|20)\d{2})[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])[-_ T.]{0,3}"
    r"([01]\d|2[0-3])[-_.h]?([0-5]\d)[-_.m]?([0-5]\d)(?=\D|\d{3}\D|$)"
)
_FRAME = r"[-_ .]?(?:[Ff]rame|[Ff]rm|FRAME|FRM)[-_ .]?\d+\.[^.\n]+$"  # a picture of a video


@dataclass(frozen=True)
class Scenes:
    """The scenes of a table.

    Attributes:
        numbers: int64 [N], equal for images of one scene, on the index of the table.
        source: What tells them, in words; "" where nothing does: then every image is a scene of its own.
        problems: Of the dates that should tell them, in words; an image without a date that can be read is a scene of
            its own.
    """

    numbers: pd.Series
    source: str
    problems: list[str] = field(default_factory=list)


def scenes_of(table: pd.DataFrame) -> Scenes:
    """Scenes by the column scene, else by camera and date, else by what the names of files tell.

    With times of day a scene ends where 60 seconds pass without an image, of the same camera (of the same label, where
    no camera is known). With days alone it is what one camera saw of one label on one day. In names of files, times
    count likewise within a folder and label, and pictures of one video (`hunt_frame_0012.jpg`) are one scene. Scenes
    that share an image, of which several boxes are listed, are one.

    Args:
        table: Columns path, label, camera; where known scene and date.
    """
    keys, source, problems = _keys(table)
    lone = keys < 0
    numbers = keys.where(~lone, -1 - pd.Series(np.arange(len(table)), index=table.index))
    boxes = table["path"].duplicated(keep=False)
    return Scenes(_joined(numbers, table["path"], boxes) if boxes.any() else numbers, source, problems)


def _joined(numbers: pd.Series, paths: pd.Series, boxes: pd.Series) -> pd.Series:
    """One number for all scenes that a chain of boxes of one image connects: that of the first box of the chain.

    Union-find; `scipy.sparse.csgraph` has it too, but scipy comes with the extra `audit` only.
    """
    above: dict[int, int] = {}

    def top(number: int) -> int:
        while (higher := above.setdefault(number, number)) != number:
            above[number] = number = above[higher]  # halves the way for the next one
        return number

    seen: dict[str, int] = {}
    first: dict[int, int] = {}
    for number, path in zip(numbers[boxes].tolist(), paths[boxes].tolist(), strict=True):
        above[top(number)] = top(seen.setdefault(path, number))
    for number in numbers[boxes].tolist():
        first.setdefault(top(number), number)
    joined = {number: first[top(number)] for number in list(above)}
    return numbers.map(lambda number: joined.get(number, number))


def torn_note(table: pd.DataFrame, advice: str) -> list[str]:
    """A line each on what validation and test share with training; none where they share nothing.

    Photographs of which boxes are on both sides, whatever their labels; scenes that are trained on under the label of
    the image; dates that cannot be read, so that scenes are known in part.

    Args:
        table: The data set, divided.
        advice: What to do about scenes.
    """
    rows = original_rows(table[~table["ignore"]])
    train = rows["split"] == "train"
    if not train.any() or train.all():
        return []
    notes = []
    boxes = _shares(rows, rows["path"].isin(rows["path"][train]))
    if boxes:
        notes.append(
            f"{boxes} are boxes of photographs that are trained on, too, so figures may be better than on new "
            "photographs: give all boxes of a photograph one split"
        )
    scenes = scenes_of(rows)
    if scenes.problems:
        more = f" and {len(scenes.problems) - 1} more" if len(scenes.problems) > 1 else ""
        notes.append(f"scenes are known in part, as dates cannot be read: {scenes.problems[0]}{more}")
    if not scenes.source:
        return notes
    pairs = pd.MultiIndex.from_arrays([scenes.numbers, rows["label"]])
    torn = _shares(rows, pd.Series(pairs.isin(pairs[train]), index=rows.index))
    if torn:
        notes.append(
            f"{torn} show a scene that is trained on, too ({scenes.source}), so figures are better than on new scenes: "
            f"{advice}"
        )
    return notes


def _shares(rows: pd.DataFrame, which: pd.Series) -> str:
    """How many images of validation and test some are, in words; "" for none."""
    parts = []
    for split in ("validation", "test"):
        count = int(which[rows["split"] == split].sum())
        if count:
            parts.append(f"{count} of {int((rows['split'] == split).sum())} {split} images")
    return " and ".join(parts)


def _keys(table: pd.DataFrame) -> tuple[pd.Series, str, list[str]]:
    """A number per scene, -1 for an image of which nothing is known; what tells it; and problems of dates."""
    if "scene" in table and (table["scene"] != "").any():
        codes = pd.Series(pd.factorize(table["scene"])[0], index=table.index)
        return codes.where(table["scene"] != "", -1), "by the column scene", []
    problems: list[str] = []
    if "date" in table:
        dates = read_dates(table["date"].tolist(), table["path"].tolist())
        problems = dates.problems
        if not np.isnan(dates.seconds).all():
            camera = table["camera"].astype(object).where(table["camera"].notna(), "")
            seen = camera.astype(str) + "\n" + table["label"]
            if not dates.timed:
                return _bursts(seen, dates.seconds // DAY, 0), "by camera, label and day", problems
            where = seen.where(table["camera"].isna(), camera.astype(str))
            return _bursts(where, dates.seconds, BURST), "within a minute, by camera and date", problems
    return *_keys_of_names(table), problems


def _keys_of_names(table: pd.DataFrame) -> tuple[pd.Series, str]:
    """The same by what names of files tell: times, else videos."""
    paths = table["path"].tolist()
    nothing = pd.Series(-1, index=table.index)
    everything = "\n".join(paths)  # most names tell nothing, which one look at all of them shows
    if not re.search(_STAMP, everything) and not re.search(_FRAME, everything, re.MULTILINE):
        return nothing, ""
    folders, names = zip(*(path.rpartition("/")[::2] for path in paths), strict=True)
    where = pd.Series(folders, index=table.index) + "\n" + table["label"]
    stamps = ["".join(match.groups()) if (match := re.search(_STAMP, name)) else None for name in names]
    times = pd.to_datetime(pd.Series(stamps, dtype=object), format="%Y%m%d%H%M%S", errors="coerce")
    if times.notna().any():
        seconds = np.where(times.isna(), np.nan, times.to_numpy("datetime64[s]").astype("int64"))
        return _bursts(where, seconds, BURST), "within a minute, by names of files"
    videos = [match[1] if (match := re.match(rf"(.*?){_FRAME}", name)) else None for name in names]
    if any(video is not None for video in videos):
        video = pd.Series(videos, index=table.index, dtype=object)
        codes = pd.Series(pd.factorize(where + "\n" + video.fillna(""))[0], index=table.index)
        return codes.where(video.notna(), -1), "pictures of one video, by names of files"
    return nothing, ""


def _bursts(where: pd.Series, seconds: np.ndarray, gap: float) -> pd.Series:
    """Numbers the runs of images of one place in which no two neighbours are further apart than `gap`."""
    dated = np.flatnonzero(~np.isnan(seconds))
    places = pd.factorize(where)[0]
    order = dated[np.lexsort((seconds[dated], places[dated]))]
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(places[order]) != 0) | (np.diff(seconds[order]) > gap)
    numbers = np.full(len(where), -1, np.int64)
    numbers[order] = np.cumsum(new) - 1
    return pd.Series(numbers, index=where.index)
