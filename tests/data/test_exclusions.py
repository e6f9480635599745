"""The list of images that a data set leaves out."""

from pathlib import Path
from unicodedata import normalize

import pandas as pd
import pytest

from image_folders import pictures
from lookalike.data.exclusions import add_exclusions, find_exclusions, read_exclusions, without
from lookalike.data.reading import read_data
from lookalike.data.tables import ManifestError


def test_lines_that_a_person_wrote_stay(tmp_path: Path) -> None:
    file = tmp_path / "exclude.csv"
    file.write_text("reason,path,who\nblurred,a.jpg,me\n")
    assert add_exclusions(file, {"a.jpg": "other", "b,c.jpg": 'a "quoted" reason'}) == 1
    table = pd.read_csv(file, keep_default_na=False)
    assert table.to_dict("list") == {
        "reason": ["blurred", 'a "quoted" reason'],
        "path": ["a.jpg", "b,c.jpg"],
        "who": ["me", ""],
    }


def test_what_is_left_out_moves_no_other_image_between_splits(digits: Path, tmp_path: Path) -> None:
    def split_of(exclude: Path | None) -> dict[str, str]:
        table = read_data(str(digits / "train"), validation_share=0.3, seed=0, exclude=exclude).table
        return dict(zip(table["path"], table["split"], strict=True))

    before = split_of(None)
    gone = [path for path, split in before.items() if split == "train"][:4]
    list_file = tmp_path / "list.csv"
    add_exclusions(list_file, dict.fromkeys(gone, "why"))
    after = split_of(list_file)
    assert after == {path: split for path, split in before.items() if path not in gone}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "path,reason\na.jpg,dark, blurred\n",
            "line 2 has 3 cells, expected 2 (path, reason): put a text with a comma",
        ),
        ("path,reason\na.jpg\n", "line 2 has 1 cells, expected 2"),
        ("", "expected the columns path and reason, found nothing"),
    ],
)
def test_a_list_that_cannot_be_understood_is_refused_and_stays(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "exclude.csv"
    file.write_text(text)
    with pytest.raises(ManifestError) as error:
        add_exclusions(file, {"b.jpg": "why"})
    assert message in str(error.value)
    assert file.read_text() == text


def test_a_list_is_made_where_there_is_none_and_read_back(tmp_path: Path) -> None:
    file = tmp_path / "new" / "exclude.csv"
    reasons = {'a "b".jpg': "dark, blurred", "two\nlines.jpg": "odd", "a\rreturn.jpg": "b\rad", "latin\udcf1.jpg": ""}
    assert read_exclusions(file) == {}
    assert add_exclusions(file, reasons) == 4
    assert read_exclusions(file) == reasons
    before = file.read_bytes()
    assert add_exclusions(file, {"two\nlines.jpg": "another reason"}) == 0
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir() if not path.name.startswith(".")] == ["exclude.csv"]


def test_a_list_that_is_named_must_be_there(tmp_path: Path) -> None:
    assert find_exclusions(None, tmp_path) == ({}, "exclude.csv")
    with pytest.raises(ManifestError, match=r"mine\.csv: no such file: give data\.exclude=<a CSV with path,reason>"):
        find_exclusions(tmp_path / "mine.csv", tmp_path)
    add_exclusions(tmp_path / "exclude.csv", {"a.jpg": "why"})
    add_exclusions(tmp_path / "mine.csv", {"b.jpg": "why not"})
    assert find_exclusions(None, tmp_path) == ({"a.jpg": "why"}, "exclude.csv")
    assert find_exclusions(tmp_path / "mine.csv", tmp_path) == ({"b.jpg": "why not"}, "mine.csv")


def test_copies_of_what_is_left_out_go_with_it() -> None:
    table = pd.DataFrame({"path": ["a.jpg", "b.jpg", "a1.jpg", "b1.jpg"], "source": ["", "", "a.jpg", "b.jpg"]})
    rest, notes = without(table, {"a.jpg": "why", "gone.jpg": "why"}, "mine.csv")
    assert rest["path"].tolist() == ["b.jpg", "b1.jpg"]
    assert notes == [
        "1 images and 1 copies of them left out by mine.csv",
        "1 lines of mine.csv name no image here (first: gone.jpg)",
    ]
    rest, notes = without(table[["path"]], {"b.jpg": "why"}, "mine.csv")
    assert rest["path"].tolist() == ["a.jpg", "a1.jpg", "b1.jpg"], "a table without copies"
    assert notes == ["1 images left out by mine.csv"]
    assert without(table, {}, "mine.csv")[1] == []


ACCENTED = "train/Jalape\u00f1o/1.png"


@pytest.mark.parametrize(
    "content",
    [
        f"path,reason\n{ACCENTED},zu dunkel\n".encode("latin-1"),
        f"path;reason\r\n{ACCENTED};zu dunkel\r\n;\r\n".encode("cp1252"),
        f"sep=;\npath;reason\n{ACCENTED};zu dunkel\n".encode("utf-8-sig"),
        f"path\treason\r\n{ACCENTED}\tzu dunkel\r\n".encode("utf-16"),
        f"path,reason\n{normalize('NFD', ACCENTED)},zu dunkel\n".encode(),
        f"path,reason\n{ACCENTED.replace('/', chr(92))},zu dunkel\n".encode(),
        f"path,reason\n{ACCENTED} ,zu dunkel\n".encode(),
    ],
    ids=["Latin-1", "Excel", "sep=", "UTF-16", "decomposed", "backslashes", "blanks"],
)
def test_a_list_of_windows_or_excel_leaves_out_what_it_names(tmp_path: Path, content: bytes) -> None:
    root = pictures(tmp_path / "data", ACCENTED, "train/Kiwi/1.png", "train/Jalape\u00f1o/2.png")
    (root / "exclude.csv").write_bytes(content)
    manifest = read_data(str(root))
    assert manifest.table["path"].tolist() == ["train/Jalape\u00f1o/2.png", "train/Kiwi/1.png"]
    assert dict(manifest.left_out) == {ACCENTED: "zu dunkel"}
    assert add_exclusions(root / "exclude.csv", {"train/Kiwi/1.png": "sch\u00f6n"}) == 1
    assert read_data(str(root)).table["path"].tolist() == ["train/Jalape\u00f1o/2.png"]


def test_a_name_that_no_image_has_does_not_stop_the_data_set(tmp_path: Path) -> None:
    root = pictures(tmp_path, "train/Kiwi/1.png")
    (root / "exclude.csv").write_bytes(b"path,reason\n\x81\xff.png,\xfcber\n")
    manifest = read_data(str(root))
    assert len(manifest.table) == 1
    assert manifest.notes[-1].startswith("1 lines of exclude.csv name no image here")
    (root / "exclude.csv").write_bytes(b"path,reason\n\x00.png,x\n")
    with pytest.raises(ManifestError, match=r"exclude\.csv: cannot be read as a table \(a NUL byte in line 2"):
        read_data(str(root))
