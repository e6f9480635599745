"""Folders of classes: what is read, what is passed over, and what is explained."""

import unicodedata
from pathlib import Path

import pytest

from image_folders import column, picture, pictures
from lookalike.data.image_files import find_broken
from lookalike.data.layouts import read_manifest
from lookalike.data.tables import ManifestError


@pytest.mark.parametrize("name", ["validation", "val", "valid"])
def test_folders_give_sorted_rows_whatever_validation_is_called(tmp_path: Path, name: str) -> None:
    pictures(
        tmp_path, "train/pear/2.png", "train/pear/10.png", "train/apple/1.jpg", f"{name}/pear/1.png", "test/pear/1.png"
    )
    manifest = read_manifest(tmp_path)
    assert column(manifest, "path") == sorted(column(manifest, "path"))
    assert dict(zip(column(manifest, "path"), column(manifest, "split"), strict=True)) == {
        "test/pear/1.png": "test",
        "train/apple/1.jpg": "train",
        "train/pear/10.png": "train",
        "train/pear/2.png": "train",
        f"{name}/pear/1.png": "validation",
    }
    assert manifest.labels == ["apple", "pear"]
    assert manifest.notes == ()
    assert manifest.counts().loc["pear"].to_dict() == {"train": 2, "validation": 1, "test": 1, "augmented": 0}


def test_validation_may_lie_in_two_folders(tmp_path: Path) -> None:
    pictures(tmp_path, "train/a/1.png", "val/a/1.png", "validation/a/1.png")
    assert column(read_manifest(tmp_path), "split") == ["train", "validation", "validation"]


def test_kaggles_fruit_set_reads_as_it_comes(tmp_path: Path) -> None:
    accented = "jalapeño"
    for split, form in (("train", "NFD"), ("validation", "NFC"), ("test", "NFC")):
        for label in ("bell pepper", "chilli pepper", accented, "sweetcorn"):
            folder = tmp_path / split / unicodedata.normalize(form, label)
            picture(folder / "Image_1.jpg")
            picture(folder / "Image_2.png", "P")
            picture(folder / "Image_3.png", "RGBA")
            picture(folder / "Image_10.JPG")
    manifest = read_manifest(tmp_path)
    assert manifest.labels == ["bell pepper", "chilli pepper", accented, "sweetcorn"]
    assert (manifest.counts()[["train", "validation", "test"]] == 4).all(axis=None)
    assert find_broken([manifest.file(path) for path in manifest.table["path"]]) == []
    protocol = manifest.protocol("validation")
    assert set(protocol.queries["label"]) <= set(protocol.references["label"])


def test_folders_below_a_class_belong_to_it(tmp_path: Path) -> None:
    pictures(tmp_path, "train/a/deep/er/1.png", "train/a/1.png")
    assert column(read_manifest(tmp_path), "label") == ["a", "a"]


def test_hidden_files_are_left_out_and_other_files_noted(tmp_path: Path) -> None:
    hidden = ("train/.DS_Store/x.png", "train/a/._1.png", "train/a/.ipynb_checkpoints/1.png", ".git/a/1.png")
    pictures(tmp_path, "train/a/1.png", *hidden)
    no_images = ("train/a/notes.txt", "train/a/deep/more.txt", "train/a/Makefile", "train/list.csv")
    for name in (*no_images, "train/a/.hidden", "train/a/.git/config.ini"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    manifest = read_manifest(tmp_path)
    assert column(manifest, "path") == ["train/a/1.png"]
    assert manifest.notes == (
        "1 file(s) ending in nothing passed over: not an image extension",
        "1 file(s) ending in .csv passed over: not an image extension",
        "2 file(s) ending in .txt passed over: not an image extension",
    )


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], "expected a folder train/<class>/ in it, found nothing; give the folder above with data.root="),
        (["a/b.txt", "c.txt"], "expected a folder train/<class>/ in it, found a, c.txt; give the folder above"),
        (["pear/1.png"], "found pear; add data.validation_share=0.2 to split these class folders"),
        (["train/readme.txt"], "no image at all: expected at least one in train/<class>/"),
        (["train/a/1.png", "train/b/x.txt"], "1 problem.*\n  train/b: a class with no images: add some or remove"),
        (["train/a/1.png", "train/2.png"], "train/2.png: an image outside any class folder: move it to train/<class>/"),
        (["train/a/1.png", "val/2.png"], "val/2.png: an image outside any class folder: move it to validation/<class>"),
    ],
)
def test_a_folder_that_cannot_be_used_is_explained(tmp_path: Path, paths: list[str], expected: str) -> None:
    for path in paths:
        if path.endswith(".png"):
            picture(tmp_path / path)
        else:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).touch()
    with pytest.raises(ManifestError, match=expected):
        read_manifest(tmp_path)
