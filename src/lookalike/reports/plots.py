"""Parts of pages that need no network: text, tables, figures as SVG in colours that colour-blind people tell apart."""

import html
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lookalike.errors import LookalikeError

# Okabe and Ito's colours; lines differ in dashes and markers, too.
BLUE, ORANGE, GREEN, PINK, YELLOW, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
COLOURS = (BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, "#000000")
DASHES = ("-", "--", "-.", ":")
MARKERS = "osD^vPX"
STYLE = """
body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #1b1b1f; background: #fff; max-width: 1040px;
  margin: 0 auto; padding: 24px 20px }
h1 { font-size: 26px } h2 { font-size: 18px; margin-top: 32px } .sentence { font-size: 18px }
table { border-collapse: collapse } th, td { padding: 4px 14px 4px 0; border-bottom: 1px solid #d9dce1;
  text-align: left; white-space: nowrap } .n { text-align: right; font-variant-numeric: tabular-nums }
p { color: #44474e } svg { max-width: 100%; height: auto } .scroll { overflow-x: auto; margin: 12px 0 }
pre { background: #f6f7f9; border: 1px solid #d9dce1; border-radius: 8px; padding: 10px; white-space: pre-wrap }
"""


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
    # Names are text, whatever signs they hold; the browser has the letters that this machine's fonts lack.
    look: Any = {"svg.fonttype": "none", "svg.hashsalt": "lookalike", "font.size": 11, "text.parse_math": False}
    with matplotlib.rc_context(look), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
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


def whole_numbers(axes: Any) -> None:
    """Ticks of the horizontal axis at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


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
