"""The tables of a report: figures, mistakes, classes, cameras, thresholds, and what the model is."""

import numpy as np

from lookalike.metrics.metric_table import metric_table
from lookalike.pages import Table
from lookalike.reports.model_report import Report

MOST_PAIRS = 25  # confused labels listed


def metrics_table(report: Report) -> Table:
    """Every metric with its interval."""
    identification = report.identification
    metrics = dict(identification.metrics)
    if identification.result is identification.whole:
        del metrics["accuracy"]  # it is accuracy@1
    return metric_table(metrics, identification.intervals)


def mistakes_table(report: Report) -> Table:
    """The pairs of labels that were confused most often."""
    rows = [
        [row["label"], row["predicted"], str(row["count"]), f"{100 * row['share']:.0f} %"]
        for row in report.mistakes().head(MOST_PAIRS).to_dict("records")
    ]
    return Table(["is", "taken for", "times", "of its queries"], rows, frozenset({2, 3}))


def classes_table(report: Report) -> Table:
    """Every label that was asked for, worst first."""
    rows = []
    for row in report.per_class().to_dict("records"):
        counts = [str(row[name]) for name in ("queries", "references")]
        scores = [f"{row['accuracy@1']:.4f}", f"{row['map']:.4f}" if np.isfinite(row["map"]) else ""]
        rows.append([str(row["label"]), *counts, *scores, str(row["taken for"])])
    heads = ["class", "queries", "references", "accuracy@1", "mAP", "most often taken for"]
    return Table(heads, rows, frozenset({1, 2, 3, 4}), sortable=True)


def cameras_table(report: Report) -> Table | None:
    """Queries of one camera, references of another; None without cameras, no rows where there are too many pairs."""
    pairs = report.identification.camera_pairs
    if pairs is None:
        return None
    rows = [[_value(value) for value in row] for row in pairs.itertuples(index=False)]
    heads = [str(name).replace("_", " ") for name in pairs.columns]
    return Table(heads, rows, frozenset(range(len(heads))), sortable=True)


def thresholds_table(report: Report) -> Table:
    """What the thresholds of the bundle let through here."""
    genuine, impostor = report.nearest_genuine, report.nearest_impostor
    per_query = report.identification.result.per_query
    right = (per_query["predicted"] == per_query["label"]).to_numpy()
    similarity = per_query["similarity"].to_numpy()
    rows = []
    for threshold in report.thresholds:
        limit = threshold.similarity
        above = [f"{100 * (part > limit).mean():.1f} %" if len(part) else "" for part in (impostor, genuine)]
        rate, named = threshold.false_accept_rate, right & (similarity > limit)
        rows.append([f"{100 * rate:g} %", f"{limit:.4f}", *above, f"{100 * named.mean():.1f} %"])
    heads = ["wanted false accept rate", "threshold", "other labels above", "own label above", "named, and rightly"]
    return Table(heads, rows, frozenset(range(len(heads))))


def card_table(report: Report) -> Table:
    """What the model is: the values of its card."""
    config = report.bundle.config
    model, training, pixels = config.model, config.training, config.pixels
    loss = ", ".join(f"{name} {value}" for name, value in config.loss.items() if name != "name")
    rows = [
        ["backbone", f"{model.backbone}; first weights: {model.weights_source}"],
        ["trained part", f"{', '.join(model.trainable)} ({training.trained_parameters or 0:,} parameters)"],
        ["embedding", f"{model.size} dimensions, unit length, compared by cosine"],
        ["input", f"{pixels}, uint8 RGB"],
        ["loss", f"{config.loss['name']} ({loss})" if loss else config.loss["name"]],
        ["trained on", f"{training.images} images of {len(config.labels)} labels"],
        ["best epoch", f"{training.best_epoch} of {training.epochs}, seed {training.seed}"],
        ["arithmetic", f"{training.arithmetic} in training, {config.precision} in the bundle"],
        ["known images in the bundle", str(len(report.bundle.references))],
        ["fingerprint", report.bundle.fingerprint],
        ["versions", ", ".join(f"{name} {version}" for name, version in config.versions.items())],
    ]
    return Table(["", ""], rows)


def _value(value: object) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4f}" if np.isfinite(value) else ""
    return str(value)
