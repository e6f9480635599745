"""Open Images' tables of boxes: a row for each box, in shares of the image, classes by number or by name.

Kuznetsova et al., "The Open Images Dataset V4", IJCV 2020; columns and files:
https://storage.googleapis.com/openimages/web/download_v7.html. Whoever uses it has a part of its nine million images,
so rows of images that are not there are counted, not refused.
"""

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from lookalike.data.column_names import BOX
from lookalike.data.image_files import PassedOver, entries_of, find_images
from lookalike.data.layouts.boxes import Boxes, Corners, upright_sizes
from lookalike.data.layouts.layout import Layout, LayoutRows, utf8_only
from lookalike.data.layouts.listed import below, head_of, shown, taken_once
from lookalike.data.layouts.lists import lines_of
from lookalike.data.tables import ManifestError
from lookalike.files import readable
from lookalike.settings.split_names import split_named

_COLUMNS = ("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax")
_FOLDERS = ("", "annotations", "csv_folder", "train/labels", "validation/labels", "test/labels")
_IMAGES = ("{}", "images/{}", "{}/data", "{}/images", "Dataset/{}", "images", "data")
_DESCRIPTIONS = ("class-descriptions-boxable.csv", "oidv7-class-descriptions-boxable.csv", "class-descriptions.csv")
_METADATA = ("", "metadata", "annotations", "csv_folder", "train/metadata")
_CLASSES = ("/m/", "/g/")  # how they are numbered


class _Box(NamedTuple):
    """A row of a table."""

    image: Path
    label: str
    split: str
    shares: Corners


def read_open_images(root: Path, passed: PassedOver) -> LayoutRows:
    """Reads the boxes of the images that are there; of these only the headers are read.

    Args:
        root: The folder with the tables, or above `annotations/` or `csv_folder/`.
        passed: What is not read is added to it.

    Returns:
        A table with the columns path, label, split, x1, y1, x2, y2.

    Raises:
        ManifestError: A table cannot be read.
    """
    notes: list[str] = []
    problems: list[str] = []
    names = _descriptions(root)
    boxes, wanted, absent = Boxes(), list[_Box](), dict[str, None]()
    for place in _tables(root):
        split = _split(place)
        there = _images(root, split, passed)
        for image, label, shares, group in _rows(root / place, place, problems):
            if image not in there:
                absent[image] = None
            elif group:
                boxes.crowds.append(there[image].relative_to(root).as_posix())
            else:
                wanted.append(_Box(there[image], names.get(label, label), split, shares))
    if absent:
        notes.append(f"{len(absent)} image(s) of its tables are not there and are left out: {shown(absent)}")
    if absent and not wanted:
        problems.append(f"none of the {len(absent)} images of its tables is there: expected <split>/<ImageID>.jpg")
    unnamed = sorted({box.label for box in wanted if box.label.startswith(_CLASSES)})
    if unnamed:
        notes.append(f"{len(unnamed)} classes have no name in class-descriptions-boxable.csv: {shown(unnamed, 5)}")
    rows = list(_in_pixels(root, wanted, boxes, problems))
    table = pd.DataFrame(utf8_only(rows, problems), columns=["path", "label", "split", *BOX])
    return LayoutRows(taken_once(table, notes, problems), [*notes, *boxes.notes], problems)


def _in_pixels(
    root: Path, wanted: list[_Box], boxes: Boxes, problems: list[str]
) -> Iterator[tuple[str, str, str, float, float, float, float]]:
    sizes = upright_sizes(list(dict.fromkeys(box.image for box in wanted)))
    problems += [
        f"{image.relative_to(root).as_posix()}: {size}, so its boxes have no place: replace or remove it"
        for image, size in sizes.items()
        if isinstance(size, str)
    ]
    for box in wanted:
        size = sizes[box.image]
        if isinstance(size, str):
            continue
        x1, y1, x2, y2 = (share * size[place % 2] for place, share in enumerate(box.shares))
        name = box.image.relative_to(root).as_posix()
        inside = boxes.inside(name, (x1, y1, x2, y2), size)
        if inside is not None:
            yield (name, box.label, box.split, *inside)


def _rows(file: Path, name: str, problems: list[str]) -> Iterator[tuple[str, str, Corners, bool]]:
    """Image, class, box in shares, and whether it is a group, of each row; the table may have millions."""
    wrong = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            for number, row in enumerate(csv.DictReader(handle, skipinitialspace=True), 2):
                try:
                    x1, y1, x2, y2 = (float(row[key]) for key in ("XMin", "YMin", "XMax", "YMax"))
                    sane = all(abs(value) < 1e6 for value in (x1, y1, x2, y2))
                except (TypeError, ValueError):
                    sane = False
                if not sane or not row["ImageID"] or not row["LabelName"]:
                    wrong.append(str(number))
                    continue
                yield row["ImageID"].strip(), row["LabelName"].strip(), (x1, y1, x2, y2), row.get("IsGroupOf") == "1"
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"{file}: cannot be read as a table ({error}): copy it again") from error
    if wrong:
        problems.append(f"{name}: {len(wrong)} row(s) lack a class or four numbers: {shown(wrong)}: copy it again")


def _images(root: Path, split: str, passed: PassedOver) -> dict[str, Path]:
    """ImageID -> file of the images of a split, in the first place that has any."""
    for spelling in dict.fromkeys((split, {"validation": "val"}.get(split, split))):
        for place in dict.fromkeys(pattern.format(spelling) for pattern in _IMAGES):
            if (root / place).is_dir() and (files := find_images(root / place, passed)):
                return {file.stem: file for file in reversed(files)}
    alone = [path for path, is_folder in entries_of(root, PassedOver()) if not is_folder]
    return {path.stem: path for path in alone if path.suffix.lower() in (".jpg", ".jpeg", ".png")}


def _descriptions(root: Path) -> dict[str, str]:
    """Class -> its name, of the first list of names that is there; those of version 7 have a header."""
    files = [root / folder / name for folder in _METADATA for name in (*_DESCRIPTIONS, "classes.csv")]
    for file in files:
        if any(line.startswith(_CLASSES) for line in head_of(file)[:2]):
            pairs = (line.split(",", 1) for _, line in lines_of(file) if line.startswith(_CLASSES) and "," in line)
            return {label.strip(): readable(name.strip().strip('"')) for label, name in pairs}
    return {}


def _split(place: str) -> str:
    """From a table's name (`validation-annotations-bbox.csv`, `oidv6-train-annotations-bbox.csv`) or its folder."""
    words = place.replace("/", "-").removesuffix(".csv").split("-")
    return next((split for word in words if (split := split_named(word))), "train")


def _tables(root: Path) -> list[str]:
    """Paths of the tables, by their first line: their names vary."""
    tables = []
    for folder in _FOLDERS:
        for name in _csv_names(root / folder):
            head = [column.strip().strip('"') for column in (head_of(root / folder / name) or [""])[0].split(",")]
            if {*_COLUMNS} <= {*head}:
                tables.append(below(folder, name))
    return tables


def _csv_names(folder: Path) -> list[str]:
    """Those of a folder, which may hold a million images beside them."""
    try:
        with os.scandir(folder) as listing:
            return sorted(entry.name for entry in listing if entry.name.lower().endswith(".csv"))
    except OSError:
        return []


def _looks_like(root: Path) -> str | None:
    return ", ".join(_tables(root)) or None


OPEN_IMAGES = Layout("open-images", "Open Images boxes", _looks_like, read_open_images, None)
