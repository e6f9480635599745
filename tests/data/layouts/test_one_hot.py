"""Roboflow's tables of classes, and its other export, class folders."""

from pathlib import Path

import pytest

from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from made_retrieval import Photographs, one_hot, write


def test_the_column_with_a_one_is_the_label(tmp_path: Path, photographs: Photographs) -> None:
    manifest = read_manifest(one_hot(tmp_path, photographs))
    assert manifest.table[["path", "label", "split"]].to_numpy().tolist() == [
        ["train/a_jpg.rf.train.jpg", "apple", "train"],
        ["train/b_jpg.rf.train.jpg", "pear", "train"],
        ["valid/a_jpg.rf.valid.jpg", "apple", "validation"],
        ["valid/b_jpg.rf.valid.jpg", "pear", "validation"],
    ]
    assert manifest.notes == ()


def test_images_of_no_class_or_of_several_are_counted(tmp_path: Path, photographs: Photographs) -> None:
    one_hot(tmp_path, photographs)
    photographs.put(tmp_path, "train/none.jpg", "train/both.jpg", "train/unlisted.jpg")
    table = tmp_path / "train" / "_classes.csv"
    again = "a_jpg.rf.train.jpg, 1, 0\n"
    write(table, table.read_text() + "none.jpg, 0, 0\nboth.jpg, 1, 1\n" + again, "\r\n", b"\xef\xbb\xbf")
    manifest = read_manifest(tmp_path)
    assert len(manifest.table) == 4
    assert manifest.notes == (
        "1 image(s) have no class and are left out: train/none.jpg",
        "1 image(s) have several classes and are left out: train/both.jpg",
        "1 line(s) say again what another one says and are taken once: train/a_jpg.rf.train.jpg",
        "1 image(s) that no list names are passed over: train/unlisted.jpg",
    )


def test_a_table_beside_its_images_trains(tmp_path: Path, photographs: Photographs) -> None:
    photographs.put(tmp_path, "a.jpg", "b.jpg")
    write(tmp_path / "_classes.csv", "filename, apple, pear\na.jpg, 1, 0\nb.jpg, 0, 1\n")
    assert read_manifest(tmp_path).table["split"].tolist() == ["train", "train"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("file, apple\na.jpg, 1\n", r"train/_classes\.csv: expected the column filename and one for each class, found"),
        (
            "filename, apple\na.jpg, 7\n",
            r"train/_classes\.csv, row 2: expected a file and 0 or 1 for each class, found",
        ),
        ('filename, apple\n"a.jpg, 1\n', r"train/_classes\.csv: cannot be read as a table \(.*\): export it again"),
    ],
)
def test_a_table_with_other_cells_is_refused(
    tmp_path: Path, photographs: Photographs, text: str, expected: str
) -> None:
    write(one_hot(tmp_path, photographs) / "train" / "_classes.csv", text)
    with pytest.raises(ManifestError, match=expected):
        read_manifest(tmp_path)


def test_class_folders_of_roboflow_are_class_folders(tmp_path: Path, photographs: Photographs) -> None:
    paths = [f"{split}/{label}/{split}_jpg.rf.1.jpg" for split in ("train", "valid", "test") for label in ("a", "b")]
    write(photographs.put(tmp_path, *paths) / "README.roboflow.txt", "fruits - v1\n")
    manifest = read_manifest(tmp_path)
    assert manifest.layout == ""
    assert manifest.table.groupby("split").size().to_dict() == {"test": 2, "train": 2, "validation": 2}
