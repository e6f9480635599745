"""A comparison as Markdown, CSV, a picture and one HTML page that needs no network."""

from pathlib import Path
from typing import Any

import numpy as np

from lookalike.experiments.comparison import Comparison, markdown, tables
from lookalike.files import atomic_file, write_bytes
from lookalike.reports.plots import (
    COLOURS,
    DASHES,
    MARKERS,
    STYLE,
    figure,
    plain,
    plotting,
    svg,
    table,
    text,
    whole_numbers,
)


def write(comparison: Comparison, folder: Path, name: str = "") -> list[Path]:
    """Writes comparison.md, comparison.csv, comparison.png and comparison.html; returns their paths.

    Raises:
        LookalikeError: matplotlib is not installed.
    """
    with plotting():
        picture = _intervals(comparison)
        page = _page(comparison, picture, _curves(comparison), name)
    files = {
        "comparison.md": f"{comparison.sentence}\n\n{markdown(comparison)}\n\n{comparison.protocol}\n".encode(),
        "comparison.csv": comparison.table.to_csv(index=False).encode(),
        "comparison.html": page.encode(),
    }
    for name, content in files.items():
        write_bytes(folder / name, content)
    with atomic_file(folder / "comparison.png") as handle:
        picture.savefig(handle, dpi=120, format="png")
    return [folder / name for name in (*files, "comparison.png")]


def _intervals(comparison: Comparison) -> Any:
    """Mean, 95 % interval and every seed of each group."""
    groups = comparison.table
    made, axes = figure(8, 1.3 + 0.5 * len(groups))
    for place, row in enumerate(groups.to_dict("records")):
        y, colour = len(groups) - 1 - place, COLOURS[place % len(COLOURS)]
        axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=3, solid_capstyle="round")
        scores = [one.per_query["accuracy@1"].mean() for one in comparison.runs if one.group == row["group"]]
        axes.scatter(scores, [y] * len(scores), color="white", edgecolor=colour, s=28, zorder=3)
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


def _curves(comparison: Comparison) -> Any:
    """Loss and validation accuracy of every epoch: the mean of the seeds, and each of them thin."""
    made, (left, right) = figure(10, 4, 2)
    for place, group in enumerate(comparison.table["group"]):
        look = {"color": COLOURS[place % len(COLOURS)], "linestyle": DASHES[place % len(DASHES)]}
        curves = [one.about["history"] for one in comparison.runs if one.group == group]
        for axes, name in ((left, "train/loss"), (right, "validation/accuracy@1")):
            for curve in curves:
                axes.plot([line["epoch"] for line in curve], [line[name] for line in curve], alpha=0.25, **look)
            most = max(len(curve) for curve in curves)
            mean = [float(np.mean([curve[i][name] for curve in curves if len(curve) > i])) for i in range(most)]
            marker = MARKERS[place % len(MARKERS)]
            axes.plot(range(1, most + 1), mean, label=group, marker=marker, markersize=4, linewidth=2, **look)
    left.set_title("training loss (not comparable between losses)", loc="left", fontsize=11)
    right.set_title("validation accuracy@1", loc="left", fontsize=11)
    for axes in (left, right):
        axes.set_xlabel("epoch")
        whole_numbers(axes)
        plain(axes)
    right.legend(frameon=False)
    return made


def _page(comparison: Comparison, picture: Any, curves: Any, name: str) -> str:
    parts = "".join(table(heads, rows, set(range(1, len(heads)))) for heads, rows in tables(comparison))
    names = ", ".join(text(one.run) for one in comparison.runs)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Comparison {text(name)}</title>'
        f'<link rel="icon" href="data:,"><style>{STYLE}</style></head><body><h1>Comparison {text(name)}</h1>'
        f'<p class="sentence">{text(comparison.sentence)}</p>{svg(picture)}{parts}'
        f"<h2>Curves</h2>{svg(curves)}<h2>How it was measured</h2><p>{text(comparison.protocol)}</p>"
        f"{_setting(comparison)}"
        "<p>Intervals and p: labels and seeds drawn with replacement, 1,000 times (a bootstrap of two levels); p is "
        f"corrected for the number of pairs by Holm's procedure.</p><p>Runs: {names}.</p></body></html>\n"
    )


def _setting(comparison: Comparison) -> str:
    """What all runs had in common; where they differ, every value."""

    def values(*path: str) -> str:
        found = []
        for one in comparison.runs:
            value: Any = one.about
            for part in path:
                value = value.get(part, {}) if isinstance(value, dict) else {}
            found.append(str(value))
        return ", ".join(dict.fromkeys(found))

    if not all("settings" in one.about for one in comparison.runs):
        return ""
    root = Path(values("settings", "data", "root")).name
    return (
        f"<p>Data: {text(root)}. Model: {text(values('settings', 'model', 'backbone'))}. Epochs: at most "
        f"{text(values('settings', 'trainer', 'max_epochs'))}. Arithmetic: {text(values('arithmetic'))}.</p>"
    )
