"""Figures on pages: text stays text, colours are those of the paper, bytes are the same each time."""

import re
import sys
from collections.abc import Iterator

import pytest

from lookalike.errors import LookalikeError
from lookalike.palette import INK, PAPER, VARIABLES
from lookalike.reports import plots
from lookalike.reports.plots import COLOURS, figure, logarithmic, plain, plotting, side_by_side, svg, whole_numbers


@pytest.fixture
def drawing() -> Iterator[None]:
    with plotting():
        yield


def texts(picture: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", picture)


def drawn() -> str:
    made, axes = figure(4, 3)
    for place, colour in enumerate(COLOURS):
        axes.plot([0, 1], [place, place], color=colour)
    axes.scatter([0.5], [0.5], color=PAPER.light, edgecolor=COLOURS[0])
    axes.stairs([1, 2], [0, 0.5, 1], fill=True, facecolor=COLOURS[1], hatch="///", edgecolor=COLOURS[1], alpha=0.2)
    axes.set_title("<i>#0072b2</i> & $x^2$ <!-- no --> 果物")
    plain(axes)
    return svg(made)


@pytest.mark.usefixtures("drawing")
def test_names_are_text_whatever_signs_they_hold() -> None:
    picture = drawn()
    assert "&lt;i&gt;#0072b2&lt;/i&gt; &amp; $x^2$ &lt;!-- no --&gt; 果物" in texts(picture)
    assert "<i>" not in picture
    assert "<!--" not in picture


@pytest.mark.usefixtures("drawing")
def test_every_colour_is_one_of_the_page() -> None:
    """So it changes with the paper; the colour for light paper stands beside its name for other readers."""
    picture = drawn()
    tags = "".join(re.findall(r"<[^<>]+>", picture))
    names = {name: colour.light for name, colour in VARIABLES.items()}
    for name, colour in re.findall(r"var\(--(\w+), (#\w+)\)", tags):
        assert names[name] == colour
    left = re.sub(r"var\(--\w+, #\w+\)|#[a-z]\w+", "", tags)  # names of shapes aside
    assert not re.search(r"#[0-9a-f]{6}|white|black", left)
    assert "fill: currentColor" in tags
    assert INK.light not in tags
    assert set(re.findall(r"stroke: var\(--(\w+),", tags)) >= {"blue", "orange", "green", "pink", "yellow", "sky"}


def test_a_notebook_keeps_its_own_way_of_drawing() -> None:
    import matplotlib

    before = matplotlib.get_backend()
    matplotlib.use("svg")
    try:
        settings = dict(matplotlib.rcParams)
        with plotting():
            drawn()
        assert matplotlib.get_backend() == "svg"
        assert dict(matplotlib.rcParams) == settings
    finally:
        matplotlib.use(before)


@pytest.mark.usefixtures("drawing")
def test_a_figure_has_no_paper_of_its_own() -> None:
    made, _ = figure(2, 2)
    backgrounds = re.findall(r'<path d="[^"]*z\s*" style="([^"]*)"', svg(made))
    assert len(backgrounds) >= 2
    assert set(backgrounds) == {"fill: none"}


def test_the_same_figure_has_the_same_bytes() -> None:
    pictures = []
    for _ in range(2):
        with plotting():
            pictures.append(drawn())
    assert pictures[0] == pictures[1]
    assert "<metadata" not in pictures[0]
    assert "<g id=" not in pictures[0], "several figures stand on one page"


@pytest.mark.usefixtures("drawing")
def test_axes_tell_plain_numbers() -> None:
    made, (left, right) = side_by_side(8, 3, 2)
    left.plot([1, 2, 3], [0.1, 0.2, 0.3])
    whole_numbers(left)
    right.scatter([0.0004, 0.03], [1, 2])
    logarithmic(right)
    numbers = texts(svg(made))
    assert {"0.001", "0.01"} <= set(numbers)
    assert not [number for number in numbers if "$" in number or number in ("1.5", "2.5")]


def test_settings_of_other_figures_are_left_alone() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    with plotting():
        assert mpl.rcParams["text.color"] == INK.light
    assert dict(mpl.rcParams) == before


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(LookalikeError, match=r"pictures need matplotlib \(.*\): pip install '[^']*\[report\]'"):
        plots.plotting().__enter__()
