"""Which images show one scene (a burst, a video, an encounter), by what their table and the names of their files say.

Pixels are not looked at: `lookalike audit` does that. Letters in shapes: N rows.
"""

import re
from dataclasses import dataclass

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
    """

    numbers: pd.Series
    source: str


def scenes_of(table: pd.DataFrame) -> Scenes:
    """Scenes by the column scene, else by camera and date, else by what the names of files tell.

    With times of day a scene ends where 60 seconds pass without an image, of the same camera (of the same label, where
    no camera is known). With days alone it is what one camera saw of one label on one day. In names of files, times
    count likewise within a folder and label, and pictures of one video (`hunt_frame_0012.jpg`) are one scene.

    Args:
        table: Columns path, label, camera; where known scene and date.
    """
    keys, source = _keys(table)
    lone = keys < 0
    numbers = keys.where(~lone, -1 - pd.Series(np.arange(len(table)), index=table.index))
    boxes = table["path"].duplicated(keep=False)  # of one image: whatever else is said of them
    first = numbers[boxes].groupby(table["path"][boxes]).transform("first")
    joined = dict(zip(numbers[boxes], first, strict=True))
    return Scenes(numbers.replace(joined) if joined else numbers, source)


def torn_note(table: pd.DataFrame, advice: str) -> list[str]:
    """One line on images of validation and test whose scene is trained on under their label; none where there are none.

    Args:
        table: The data set, divided.
        advice: What to do about it.
    """
    rows = original_rows(table[~table["ignore"]])
    splits = rows["split"]
    if not (splits == "train").any() or (splits == "train").all():
        return []
    scenes = scenes_of(rows)
    if not scenes.source:
        return []
    pairs = pd.MultiIndex.from_arrays([scenes.numbers, rows["label"]])
    trained = pd.Series(pairs.isin(pairs[splits == "train"]), index=rows.index)
    parts = []
    for split in ("validation", "test"):
        torn = int(trained[splits == split].sum())
        if torn:
            parts.append(f"{torn} of {int((splits == split).sum())} {split} images")
    if not parts:
        return []
    return [
        f"{' and '.join(parts)} show a scene that is trained on, too ({scenes.source}), so figures are better than on "
        f"new scenes: {advice}"
    ]


def _keys(table: pd.DataFrame) -> tuple[pd.Series, str]:
    """A number per scene, -1 for an image of which nothing is known; and what tells it."""
    if "scene" in table and (table["scene"] != "").any():
        codes = pd.Series(pd.factorize(table["scene"])[0], index=table.index)
        return codes.where(table["scene"] != "", -1), "by the column scene"
    if "date" in table:
        dates = read_dates(table["date"].tolist())
        if not np.isnan(dates.seconds).all():
            camera = table["camera"].astype(object).where(table["camera"].notna(), "")
            seen = camera.astype(str) + "\n" + table["label"]
            if not dates.timed:
                return _bursts(seen, dates.seconds // DAY, 0), "by camera, label and day"
            where = seen.where(table["camera"].isna(), camera.astype(str))
            return _bursts(where, dates.seconds, BURST), "within a minute, by camera and date"
    return _keys_of_names(table)


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
