"""Lists of images: what they and the folders do not have in common is told."""

from pathlib import Path

import pytest

from lookalike.data.layouts.lists import compared, json_list, lines_of, names_by_number, names_in, unlisted
from lookalike.data.tables import ManifestError
from made_layouts import lines
from market_layout import layout


def test_lines_are_numbered_and_blank_ones_left_out(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(b"\xef\xbb\xbfa.jpg \r\n\r\n\tb\xff.jpg\r\n")
    assert lines_of(file) == [(1, "a.jpg"), (3, "b\udcff.jpg")]
    with pytest.raises(ManifestError, match=r"no\.txt: No such file.*expected a list of images; restore it"):
        lines_of(tmp_path / "no.txt")


def test_numbers_have_names_that_tables_can_hold(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"1 yellow\n2\n3 dark\tblue \n4 \xff\n")
    assert names_by_number(tmp_path / "list.txt") == {"1": "yellow", "3": "dark\tblue", "4": r"\udcff"}


def test_a_list_and_its_folder_are_compared(tmp_path: Path) -> None:
    layout(tmp_path, "image/a.jpg", "image/b.jpg", "image/c.jpg", "image/Thumbs.db", "image/deeper/d.jpg")
    lines(tmp_path / "list.txt", "a.jpg", "x.jpg", "x.jpg", "y.jpg")
    notes, problems = compared(tmp_path / "list.txt", "image", names_in(tmp_path, "image"))
    assert notes == ["2 image(s) of image/ are not in list.txt, but read: b.jpg, c.jpg"]
    assert problems == [
        f"image/{name}.jpg: not there, but list.txt lists it: restore the image or correct the list" for name in "xy"
    ]
    assert names_in(tmp_path, "nothing") == set()


def test_images_in_no_list_are_counted(tmp_path: Path) -> None:
    layout(tmp_path, "image/a.jpg", "image/deeper/b.jpg", "image/c.jpg", "image/readme.txt")
    assert unlisted(tmp_path, ["image", "no"], {"image/a.jpg"}) == [
        "2 image(s) in no list passed over: image/c.jpg, image/deeper/b.jpg"
    ]
    assert unlisted(tmp_path, ["image"], {"image/a.jpg", "image/c.jpg", "image/deeper/b.jpg"}) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[" * 100_000, "lists in lists, nested too deeply"),
        ('[{"a":' * 100_000, "lists in lists, nested too deeply"),
        ("{}", "expected a list, found dict"),
        ("", "Expecting value"),
    ],
)
def test_what_is_no_list_in_json_is_a_value_error(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=expected):
        json_list(tmp_path / "a.json")


def test_lists_in_json_are_read_unless_they_are_too_large(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b'\xef\xbb\xbf[{"train": ["\xc3\xa9"]}]')
    assert json_list(file) == [{"train": ["\u00e9"]}]
    with file.open("r+b") as handle:
        handle.truncate((1 << 26) + 1)
    with pytest.raises(ValueError, match="67108865 bytes, expected at most 67108864"):
        json_list(file)
