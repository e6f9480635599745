"""Colours: readable on their paper, told apart, and nowhere else."""

import re
from pathlib import Path

import pytest

import lookalike
from browser import contrast
from lookalike.palette import INK, NEITHER, PAPER, RIGHT, SERIES, SOFT, VARIABLES, WRONG, Colour

SOURCE = Path(lookalike.__file__).parent


def test_every_colour_is_told_as_pages_and_plots_look_for_it() -> None:
    values = [value for colour in VARIABLES.values() for value in (colour.light, colour.dark)]
    assert all(re.fullmatch("#[0-9a-f]{6}", value) for value in values)


@pytest.mark.parametrize("paper", ["light", "dark"])
@pytest.mark.parametrize(("colour", "least"), [(INK, 12), (SOFT, 4.5), (RIGHT, 3), (WRONG, 3), (NEITHER, 3)])
def test_what_must_be_seen_stands_out(colour: Colour, least: float, paper: str) -> None:
    """As WCAG 2.1 asks of text (4.5) and of marks (3)."""
    assert contrast(getattr(colour, paper), getattr(PAPER, paper)) >= least


@pytest.mark.parametrize("paper", ["light", "dark"])
def test_no_two_of_a_series_are_one(paper: str) -> None:
    assert len({getattr(colour, paper) for colour in SERIES}) == len(SERIES)
    assert RIGHT != WRONG


@pytest.mark.parametrize("folder", ["templates", "reports", "inference", "export"])
def test_colours_stand_nowhere_else(folder: str) -> None:
    """Not in modules, not in style sheets, which use only names that there are."""
    for file in (SOURCE / folder).glob("*.*"):
        text = file.read_text(encoding="utf-8")
        assert not re.findall(r"(?i)#(?:[0-9a-f]{3}|[0-9a-f]{6})\b", text), file.name
        assert set(re.findall(r"var\(--([\w-]+)", text)) <= set(VARIABLES), file.name
