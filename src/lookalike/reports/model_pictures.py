"""The pictures of a report: queries with their neighbours, and the points of the map."""

import base64

import numpy as np
import pandas as pd

from lookalike.data.orientation import Pixels
from lookalike.data.pixels import PixelSettings, resize
from lookalike.data.thumbnail import jpeg_of
from lookalike.inference.feature_maps import pairs_of
from lookalike.inference.heat import lit
from lookalike.pages import Picture
from lookalike.reports.model_report import Report

_QUERY, _POINT = 112, 56  # pixels of a thumbnail, beside its neighbours and on the map
_NEIGHBOURS = 5
_REFERENCE, _CORRECT, _MISTAKEN, _STRANGER = 0, 1, 2, 3  # kinds of points, as the page's script knows them


def queries_with_neighbours(report: Report, rows: list[int], why: bool = False) -> list[list[Picture]]:
    """Of each query its picture, then those of its nearest references, which are right or wrong.

    Args:
        report: What the page shows.
        rows: Of the queries.
        why: Light the regions that make them similar, where the network's similarity is a sum over regions.
    """
    result, references = report.identification.result, report.protocol.references
    lines = []
    for row in rows:
        query, facts = report.protocol.queries.iloc[row], result.per_query.iloc[row]
        first = f"first right at {facts['first_positive']}" if facts["positives"] else "no right image is known"
        lighted = _Lighted(report, row) if why else None
        line = []
        near = zip(result.neighbours[row].tolist(), result.neighbour_similarity[row].tolist(), strict=True)
        for place, similarity in list(near)[:_NEIGHBOURS]:
            if place >= 0:
                reference, right = references.iloc[place], references["label"].iloc[place] == query["label"]
                thumbnail = lighted.reference(place) if lighted else b""
                thumbnail = thumbnail or report.thumbnail(references, place, _QUERY)
                line.append(_picture(reference, thumbnail, f"{similarity:.3f}", bool(right)))
        shown = lighted.query if lighted else b""
        shown = shown or report.thumbnail(report.protocol.queries, row, _QUERY)
        lines.append([_picture(query, shown, first, None), *line])
    return lines


class _Lighted:
    """Small pictures of a query and its references in which the regions that make them similar are lit.

    Attributes:
        query: That of the query, beside the reference that was asked for first; empty where it cannot be had.
    """

    def __init__(self, report: Report, row: int) -> None:
        self._report, self._seen, self.query = report, report.seen(report.protocol.queries, row), b""

    def reference(self, place: int) -> bytes:
        """That of a reference; empty where it cannot be had."""
        other = self._report.seen(self._report.protocol.references, place) if self._seen else None
        if self._seen is None or other is None:
            return b""
        pairs, _ = pairs_of(self._seen[1], other[1])
        self.query = self.query or _small(self._seen[0], pairs.sum((2, 3)))
        return _small(other[0], pairs.sum((0, 1)))


def _small(picture: Pixels, regions: np.ndarray) -> bytes:
    return jpeg_of(resize(lit(picture, regions), PixelSettings(_QUERY, _QUERY, "pad")))


def _picture(row: pd.Series, thumbnail: bytes, note: str, right: bool | None) -> Picture:
    camera = "" if pd.isna(row["camera"]) else f"camera {row['camera']}, "
    path = str(row["path"])
    notes = (f"{camera}{note}", path.rpartition("/")[2])
    return Picture(path, thumbnail, str(row["label"]), notes, right, _QUERY, _QUERY)


def map_points(report: Report) -> dict[str, object]:
    """The map for the page's script.

    Returns:
        labels: Names.
        points: Per point its kind (0 reference, 1 right, 2 wrong, 3 of a label that no reference has), label, label of
            the nearest (-1: none), path.
        layouts: Name -> x, y of every point, 0 to 1.
        thumbs: JPEG of every point in base64, empty where it cannot be read.
    """
    per_query, protocol = report.identification.result.per_query, report.protocol
    names = sorted({*protocol.references["label"], *protocol.queries["label"]})
    place = {name: i for i, name in enumerate(names)}
    points, thumbs = [], []
    for query, reference in zip(report.map.query.tolist(), report.map.reference.tolist(), strict=True):
        rows, row = (protocol.queries, query) if query >= 0 else (protocol.references, reference)
        label, path = str(rows["label"].iloc[row]), str(rows["path"].iloc[row])
        taken = str(per_query["predicted"].iloc[row]) if query >= 0 else label
        kind = _REFERENCE
        if query >= 0 and not per_query["known"].iloc[row]:
            kind = _STRANGER
        elif query >= 0:
            kind = _CORRECT if taken == label else _MISTAKEN
        points.append([kind, place[label], place.get(taken, -1), path])
        thumbs.append(base64.b64encode(report.thumbnail(rows, row, _POINT)).decode())
    layouts = {name: np.round(flat, 4).ravel().tolist() for name, flat in report.map.layouts.items()}
    return {"labels": names, "points": points, "layouts": layouts, "thumbs": thumbs}
