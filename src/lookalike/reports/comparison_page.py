"""A comparison as Markdown, CSV, a picture and one HTML page that needs no network."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lookalike.data.table_file import csv_bytes
from lookalike.experiments.comparison import Comparison, markdown, tables
from lookalike.outputs import write_files
from lookalike.pages import Table, render
from lookalike.palette import PAPER
from lookalike.reports.plots import (
    COLOURS,
    DASHES,
    MARKERS,
    figure,
    plain,
    plotting,
    png,
    side_by_side,
    svg,
    whole_numbers,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write(comparison: Comparison, folder: Path, name: str = "") -> list[Path]:
    """Writes comparison.md, comparison.csv, comparison.png and comparison.html; returns their paths.

    What an earlier comparison wrote there is replaced, anything else kept under a dated name.

    Raises:
        LookalikeError: matplotlib is not installed.
    """
    with plotting(" ".join(map(str, comparison.table["group"]))):
        intervals = _intervals(comparison)
        page = _page(comparison, name, svg(intervals), svg(_curves(comparison)))
        files = {
            "comparison.md": "\n\n".join([*filter(None, _words(comparison))]) + "\n",
            "comparison.csv": csv_bytes(comparison.table).decode(),
            "comparison.html": page,
        }
        picture = png(intervals)
    contents = {folder / file: content.encode() for file, content in files.items()}
    contents[folder / "comparison.png"] = picture
    write_files(folder / "comparison.html", contents)
    return list(contents)


def _words(comparison: Comparison) -> tuple[str, ...]:
    return comparison.sentence, markdown(comparison), comparison.protocol, comparison.arithmetic


def _intervals(comparison: Comparison) -> "Figure":
    """Mean, 95 % interval and every seed of each group."""
    groups = comparison.table
    made, axes = figure(8, 1.3 + 0.5 * len(groups))
    for place, row in enumerate(groups.to_dict("records")):
        y, colour = len(groups) - 1 - place, COLOURS[place % len(COLOURS)]
        axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=3, solid_capstyle="round")
        scores = [run.per_query["accuracy@1"].mean() for run in comparison.runs if run.group == row["group"]]
        axes.scatter(scores, [y] * len(scores), color=PAPER.light, edgecolor=colour, s=28, zorder=3)
        axes.scatter([row["accuracy@1"]], [y], color=colour, marker="D", s=60, zorder=4)
        axes.annotate(
            f"{row['accuracy@1']:.3f}", (row["accuracy@1"], y), (0, 9), textcoords="offset points", ha="center"
        )
    axes.set_yticks(range(len(groups)), list(groups["group"][::-1]))
    axes.set_ylim(-0.6, len(groups) - 0.3)
    axes.set_xlabel(
        f"accuracy@1 on {len(comparison.runs[0].per_query)} queries: mean of the seeds, 95 % interval; circles: seeds"
    )
    plain(axes, "x")
    return made


def _curves(comparison: Comparison) -> "Figure":
    """Loss and validation accuracy of every epoch: the mean of the seeds, and each of them thin."""
    made, (left, right) = side_by_side(10, 4, 2)
    for place, group in enumerate(comparison.table["group"]):
        colour, dash = COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]
        marker = MARKERS[place % len(MARKERS)]
        curves = [run.about["history"] for run in comparison.runs if run.group == group]
        for axes, name in ((left, "train/loss"), (right, "validation/accuracy@1")):
            for curve in curves:
                epochs, values = [line["epoch"] for line in curve], [line[name] for line in curve]
                axes.plot(epochs, values, color=colour, linestyle=dash, alpha=0.25)
            most = max(len(curve) for curve in curves)
            mean = [float(np.mean([curve[i][name] for curve in curves if len(curve) > i])) for i in range(most)]
            axes.plot(range(1, most + 1), mean, marker, color=colour, linestyle=dash, ms=4, lw=2, label=group)
    left.set_title("training loss (not comparable between losses)", loc="left", fontsize=11)
    right.set_title("validation accuracy@1", loc="left", fontsize=11)
    for axes in (left, right):
        axes.set_xlabel("epoch")
        whole_numbers(axes)
        plain(axes)
    right.legend(frameon=False)
    return made


def _page(comparison: Comparison, name: str, intervals: str, curves: str) -> str:
    return render(
        "comparison.html",
        name=name,
        sentence=comparison.sentence,
        intervals=intervals,
        curves=curves,
        tables=[Table(heads, rows, frozenset(range(1, len(heads)))) for heads, rows in tables(comparison)],
        protocol=comparison.protocol,
        setting=_setting(comparison),
        runs=[run.run for run in comparison.runs],
    )


def _setting(comparison: Comparison) -> dict[str, str]:
    """What all runs had in common; where they differ, every value. Empty where runs do not tell their settings."""

    def values(*path: str) -> str:
        texts = []
        for run in comparison.runs:
            value: Any = run.about
            for part in path:
                value = value.get(part, {}) if isinstance(value, dict) else {}
            texts.append(str(value))
        return ", ".join(dict.fromkeys(texts))

    if not all("settings" in run.about for run in comparison.runs):
        return {}
    return {
        "data": Path(values("settings", "data", "root")).name,
        "model": values("settings", "model", "backbone"),
        "epochs": values("settings", "trainer", "max_epochs"),
        "arithmetic": values("arithmetic"),
    }
