"""The colours of pages, plots and pictures, and what they mean: each for light paper and for dark.

The series are those of Okabe and Ito (2008), which colour-blind people tell apart; on dark paper they are lightened.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Colour:
    """A colour on both papers.

    Attributes:
        light: On light paper, `#rrggbb`; pictures and files that cannot ask for the paper use this one.
        dark: On dark paper.
    """

    light: str
    dark: str


PAPER = Colour("#ffffff", "#16171b")
CARD = Colour("#f6f7f9", "#202228")  # a surface on the paper
LINE = Colour("#d9dce1", "#3a3d45")
INK = Colour("#1b1b1f", "#ececf0")
SOFT = Colour("#55595f", "#a5a9b2")  # text that explains
BLANK = Colour("#dddddd", "#3c3c3c")  # where a picture is missing
BRIGHT = Colour("#fefefe", "#fefefe")  # text on a full colour, whatever the paper

BLUE = Colour("#0072b2", "#4ba6e3")
ORANGE = Colour("#d55e00", "#f0883e")
GREEN = Colour("#009e73", "#2cc196")
PINK = Colour("#cc79a7", "#e0a0c4")
YELLOW = Colour("#e69f00", "#f5c04a")
SKY = Colour("#56b4e9", "#a3d8f7")
SERIES = (BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, INK)

RIGHT = BLUE  # an answer or a neighbour of the query's own label
WRONG = ORANGE  # of another label; also what a person should look at
NEITHER = Colour("#888888", "#8d929b")  # the truth is not known, or was not asked

VARIABLES = {  # names as pages use them: --ink, --right
    **{"paper": PAPER, "card": CARD, "line": LINE, "ink": INK, "soft": SOFT, "blank": BLANK, "bright": BRIGHT},
    **{"blue": BLUE, "orange": ORANGE, "green": GREEN, "pink": PINK, "yellow": YELLOW, "sky": SKY},
    **{"right": RIGHT, "wrong": WRONG, "neither": NEITHER},
}
