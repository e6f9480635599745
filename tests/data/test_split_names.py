"""What splits are called, in folders and in tables."""

from pathlib import Path

import pytest

from image_folders import column, csv, pictures
from lookalike.data.reading import has_layout, read_manifest
from lookalike.data.tables import ManifestError
from lookalike.settings.split_names import split_named


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *[(name, "train") for name in ("train", " Train ", "TRAINING", "training_set", "TrainData")],
        *[(name, "validation") for name in ("validation", "Val", "valid", "dev", "dev-set", "VALIDATE")],
        *[(name, "test") for name in ("test", "Testing", "holdout", "Hold-out", "held_out", "test set")],
        *[
            (name, None)
            for name in ("", "pear", "set", "data", "dataset", "trains", "trainer", "testimony", "devil", "_")
        ],
    ],
)
def test_a_name_means_a_split_or_none(name: str, split: str | None) -> None:
    assert split_named(name) == split


@pytest.mark.parametrize(
    ("names", "read_as"),
    [
        (
            ("Training", "Validation", "Testing"),
            "class folders in Testing (as test), Training (as train), Validation (as validation)",
        ),
        (("Train", "dev", "holdout"), "class folders in Train (as train), dev (as validation), holdout (as test)"),
        (("train", "val", "Test"), "class folders in Test (as test), train, val"),
        (("TRAIN", "validation", "test"), "class folders in TRAIN (as train), test, validation"),
        (("train", "validation", "test"), "class folders in test, train, validation"),
    ],
)
def test_folders_of_other_names_are_splits_and_told(tmp_path: Path, names: tuple[str, ...], read_as: str) -> None:
    paths = [f"{name}/{label}/{number}.png" for name in names for label in ("pear", "kiwi") for number in range(2)]
    for share in (0.0, 0.2):
        manifest = read_manifest(pictures(tmp_path, *paths), validation_share=share)
        assert manifest.labels == ["kiwi", "pear"]
        assert manifest.read_as == read_as
        split = dict(zip(names, ("train", "validation", "test"), strict=True))
        assert column(manifest, "split") == [split[str(path).split("/")[0]] for path in column(manifest, "path")]
    assert has_layout(tmp_path)


def test_a_folder_of_our_name_comes_before_one_of_another(tmp_path: Path) -> None:
    labelled = (f"{name}/pear/1.png" for name in ("train", "Training", "test", "holdout"))
    manifest = read_manifest(pictures(tmp_path, *labelled, "dev/1.png"))
    assert column(manifest, "path") == ["test/pear/1.png", "train/pear/1.png"]
    assert manifest.notes == ("3 folder(s) beside train/ passed over: Training, dev, holdout",)
    people = (f"{name}/1/1.png" for name in ("train", "query", "gallery", "Testing"))
    manifest = read_manifest(pictures(tmp_path / "people", *people))
    assert column(manifest, "role") == ["reference", "query", ""]
    assert manifest.notes == ("1 folder(s) beside train/ passed over: Testing",)


@pytest.mark.parametrize(
    "paths",
    [
        ["Training/1.png", "Training/2.png", "Resting/1.png", "Resting/2.png"],
        ["Training/clip/1.png", "Training/clip/2.png", "Resting/clip/1.png", "Resting/clip/2.png"],
        ["dev/a/1.png", "dev/a/2.png", "ops/1.png", "ops/2.png"],
    ],
)
def test_classes_that_are_called_like_splits_stay_classes(tmp_path: Path, paths: list[str]) -> None:
    manifest = read_manifest(pictures(tmp_path, *paths), validation_share=0.5)
    assert manifest.labels == sorted({path.split("/")[0] for path in paths})
    assert manifest.read_as == "class folders alone"
    assert not has_layout(tmp_path)


def test_splits_without_classes_in_them_are_no_classes(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="Testing, Training: a folder of queries, references or a split, no class"):
        read_manifest(pictures(tmp_path, "Training/1.png", "Testing/1.png"), validation_share=0.5)
    root = pictures(tmp_path / "above", "fruits/Training/pear/1.png", "fruits/Testing/pear/1.png")
    with pytest.raises(ManifestError, match=r"fruits: a data set of its own, no class: give data\.root=.*/fruits"):
        read_manifest(root, validation_share=0.5)


def test_folders_that_hold_the_same_folders_may_be_splits(tmp_path: Path) -> None:
    names = ("part one", "part two")
    root = pictures(tmp_path, *(f"{name}/{label}/1.png" for name in names for label in ("pear", "kiwi")))
    told = (
        r"all 2 folders hold the same folders \(kiwi, pear\), so they may be splits: then call them train, validation"
    )
    with pytest.raises(ManifestError, match=rf"{told} and test; if they are classes, add data.validation_share=0.2"):
        read_manifest(root)
    manifest = read_manifest(root, validation_share=0.5)
    assert manifest.labels == ["part one", "part two"]
    assert manifest.notes[0] == (
        "all 2 folders hold the same folders (kiwi, pear), so they may be splits: then call them train, validation and "
        "test"
    )
    pictures(root, "part one/0.png")
    assert not any("may be splits" in note for note in read_manifest(root, validation_share=0.5).notes)


def test_the_column_split_knows_the_same_names(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"{number}.png" for number in range(5)))
    rows = "0.png,a, Train \n1.png,a,VAL\n2.png,a,holdout\n3.png,a,test\n4.png,a,val\n"
    manifest = read_manifest(csv(tmp_path, "path,label,split\n" + rows))
    assert column(manifest, "split") == ["train", "validation", "test", "test", "validation"]
    assert manifest.notes == ("splits of other names are read: Train as train, VAL as validation, holdout as test",)
