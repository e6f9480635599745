"""The pictures of a report: queries with their neighbours, and the points of the map."""

import base64

import numpy as np
import pandas as pd

from lookalike.pages import Picture
from lookalike.reports.model_report import Report

_QUERY, _POINT = 112, 56  # pixels of a thumbnail, beside its neighbours and on the map
_NEIGHBOURS = 5
_REFERENCE, _CORRECT, _MISTAKEN, _STRANGER = 0, 1, 2, 3  # kinds of points, as the page's script knows them


def queries_with_neighbours(report: Report, rows: list[int]) -> list[list[Picture]]:
    """Of each query its picture, then those of its nearest references, which are right or wrong."""
    result, references = report.identification.result, report.protocol.references
    lines = []
    for row in rows:
        query, facts = report.protocol.queries.iloc[row], result.per_query.iloc[row]
        first = f"first right at {facts['first_positive']}" if facts["positives"] else "no right image is known"
        line = [_picture(query, report.thumbnail(report.protocol.queries, row, _QUERY), first, None)]
        near = zip(result.neighbours[row].tolist(), result.neighbour_similarity[row].tolist(), strict=True)
        for place, similarity in list(near)[:_NEIGHBOURS]:
            if place >= 0:
                reference, right = references.iloc[place], references["label"].iloc[place] == query["label"]
                thumbnail = report.thumbnail(references, place, _QUERY)
                line.append(_picture(reference, thumbnail, f"{similarity:.3f}", bool(right)))
        lines.append(line)
    return lines


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
