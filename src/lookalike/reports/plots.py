"""Figures as elements of a page, on light and dark paper, in colours that colour-blind people tell apart."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from lookalike.errors import LookalikeError, install
from lookalike.inference.fonts import families_for, spelt
from lookalike.palette import INK, LINE, PAPER, SERIES, VARIABLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = tuple(colour.light for colour in SERIES)  # lines differ in dashes and markers, too
DASHES = ("-", "--", "-.", ":")
MARKERS = "osD^vPX"
_ON_PAGE = {colour.light: name for name, colour in reversed(VARIABLES.items())}


@contextmanager
def plotting(names: str = "") -> Iterator[None]:
    """Figures made inside need no screen, have no paper of their own and have the same bytes each time.

    Args:
        names: What figures will write that may be of any script; the fonts of this machine that have it are used.

    Raises:
        LookalikeError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise LookalikeError(f"pictures need matplotlib ({error}): {install('report')}") from error
    ink = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    paper = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
    # Names are text, whatever signs they hold; the browser has the letters that this machine's fonts lack.
    text = {"svg.fonttype": "none", "svg.hashsalt": "lookalike", "font.size": 11, "text.parse_math": False}
    look: Any = {**text, **dict.fromkeys(ink, INK.light), **dict.fromkeys(paper, "none"), "grid.color": LINE.light}
    if files := families_for(names):
        from matplotlib import font_manager

        for file in files:
            font_manager.fontManager.addfont(file)
        families = [font_manager.FontProperties(fname=file).get_name() for file in files]
        look["font.family"] = [*matplotlib.rcParams["font.family"], *families]
    with matplotlib.rc_context(look), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        yield


def figure(width: float, height: float) -> "tuple[Figure, Axes]":
    """A figure of so many inches, and its axes."""
    made, [axes] = side_by_side(width, height, 1)
    return made, axes


def side_by_side(width: float, height: float, columns: int) -> "tuple[Figure, list[Axes]]":
    """A figure of so many inches, and its axes from left to right."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    return made, [made.add_subplot(1, columns, place + 1) for place in range(columns)]


def plain(axes: "Axes", grid: Literal["both", "x", "y"] = "both") -> None:
    """Axes without a box, with a quiet grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid)
    axes.set_axisbelow(True)


def whole_numbers(axes: "Axes") -> None:
    """Ticks of the horizontal axis at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def logarithmic(axes: "Axes") -> None:
    """A logarithmic horizontal axis whose ticks are plain numbers: formulas are not read as such here."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def png(made: "Figure") -> bytes:
    """A figure on light paper as a file; letters that no font of this machine has are spelt out in it."""
    from matplotlib.text import Text

    for text in made.findobj(Text):
        text.set_text("\n".join(map(spelt, text.get_text().split("\n"))))
    data = io.BytesIO()
    made.savefig(data, dpi=120, format="png", facecolor=PAPER.light)
    return data.getvalue()


def svg(made: "Figure") -> str:
    """A figure as an element of a page, in the colours of the page's paper."""
    text = io.StringIO()
    made.savefig(text, format="svg", metadata={"Date": None})
    picture = "<svg" + text.getvalue().partition("<svg")[2]
    picture = re.sub(r"<metadata>.*?</metadata>", "", picture, flags=re.DOTALL)
    return re.sub(r"<[^<>]+>", lambda tag: _on_page(tag[0]), picture)


def svg_file(made: "Figure") -> bytes:
    """A figure as a file of its own, in the colours of light paper and with paper behind it."""
    data = io.BytesIO()
    made.savefig(data, format="svg", metadata={"Date": None}, facecolor=PAPER.light)
    return data.getvalue()


def _on_page(tag: str) -> str:
    """A tag whose colours are the page's; the numbers that matplotlib gives groups would be twice on a page."""
    if tag.startswith("<g id="):
        return re.sub(r' id="[^"]*"', "", tag, count=1)
    if tag.startswith("<!"):
        return ""  # a comment
    return re.sub(r"#[0-9a-f]{6}\b", lambda colour: _variable(colour[0]), tag)


def _variable(colour: str) -> str:
    if colour == INK.light:
        return "currentColor"
    return f"var(--{_ON_PAGE[colour]}, {colour})" if colour in _ON_PAGE else colour
