"""Cars196 in the three forms that it is about in: one division, whatever the form."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from lookalike.data.manifest import boxes_of
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from made_retrieval import CAR_NAMES, CARS, Photographs, cars_annos, cars_devkit, cars_tables

FORMS = [cars_annos, cars_devkit, cars_tables]
Make = Callable[[Path, Photographs], Path]


@pytest.mark.parametrize("make", FORMS)
def test_classes_up_to_98_train_whatever_half_they_are_in(tmp_path: Path, photographs: Photographs, make: Make) -> None:
    manifest = read_manifest(make(tmp_path, photographs))
    rows = sorted(map(tuple, manifest.table[["label", "split", "role"]].to_numpy()))
    assert rows == sorted(
        (CAR_NAMES[car[0] - 1], *(("train", "") if car[0] <= 98 else ("test", "both"))) for car in CARS
    )
    assert "x1" not in manifest.table
    assert manifest.notes[0].startswith("divided as in metric learning: classes 1 to 98 train, the others are searched")
    assert manifest.protocol("test").own_row.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("make", FORMS)
def test_boxes_are_used_where_they_are_asked_for(tmp_path: Path, photographs: Photographs, make: Make) -> None:
    manifest = read_manifest(make(tmp_path, photographs), layout="cars196-boxes")
    assert sorted(map(str, boxes_of(manifest.table))) == sorted(str(tuple(map(float, car[2]))) for car in CARS)


def test_names_of_files_that_both_halves_have_stay_two_images(tmp_path: Path, photographs: Photographs) -> None:
    table = read_manifest(cars_devkit(tmp_path, photographs)).table
    assert {"cars_train/00001.jpg", "cars_test/00001.jpg"} <= {*table["path"]}


def test_one_image_of_each_half_is_enough(tmp_path: Path, photographs: Photographs) -> None:
    """MATLAB's files do not tell one record from a list of one."""
    cars_devkit(tmp_path, photographs)
    for file, number in (("devkit/cars_train_annos", 1), ("cars_test_annos_withlabels", 99)):
        record = np.array([(1, 2, 30, 30, number, "00001.jpg")], dtype=[(name, object) for name in FIELDS])
        savemat(tmp_path / f"{file}.mat", {"annotations": record})
    assert len(read_manifest(tmp_path).table) == 2


FIELDS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("devkit/cars_meta.mat", None, r"Cars196 without devkit/cars_meta\.mat, so nobody knows the classes"),
        ("cars_test_annos_withlabels.mat", None, r"Cars196 without cars_test_annos_withlabels\.mat, so nobody knows"),
        (
            "devkit/cars_meta.mat",
            b"no MATLAB",
            r"cars_meta\.mat: no file of MATLAB, or damaged \(.*\): restore it",
        ),
        ("devkit/cars_meta.mat", {"a": 1}, r"cars_meta\.mat: expected class_names, found a"),
        ("devkit/cars_train_annos.mat", {"annotations": 1}, r"cars_train_annos\.mat: expected annotations with class"),
    ],
)
def test_what_is_missing_or_damaged_is_told(
    tmp_path: Path, photographs: Photographs, file: str, content: object, expected: str
) -> None:
    cars_devkit(tmp_path, photographs)
    if isinstance(content, dict):
        savemat(tmp_path / file, content)
    elif isinstance(content, bytes):
        (tmp_path / file).write_bytes(content)
    else:
        (tmp_path / file).unlink()
    with pytest.raises(ManifestError, match=expected):
        read_manifest(tmp_path)


def test_classes_without_a_name_are_problems(tmp_path: Path, photographs: Photographs) -> None:
    cars_devkit(tmp_path, photographs)
    savemat(tmp_path / "devkit" / "cars_meta.mat", {"class_names": np.array(CAR_NAMES[:98], object)})
    with pytest.raises(ManifestError, match=r"cars_train/00003\.jpg: class 99: expected a number from 1 to 98"):
        read_manifest(tmp_path)


def test_a_table_with_other_cells_is_refused(tmp_path: Path, photographs: Photographs) -> None:
    (cars_tables(tmp_path, photographs) / "anno_train.csv").write_text("00001.jpg,39,116,569,375\n")
    with pytest.raises(ManifestError, match=r"anno_train\.csv, line 1: expected 00001\.jpg,39,116,569,375,14, found"):
        read_manifest(tmp_path)
