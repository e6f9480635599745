"""The plots of a report, as SVG."""

from typing import Any

import numpy as np

from lookalike.inference.bundle_config import TrainingSummary
from lookalike.reports.model_report import Report
from lookalike.reports.plots import BLUE, DASHES, GREEN, ORANGE, figure, plain, plotting, svg, whole_numbers
from lookalike.reports.similarities import BINS

MOST_LABELS = 50  # in a picture of confusions: more are not readable, and the most confused are shown
_NAMED = 18  # characters of a label beside it
_DEPTH = 20  # of the cmc curve


def draw(report: Report) -> dict[str, str]:
    """Name -> SVG: metrics, cmc, curves, confusion (where something was confused), similarities, nearest.

    Raises:
        LookalikeError: matplotlib is not installed.
    """
    with plotting():
        figures = {
            "metrics": _metrics(report),
            "cmc": _cmc(report),
            "curves": _curves(report.bundle.config.training),
            "confusion": _confusion(report),
            "similarities": _pairs(report),
            "nearest": _nearest(report),
        }
        return {name: svg(made) for name, made in figures.items() if made is not None}


def _metrics(report: Report) -> Any:
    """The most used metrics with their intervals."""
    found = report.identification
    names = [name for name in ("map", "cmc@5", "cmc@1", "accuracy@5", "accuracy@1") if name in found.metrics]
    made, axes = figure(5.9, 0.9 + 0.42 * len(names))
    for place, name in enumerate(names):
        low, high = found.intervals.get(name, (found.metrics[name],) * 2)
        axes.plot([low, high], [place, place], color=BLUE, linewidth=3, solid_capstyle="round")
        axes.plot([found.metrics[name]], [place], "D", color=BLUE)
        axes.annotate(
            f"{found.metrics[name]:.3f}", (found.metrics[name], place), (0, 7), textcoords="offset points", ha="center"
        )
    axes.set_yticks(range(len(names)), ["mAP" if name == "map" else name for name in names])
    axes.set_ylim(-0.5, len(names) - 0.2)
    axes.set_xlim(right=min(1.02, axes.get_xlim()[1] + 0.02))
    axes.set_xlabel("bars: 95 % interval, labels drawn with replacement")
    plain(axes, "x")
    return made


def _cmc(report: Report) -> Any:
    """The share of queries with a right reference among the first k."""
    per_query = report.identification.result.per_query
    first = per_query.loc[per_query["positives"] > 0, "first_positive"].to_numpy()
    made, axes = figure(4.6, 3.0)
    shares = [(first <= k).mean() for k in range(1, _DEPTH + 1)]
    axes.plot(range(1, _DEPTH + 1), shares, "o-", color=BLUE, markersize=4)
    axes.set_xlabel("k")
    axes.set_title("cmc@k: a right image among the first k", loc="left", fontsize=11)
    axes.set_xticks([1, 5, 10, 15, 20])
    plain(axes)
    return made


def _curves(training: TrainingSummary) -> Any:
    """Loss and validation figures of every epoch; None where the bundle tells none."""
    history = training.history
    if not history:
        return None
    epochs = [line["epoch"] for line in history]
    made, (left, right) = figure(9, 3.2, 2)
    left.plot(epochs, [line["train/loss"] for line in history], "o-", color=BLUE, markersize=4)
    left.set_title("training loss", loc="left", fontsize=11)
    looks = (("accuracy@1", BLUE, "o"), ("accuracy@5", ORANGE, "s"), ("map", GREEN, "^"))
    for (name, colour, marker), dash in zip(looks, DASHES, strict=False):
        title = "mAP" if name == "map" else name
        values = [line[f"validation/{name}"] for line in history]
        right.plot(epochs, values, dash, color=colour, marker=marker, markersize=4, label=title)
    right.axvline(training.best_epoch, color="#888888", linewidth=1)
    side = {"ha": "right", "xytext": (-3, 3)} if training.best_epoch == len(history) else {"xytext": (3, 3)}
    place = (training.best_epoch, right.get_ylim()[0])
    right.annotate("kept", place, textcoords="offset points", color="#555555", **side)
    right.set_title("validation", loc="left", fontsize=11)
    right.legend(frameon=False)
    for axes in (left, right):
        axes.set_xlabel("epoch")
        whole_numbers(axes)
        plain(axes)
    return made


def _confusion(report: Report) -> Any:
    """Which labels were taken for which; the most confused ones where there are many."""
    mistakes = report.mistakes()
    if mistakes.empty:
        return None
    labels = sorted({*mistakes["label"], *mistakes["predicted"]})
    if len(labels) > MOST_LABELS:
        labels = []
        for row in mistakes.to_dict("records"):
            fresh = [name for name in dict.fromkeys((row["label"], row["predicted"])) if name not in labels]
            if len(labels) + len(fresh) <= MOST_LABELS:
                labels += fresh
        labels.sort()
    places = {name: place for place, name in enumerate(labels)}
    per_query = report.identification.result.per_query
    shown = per_query[per_query["label"].isin(places) & per_query["predicted"].isin(places)]
    totals = per_query["label"].value_counts()
    counts = np.zeros((len(labels), len(labels)))
    np.add.at(counts, (shown["label"].map(places).to_numpy(int), shown["predicted"].map(places).to_numpy(int)), 1)
    shares = counts / np.array([max(1, totals.get(name, 0)) for name in labels])[:, None]
    side = 2.2 + 0.21 * len(labels)
    made, axes = figure(side + 0.8, side)
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    named = [name if len(name) <= _NAMED else name[: _NAMED - 1] + "…" for name in labels]
    axes.set_xticks(range(len(labels)), named, rotation=90, fontsize=8)
    axes.set_yticks(range(len(labels)), named, fontsize=8)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.annotate(f"{counts[row, column]:.0f}", (column, row), ha="center", va="center", color=colour, fontsize=7)
    made.colorbar(picture, shrink=0.8, label="share of queries")
    return made


def _histograms(axes: Any, edges: np.ndarray, parts: list[tuple[np.ndarray, str]]) -> None:
    """Genuine and impostor, each as the share of its own total."""
    for (counts, name), colour, dash, hatch in zip(parts, (BLUE, ORANGE), DASHES, ("", "///"), strict=False):
        if not counts.sum():
            continue
        share = counts / counts.sum()
        axes.stairs(share, edges, color=colour, linestyle=dash, linewidth=1.8, label=name)
        axes.stairs(share, edges, fill=True, facecolor=colour, alpha=0.18, hatch=hatch, edgecolor=colour)
    axes.set_xlabel("cosine similarity")
    axes.set_yticks([])
    axes.legend(frameon=False, loc="upper left")
    axes.spines[["left"]].set_visible(False)
    plain(axes, "x")


def _pairs(report: Report) -> Any:
    found = report.similarities
    made, axes = figure(8, 2.9)
    edges = np.linspace(-1, 1, BINS + 1)
    _histograms(axes, edges, [(found.genuine, "same label"), (found.impostor, "two labels")])
    used = np.flatnonzero(found.genuine + found.impostor)
    if len(used):
        axes.set_xlim(edges[used[0]] - 0.02, edges[used[-1] + 1] + 0.02)
    axes.set_title("all pairs of a query and a reference", loc="left", fontsize=11)
    return made


def _nearest(report: Report) -> Any:
    """What a threshold acts on, with the thresholds of the bundle."""
    found = report.similarities
    made, axes = figure(8, 2.9)
    genuine, impostor = found.nearest_genuine[np.isfinite(found.nearest_genuine)], report.nearest_impostor
    both = np.concatenate([genuine, impostor])
    low, high = (float(both.min()), float(both.max())) if len(both) else (0.0, 1.0)
    edges = np.linspace(low - 0.01, max(high, low) + 0.01, BINS // 2 + 1)
    parts = [
        (np.histogram(genuine, edges)[0], "nearest of its own label"),
        (np.histogram(impostor, edges)[0], "nearest of another label"),
    ]
    _histograms(axes, edges, parts)
    top = axes.get_ylim()[1]
    open_set = report.bundle.config.open_set
    shown = {0.01, 0.1, open_set.false_accept_rate}
    chosen = [threshold for threshold in open_set.thresholds if threshold.false_accept_rate in shown]
    for place, threshold in enumerate(chosen):
        axes.axvline(threshold.similarity, color="#111111", linewidth=1.2, linestyle=DASHES[place])
        axes.annotate(
            f" FAR {100 * threshold.false_accept_rate:g} %",
            (threshold.similarity, top * (0.96 - 0.16 * place)),
            fontsize=9,
        )
    axes.set_title("each query's nearest references, and the thresholds of the bundle", loc="left", fontsize=11)
    return made
