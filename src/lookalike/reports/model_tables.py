"""The tables of a report: figures, mistakes, classes, cameras, thresholds, and what the model is."""

import numpy as np
import pandas as pd

from lookalike.reports.model_report import Report
from lookalike.reports.sheet import Column, Kind, Sheet

MOST_PAIRS = 25  # confused labels listed


def metrics_table(report: Report) -> Sheet:
    """Every metric with its interval."""
    identification = report.identification
    metrics = dict(identification.metrics)
    if identification.result is identification.whole:
        del metrics["accuracy"]  # it is accuracy@1
    intervals = [identification.intervals.get(name) for name in metrics]
    columns = [Column("metric", list(metrics)), Column("value", list(metrics.values()), "figure")]
    return Sheet([*columns, Column("95 % interval", intervals, "interval")])


def standard_table(report: Report) -> Sheet | None:
    """What the papers print, a row for each test and figure; None where there is none."""
    if report.standard is None:
        return None
    rows = [(test, name, figure) for test, row in report.standard.figures.items() for name, figure in row.items()]
    return Sheet(
        [
            Column("test", [test for test, _, _ in rows]),
            Column("metric", [name for _, name, _ in rows]),
            Column("value", [figure.mean for *_, figure in rows], "figure"),
            Column("standard deviation", [figure.deviation for *_, figure in rows], "figure"),
            Column("95 % interval", [figure.interval_95 for *_, figure in rows], "interval"),
            Column("references", [report.standard.references[test] for test, _, _ in rows], "count"),
        ]
    )


def mistakes_table(report: Report, most: int | None = MOST_PAIRS) -> Sheet:
    """The pairs of labels that were confused most often; with a threshold in use, how many of them it turns away.

    Args:
        report: The report.
        most: How many pairs; None for all.
    """
    mistakes = report.mistakes().head(most) if most is not None else report.mistakes()
    columns = [
        Column("is", mistakes["label"].tolist()),
        Column("taken for", mistakes["predicted"].tolist()),
        Column("times", mistakes["count"].tolist(), "count"),
        Column("of its queries", mistakes["share"].tolist(), "whole_percent"),
    ]
    if (rejected := report.rejected) is not None:
        turned = report.identification.result.per_query[rejected].groupby(["label", "predicted"]).size()
        pairs = pd.MultiIndex.from_frame(mistakes[["label", "predicted"]])
        columns.append(Column("called unknown", turned.reindex(pairs, fill_value=0).tolist(), "count"))
    return Sheet(columns)


def classes_table(report: Report) -> Sheet:
    """Every label that was asked for, worst first; with a threshold in use, how many queries it turns away."""
    table = report.per_class()
    columns = [
        Column("class", table["label"].tolist()),
        Column("queries", table["queries"].tolist(), "count"),
        Column("references", table["references"].tolist(), "count"),
        Column("accuracy@1", table["accuracy@1"].tolist(), "figure"),
        Column("mAP", table["map"].tolist(), "figure"),
        Column("most often taken for", table["taken for"].tolist()),
    ]
    if (rejected := report.rejected) is not None:
        turned = rejected.groupby(report.identification.result.per_query["label"]).sum()
        columns.append(Column("called unknown", table["label"].map(turned).astype(int).tolist(), "count"))
    return Sheet(columns, sortable=True)


def cameras_table(report: Report) -> Sheet | None:
    """Queries of one camera, references of another; None without cameras, no rows where there are too many pairs."""
    pairs = report.identification.camera_pairs
    if pairs is None:
        return None
    columns = [Column(str(name).replace("_", " "), pairs[name].tolist(), _kind_of(pairs[name])) for name in pairs]
    return Sheet(columns, sortable=True)


def _kind_of(column: pd.Series) -> Kind:
    if pd.api.types.is_float_dtype(column):
        return "figure"
    return "count" if pd.api.types.is_integer_dtype(column) else "text"


def thresholds_table(report: Report) -> Sheet:
    """What the thresholds of the bundle let through here."""
    genuine, impostor = report.nearest_genuine, report.nearest_impostor
    per_query = report.identification.result.per_query
    right = (per_query["predicted"] == per_query["label"]).to_numpy()
    similarity = per_query["similarity"].to_numpy()
    limits = [threshold.similarity for threshold in report.thresholds]

    def above(values: np.ndarray) -> list[object]:
        return [float((values > limit).mean()) if len(values) else None for limit in limits]

    named = [float((right & (similarity > limit)).mean()) for limit in limits]
    wanted = [threshold.false_accept_rate for threshold in report.thresholds]
    columns = [
        Column("wanted false accept rate", wanted, "rate"),
        Column("threshold", limits, "similarity"),
        Column("other labels above", above(impostor), "percent"),
        Column("own label above", above(genuine), "percent"),
        Column("named, and rightly", named, "percent"),
    ]
    return Sheet(columns)


def card_table(report: Report) -> Sheet:
    """What the model is: the values of its card."""
    config = report.bundle.config
    model, training, pixels = config.model, config.training, config.pixels
    loss = ", ".join(f"{name} {value}" for name, value in config.loss.items() if name != "name")
    rows = [
        ("backbone", f"{model.backbone}; first weights: {model.weights_source}"),
        ("trained part", f"{', '.join(model.trainable)} ({training.trained_parameters or 0:,} parameters)"),
        ("embedding", f"{model.size} dimensions, unit length, compared by cosine"),
        ("input", f"{pixels}, uint8 RGB"),
        ("loss", f"{config.loss['name']} ({loss})" if loss else config.loss["name"]),
        ("trained on", f"{training.images} images of {len(config.labels)} labels"),
        ("best epoch", f"{training.best_epoch} of {training.epochs}, seed {training.seed}"),
        ("arithmetic", f"{training.arithmetic} in training, {config.precision} in the bundle"),
        ("known images in the bundle", _known_images(report)),
        ("fingerprint", report.bundle.fingerprint),
        ("versions", ", ".join(f"{name} {version}" for name, version in config.versions.items())),
    ]
    names, values = zip(*rows, strict=True)
    return Sheet([Column("", names), Column("", values)])


def _known_images(report: Report) -> str:
    included = report.bundle.config.included
    return f"{len(report.bundle.references)}{f'; {included}' if included else ''}"
