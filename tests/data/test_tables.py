"""CSV and Parquet tables: labels stay what was written, every wrong cell is named."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from image_folders import column, csv, pictures
from lookalike.data.manifest import boxes_of
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError

ODD_LABELS = [
    ["NA", "007", "None", "nan", "null", "1e5", "7.0", "16777217", "9007199254740993", "true", "a,b", " x"],
    ["007", "7", "16777217", "9007199254740993"],
    ["1.0", "1.50", "1e5", "NaN"],
    ["True", "False"],
]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("labels", ODD_LABELS)
def test_labels_stay_what_was_written(tmp_path: Path, suffix: str, labels: list[str]) -> None:
    table = pd.DataFrame({"path": [f"{number:02}.png" for number in range(len(labels))], "label": labels})
    pictures(tmp_path, *table["path"])
    file = tmp_path / f"data{suffix}"
    table.to_csv(file, index=False) if suffix == ".csv" else table.to_parquet(file)
    manifest = read_manifest(file)
    assert column(manifest, "label") == [label.strip() for label in labels]
    assert set(manifest.table["split"]) == {"train"}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.array([2**24, 2**24 + 1]), ["16777216", "16777217"]),
        (np.array([2**53, 2**53 + 1]), ["9007199254740992", "9007199254740993"]),
        (np.array([7.0, 16777217.0]), ["7", "16777217"]),
        (np.array([7, 8], np.float32), ["7", "8"]),
        (np.array([0.5, 8.0]), ["0.5", "8"]),
        (np.array([True, False]), ["True", "False"]),
        (pd.Categorical(["x", "y"]), ["x", "y"]),
    ],
)
def test_numbers_as_labels_become_text_without_loss(tmp_path: Path, labels: object, expected: list[str]) -> None:
    pictures(tmp_path, "1.png", "2.png")
    pd.DataFrame({"path": ["1.png", "2.png"], "label": labels}).to_parquet(tmp_path / "data.parquet")
    assert column(read_manifest(tmp_path / "data.parquet"), "label") == expected


def test_every_column_of_a_table_is_understood(tmp_path: Path) -> None:
    pictures(tmp_path, "b/1.png", "b/2.png", "b/3.png")
    file = csv(
        tmp_path,
        "\ufeffpath,label,split,role,camera,ignore,category,x1,y1,x2,y2\n"  # as Excel writes UTF-8
        "b/3.png,x,test,query,,no,fruit,,,,\n"
        "b/2.png,x,test,reference,-1,TRUE,fruit,1,2,7.5,8\n"
        "b/2.png,x,test,both,2,,fruit,0,0,4,4\n"
        f"{tmp_path}/b/1.png,x,val,,3.0,0,leaf,,,,\n",
    )
    assert read_manifest(file).notes == ()
    with pytest.raises(ManifestError, match="split validation has no reference"):
        read_manifest(file).protocol("validation")
    pictures(tmp_path, "t.png")
    file.write_text(file.read_text("utf-8") + "t.png,x,train,,,1,,,,,\nt.png,x,train,,,,,0,0,8,8\n", "utf-8")
    table = read_manifest(file).table.set_index("path")
    assert table.index.tolist() == [f"{tmp_path}/b/1.png", "b/2.png", "b/2.png", "b/3.png", "t.png", "t.png"]
    assert table["split"].tolist() == ["validation", "test", "test", "test", "train", "train"]
    assert table["role"].tolist() == ["", "both", "reference", "query", "", ""]
    assert table["camera"].astype(object).where(table["camera"].notna(), None).tolist() == [3, 2, -1, None, None, None]
    assert table["ignore"].tolist() == [False, False, True, False, False, True]
    assert table["category"].tolist() == ["leaf", "fruit", "fruit", "fruit", "", ""]
    whole = (0.0, 0.0, 8.0, 8.0)
    assert boxes_of(table) == [None, (0.0, 0.0, 4.0, 4.0), (1.0, 2.0, 7.5, 8.0), None, whole, None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "cannot be read as a table"),
        (
            "file;label\n1.png;a\n",
            "expected the columns path and label .*, found file, label .separated by ;.: name",
        ),
        (
            "path\n1.png\n",
            r"path and label \(also split, .*\), found path: name yours, as in data\.columns\.label=",
        ),
        ("path,label\n", "no image at all: expected a row for each image below the header"),
        ("path,label\n1.png,\n", "row 2: no label: give one, or remove these rows"),
        ("path,label\n1.png,a\n2.png, \n3.png,\n", r"2 rows \(3, 4\): no label: give one, or remove these rows"),
        ("path,label\n1.png,a\n2.png,a\n", "2.png: No such file or directory: restore the file or remove its row"),
        (
            "path,label\nhttps://h.org/1.png,a\n",
            r"  https://h\.org/1\.png: an address, and addresses are not fetched: download it and give the path",
        ),
        ("path,label\nfile:///d/1.png,a\n", r"file:/+d/1\.png: an address, .*: write the path alone, /d/1\.png"),
        (
            "path,label\n1.png,a\n1.png,b\n",
            r"  1.png: listed twice, in 2 rows \(2, 3\), with label 'a' and 'b': keep the right row$",
        ),
        (
            "path,label,split\n1.png,a,train\n2.png,a,train\n1.png,a,test\n1.png,b,val\n",
            r"1.png: listed 3 times, in 3 rows \(2, 4, 5\), with label 'a' and 'b', split 'train' and 'test' and 'vali",
        ),
        (
            "path,label,x1,y1,x2,y2\n1.png,a,0,0,4,4\n1.png,a,0,0,4,4\n",
            r"1.png: listed twice, in 2 rows \(2, 3\), with the same values: keep one row$",
        ),
        ("path,label\n,a\n", r": 1 problem\(s\) in the data:\n  row 2: no path: give the image file, or remove these"),
        (
            "path,label\n" + ",a\n" * 7,
            r": 1 problem\(s\) in the data:\n  7 rows \(2, 3, 4, 5, 6, ...\): no path: give the image file, or remove",
        ),
        (
            "path,label,split\n1.png,a,\n2.png,a,\n",
            r"2 rows \(2, 3\): split '': expected one of train, validation, test",
        ),
        ("path,label,split\n1.png,a,trains\n", "row 2: split 'trains': expected one of train, validation, test"),
        (
            "path,label,role\n1.png,a,gallery\n",
            r"row 2: role 'gallery': expected one of \(empty\), reference, query, both",
        ),
        ("path,label,camera\n1.png,a,2.5\n", "row 2: camera is '2.5': expected a whole number or nothing"),
        ("path,label,camera\n1.png,a,inf\n", "row 2: camera is 'inf': expected a whole number or nothing"),
        ("path,label,camera\n1.png,a,99999999999999999999\n", "row 2: camera is '9+': expected a whole number"),
        ("path,label,ignore\n1.png,a,maybe\n", "row 2: ignore is 'maybe': expected true or false"),
        ("path,label,x1,y1,x2,y2\n1.png,a,0,0,wide,4\n", "row 2: x2 is 'wide': expected a number or nothing"),
        ("path,label,x1,y1,x2,y2\n1.png,a,0,0,-inf,4\n", "row 2: x2 is '-inf': expected a number or nothing"),
        ("path,label,x1,y1,x2,y2\n1.png,a,0,,4,4\n", "row 2: a box of 3 numbers: expected x1, y1, x2, y2 or none"),
        ("path,label,x1,y1\n1.png,a,0,0\n", "row 2: a box of 2 numbers: expected x1, y1, x2, y2 or none"),
    ],
)
def test_a_table_that_cannot_be_used_is_explained(tmp_path: Path, text: str, expected: str) -> None:
    pictures(tmp_path, "1.png")
    with pytest.raises(ManifestError, match=expected):
        read_manifest(csv(tmp_path, text))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("data.txt", b"x", "expected a folder, a .csv or a .parquet table; got a .txt file$"),
        ("data.XLSX", b"PK", r"got a .XLSX file: save it as CSV \(UTF-8\)$"),
        ("data.ods", b"PK", r"got a .ods file: save it as CSV \(UTF-8\)$"),
        ("data", b"x", "got a nameless file"),
        ("data.parquet", b"x", "cannot be read as a table"),
        ("data.csv", b"path,label\n\xf1,a\n", "cannot be read as a table .*utf-8.*: save it again as CSV or Parquet"),
    ],
)
def test_a_file_that_is_no_table_is_explained(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ManifestError, match=expected):
        read_manifest(tmp_path / name)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_tables_of_open_metric_learning_are_understood(tmp_path: Path, suffix: str) -> None:
    pictures(tmp_path, *(f"{number}.png" for number in range(6)))
    table = pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(6)],
            "label": [0, 0, 1, 1, 1, 1],
            "split": ["train", "train", *["validation"] * 4],
            "is_query": [None, None, True, True, False, False],
            "is_gallery": [True, None, True, False, True, False],
            "sequence": ["s0", "s0", "s1", "s1", "s2", None],
            **{name: [1, *[None] * 5] for name in ("x_1", "y_1")},
            **{name: [6, *[None] * 5] for name in ("x_2", "y_2")},
            "category": "bird",
        }
    )
    file = tmp_path / f"data{suffix}"
    table.to_csv(file, index=False) if suffix == ".csv" else table.to_parquet(file)
    manifest = read_manifest(file)
    assert column(manifest, "label") == ["0", "0", "1", "1", "1", "1"]
    assert column(manifest, "role") == ["", "", "both", "query", "reference", ""]
    assert boxes_of(manifest.table) == [(1.0, 1.0, 6.0, 6.0), *[None] * 5]
    camera = manifest.table["camera"]
    assert camera[0] == camera[1]
    assert camera[2] == camera[3]
    assert camera[:5].nunique() == 3
    assert pd.isna(camera[5])
    assert column(manifest, "category") == ["bird"] * 6
    protocol = manifest.protocol("validation")
    assert protocol.queries["path"].tolist() == ["2.png", "3.png"]
    assert protocol.references["path"].tolist() == ["2.png", "4.png"]
    assert protocol.own_row.tolist() == [0, -1]


def test_a_sequence_over_two_labels_is_refused(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "2.png")
    file = csv(tmp_path, "path,label,sequence\n1.png,a,s1\n2.png,b,s1\n")
    with pytest.raises(ManifestError, match="sequence s1 spans several labels: expected one label per sequence"):
        read_manifest(file)
