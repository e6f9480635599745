"""The table that a person edits, the page beside it, and the way back."""

import csv
import io
import shutil
from pathlib import Path

import numpy as np
import pytest

from browser import needs_browser, opened, stands_alone
from lookalike.gallery.enrolment_table import read_enrolment
from lookalike.gallery.suggestions import COLUMNS, Group, Suggestions
from lookalike.inference.references import GalleryError
from lookalike.outputs import OutputError


@pytest.fixture
def made(digits: Path, tmp_path: Path) -> Suggestions:
    """Five digits in the folder `unknown`: a group of two, one of two, and one alone."""
    sources = sorted((digits / "test").rglob("*.png"))[:5]
    files = [tmp_path / "unknown" / name for name in ("a.png", "b.png", "c <b>&.png", "d.png", "e.png")]
    files[0].parent.mkdir()
    for source, file in zip(sources, files, strict=True):
        shutil.copyfile(source, file)
    groups = (Group("new 1", (2, 0), 2, "<i>Lemon</i>", 0.5), Group("new 2", (1, 3), 2, "Leek", 0.25))
    order, similarity = np.array([2, 1, 5, 4, 3]), np.array([0.5, 0.25, 0.123456, 0.2, -0.1], np.float32)
    nearest = ("<i>Lemon</i>", "Leek", "<i>Lemon</i>", "Leek", "Crème")
    return Suggestions(tuple(files), groups, (4,), order, nearest, similarity, 0.65)


def enrolled_by(table: Path) -> list[tuple[Path, str]]:
    """What is to be enrolled, and as what."""
    read = read_enrolment(table)
    assert (read.problems, read.columns) == ((), {}), "what suggest says of an image is no column of it"
    assert isinstance(read.labels, list)
    return list(zip(read.files, read.labels, strict=True))


def rows_in(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_bytes().decode("utf-8-sig"))))


def test_the_table_has_groups_then_what_is_alone(made: Suggestions, tmp_path: Path) -> None:
    table = made.write(tmp_path)
    assert table == tmp_path / "suggestions.csv"
    assert table.read_bytes().startswith(b"\xef\xbb\xbf"), "Excel reads UTF-8 by it"
    rows = rows_in(table)
    assert tuple(rows[0]) == COLUMNS
    assert [row["path"] for row in rows] == [f"unknown/{name}.png" for name in ("c <b>&", "a", "b", "d", "e")]
    assert [row["label"] for row in rows] == ["new 1", "new 1", "new 2", "new 2", ""]
    assert [row["group"] for row in rows] == ["1", "1", "2", "2", ""]
    assert [row["order"] for row in rows] == ["5", "2", "1", "4", "3"]
    assert rows[0]["similarity"] == "0.1235"
    assert rows[-1]["nearest_known"] == "Crème"


def test_what_was_written_reads_back(made: Suggestions, tmp_path: Path) -> None:
    files = made.files
    expected = [(files[2], "new 1"), (files[0], "new 1"), (files[1], "new 2"), (files[3], "new 2")]
    assert enrolled_by(made.write(tmp_path)) == expected
    assert enrolled_by(made.write(tmp_path / "elsewhere")) == expected, "whole paths"


def test_folder_and_table_may_move_together(made: Suggestions, tmp_path: Path) -> None:
    made.write(tmp_path / "unknown")
    (tmp_path / "unknown").rename(tmp_path / "moved")
    assert [path.name for path, _ in enrolled_by(tmp_path / "moved" / "suggestions.csv")][1] == "a.png"


def test_two_writings_are_the_same_and_an_edited_table_is_kept(made: Suggestions, tmp_path: Path) -> None:
    table, page = made.write(tmp_path), tmp_path / "suggestions.html"
    before = table.read_bytes(), page.read_bytes()
    made.write(tmp_path)
    assert (table.read_bytes(), page.read_bytes()) == before
    table.write_text("path,label\nunknown/a.png,Pear\n")
    made.write(tmp_path)
    assert table.read_bytes() == before[0]
    (kept,) = set(tmp_path.glob("suggestions*.csv*")) - {table}
    assert enrolled_by(kept) == [(made.files[0], "Pear")]


def test_names_that_are_no_unicode_are_told(made: Suggestions, tmp_path: Path) -> None:
    odd = Suggestions((Path("\udce9.png"),), (), (0,), np.array([1]), ("",), np.full(1, np.nan, np.float32), 0.5)
    with pytest.raises(GalleryError, match="the name of the image is no UTF-8, which a table needs"):
        odd.write(tmp_path)


def test_a_folder_that_is_a_file_is_told(made: Suggestions) -> None:
    with pytest.raises(OutputError, match="expected a folder to write, found a file"):
        made.write(made.files[0])


def test_the_page_shows_every_image_and_escapes_every_name(made: Suggestions, tmp_path: Path) -> None:
    made.write(tmp_path)
    page = (tmp_path / "suggestions.html").read_text()
    assert stands_alone(page)
    assert "<script" not in page
    assert "<i>" not in page
    assert "<b>&" not in page
    assert "c &lt;b&gt;&amp;.png" in page
    assert "near &lt;i&gt;Lemon&lt;/i&gt;, 0.12" in page
    assert page.count("data:image/jpeg") == 10, "once to be labelled, once in its group"
    assert "new 2" in page
    assert "Alone (1)" in page


def test_without_references_nothing_is_near(made: Suggestions, tmp_path: Path) -> None:
    bare = Suggestions(made.files, (), (0, 1, 2, 3, 4), made.order, ("",) * 5, np.full(5, np.nan, np.float32), 0.5)
    rows = rows_in(bare.write(tmp_path))
    assert {row["similarity"] + row["nearest_known"] for row in rows} == {""}
    page = (tmp_path / "suggestions.html").read_text()
    assert "near " not in page
    assert "nan" not in page


def test_it_tells_itself_in_a_line(made: Suggestions) -> None:
    text = "5 images: 4 in 2 groups, each probably of one new thing, 1 alone"
    assert str(made).startswith(text)
    assert repr(made).startswith(f"Suggestions({text}")
    assert made.to_dict()["items"][-1]["group"] is None
    assert len(made) == 5


@needs_browser
def test_a_browser_opens_the_page(made: Suggestions, tmp_path: Path) -> None:
    made.write(tmp_path / "page")
    assert "Label these first" in opened(tmp_path / "page" / "suggestions.html", tmp_path)
