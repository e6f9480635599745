"""Parts of pages that need no network: text, tables, figures as SVG in colours that colour-blind people tell apart."""

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lookalike.errors import LookalikeError

# Okabe and Ito's colours; lines differ in dashes and markers, too.
BLUE, ORANGE, GREEN, PINK, YELLOW, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
COLOURS = (BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, "#000000")
DASHES = ("-", "--", "-.", ":")
MARKERS = "osD^vPX"


@contextmanager
def plotting() -> Iterator[None]:
    """Figures made inside need no screen and have the same bytes each time.

    Raises:
        LookalikeError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise LookalikeError(f"pictures need matplotlib ({error}): pip install 'lookalike[report]'") from error
    matplotlib.use("Agg")
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lookalike", "font.size": 11}):
        yield


def figure(width: float, height: float, columns: int = 1) -> tuple[Any, Any]:
    """A figure of so many inches, and its axes (an array where there are several columns)."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    return made, made.subplots(1, columns)


def plain(axes: Any, grid: str = "both") -> None:
    """Axes without a box, with a quiet grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="#e3e5e9")
    axes.set_axisbelow(True)


def svg(made: Any) -> str:
    """A figure as an element of a page."""
    text = io.StringIO()
    made.savefig(text, format="svg", metadata={"Date": None})
    picture = "<svg" + text.getvalue().partition("<svg")[2]
    return re.sub(r"<metadata>.*?</metadata>", "", picture, flags=re.DOTALL)


def text(value: str) -> str:
    """A text as it may stand in HTML."""
    return html.escape(value, quote=True)


def table(heads: list[str], rows: list[list[str]], figures: set[int], kind: str = "") -> str:
    """A table in HTML; columns in `figures` are set to the right."""
    marks = [' class="n"' if place in figures else "" for place in range(len(heads))]
    head = "".join(f"<th{mark}>{text(title)}</th>" for title, mark in zip(heads, marks, strict=True))
    lines = "".join(
        "<tr>" + "".join(f"<td{mark}>{text(cell)}</td>" for cell, mark in zip(row, marks, strict=True)) + "</tr>"
        for row in rows
    )
    first = f"<thead><tr>{head}</tr></thead>" if any(heads) else ""
    return f'<div class="scroll"><table class="{kind}">{first}<tbody>{lines}</tbody></table></div>'
