"""Queries and their neighbours as one picture, readable without colour: a tick or a cross beside blue or orange."""

import os
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from lookalike.data.any_image import AnyImage, read_any
from lookalike.data.images import MIN_SIDE, ImageError
from lookalike.data.pixels import PixelSettings, resize
from lookalike.data.thumbnail import picture
from lookalike.inference.fonts import first_font, runs, width
from lookalike.pages import Picture
from lookalike.palette import BLANK, INK, NEITHER, PAPER, RIGHT, SOFT, WRONG

_CELL, _GAP, _TEXT = 148, 10, 40
_AROUND = 2.0  # times the longer side of a box that is shown around it


@dataclass(frozen=True)
class Cell:
    """One image with two lines of text.

    Attributes:
        image: The image; a grey field that says so is drawn when it cannot be read.
        title: First line.
        note: Second line.
        right: True draws a blue frame and a tick, False an orange frame and a cross, None a grey frame.
        box: x1, y1, x2, y2 in pixels of the upright image: only this part of a file is drawn.
        number: Of the box among those of its file: then the box is drawn in its surroundings, with the number.
        missing: What a grey field says below "not there" when the file is gone.
    """

    image: AnyImage
    title: str
    note: str
    right: bool | None = None
    box: tuple[float, ...] | None = None
    missing: str = ""
    number: int | None = None

    def shown(self) -> Picture:
        """The same for a page."""
        return picture(self.image, self.title, (self.note,), self.right, self.box)


def draw_rows(rows: list[list[Cell]]) -> Image.Image:
    """Draws one row per query: the query first, set apart, then its neighbours."""
    columns = max(len(row) for row in rows)
    width = _GAP * 4 + columns * (_CELL + _GAP)
    height = _GAP + len(rows) * (_CELL + _TEXT + _GAP)
    sheet = Image.new("RGB", (width, height), PAPER.light)
    for line, row in enumerate(rows):
        top = _GAP + line * (_CELL + _TEXT + _GAP)
        for column, cell in enumerate(row):
            left = _GAP + column * (_CELL + _GAP) + (0 if column == 0 else 2 * _GAP)
            _draw_cell(sheet, cell, left, top)
        rule = _GAP + _CELL + int(1.5 * _GAP)
        ImageDraw.Draw(sheet).line([(rule, top), (rule, top + _CELL + _TEXT - 6)], fill=NEITHER.light, width=1)
    return sheet


def _draw_cell(sheet: Image.Image, cell: Cell, left: int, top: int) -> None:
    draw = ImageDraw.Draw(sheet)
    try:
        sheet.paste(_shown(cell), (left, top))
    except ImageError:
        draw.rectangle([left, top, left + _CELL - 1, top + _CELL - 1], fill=BLANK.light)
        gone = isinstance(cell.image, Path) and not os.path.lexists(cell.image)
        for line, text in enumerate(["not there", cell.missing] if gone else ["cannot be read"]):
            write_line(draw, left + 6, top + _CELL // 2 - 12 + 18 * line, text, 12, INK.light)
    color = {True: RIGHT, False: WRONG, None: NEITHER}[cell.right].light
    draw.rectangle([left, top, left + _CELL - 1, top + _CELL - 1], outline=color, width=2 if cell.right is None else 5)
    if cell.right is not None:
        _draw_mark(draw, left, top, cell.right, color)
    write_line(draw, left, top + _CELL + 4, cell.title, 14, INK.light)
    write_line(draw, left, top + _CELL + 22, cell.note, 12, SOFT.light)


def _shown(cell: Cell) -> Image.Image:
    """The picture of a cell; a box that has a number in what surrounds it."""
    if cell.number is None or cell.box is None:
        picture = Image.fromarray(read_any(cell.image, PixelSettings(_CELL, _CELL, "crop"), cell.box))
    else:
        picture = _in_surroundings(cell.image, cell.box)
    if cell.number is not None:
        draw, text = ImageDraw.Draw(picture), str(cell.number)
        draw.rectangle([5, 5, 17 + round(width(text, 15)), 27], fill=INK.light)
        write_line(draw, 11, 7, text, 15, PAPER.light)
    return picture


def _in_surroundings(image: AnyImage, box: tuple[float, ...]) -> Image.Image:
    """A square of a photograph about twice as large as the box, which is drawn: its place in it is seen."""
    pixels = read_any(image, None)
    high, wide = pixels.shape[:2]
    left, top, right, bottom = box
    side = min(max(_AROUND * max(right - left, bottom - top), MIN_SIDE), max(high, wide))
    x = min(max((left + right - side) / 2, 0), max(wide - side, 0))
    y = min(max((top + bottom - side) / 2, 0), max(high - side, 0))
    part = pixels[round(y) : round(y + side), round(x) : round(x + side)]
    scale = _CELL / max(part.shape[:2])
    margin = [(_CELL - length * scale) / 2 for length in part.shape[:2]]
    picture = Image.fromarray(resize(part, PixelSettings(_CELL, _CELL, "pad", border=255)))
    corners = [(left - x) * scale + margin[1], (top - y) * scale + margin[0]]
    corners += [(right - x) * scale + margin[1] - 1, (bottom - y) * scale + margin[0] - 1]
    draw = ImageDraw.Draw(picture)
    draw.rectangle([round(corner) for corner in corners], outline=PAPER.light, width=4)
    draw.rectangle([round(corner) for corner in corners], outline=INK.light, width=2)
    return picture


def _draw_mark(draw: ImageDraw.ImageDraw, left: int, top: int, right: bool, color: str) -> None:
    """A tick or a cross in the upper corner."""
    x, y = left + _CELL - 27, top + 5
    draw.rectangle([x, y, x + 22, y + 22], fill=color)
    strokes = [[(5, 12), (9, 16), (17, 6)]] if right else [[(6, 6), (16, 16)], [(16, 6), (6, 16)]]
    for stroke in strokes:
        draw.line([(x + dx, y + dy) for dx, dy in stroke], fill=PAPER.light, width=3)


def write_line(
    draw: ImageDraw.ImageDraw, left: float, top: int, text: str, size: int, color: str, most: int = _CELL
) -> None:
    """Draws one line of text, shortened to a width, each letter in a font that has it.

    Args:
        draw: On what.
        left: Where it begins, in pixels.
        top: Where its first line of pixels is.
        text: Blanks in it are one.
        size: Of the letters, in pixels.
        color: `#rrggbb`.
        most: Its width, in pixels.
    """
    baseline = top + first_font(size).getmetrics()[0]
    for piece, font in runs(_fit(text, size, most), size):
        draw.text((left, baseline), piece, fill=color, font=font, anchor="ls")
        left += font.getlength(piece)


def _fit(text: str, size: int, most: int) -> str:
    text = " ".join(text.split())
    if width(text, size) <= most:
        return text
    keep = bisect_left(range(len(text)), True, key=lambda length: width(text[: length + 1] + "…", size) > most)
    return text[:keep] + "…"
