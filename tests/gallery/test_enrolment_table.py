"""Tables of images to enrol, as programs and people write them."""

from pathlib import Path

import pytest

from image_folders import files_of
from lookalike.gallery.enrolment_table import read_enrolment
from lookalike.inference.queries import PredictError
from lookalike.inference.references import GalleryError


@pytest.fixture
def images(digits: Path, tmp_path: Path) -> Path:
    """`photos/a.png` to `photos/c.png`; tables lie beside the folder."""
    (tmp_path / "photos").mkdir()
    for file, name in zip(files_of(digits, "test/*/*.png"), "abc", strict=False):
        (tmp_path / "photos" / f"{name}.png").write_bytes(file.read_bytes())
    return tmp_path


def written(folder: Path, *lines: str) -> Path:
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    return folder / "t.csv"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [";", ",", "\t"])
def test_tables_as_excel_writes_them_are_read(images: Path, encoding: str, separator: str) -> None:
    lines = [
        ["Label", "note", "Path", "Camera"],
        ["Crème brûlée", "", "photos/a.png", "1"],
        [" Leek ", "x", "photos\\b.png", ""],
        ["  ", "", "photos/gone.png", "door"],
    ]
    file = images / "edited.csv"
    file.write_bytes("\r\n".join(separator.join(line) for line in lines).encode(encoding))
    read = read_enrolment(file)
    assert read.files == [images / "photos" / "a.png", images / "photos" / "b.png"]
    assert [str(label).strip() for label in read.labels or ()] == ["Crème brûlée", "Leek"]
    assert read.camera == [1, None]
    assert read.columns == {"note": [None, "x"]}
    assert (read.notes, read.problems) == (("1 row without a label passed over",), ())


def test_what_is_given_wins_over_the_table(images: Path) -> None:
    table = written(images, "path,label,camera,shelf", "photos/a.png,Pear,3,A1", "photos/b.png,,door,")
    read = read_enrolment(table, "Plum", 9, {"shelf": "B", "day": 2})
    assert (len(read.files), read.labels, read.camera) == (2, "Plum", 9)
    assert read.columns == {"shelf": "B", "day": 2}
    bare = read_enrolment(written(images, "path,x1,y1,x2,y2", "photos/a.png,,,,", "photos/b.png,1,2,3,4.5"))
    assert (bare.labels, bare.camera, bare.columns, bare.notes) == (None, None, {}, ())
    assert bare.boxes == [None, (1, 2, 3, 4.5)]


def test_every_row_that_cannot_be_enrolled_is_told(images: Path) -> None:
    read = read_enrolment(
        written(
            images,
            "path,label,x1,y1,x2,y2",
            "photos/a.png,Pear,,,,",
            ",Pear,,,,",
            "photos/a.png,Plum,,,,",
            "photos/a.png,Plum,0,0,9,9",
            "photos/a.png, Pear,,,,",
            ",,1,2,3,4",
            "photos/b.png,Kiwi,1,2,,",
        )
    )
    assert read.labels == ["Pear", "Plum", " Pear"]
    assert read.problems == (
        "row 3: no path: expected the file of an image",
        f"row 4: {images / 'photos' / 'a.png'}: label 'Plum' here, 'Pear' above: keep one",
        "row 8: a box of 2 numbers: expected x1, y1, x2, y2 or none of them",
    )
    assert read.notes == ("1 row without a label passed over",)


@pytest.mark.parametrize(
    ("lines", "error", "text"),
    [
        (["label", "Pear"], PredictError, r"t\.csv: expected a column path .*, found label: rename the one"),
        (["path,label"], PredictError, r"t\.csv: no row in the table: expected one per image"),
        (["path,label", "photos/a.png,"], GalleryError, r"t\.csv: no row has a label: write it into the column label"),
        (
            ["path,Label,LABEL", "photos/a.png,x,y"],
            GalleryError,
            r"t\.csv: the columns Label and LABEL both mean label",
        ),
        (
            ["path,camera", "photos/a.png,1.5"],
            GalleryError,
            r"t\.csv: camera '1\.5': expected a whole number: call the",
        ),
    ],
)
def test_what_is_no_such_table_is_told(images: Path, lines: list[str], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        read_enrolment(written(images, *lines))


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PredictError, match=r"no\.csv: no such file: give a \.csv, \.tsv or \.parquet table"):
        read_enrolment(tmp_path / "no.csv")
