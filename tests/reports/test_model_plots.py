"""The plots of a report say what the report says."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from lookalike.data.manifest import Manifest
from lookalike.data.protocol import Protocol
from lookalike.data.reading import read_manifest
from lookalike.reports.model_plots import MOST_LABELS, draw, most_confused
from lookalike.reports.model_report import Report

Built = Callable[[Manifest, Protocol, np.ndarray, np.ndarray], Report]


def texts(picture: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", picture)


def test_every_plot_names_what_it_shows(report: Report) -> None:
    plots = draw(report)
    assert list(plots) == ["metrics", "cmc", "curves", "confusion", "similarities", "nearest"]
    metrics = report.identification.metrics
    assert {"mAP", "accuracy@1", f"{metrics['map']:.3f}", f"{metrics['accuracy@5']:.3f}"} <= set(
        texts(plots["metrics"])
    )
    assert {"training loss", "validation", "kept", "accuracy@1", "mAP"} <= set(texts(plots["curves"]))
    assert {"FAR 1 %", "FAR 10 %", "nearest of its own label"} <= set(texts(plots["nearest"]))
    assert {"same label", "two labels"} <= set(texts(plots["similarities"]))


def test_confusions_are_counted_in_their_cells(report: Report) -> None:
    labels = most_confused(report)
    mistakes = report.mistakes()
    assert labels == sorted({*mistakes["label"], *mistakes["predicted"]})
    shown = texts(draw(report)["confusion"])
    assert {"is", "taken for"} <= set(shown)
    per_query = report.identification.result.per_query
    both = per_query[per_query["label"].isin(labels) & per_query["predicted"].isin(labels)]
    counts = both.groupby(["label", "predicted"]).size().astype(str)
    assert sorted(text for text in shown if text.isdigit()) == sorted(counts)


def test_a_model_without_mistakes_or_curves_has_no_such_plots(built: Built, digits: Path) -> None:
    manifest = read_manifest(digits)
    protocol = manifest.protocol("validation")
    places = {label: place for place, label in enumerate(manifest.labels)}
    queries, references = (
        np.eye(8, dtype=np.float32)[rows["label"].map(places)] for rows in (protocol.queries, protocol.references)
    )
    report = built(manifest, protocol, queries, references)
    config = report.bundle.config
    config = config.model_copy(update={"training": config.training.model_copy(update={"history": []})})
    plots = draw(replace(report, bundle=replace(report.bundle, config=config)))
    assert list(plots) == ["metrics", "cmc", "similarities", "nearest"]


def test_of_many_confused_labels_the_most_confused_are_drawn(built: Built, digits: Path) -> None:
    """Sixty labels; every query is taken for the next label, that of label 7 three times."""
    table = read_manifest(digits).table
    rows = table[table["split"] != "test"].reset_index(drop=True).iloc[:60]
    queries = rows.iloc[[*range(60), 7, 7]].reset_index(drop=True)
    names = np.array([f"label {place:02d}" for place in range(60)])
    points = np.eye(60, dtype=np.float32)
    protocol = Protocol(
        rows.assign(label=names, ignore=False),
        queries.assign(label=names[[*range(60), 7, 7]], ignore=False),
        np.full(62, -1),
        "",
    )
    report = built(Manifest(digits, table), protocol, points[[*range(1, 60), 0, 8, 8]], points)
    labels = most_confused(report)
    assert len(labels) == MOST_LABELS
    assert {"label 07", "label 08"} <= set(labels)
    assert labels == sorted(labels)
    assert set(labels) <= set(texts(draw(report)["confusion"]))
