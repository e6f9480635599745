"""What readers of lists share: text of any system, lines that say the same again, images that no list names."""

from pathlib import Path

import pandas as pd
import pytest

from image_folders import pictures
from lookalike.data.image_files import PassedOver
from lookalike.data.layouts.listed import (
    cells_of,
    folder_with,
    head_of,
    need_files,
    shown,
    taken_once,
    tell_labels_of_both,
    tell_unlisted,
)
from lookalike.data.layouts.lists import lines_of
from lookalike.data.tables import ManifestError

LISTED = [(1, "1 a b.jpg"), (3, "2 Käse.jpg")]


@pytest.mark.parametrize(
    "data",
    [
        "1 a b.jpg\n\n2 Käse.jpg\n".encode(),
        "\ufeff1 a b.jpg\r\n \r\n2 Käse.jpg".encode(),
        "\ufeff1 a b.jpg\r\n\r\n2 Käse.jpg\r\n".encode("utf-16-le"),
    ],
    ids=["plain", "mark and CRLF", "UTF-16"],
)
def test_lists_are_read_as_any_system_writes_them(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "list.txt").write_bytes(data)
    assert lines_of(tmp_path / "list.txt") == LISTED
    assert [line for line in head_of(tmp_path / "list.txt") if line] == [line for _, line in LISTED]


def test_what_is_no_list_is_refused_and_recognised_as_none(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes("\ufeffa".encode("utf-16-le") + b"x")
    with pytest.raises(ManifestError, match=r"list\.txt: .*truncated data.*: expected a list of images; restore it"):
        lines_of(tmp_path / "list.txt")
    assert head_of(tmp_path / "list.txt") == head_of(tmp_path / "none.txt") == head_of(tmp_path) == []


def test_the_head_of_a_large_file_ends_with_a_whole_line(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("ä12345678\n" * 20_000, "utf-8")
    assert {*head_of(tmp_path / "list.txt")} == {"ä12345678"}


def test_lines_of_other_shapes_are_problems() -> None:
    problems: list[str] = []
    assert cells_of([*LISTED, (4, "7")], 2, "list.txt: 1 a.jpg", problems) == [["1", "a b.jpg"], ["2", "Käse.jpg"]]
    assert problems == ["list.txt, line 4: expected 1 a.jpg, found '7'"]
    assert cells_of([(1, "a b.jpg train")], 2, "list.txt: a.jpg train", problems, last_has_blanks=False) == [
        ["a b.jpg", "train"]
    ]


def table(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["path", "label", "split"])


def test_lines_that_say_the_same_again_are_taken_once_and_others_are_problems() -> None:
    notes: list[str] = []
    problems: list[str] = []
    rows = table(("a.jpg", "x", "train"), ("b.jpg", "x", "train"), ("a.jpg", "x", "train"), ("b.jpg", "y", "test"))
    once = taken_once(rows, notes, problems)
    assert once["path"].tolist() == ["a.jpg", "b.jpg", "b.jpg"]
    assert notes == ["1 line(s) say again what another one says and are taken once: a.jpg"]
    assert problems == ["b.jpg: listed 2 times, with label 'x' and 'y', split 'train' and 'test': keep the right line"]


def test_one_box_may_hold_things_of_two_labels() -> None:
    problems: list[str] = []
    rows = table(("a.jpg", "x", "train"), ("a.jpg", "y", "train"), ("a.jpg", "x", "test"))
    boxed = rows.assign(x1=[0.0, 0.0, 5.0], y1=0.0, x2=9.0, y2=9.0)
    assert len(taken_once(boxed, [], problems)) == 3
    assert problems == []
    taken_once(boxed.assign(x1=0.0), [], problems)
    assert problems == ["a.jpg: listed 2 times, with split 'train' and 'test': keep the right line"]


def test_labels_of_both_sides_are_told() -> None:
    notes: list[str] = []
    tell_labels_of_both(table(("a.jpg", "x", "train"), ("b.jpg", "y", "test")), notes)
    assert notes == []
    tell_labels_of_both(table(("a.jpg", "x", "train"), ("b.jpg", "x", "test")), notes)
    assert notes[0].startswith("1 labels are in train and in test, where its papers have none (such as x)")


def test_images_that_no_list_names_are_counted_and_the_first_twenty_shown(tmp_path: Path) -> None:
    pictures(tmp_path, "jpg/listed.jpg", *(f"jpg/{number:02d}.jpg" for number in range(25)))
    for name in ("Thumbs.db", "own.json"):
        (tmp_path / "jpg" / name).write_bytes(b"x")
    passed, notes = PassedOver(), list[str]()
    tell_unlisted(tmp_path, ["jpg"], ["jpg/./listed.jpg"], passed, notes, own=("own.json",))
    assert notes[0].startswith("25 image(s) that no list names are passed over: jpg/00.jpg, ")
    assert notes[0].endswith("jpg/19.jpg and 5 more")
    assert passed.others == {".db": 1}


def test_the_folder_of_images_is_the_one_that_holds_them(tmp_path: Path) -> None:
    pictures(tmp_path, "b/inner/1.jpg", "c/1.jpg")
    (tmp_path / "a").mkdir()
    assert folder_with(tmp_path, ("none", "a", "b/inner", "c"), ["1.jpg"]) == "b/inner"
    assert folder_with(tmp_path, ("none", "a", "b"), ["1.jpg"]) == "a"
    assert folder_with(tmp_path, ("none",), ["1.jpg"]) == ""


def test_missing_lists_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(ManifestError, match=r"Birds without b\.txt, c\.txt, so nobody knows who asks: copy it there"):
        need_files(tmp_path, ["a.txt", "b.txt", "c.txt"], "Birds", "who asks")


def test_names_beyond_those_shown_are_counted() -> None:
    assert shown("abc") == "a, b, c"
    assert shown("abc", 1) == "a and 2 more"
