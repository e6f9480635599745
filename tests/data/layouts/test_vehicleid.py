"""VehicleID: lists of images and vehicles, tests that galleries are drawn from."""

from pathlib import Path

import pytest

from lookalike.data.layouts.registry import claims
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from made_layouts import MADE, Pictures, lines
from market_layout import layout


@pytest.fixture
def vehicles(tmp_path: Path, pictures: Pictures) -> Path:
    return MADE["vehicleid"](tmp_path, pictures)


def test_lists_say_who_and_in_which_test(vehicles: Path) -> None:
    manifest = read_manifest(vehicles)
    table = {row.path: (row.label, row.split, row.role, row.tests, row.color) for row in manifest.table.itertuples()}
    assert table["image/0000101.jpg"] == ("2", "train", "", "", "0")
    assert table["image/0000001.jpg"] == ("12", "test", "both", "test_list_800 test_list_1600", "4")
    assert table["image/0000006.jpg"] == ("14", "test", "both", "test_list_1600", "")
    assert manifest.table["camera"].isna().all()
    assert not manifest.cameras_expected
    assert manifest.read_as == "VehicleID, by train_test_split/test_list_800.txt"


def test_validation_is_held_out_by_whole_vehicles(vehicles: Path, pictures: Pictures) -> None:
    numbers = [f"{number:07}" for number in range(200, 216)]
    pictures.put(vehicles, *(f"image/{number}.jpg" for number in numbers))
    lines(
        vehicles / "train_test_split" / "train_list.txt",
        *(f"{number} {90 + place // 2}" for place, number in enumerate(numbers)),
    )
    table = read_manifest(vehicles, validation_share=0.25).table
    held = table[table["split"] == "validation"]
    assert len(held) == 4
    assert not set(held["label"]) & set(table.loc[table["split"] == "train", "label"])


@pytest.mark.parametrize("folder", ["img", "images"])
def test_other_names_of_the_folder(vehicles: Path, folder: str) -> None:
    (vehicles / "image").rename(vehicles / folder)
    assert read_manifest(vehicles).table["path"].str.startswith(f"{folder}/").all()


def test_further_images_and_lists_are_told(vehicles: Path) -> None:
    layout(vehicles, "image/0009999.jpg", "image/Thumbs.db")
    lines(vehicles / "train_test_split" / "test_list_13164.txt", "0009999 77")
    assert "1 image(s) in no list passed over: image/0009999.jpg" in read_manifest(vehicles).notes
    for name in ("800", "1600"):
        (vehicles / "train_test_split" / f"test_list_{name}.txt").unlink()
    manifest = read_manifest(vehicles)
    assert "no test_list_800.txt in train_test_split/, so there is nothing to test on" in manifest.notes
    assert manifest.read_as == "VehicleID, by train_test_split/train_list.txt"


@pytest.mark.parametrize(
    ("file", "rows", "expected"),
    [
        ("test_list_800", ["0000001"], r"test_list_800\.txt, line 1: expected an image and its vehicle \(0000001 12\)"),
        ("test_list_800", ["0000001,12"], r"found '0000001,12'"),
        ("test_list_800", ["../x 12"], r"found '\.\./x 12'"),
        ("test_list_800", ["0000001 12", "0000001 13"], r"line 2: 0000001 is vehicle 13, and 12 before"),
        ("test_list_1600", ["0000001 13"], r"0000001 is vehicle 13, and 12 in another list"),
        ("test_list_800", ["0000101 2"], r"1 image\(s\) are in train_list\.txt and in a test list, such as 0000101"),
        ("test_list_800", ["0000077 12", "0000078 12"], r"2 problem\(s\) .*\n.*image/0000077\.jpg: No such file"),
        ("train_list", [], r"train_list\.txt: empty: expected lines such as 0000001 12; restore it"),
    ],
)
def test_lists_that_are_wrong_are_refused(vehicles: Path, file: str, rows: list[str], expected: str) -> None:
    lines(vehicles / "train_test_split" / f"{file}.txt", *rows)
    with pytest.raises(ManifestError, match=expected):
        read_manifest(vehicles)


def test_vehicles_of_train_and_test_are_noted(vehicles: Path) -> None:
    lines(vehicles / "train_test_split" / "train_list.txt", "0000101 12", "0000102 2")
    assert "1 vehicles are in train and in test (such as 12): figures are too good" in read_manifest(vehicles).notes


def test_lists_of_the_same_names_of_images_in_folders_are_not_taken_for_it(tmp_path: Path, pictures: Pictures) -> None:
    """VERI-Wild: `train_test_split/train_list.txt` beside `images/`, with a folder for each vehicle."""
    pictures.put(tmp_path, "images/00001/000001.jpg", "images/00002/000003.jpg")
    lines(tmp_path / "train_test_split" / "train_list.txt", "00001/000001", "00002/000003")
    assert claims(tmp_path) == []
