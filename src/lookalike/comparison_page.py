"""A comparison as Markdown, CSV, a picture and one HTML page that needs no network."""

import html
import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.comparison import Comparison, markdown
from lookalike.errors import LookalikeError
from lookalike.files import atomic_file, write_bytes

# Okabe and Ito's colours, told apart by colour-blind people; lines differ in dashes and markers, too.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES = ("-", "--", "-.", ":")
_MARKERS = "osD^vPX"
_STYLE = """
body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #1b1b1f; background: #fff; max-width: 1040px;
  margin: 0 auto; padding: 24px 20px }
h1 { font-size: 26px } h2 { font-size: 18px; margin-top: 32px } .sentence { font-size: 18px }
table { border-collapse: collapse } th, td { padding: 4px 14px 4px 0; border-bottom: 1px solid #d9dce1;
  text-align: right; font-variant-numeric: tabular-nums } th:first-child, td:first-child { text-align: left }
p { color: #44474e } svg { max-width: 100%; height: auto }
"""


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """Writes comparison.md, comparison.csv, comparison.png and comparison.html; returns their paths.

    Raises:
        LookalikeError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise LookalikeError(f"pictures need matplotlib ({error}): pip install 'lookalike[report]'") from error
    matplotlib.use("Agg")
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "lookalike", "font.size": 11}):
        picture, curves = _intervals(comparison), _curves(comparison)
    files = {
        "comparison.md": f"{comparison.sentence}\n\n{markdown(comparison)}\n\n{comparison.protocol}\n".encode(),
        "comparison.csv": comparison.table.to_csv(index=False).encode(),
        "comparison.html": _page(comparison, picture, curves).encode(),
    }
    for name, content in files.items():
        write_bytes(folder / name, content)
    with atomic_file(folder / "comparison.png") as handle:
        picture.savefig(handle, dpi=120, format="png")
    return [folder / name for name in (*files, "comparison.png")]


def _intervals(comparison: Comparison) -> Any:
    """Mean, 95 % interval and every seed of each group."""
    from matplotlib.figure import Figure

    table = comparison.table
    figure = Figure(figsize=(8, 1.3 + 0.5 * len(table)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(table.to_dict("records")):
        y, colour = len(table) - 1 - place, _COLOURS[place % len(_COLOURS)]
        axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=3, solid_capstyle="round")
        scores = [one.per_query["accuracy@1"].mean() for one in comparison.runs if one.group == row["group"]]
        axes.scatter(scores, [y] * len(scores), color="white", edgecolor=colour, s=28, zorder=3)
        axes.scatter([row["accuracy@1"]], [y], color=colour, marker="D", s=60, zorder=4)
        axes.annotate(
            f"{row['accuracy@1']:.3f}", (row["accuracy@1"], y), (0, 9), textcoords="offset points", ha="center"
        )
    axes.set_yticks(range(len(table)), list(table["group"][::-1]))
    axes.set_ylim(-0.6, len(table) - 0.3)
    axes.set_xlabel(
        f"accuracy@1 on {len(comparison.runs[0].per_query)} queries: mean of the seeds, 95 % interval; circles: seeds"
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#e3e5e9")
    axes.set_axisbelow(True)
    return figure


def _curves(comparison: Comparison) -> Any:
    """Loss and validation accuracy of every epoch: the mean of the seeds, and each of them thin."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for place, group in enumerate(comparison.table["group"]):
        look = {"color": _COLOURS[place % len(_COLOURS)], "linestyle": _DASHES[place % len(_DASHES)]}
        curves = [one.about["history"] for one in comparison.runs if one.group == group]
        for axes, name in ((left, "train/loss"), (right, "validation/accuracy@1")):
            for curve in curves:
                axes.plot([line["epoch"] for line in curve], [line[name] for line in curve], alpha=0.25, **look)
            most = max(len(curve) for curve in curves)
            mean = [float(np.mean([curve[i][name] for curve in curves if len(curve) > i])) for i in range(most)]
            marker = _MARKERS[place % len(_MARKERS)]
            axes.plot(range(1, most + 1), mean, label=group, marker=marker, markersize=4, linewidth=2, **look)
    left.set_title("training loss (not comparable between losses)", loc="left", fontsize=11)
    right.set_title("validation accuracy@1", loc="left", fontsize=11)
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e3e5e9")
        axes.set_axisbelow(True)
    right.legend(frameon=False)
    return figure


def _svg(figure: Any) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    picture = "<svg" + text.getvalue().partition("<svg")[2]
    return re.sub(r"<metadata>.*?</metadata>", "", picture, flags=re.DOTALL)


def _page(comparison: Comparison, picture: Any, curves: Any) -> str:
    tables = "".join(_table(part) for part in markdown(comparison).split("\n\n"))
    names = ", ".join(html.escape(one.run) for one in comparison.runs)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Comparison</title>'
        f'<link rel="icon" href="data:,"><style>{_STYLE}</style></head><body><h1>Comparison</h1>'
        f'<p class="sentence">{html.escape(comparison.sentence)}</p>{_svg(picture)}{tables}'
        f"<h2>Curves</h2>{_svg(curves)}<h2>How it was measured</h2><p>{html.escape(comparison.protocol)}</p>"
        "<p>Intervals and p: labels and seeds drawn with replacement, 1,000 times (a bootstrap of two levels); p is "
        f"corrected for the number of pairs by Holm's procedure.</p><p>Runs: {names}.</p></body></html>\n"
    )


def _table(text: str) -> str:
    """A table of Markdown as HTML."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    head, body = rows[0], rows[2:]
    cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    lines = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in body)
    return f"<table><tr>{cells}</tr>{lines}</table><br>"
