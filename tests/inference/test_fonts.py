"""A letter is drawn in a font that has it, or is spelt out and said once; never as an empty box."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from lookalike.inference.fonts import first_font, runs, spelt, width

CAT, NOWHERE = "猫", "\U0001bc00"  # the second is Duployan shorthand, which no font here has

DRAW = """
import sys
from pathlib import Path
from PIL import Image
from lookalike.inference.picture import Cell, draw_rows

photo = Path(sys.argv[1])
Image.new("RGB", (40, 40)).save(photo)
draw_rows([[Cell(photo, name, "") for name in sys.argv[3:]]]).save(sys.argv[2])
"""


def font_with(letter: str, file: Path) -> Path:
    """A font that draws a letter as a full square, and nothing else."""
    pen = TTGlyphPen(None)
    for step, point in enumerate([(0, 0), (0, 900), (900, 900), (900, 0)]):
        (pen.lineTo if step else pen.moveTo)(point)
    pen.closePath()
    empty, square = TTGlyphPen(None).glyph(), pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "letter"])
    builder.setupCharacterMap({ord(letter): "letter"})
    builder.setupGlyf({".notdef": empty, "letter": square})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "letter": (1000, 0)})
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    file.parent.mkdir(parents=True, exist_ok=True)
    builder.save(file)
    return file


def drawn(tmp_path: Path, *names: str, **variables: str) -> tuple[np.ndarray, str]:
    """The picture of a process of its own, as fonts are looked for once, and what it said."""
    done = subprocess.run(
        [sys.executable, "-c", DRAW, str(tmp_path / "photo.png"), str(tmp_path / "sheet.png"), *names],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        check=True,
    )
    from PIL import Image

    return np.asarray(Image.open(tmp_path / "sheet.png").convert("L")), done.stderr


@pytest.mark.parametrize("fontconfig", [True, False])
def test_a_letter_is_drawn_in_an_installed_font_that_has_it(tmp_path: Path, fontconfig: bool) -> None:
    font_with(CAT, tmp_path / "data" / "fonts" / "NotoSansSC-Regular.otf")
    variables = {"XDG_DATA_HOME": str(tmp_path / "data"), "HOME": str(tmp_path)}
    if not fontconfig:
        (tmp_path / "nothing").mkdir()
        variables["PATH"] = str(tmp_path / "nothing")
    picture, said = drawn(tmp_path, f"a{CAT}b", **variables)
    assert said == ""
    title = picture[158:176]
    assert ((title < 60).sum(1) >= 12).sum() >= 12, "the square of 14 pixels, in black"


def test_letters_of_no_font_are_spelt_out_and_said_once(tmp_path: Path) -> None:
    picture, said = drawn(tmp_path, f"a{NOWHERE}", f"{NOWHERE}b")
    plain, nothing = drawn(tmp_path, r"a\U0001bc00", r"\U0001bc00b")
    assert np.array_equal(picture, plain)
    assert not nothing
    assert f"no font of this machine has {NOWHERE}: such letters are spelt out as" in " ".join(said.split())
    assert r"\U0001bc00; install a font" in " ".join(said.split())
    assert said.count("pictures:") == 1


@pytest.mark.parametrize("text", ["Granny Smith", "Crème brûlée", "e\u0301", "1 % [x]", ""])
def test_one_font_is_enough_where_it_has_all_letters(text: str) -> None:
    pieces = runs(text, 14)
    assert [piece for piece, _ in pieces] == ([text] if text else [])
    assert all(font is first_font(14) for _, font in pieces)
    assert width(text, 14) == first_font(14).getlength(text)
    assert spelt(text) == text
