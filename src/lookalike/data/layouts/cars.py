"""Cars196 (Stanford Cars): MATLAB files, or the tables that were made of them. Metric learning divides it by class.

Krause et al., "3D Object Representations for Fine-Grained Categorization", 2013. Three forms are about:
`cars_annos.mat` with `car_ims/`; `devkit/cars_meta.mat`, `devkit/cars_train_annos.mat` and
`cars_test_annos_withlabels.mat` with `cars_train/` and `cars_test/`, whose file names collide (the readers of
torchvision and open-metric-learning); and `names.csv`, `anno_train.csv`, `anno_test.csv` with `car_data/car_data/`
(that of pytorch-metric-learning). The first 98 classes train, the others are searched: Oh Song et al., CVPR 2016.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lookalike.data.column_names import BOX
from lookalike.data.image_files import PassedOver, has_file
from lookalike.data.layouts.layout import Layout, LayoutRows, Standard, utf8_only
from lookalike.data.layouts.listed import folder_with, need_files, taken_once, tell_unlisted, top_folders
from lookalike.data.layouts.lists import lines_of
from lookalike.data.layouts.matlab import read_records
from lookalike.data.tables import ManifestError
from lookalike.files import readable

_ALL = "cars_annos.mat"
_META, _TRAIN, _TEST = "cars_meta.mat", "cars_train_annos.mat", "cars_test_annos_withlabels.mat"
_NAMES, _TABLES = "names.csv", ("anno_train.csv", "anno_test.csv")
_TRAINED = 98  # classes
_CORNERS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")


class _Car(NamedTuple):
    """An image: where it lies, the number of its class (from 1), and its box."""

    path: str
    number: int
    box: tuple[float, ...]


def read_cars(root: Path, passed: PassedOver, boxes: bool = False) -> LayoutRows:
    """Reads the annotations; nothing is decoded.

    Args:
        root: The folder with the annotations, or with `devkit/`.
        passed: What is not read is added to it.
        boxes: Whether only the box of each car is used; the protocol of metric learning uses whole photographs.

    Returns:
        A table with the columns path, label (the name of the class), split and role, and with `boxes` x1, y1, x2, y2.

    Raises:
        ManifestError: A file is missing, or cannot be read.
    """
    problems: list[str] = []
    reader = next(read for name, read in _FORMS.items() if _place(root, name))
    names, cars = reader(root)
    rows = []
    for car in cars:
        if not np.isfinite(car.box).all():
            problems.append(f"{car.path}: box {car.box}: expected four numbers")
            continue
        if not 1 <= car.number <= len(names):
            problems.append(f"{car.path}: class {car.number}: expected a number from 1 to {len(names)}")
            continue
        split, role = ("train", "") if car.number <= _TRAINED else ("test", "both")
        rows.append((car.path, names[car.number - 1], split, role, *car.box))
    table = pd.DataFrame(utf8_only(rows, problems), columns=["path", "label", "split", "role", *BOX])
    table = table if boxes else table.drop(columns=list(BOX))
    notes = [
        f"divided as in metric learning: classes 1 to {_TRAINED} train, the others are searched, whatever its own "
        "division says; " + ("only the box of each car is used" if boxes else "whole photographs, no boxes")
    ]
    table = taken_once(table, notes, problems)
    tell_unlisted(root, top_folders(table["path"]), table["path"], passed, notes)
    return LayoutRows(table, notes, problems)


def _place(root: Path, name: str) -> str:
    """Where a file lies, in the root or in `devkit/`; "" where it is in neither."""
    return next((place for place in (name, f"devkit/{name}") if has_file(root, place)), "")


def _of_one_file(root: Path) -> tuple[list[str], list[_Car]]:
    annotations = read_records(root / _place(root, _ALL))
    cars = [_car(record, f"{record['relative_im_path']}") for record in _records(annotations, _ALL)]
    return _class_names(annotations, _ALL), cars


def _of_devkit(root: Path) -> tuple[list[str], list[_Car]]:
    needed = {name: _place(root, name) or f"devkit/{name}" for name in (_META, _TRAIN)}
    needed[_TEST] = _place(root, _TEST) or _TEST
    need_files(root, needed.values(), "Cars196", "the classes of all its images")
    cars = []
    for name, folder in ((_TRAIN, "cars_train"), (_TEST, "cars_test")):
        records = list(_records(read_records(root / needed[name]), name))
        inner = folder_with(root, (folder, f"{folder}/{folder}"), [str(record["fname"]) for record in records])
        cars += [_car(record, f"{inner or folder}/{record['fname']}") for record in records]
    return _class_names(read_records(root / needed[_META]), _META), cars


def _of_tables(root: Path) -> tuple[list[str], list[_Car]]:
    need_files(root, (_NAMES, *_TABLES), "Cars196", "the classes of all its images")
    names = [readable(line) for _, line in lines_of(root / _NAMES)]
    cars = []
    for table, split in zip(_TABLES, ("train", "test"), strict=True):
        for number, line in lines_of(root / table):
            name, *cells = line.split(",")
            if len(cells) != 5 or not all(cell.strip().isdigit() for cell in cells):
                raise ManifestError(
                    f"{root / table}, line {number}: expected 00001.jpg,39,116,569,375,14, found {line[:60]!r}"
                )
            *box, label = map(int, cells)
            known_name = names[label - 1].replace("/", "-") if 1 <= label <= len(names) else ""
            cars.append(_Car(f"{split}/{known_name}/{name}", label, tuple(map(float, box))))
    folder = folder_with(root, ("car_data/car_data", "car_data"), [car.path for car in cars]) or "car_data/car_data"
    return names, [car._replace(path=f"{folder}/{car.path}") for car in cars]


def _records(content: dict[str, Any], name: str) -> Iterator[np.void]:
    """The annotations of a MATLAB file, one by one.

    Raises:
        ManifestError: It has none, or they lack a field.
    """
    records = np.atleast_1d(content.get("annotations", np.empty(0)))
    fields = records.dtype.names or ()
    if not {"class", *_CORNERS} <= {*fields} or not {"fname", "relative_im_path"} & {*fields}:
        raise ManifestError(
            f"{name}: expected annotations with class, fname (or relative_im_path) and {', '.join(_CORNERS)}, found "
            f"{', '.join(fields) or 'none'}: copy it again"
        )
    yield from records


def _car(record: np.void, path: str) -> _Car:
    try:
        return _Car(path, int(record["class"]), tuple(float(record[name]) for name in _CORNERS))
    except (TypeError, ValueError, OverflowError) as error:
        raise ManifestError(
            f"{path}: its class and box should be numbers ({error}): copy its .mat file again"
        ) from error


def _class_names(content: dict[str, Any], name: str) -> list[str]:
    names = [str(label) for label in np.atleast_1d(content.get("class_names", np.empty(0, object)))]
    if not names:
        raise ManifestError(f"{name}: expected class_names, found {', '.join(sorted(content)) or 'nothing'}")
    return names


_FORMS: dict[str, Callable[[Path], tuple[list[str], list[_Car]]]] = {
    _ALL: _of_one_file,
    _TRAIN: _of_devkit,
    _TABLES[0]: _of_tables,
}


def _looks_like(root: Path) -> str | None:
    for name in _FORMS:
        if (place := _place(root, name)) and (name != _TABLES[0] or has_file(root, _NAMES)):
            return place
    return None


_STANDARD = Standard(
    "every image of classes 99 to 196 asks all others of them; Recall@k: whether one of the first k shows its class",
    ("cmc@1", "cmc@2", "cmc@4", "cmc@8"),
    "Oh Song et al., CVPR 2016",
    average_precision="none",
    cmc_name="Recall",
    lone_missed=True,
)
CARS = Layout("cars196", "Cars196", _looks_like, read_cars, _STANDARD, disjoint=True, marks=(*_FORMS, "devkit"))
CARS_BOXES = Layout(
    "cars196-boxes",
    "Cars196 in its boxes",
    _looks_like,
    partial(read_cars, boxes=True),
    _STANDARD,
    disjoint=True,
    asked_for=True,
)
