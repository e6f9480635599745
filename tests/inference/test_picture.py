from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops

from lookalike.inference.picture import Cell, draw_rows

DARK = (10, 60, 20)
WHITE = (255, 255, 255)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("photos") / "dark é.png"
    Image.new("RGB", (300, 200), DARK).save(file)
    return file


def dark_columns(sheet: Image.Image) -> list[tuple[int, int]]:
    """First and last column of every stretch that shows the photograph."""
    shown = (np.asarray(sheet) == DARK).all(2).any(0)
    edges = np.flatnonzero(np.diff(np.r_[False, shown, False].astype(int)))
    return list(zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True))


@pytest.mark.parametrize("columns", range(1, 13))
def test_one_picture_per_cell_at_even_distances(photo: Path, columns: int) -> None:
    sheet = draw_rows([[Cell(photo, "title", "note")] * columns])
    single, double = draw_rows([[Cell(photo, "", "")]]), draw_rows([[Cell(photo, "", "")] * 2])
    step = double.width - single.width
    assert sheet.mode == "RGB"
    assert sheet.size == (single.width + (columns - 1) * step, single.height)
    spans = dark_columns(sheet)
    assert len(spans) == columns
    assert len({last - first for first, last in spans}) == 1
    starts = [first for first, _ in spans]
    assert len(set(np.diff(starts[1:]))) <= 1
    assert columns < 3 or starts[1] - starts[0] > starts[2] - starts[1], "the query stands apart"
    assert spans[-1][1] < sheet.width


def test_rows_of_different_length_are_stacked(photo: Path) -> None:
    cell = Cell(photo, "title", "note")
    heights = [draw_rows([[cell]] * rows).height for rows in (1, 2, 3)]
    assert heights[2] - heights[1] == heights[1] - heights[0] > 0
    assert draw_rows([[cell], [cell] * 4, [cell] * 2]).size == (draw_rows([[cell] * 4]).width, heights[2])


@pytest.mark.parametrize(
    "name", ["Crème brûlée à l'orange " * 9, "Ελληνικά 日本語 العربية", "W" * 400, "two\nlines\r\n\tand more", "…", ""]
)
def test_any_name_stays_inside_its_own_cell(photo: Path, name: str) -> None:
    plain, other = Cell(photo, "", ""), Cell(photo, "other", "cell")
    named = draw_rows([[other, Cell(photo, name, name), other], [other] * 3])
    changed = ImageChops.difference(named, draw_rows([[other, plain, other], [other] * 3])).getbbox()
    assert (changed is None) == (not name)
    if changed:
        left, right = dark_columns(named)[1]
        assert changed[0] >= left - 3
        assert changed[2] <= right + 4
        assert changed[3] <= named.height // 2 + 10, "the row below is untouched"


def test_long_names_are_cut_and_short_ones_are_not(photo: Path) -> None:
    assert draw_rows([[Cell(photo, "Granny Smith", "")]]) != draw_rows([[Cell(photo, "Granny Smitt", "")]])
    long = [draw_rows([[Cell(photo, "Granny Smith " * 5 + end, "")]]) for end in ("a", "b")]
    assert ImageChops.difference(*long).getbbox() is None


@pytest.mark.parametrize("content", [None, b"", b"no image at all"])
def test_an_unreadable_image_leaves_a_grey_field(photo: Path, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "missing.jpg"
    if content is not None:
        file.write_bytes(content)
    sheet = draw_rows([[Cell(photo, "t", "n"), Cell(file, "t", "n"), Cell(photo, "t", "n")]])
    whole = draw_rows([[Cell(photo, "t", "n")] * 3])
    assert sheet.size == whole.size
    left, top, right, bottom = ImageChops.difference(sheet, whole).getbbox()
    cells = dark_columns(whole)
    assert cells[0][1] < left <= cells[1][0]
    assert cells[1][1] < right <= cells[2][0], "the neighbours are drawn as ever"
    field = np.asarray(sheet)[top:bottom, left:right].reshape(-1, 3)
    values, counts = np.unique(field, axis=0, return_counts=True)
    grey = values[counts.argmax()]
    assert len(set(grey.tolist())) == 1
    assert 100 < grey[0] < 250
    assert counts.max() < len(field), "a text says why"


def mark(photo: Path, right: bool | None) -> np.ndarray:
    """Where the sheet is white inside the photograph."""
    sheet = draw_rows([[Cell(photo, "", "", right)]])
    area = np.asarray(sheet)
    dark = (area == DARK).all(2)
    rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
    inside = area[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    white = (inside == WHITE).all(2)
    if not white.any():
        return white
    high, wide = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
    return white[high[0] : high[-1] + 1, wide[0] : wide[-1] + 1]


def test_right_wrong_and_unknown_differ_in_colour_and_in_shape(photo: Path) -> None:
    sheets = [np.asarray(draw_rows([[Cell(photo, "t", "n", right)]])) for right in (True, False, None)]
    frames = [tuple(sheet[60, np.flatnonzero((sheet[60] != WHITE).any(1))[0]]) for sheet in sheets]
    assert len(set(frames)) == 3
    red, _, blue = (int(value) for value in frames[0])
    assert blue > red, "right is blue, which the colour-blind tell from orange"
    red, _, blue = (int(value) for value in frames[1])
    assert red > blue
    tick, cross, nothing = mark(photo, True), mark(photo, False), mark(photo, None)
    assert not nothing.any(), "no mark where the truth is not known"
    assert tick.any()
    assert (cross == cross[:, ::-1]).mean() > 0.9, "a cross is its own mirror image"
    assert (tick == tick[:, ::-1]).mean() < 0.9, "a tick is not"


def test_the_same_rows_give_the_same_picture(photo: Path) -> None:
    rows = [[Cell(photo, "a", "b", True), Cell(photo, "c", "d", False)]]
    assert draw_rows(rows).tobytes() == draw_rows(rows).tobytes()


def test_a_field_of_a_file_that_is_gone_says_what_to_do(photo: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"no image")
    drawn = {
        (file, missing): draw_rows([[Cell(file, "t", "n", missing=missing)]]).tobytes()
        for file in (damaged, tmp_path / "gone.png", photo)
        for missing in ("", "moved?")
    }
    assert drawn[tmp_path / "gone.png", ""] != drawn[tmp_path / "gone.png", "moved?"]
    assert drawn[damaged, ""] == drawn[damaged, "moved?"] != drawn[tmp_path / "gone.png", ""]
    assert drawn[photo, ""] == drawn[photo, "moved?"]
