"""What a report is made of: classes, mistakes, best and worst queries, as of a count by hand."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from lookalike.data.manifest import Manifest
from lookalike.reports.model_report import Report


def test_classes_and_mistakes_are_those_of_a_count(report: Report) -> None:
    per_query = report.identification.result.per_query
    table = report.per_class().set_index("label")
    assert table["references"].tolist() == [10] * 5
    for label, row in table.iterrows():
        of_label = per_query[per_query["label"] == label]
        assert row["accuracy@1"] == pytest.approx((of_label["predicted"] == label).mean())
    mistakes = report.mistakes()
    assert mistakes["count"].sum() == (per_query["predicted"] != per_query["label"]).sum()
    assert (mistakes["label"] != mistakes["predicted"]).all()
    assert mistakes["count"].is_monotonic_decreasing
    assert (mistakes["share"] == mistakes["count"] / 4).all()


def test_best_and_worst_queries(report: Report) -> None:
    per_query = report.identification.result.per_query
    best, worst = report.best(12), report.worst(12)
    labels = per_query.loc[best, "label"]
    assert labels.is_unique
    assert (per_query.loc[best, "predicted"] == labels).all()
    assert per_query.loc[worst, "map"].is_monotonic_increasing
    assert per_query.loc[worst[0], "map"] == per_query["map"].min()


def test_nearest_of_the_own_label_and_of_others(report: Report) -> None:
    per_query = report.identification.result.per_query
    right = (per_query["predicted"] == per_query["label"]).to_numpy()
    own, other = report.nearest_genuine, report.nearest_impostor
    assert len(own) == len(other) == len(per_query)
    assert ((own > other) == right).all()
    strangers = per_query.assign(known=False)
    result = replace(report.identification.result, per_query=strangers)
    unknown = replace(report, identification=replace(report.identification, result=result))
    assert unknown.nearest_impostor.tolist() == per_query["similarity"].tolist(), "the nearest is of another label"


def test_it_is_known_whether_the_epoch_was_chosen_on_these_images(report: Report) -> None:
    assert report.of_training
    result = report.identification.result
    fewer = replace(result, counts={**result.counts, "queries": 19})
    assert not replace(report, identification=replace(report.identification, result=fewer)).of_training


def test_a_thumbnail_shows_the_box_and_is_empty_without_an_image(report: Report, tmp_path: Path) -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[:20, :20] = 255
    cv2.imwrite(str(tmp_path / "a.png"), image)
    table = pd.DataFrame({"path": ["a.png", "gone.png"], **{name: [0.0, 0.0] for name in ("x1", "y1")}})
    table[["x2", "y2"]] = 20.0
    here = replace(report, manifest=Manifest(tmp_path, report.manifest.table))
    shown = cv2.imdecode(np.frombuffer(here.thumbnail(table, 0, 30), np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (30, 30, 3)
    assert shown.min() > 200, "the white quarter only"
    assert here.thumbnail(table, 1, 30) == b""


def test_an_unknown_individual_is_taken_for_nobody(report: Report) -> None:
    before = report.identification.result
    wrong = before.per_query["predicted"] != before.per_query["label"]
    strangers = before.per_query.assign(known=before.per_query["known"] & ~wrong)
    assert wrong.any()
    identification = replace(report.identification, result=replace(before, per_query=strangers))
    assert replace(report, identification=identification).mistakes().empty
