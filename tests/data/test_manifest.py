"""One validated table of images: who asks, who answers, and what is written."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from image_folders import column, csv, picture, pictures
from lookalike.data.manifest import write_table
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError


def test_without_roles_the_references_are_the_training_images(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "2.png", "3.png", "4.png", "5.png")
    file = csv(
        tmp_path,
        "path,label,split,ignore\n1.png,a,train,\n2.png,b,train,1\n3.png,b,train,\n4.png,a,test,\n5.png,a,test,1\n",
    )
    manifest = read_manifest(file)
    test, train = manifest.protocol("test"), manifest.protocol("train")
    assert test.references["path"].tolist() == ["1.png", "3.png"]
    assert test.queries["path"].tolist() == ["4.png"]
    assert test.own_row.tolist() == [-1]
    assert test.text == "1 queries of split test, 2 references: the original training images"
    assert train.own_row.tolist() == [0, 1]
    assert train.text.endswith("; a query never finds itself")


def test_with_roles_a_split_brings_its_own_references(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"{number}.png" for number in range(1, 8)))
    file = csv(
        tmp_path,
        "path,label,split,role,ignore\n1.png,a,train,,\n2.png,new,test,query,\n3.png,new,test,both,\n"
        "4.png,new,test,reference,\n5.png,-1,test,reference,1\n6.png,new,test,query,1\n7.png,new,test,,\n",
    )
    protocol = read_manifest(file).protocol("test")
    assert protocol.references["path"].tolist() == ["3.png", "4.png", "5.png"], "junk stays: ranking passes over it"
    assert protocol.queries["path"].tolist() == ["2.png", "3.png"]
    assert protocol.own_row.tolist() == [-1, 0]
    assert protocol.own_row.dtype == np.int64
    assert protocol.text.startswith("2 queries and 3 references, both of split test")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path,label\n1.png,a\n", r"split test has no query: expected images in test/<class>/.*images: train$"),
        ("path,label,split,role\n1.png,a,test,query\n", "split test has no reference.*rows with role=reference"),
        ("path,label,split,role\n1.png,a,test,reference\n", "split test has no query"),
    ],
)
def test_a_split_without_queries_or_references_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    pictures(tmp_path, "1.png")
    manifest = read_manifest(csv(tmp_path, text))
    with pytest.raises(ManifestError, match=expected):
        manifest.protocol("test")


def test_augmented_copies_are_trained_on_but_never_search_or_found(tmp_path: Path) -> None:
    pictures(tmp_path, "train/a/1.png", "train/b/1.png", "validation/a/1.png", "copies/a/1-x.png")
    copy = {"path": str(tmp_path / "copies/a/1-x.png"), "label": "a", "split": "train", "source": "train/a/1.png"}
    plain = read_manifest(tmp_path)
    manifest = plain.with_augmented(pd.DataFrame([copy]))
    assert column(manifest, "path") == sorted(column(manifest, "path"))
    assert len(manifest.table) == 4
    assert manifest.original["path"].tolist() == column(plain, "path")
    assert manifest.counts()["augmented"].to_dict() == {"a": 1, "b": 0}
    assert manifest.counts()["train"].to_dict() == {"a": 1, "b": 1}
    for split in ("train", "validation"):
        protocol = manifest.protocol(split)
        assert copy["path"] not in {*protocol.references["path"], *protocol.queries["path"]}
    assert len(plain.table) == 3, "the first manifest is unchanged"


@pytest.mark.parametrize("name", ["elsewhere/deep/data.csv", "data/train/data.parquet"])
def test_a_written_table_reads_back_the_same(tmp_path: Path, name: str) -> None:
    root = pictures(tmp_path / "data", "1.png", "2 b.png", "3.png", "4.png")
    labels = ["NA", "jalapeño,\rmild", "007"]
    table = pd.DataFrame(
        {
            "path": ["1.png", "2 b.png", "3.png", "4.png"],
            "label": [*labels, "NA"],
            "split": ["train", "train", "test", "train"],
            "role": ["", "", "both", ""],
            "camera": ["", "3", "-1", ""],
            "ignore": ["", "1", "", ""],
            "source": ["", "", "", "1.png"],
            **{corner: ["", str(value), "", ""] for value, corner in enumerate(["x1", "y1", "x2", "y2"])},
        }
    )
    table.to_csv(root / "first.csv", index=False)
    first = read_manifest(root / "first.csv")
    target = tmp_path / name
    write_table(first, target)
    again = read_manifest(target)
    back = again.table.sort_values("path", key=lambda paths: paths.map(os.path.basename), ignore_index=True)
    pd.testing.assert_frame_equal(back.drop(columns=["path", "source"]), first.table.drop(columns=["path", "source"]))
    where = [again.file(path).resolve() for path in back["path"]]
    assert where == [first.file(path).resolve() for path in first.table["path"]]
    assert back["source"][3] == back["path"][0], "a copy still names its original"
    assert not Path(back["path"][0]).is_absolute()


def test_the_fingerprint_changes_with_the_data_and_only_then(tmp_path: Path) -> None:
    root = pictures(tmp_path / "one", "train/a/1.png", "train/b/1.png", "test/a/1.png")
    before = read_manifest(root).fingerprint()
    shutil.copytree(root, tmp_path / "two")
    os.utime(root / "train/a/1.png", (1, 1))
    (root / "train" / "notes.txt").touch()
    assert read_manifest(root).fingerprint() == before
    assert read_manifest(tmp_path / "two").fingerprint() == before

    fingerprints = {before}
    changes = [
        lambda: (root / "train/a/1.png").write_bytes((root / "train/a/1.png").read_bytes() + b"\0"),
        lambda: (root / "train/a/1.png").rename(root / "train/a/2.png"),
        lambda: (root / "test/a").rename(tmp_path / "gone"),
        lambda: (root / "train/b").rename(root / "train/c"),
        lambda: picture(root / "validation/a/1.png"),
    ]
    for change in changes:
        change()
        fingerprints.add(read_manifest(root).fingerprint())
    assert len(fingerprints) == 1 + len(changes)


def test_what_is_trained_on_and_what_a_gallery_holds(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "2.png", "3.png", "4.png", "5.png")
    rows = "1.png,a,train,,\n2.png,b,train,1,\n3.png,a,train,,1.png\n4.png,a,test,,\n5.png,c,train,,\n"
    manifest = read_manifest(csv(tmp_path, "path,label,split,ignore,source\n" + rows))
    assert manifest.training_rows["path"].tolist() == ["1.png", "3.png", "5.png"]
    assert manifest.gallery_rows["path"].tolist() == ["1.png", "5.png"]
    assert manifest.labels == ["a", "c"]
    assert manifest.protocol("test").references.equals(manifest.gallery_rows)


def test_what_can_join_a_gallery_is_original_not_junk_and_no_copy_of_what_is_there(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"{number}.png" for number in range(1, 9)))
    for copy in ("3.png", "8.png"):
        shutil.copyfile(tmp_path / "1.png", tmp_path / copy)
    file = csv(
        tmp_path,
        "path,label,split,role,ignore,source\n1.png,a,train,,,\n2.png,a,validation,query,,\n"
        "3.png,a,validation,query,,\n4.png,new,validation,reference,,\n5.png,a,validation,,,\n"
        "6.png,-1,validation,reference,1,\n7.png,a,validation,query,,2.png\n8.png,b,validation,both,,\n",
    )
    manifest = read_manifest(file)
    assert manifest.joining_rows["path"].tolist() == ["2.png", "4.png", "5.png"]
    kept = replace(manifest, keep_copies=True)
    assert kept.joining_rows["path"].tolist() == ["2.png", "3.png", "4.png", "5.png", "8.png"]
    alone = replace(manifest, table=manifest.table[manifest.table["split"] == "train"])
    assert alone.joining_rows.empty
    assert manifest.protocol("validation").queries["path"].tolist() == ["2.png", "3.png", "8.png"], "which stays"


def test_parts_of_one_photograph_join_one_by_one(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png")
    file = csv(
        tmp_path,
        "path,label,split,x1,y1,x2,y2\n1.png,a,train,0,0,4,4\n1.png,b,validation,4,4,8,8\n1.png,a,validation,0,4,4,8\n",
    )
    assert read_manifest(file).joining_rows["label"].tolist() == ["a", "b"]
