"""The pictures of a report: which are right, and where the points of the map come from."""

import base64
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from explained_networks import encoder_of, network
from lookalike.data.any_image import read_any
from lookalike.data.manifest import Manifest
from lookalike.inference.feature_maps import FeatureMaps, pairs_of
from lookalike.inference.heat import lit
from lookalike.inference.openvino_network import OpenVinoNetwork
from lookalike.reports.model_pictures import map_points, queries_with_neighbours
from lookalike.reports.model_report import Report


def decoded(jpeg: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def test_a_query_is_followed_by_its_nearest_references(report: Report) -> None:
    result, references = report.identification.result, report.protocol.references
    rows = [3, 0]
    lines = queries_with_neighbours(report, rows)
    assert [len(line) for line in lines] == [6, 6]
    for row, (query, *near) in zip(rows, lines, strict=True):
        asking = report.protocol.queries.iloc[row]
        assert (query.path, query.title, query.right) == (asking["path"], asking["label"], None)
        assert query.notes[0] == f"first right at {result.per_query['first_positive'][row]}"
        for rank, picture in enumerate(near):
            reference = references.iloc[result.neighbours[row, rank]]
            assert (picture.path, picture.title) == (reference["path"], reference["label"])
            assert picture.right == (reference["label"] == asking["label"])
            assert picture.notes == (f"{result.neighbour_similarity[row, rank]:.3f}", Path(reference["path"]).name)
            assert decoded(picture.jpeg).shape == (112, 112, 3)


def test_regions_that_make_images_similar_are_lit(report: Report, tmp_path: Path) -> None:
    encoder = encoder_of(network(), tmp_path)
    plain = queries_with_neighbours(report, [0], why=True)
    assert report.maps is None, "its maps are of one position"
    assert [picture.jpeg for picture in plain[0]] == [
        picture.jpeg for picture in queries_with_neighbours(report, [0])[0]
    ]
    lighted = replace(report)
    assert isinstance(encoder.network, OpenVinoNetwork)
    lighted.__dict__["maps"] = FeatureMaps(encoder.network.graph, encoder.pixels)
    assert lighted.maps is not None
    line = queries_with_neighbours(lighted, [0], why=True)[0]
    assert [picture.title for picture in line] == [picture.title for picture in plain[0]]
    query, nearest = (report.manifest.file(picture.path) for picture in line[:2])
    pictures = [read_any(file, encoder.pixels) for file in (query, nearest)]
    pairs, _ = pairs_of(*(lighted.maps.parts(picture) for picture in pictures))
    for place, axes in enumerate([(2, 3), (0, 1)]):
        expected = cv2.resize(lit(pictures[place], pairs.sum(axes)), (112, 112))[:, :, ::-1]
        assert np.abs(decoded(line[place].jpeg).astype(int) - expected).mean() < 3
    assert [picture.jpeg for picture in line] != [picture.jpeg for picture in plain[0]]


def test_cameras_queries_without_a_match_and_missing_neighbours_are_told(report: Report) -> None:
    result = report.identification.result
    per_query = result.per_query.assign(positives=0)
    neighbours = result.neighbours.copy()
    neighbours[:, 2:] = -1
    result = replace(result, per_query=per_query, neighbours=neighbours)
    protocol = report.protocol
    queries = protocol.queries.assign(camera=pd.array([4] * len(protocol.queries), dtype="Int64"))
    changed = replace(
        report,
        identification=replace(report.identification, result=result),
        protocol=replace(protocol, queries=queries),
    )
    [[query, *near]] = queries_with_neighbours(changed, [0])
    assert query.notes[0] == "camera 4, no right image is known"
    assert len(near) == 2


def test_points_of_the_map_say_what_became_of_them(report: Report) -> None:
    points = map_points(report)
    labels, per_query = points["labels"], report.identification.result.per_query
    assert labels == sorted(set(report.protocol.references["label"]))
    queries = [point for point in points["points"] if point[0] != 0]
    assert len(queries) == len(per_query) == 20
    for (kind, label, taken, path), row in zip(queries, per_query.to_dict("records"), strict=True):
        assert (labels[label], labels[taken]) == (row["label"], row["predicted"])
        assert kind == (1 if row["label"] == row["predicted"] else 2)
        assert (report.manifest.root / path).is_file()
    assert len(points["points"]) == len(points["thumbs"]) == 70
    assert decoded(base64.b64decode(points["thumbs"][0])).shape == (56, 56, 3)
    assert {name: len(flat) for name, flat in points["layouts"].items()} == {"PCA": 140}


def test_a_point_that_nobody_answered_and_an_image_that_is_gone(report: Report, tmp_path: Path) -> None:
    result = report.identification.result
    nobody = replace(result, per_query=result.per_query.assign(predicted=""))
    identification = replace(report.identification, result=nobody)
    gone = replace(report, identification=identification, manifest=Manifest(tmp_path, report.manifest.table))
    points = map_points(gone)
    assert {tuple(point[:1] + point[2:3]) for point in points["points"] if point[0]} == {(2, -1)}
    assert set(points["thumbs"]) == {""}
