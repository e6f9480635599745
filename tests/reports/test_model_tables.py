"""The tables of a report: their figures are those of a count by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from lookalike.data.layouts.vehicleid import VEHICLEID
from lookalike.evaluation.standard import Figure, StandardFigures
from lookalike.inference.bundle_config import IncludedConfig
from lookalike.reports.model_files import sheets
from lookalike.reports.model_page import page
from lookalike.reports.model_report import Report
from lookalike.reports.model_tables import (
    MOST_PAIRS,
    cameras_table,
    card_table,
    classes_table,
    metrics_table,
    mistakes_table,
    standard_table,
    thresholds_table,
)


def test_metrics_are_told_once_with_their_intervals(report: Report) -> None:
    table = metrics_table(report)
    rows = {name: (value, interval) for name, value, interval in table.rows}
    identification = report.identification
    assert len(rows) == len(table.rows)
    assert "accuracy" not in rows, "it is accuracy@1 where there are no cameras"
    assert set(rows) == set(identification.metrics) - {"accuracy"}
    low, high = identification.intervals["accuracy@1"]
    assert rows["accuracy@1"] == (f"{identification.metrics['accuracy@1']:.4f}", f"{low:.4f} to {high:.4f}")
    alone = replace(report, identification=replace(identification, result=replace(identification.result, intervals={})))
    assert {interval for *_, interval in metrics_table(alone).rows} <= {interval for *_, interval in table.rows} | {""}


def test_what_papers_print_has_a_table_on_the_page_and_beside_it(report: Report) -> None:
    assert standard_table(report) is None
    assert "as-papers" not in sheets(report)
    assert VEHICLEID.standard is not None
    figures = {"small": {"cmc@1": Figure(0.5, 0.125)}, "large": {"cmc@1": Figure(0.25, None, (0.125, 0.375))}}
    made = StandardFigures("vehicleid", VEHICLEID.standard, 10, figures, {"small": 800, "large": 2400})
    shown = replace(report, standard=made)
    rows = [
        ["small", "cmc@1", "0.5000", "0.1250", "", "800"],
        ["large", "cmc@1", "0.2500", "", "0.1250 to 0.3750", "2400"],
    ]
    table = sheets(shown)["as-papers"]
    assert table.rows == rows
    html = page(shown).decode()
    assert "as papers on vehicleid print it: of each test list one image" in html
    assert "mean and standard deviation of 10 random galleries" in html
    assert "as papers on" not in page(report).decode()


def test_mistakes_and_classes_are_those_of_the_queries(report: Report) -> None:
    per_query = report.identification.result.per_query
    wrong = per_query[per_query["label"] != per_query["predicted"]]
    mistakes = mistakes_table(report).rows
    assert len(mistakes) <= MOST_PAIRS
    for label, predicted, times, share in mistakes:
        count = ((wrong["label"] == label) & (wrong["predicted"] == predicted)).sum()
        assert (times, share) == (str(count), f"{100 * count / 4:.0f} %"), "four queries a class"
    classes = classes_table(report)
    assert classes.sortable
    assert sorted(row[0] for row in classes.rows) == sorted(set(per_query["label"]))
    for label, queries, references, accuracy, _, taken in classes.rows:
        of_label = per_query[per_query["label"] == label]
        assert (queries, references) == ("4", "10")
        assert accuracy == f"{(of_label['predicted'] == label).mean():.4f}"
        assert (taken == "") == (accuracy == "1.0000")


def test_a_class_without_references_has_no_average_precision(report: Report) -> None:
    result = report.identification.result
    per_query = result.per_query.assign(positives=0, map=np.nan)
    alone = replace(report, identification=replace(report.identification, result=replace(result, per_query=per_query)))
    assert {row[4] for row in classes_table(alone).rows} == {""}


def test_cameras_have_a_row_per_pair_of_two(
    gathered: Callable[[Path, str], Report], report: Report, digits: Path, tmp_path: Path
) -> None:
    assert cameras_table(report) is None
    files = sorted((digits / "train").rglob("*.png"))
    rows = [(str(file), file.parent.name, i % 3 + 1, ("query", "reference")[i % 2]) for i, file in enumerate(files)]
    table = pd.DataFrame(rows, columns=["path", "label", "camera", "role"]).assign(split="test")
    table.to_csv(tmp_path / "seen.csv", index=False)
    seen = gathered(tmp_path / "seen.csv", "test")
    cameras = cameras_table(seen)
    assert cameras is not None
    pairs = seen.identification.camera_pairs
    assert pairs is not None
    assert cameras.heads == [name.replace("_", " ") for name in pairs.columns]
    assert [row[:2] for row in cameras.rows] == [[str(a), str(b)] for a, b in pairs.iloc[:, :2].to_numpy(int)]
    assert len(cameras.rows) == 6
    assert not any("nan" in cell for row in cameras.rows for cell in row)
    table.assign(camera=["gate", "pond", "road"] * (len(files) // 3) + ["gate"] * (len(files) % 3)).to_csv(
        tmp_path / "named.csv", index=False
    )
    named = cameras_table(gathered(tmp_path / "named.csv", "test"))
    assert named is not None
    assert {row[0] for row in named.rows} == {"gate", "pond", "road"}
    many = replace(seen, identification=replace(seen.identification, camera_pairs=pairs.iloc[:0]))
    empty = cameras_table(many)
    assert empty is not None
    assert empty.rows == []


def test_thresholds_let_through_what_a_count_says(report: Report) -> None:
    per_query = report.identification.result.per_query
    rows = thresholds_table(report).rows
    thresholds = report.bundle.config.open_set.thresholds
    assert len(rows) == len(thresholds) > 0
    for (rate, limit, others, own, named), threshold in zip(rows, thresholds, strict=True):
        assert (rate, limit) == (f"{100 * threshold.false_accept_rate:g} %", f"{threshold.similarity:.4f}")
        above = [value > threshold.similarity for value in per_query["similarity_other"]]
        assert others == f"{100 * np.mean(above):.1f} %"
        mine = [value > threshold.similarity for value in report.similarities.nearest_genuine]
        assert own == f"{100 * np.mean(mine):.1f} %"
        right = (per_query["predicted"] == per_query["label"]) & (per_query["similarity"] > threshold.similarity)
        assert named == f"{100 * right.mean():.1f} %"


def test_the_card_names_the_model(report: Report) -> None:
    rows = dict(card_table(report).rows)
    config = report.bundle.config
    assert rows["backbone"] == "test_resnet; first weights: random"
    assert rows["embedding"] == "16 dimensions, unit length, compared by cosine"
    assert rows["trained on"] == "50 images of 5 labels"
    assert rows["loss"].startswith("arcface (")
    assert "margin_degrees 28.6" in rows["loss"]
    assert rows["fingerprint"] == config.fingerprint
    assert f"lookalike {config.versions['lookalike']}" in rows["versions"]
    plain = config.model_copy(update={"loss": {"name": "triplet"}})
    bundle = replace(report.bundle, config=plain)
    assert dict(card_table(replace(report, bundle=bundle)).rows)["loss"] == "triplet"


def test_the_card_tells_of_validation_images_in_the_gallery(report: Report) -> None:
    known = dict(card_table(report).rows)["known images in the bundle"]
    assert known == "50"
    config = report.bundle.config.model_copy(update={"included": IncludedConfig(images=20, labels=5)})
    more = replace(report, bundle=replace(report.bundle, config=config))
    assert dict(card_table(more).rows)["known images in the bundle"] == f"50; {config.included}"
