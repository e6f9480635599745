"""The plots of a report, as SVG."""

from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from lookalike.evaluation.unknown_queries import UnknownQueries
from lookalike.inference.bundle_config import TrainingSummary
from lookalike.palette import BLUE, BRIGHT, GREEN, INK, ORANGE, RIGHT, SOFT, WRONG
from lookalike.reports.model_report import Report
from lookalike.reports.plots import DASHES, MARKERS, figure, plain, plotting, side_by_side, svg, whole_numbers
from lookalike.reports.similarities import BINS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LABELS = 50  # in a picture of confusions: more are not readable, and the most confused are shown
_NAMED = 18  # characters of a label beside it
_DEPTH = 20  # of the cmc curve
_TITLE = 4.6  # inches that the title of the confusions takes


def figures(report: Report) -> "dict[str, Figure]":
    """Name -> figure, to be made inside `plotting`: metrics, cmc, curves, confusion, unknown, similarities, nearest.

    Without a curve of training, a confusion or a query of an unknown label there is no such figure.
    """
    drawn = {
        "metrics": _metrics(report),
        "cmc": _cmc(report),
        "curves": _curves(report.bundle.config.training),
        "confusion": _confusion(report),
        "unknown": _unknown(report.unknown_queries),
        "similarities": _pairs(report),
        "nearest": _nearest(report),
    }
    return {name: made for name, made in drawn.items() if made is not None}


def draw(report: Report) -> dict[str, str]:
    """Name -> SVG as an element of a page; see `figures`.

    Raises:
        LookalikeError: matplotlib is not installed.
    """
    with plotting():
        return {name: svg(made) for name, made in figures(report).items()}


def _metrics(report: Report) -> "Figure":
    """The most used metrics with their intervals."""
    metrics, intervals = report.identification.metrics, report.identification.intervals
    names = [name for name in ("map", "cmc@5", "cmc@1", "accuracy@5", "accuracy@1") if name in metrics]
    made, axes = figure(5.9, 0.9 + 0.42 * len(names))
    for place, name in enumerate(names):
        low, high = intervals.get(name, (metrics[name],) * 2)
        axes.plot([low, high], [place, place], color=BLUE.light, linewidth=3, solid_capstyle="round")
        axes.plot([metrics[name]], [place], "D", color=BLUE.light)
        axes.annotate(f"{metrics[name]:.3f}", (metrics[name], place), (0, 7), textcoords="offset points", ha="center")
    axes.set_yticks(range(len(names)), ["mAP" if name == "map" else name for name in names])
    axes.set_ylim(-0.5, len(names) - 0.2)
    axes.set_xlim(right=min(1.02, axes.get_xlim()[1] + 0.02))
    axes.set_xlabel("bars: 95 % interval, labels drawn with replacement")
    plain(axes, "x")
    return made


def _cmc(report: Report) -> "Figure":
    """The share of queries with a right reference among the first k."""
    per_query = report.identification.result.per_query
    first = per_query.loc[per_query["positives"] > 0, "first_positive"].to_numpy()
    made, axes = figure(4.6, 3.0)
    shares = [(first <= k).mean() for k in range(1, _DEPTH + 1)]
    axes.plot(range(1, _DEPTH + 1), shares, "o-", color=BLUE.light, markersize=4)
    axes.set_xlabel("k")
    axes.set_title("cmc@k: a right image among the first k", loc="left", fontsize=11)
    axes.set_xticks([1, 5, 10, 15, 20])
    plain(axes)
    return made


def _curves(training: TrainingSummary) -> "Figure | None":
    """Loss and validation figures of every epoch; None where the bundle tells none."""
    history = training.history
    if not history:
        return None
    epochs = [line["epoch"] for line in history]
    made, (left, right) = side_by_side(9, 3.2, 2)
    left.plot(epochs, [line["train/loss"] for line in history], "o-", color=BLUE.light, markersize=4)
    left.set_title("training loss", loc="left", fontsize=11)
    looks = (("accuracy@1", BLUE, "o"), ("accuracy@5", ORANGE, "s"), ("map", GREEN, "^"))
    for (name, colour, marker), dash in zip(looks, DASHES, strict=False):
        title = "mAP" if name == "map" else name
        values = [line[f"validation/{name}"] for line in history]
        right.plot(epochs, values, dash, color=colour.light, marker=marker, markersize=4, label=title)
    right.axvline(training.best_epoch, color=SOFT.light, linewidth=1)
    side = {"ha": "right", "xytext": (-3, 3)} if training.best_epoch == len(history) else {"xytext": (3, 3)}
    place = (training.best_epoch, right.get_ylim()[0])
    right.annotate("kept", place, textcoords="offset points", color=SOFT.light, **side)
    right.set_title("validation", loc="left", fontsize=11)
    right.legend(frameon=False)
    for axes in (left, right):
        axes.set_xlabel("epoch")
        whole_numbers(axes)
        plain(axes)
    return made


def most_confused(report: Report) -> list[str]:
    """Labels that took part in a mistake, sorted; the most confused ones where there are too many to draw."""
    mistakes = report.mistakes()
    labels = {*mistakes["label"], *mistakes["predicted"]}
    if len(labels) > MOST_LABELS:
        labels = set()
        for row in mistakes.to_dict("records"):
            pair = labels | {row["label"], row["predicted"]}
            labels = pair if len(pair) <= MOST_LABELS else labels
    return sorted(labels)


def _confusion(report: Report) -> "Figure | None":
    """Which labels were taken for which, and what the threshold in use turns away; None where nothing was confused."""
    from matplotlib.colors import LinearSegmentedColormap

    labels = most_confused(report)
    if not labels:
        return None
    counts = _counts(report, labels)
    totals = report.identification.result.per_query["label"].value_counts()
    shares = counts / np.array([max(1, totals.get(name, 0)) for name in labels])[:, None]
    side = 2.2 + 0.21 * len(labels)
    made, axes = figure(max(side, _TITLE), side)
    # Nothing is the paper, whichever that is; everything is blue.
    blues = LinearSegmentedColormap.from_list("share", [f"{BLUE.light}00", f"{BLUE.light}ff"])
    axes.imshow(shares, cmap=blues, vmin=0, vmax=1)
    titles = [name if len(name) <= _NAMED else name[: _NAMED - 1] + "…" for name in labels]
    turned = ["called unknown"] if report.rejected is not None else []
    axes.set_xticks(range(len(labels) + len(turned)), titles + turned, rotation=90, fontsize=8)
    axes.set_yticks(range(len(labels)), titles, fontsize=8)
    axes.set_xlabel("taken for" + (" (whatever the threshold says)" if turned else ""))
    axes.set_ylabel("is")
    made.suptitle("queries; the fuller the blue, the larger the share of the row", fontsize=8)
    if turned:
        axes.axvline(len(labels) - 0.5, color=SOFT.light, linewidth=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = (BRIGHT if shares[row, column] > 0.5 else INK).light
        axes.annotate(f"{counts[row, column]:.0f}", (column, row), ha="center", va="center", color=colour, fontsize=7)
    return made


def _counts(report: Report, labels: list[str]) -> np.ndarray:
    """Queries of each label (rows) taken for each (columns); with a threshold in use a last column: called unknown."""
    places = {name: place for place, name in enumerate(labels)}
    per_query = report.identification.result.per_query
    shown = per_query[per_query["label"].isin(places) & per_query["predicted"].isin(places)]
    counts = np.zeros((len(labels), len(labels)))
    np.add.at(counts, (shown["label"].map(places).to_numpy(int), shown["predicted"].map(places).to_numpy(int)), 1)
    if (rejected := report.rejected) is None:
        return counts
    turned = per_query.loc[rejected, "label"].value_counts()
    return np.column_stack([counts, [turned.get(name, 0) for name in labels]])


def _unknown(unknown: UnknownQueries | None) -> "Figure | None":
    """Known queries accepted and named rightly against unknown ones accepted; None without unknown queries."""
    if unknown is None:
        return None
    made, axes = figure(5.9, 3.6)
    curve = unknown.curve
    axes.plot(curve.unknown_accepted, curve.named_rightly, color=BLUE.light, linewidth=1.8, drawstyle="steps-post")
    for entry, marker in zip(unknown.at_thresholds, cycle(MARKERS), strict=False):
        share, rightly = entry.acceptance.unknown_accepted, entry.acceptance.named_rightly
        name = f"FAR {100 * entry.promised:g} %{', in use' if entry.in_use else ''}"
        look: dict[str, Any] = {"marker": marker, "linestyle": "none", "label": name, "markersize": 6}
        axes.plot([share.value], [rightly.value], color=(ORANGE if entry.in_use else INK).light, **look)
        if entry.in_use:
            axes.plot([share.value] * 2, rightly.interval_95, color=ORANGE.light, linewidth=0.9)
            axes.plot(share.interval_95, [rightly.value] * 2, color=ORANGE.light, linewidth=0.9)
    if unknown.at_thresholds:
        axes.legend(frameon=False, loc="lower right", fontsize=8, title="thresholds of the bundle", title_fontsize=8)
    axes.set_xlabel("unknown queries that are accepted (measured false accept rate)")
    axes.set_ylabel("known ones named rightly")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_title(
        "every threshold" + ("; bars: 95 % intervals of the one in use" if unknown.in_use else ""),
        loc="left",
        fontsize=9,
    )
    plain(axes)
    return made


def _histograms(axes: "Axes", edges: np.ndarray, parts: list[tuple[np.ndarray, str]]) -> None:
    """Genuine and impostor, each as the share of its own total."""
    for (counts, name), colour, dash, hatch in zip(parts, (RIGHT, WRONG), DASHES, ("", "///"), strict=False):
        if not counts.sum():
            continue
        share = counts / counts.sum()
        axes.stairs(share, edges, color=colour.light, linestyle=dash, linewidth=1.8, label=name)
        axes.stairs(share, edges, fill=True, facecolor=colour.light, alpha=0.18, hatch=hatch, edgecolor=colour.light)
    axes.set_xlabel("cosine similarity")
    axes.set_yticks([])
    axes.legend(frameon=False, loc="upper left")
    axes.spines[["left"]].set_visible(False)
    plain(axes, "x")


def _pairs(report: Report) -> "Figure":
    """Similarities of all pairs."""
    genuine, impostor = report.similarities.genuine, report.similarities.impostor
    made, axes = figure(8, 2.9)
    edges = np.linspace(-1, 1, BINS + 1)
    _histograms(axes, edges, [(genuine, "same label"), (impostor, "two labels")])
    used = np.flatnonzero(genuine + impostor)
    if len(used):
        axes.set_xlim(edges[used[0]] - 0.02, edges[used[-1] + 1] + 0.02)
    axes.set_title("all pairs of a query and a reference", loc="left", fontsize=11)
    return made


def _nearest(report: Report) -> "Figure":
    """What a threshold acts on, with the thresholds of the bundle."""
    made, axes = figure(8, 2.9)
    genuine, impostor = report.nearest_genuine, report.nearest_impostor
    both = np.concatenate([genuine, impostor])
    low, high = (float(both.min()), float(both.max())) if len(both) else (0.0, 1.0)
    edges = np.linspace(low - 0.01, max(high, low) + 0.01, BINS // 2 + 1)
    parts = [
        (np.histogram(genuine, edges)[0], "nearest of its own label"),
        (np.histogram(impostor, edges)[0], "nearest of another label"),
    ]
    _histograms(axes, edges, parts)
    top = axes.get_ylim()[1]
    shown = {0.01, 0.1, report.bundle.config.open_set.false_accept_rate}
    thresholds = [threshold for threshold in report.thresholds if threshold.false_accept_rate in shown]
    for place, threshold in enumerate(thresholds):
        limit, rate = threshold.similarity, threshold.false_accept_rate
        axes.axvline(limit, color=INK.light, linewidth=1.2, linestyle=DASHES[place])
        height = top * (0.94 - 0.16 * place)
        axes.annotate(f"FAR {100 * rate:g} %", (limit, height), (4, 0), textcoords="offset points", fontsize=9)
    axes.set_title("each query's nearest references, and the thresholds of the bundle", loc="left", fontsize=11)
    return made
