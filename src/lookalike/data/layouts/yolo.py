"""YOLO's boxes: `data.yaml` with names of classes and folders of images, and a text file of boxes beside each image.

Ultralytics, https://docs.ultralytics.com/datasets/detect/: a line is `0 0.5 0.5 0.2 0.3` (class, centre, width and
height, as shares of the image); `images/` in the path of an image becomes `labels/` in that of its boxes. Lines of more
numbers are polygons, whose box is taken. Exports of Roboflow name their folders `../train/images`, wherever these are.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from lookalike.data.column_names import BOX
from lookalike.data.image_files import PassedOver, find_images, has_folder, is_image_name
from lookalike.data.layouts.boxes import Boxes, Corners, upright_sizes
from lookalike.data.layouts.layout import Layout, LayoutRows, utf8_only
from lookalike.data.layouts.listed import shown, taken_once
from lookalike.data.layouts.lists import lines_of
from lookalike.data.plain_yaml import read_plain_yaml
from lookalike.data.table_file import decode, read_text_file
from lookalike.data.tables import ManifestError
from lookalike.errors import one_line

_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_SPLITS = {"train": "train", "val": "validation", "valid": "validation", "test": "test"}
_LINE = "0 0.5 0.5 0.2 0.3"
_Line = tuple[str, Corners]


def read_yolo(root: Path, passed: PassedOver) -> LayoutRows:
    """Reads the boxes; of images only the headers are read, as boxes are shares of them.

    Args:
        root: The folder with `data.yaml`.
        passed: What is not read is added to it.

    Returns:
        A table with the columns path, label (the name of the class), split, x1, y1, x2, y2.

    Raises:
        ManifestError: `data.yaml` is none, or names no class.
    """
    file = next(root / name for name in _FILES if (root / name).is_file())
    settings = _settings(file)
    names = _names(settings, file)
    notes: list[str] = []
    problems: list[str] = []
    splits: dict[Path, str] = {}
    for key, split in _SPLITS.items():
        images = _images(root, file.name, settings, key, passed, notes, problems)
        both = sorted(path.relative_to(root).as_posix() for path in images if splits.setdefault(path, split) != split)
        if both:
            problems.append(f"{len(both)} image(s) of {split} are of another split, too: {shown(both)}: keep one")
    lines: dict[Path, list[_Line]] = {}
    unlabelled, empty = [], []
    for path in splits:
        labels = _label_file(path)
        if not labels.is_file():
            unlabelled.append(path.relative_to(root).as_posix())
            continue
        lines[path] = list(yolo_objects(labels, labels.relative_to(root).as_posix(), names, problems))
        if not lines[path]:
            empty.append(path.relative_to(root).as_posix())
    texts = {"have no file of boxes and are left out": unlabelled, "have no box in their file and are left out": empty}
    notes += [f"{len(paths)} image(s) {text}: {shown(paths)}" for text, paths in texts.items() if paths]
    boxes = Boxes()
    rows = [(path, label, split, *box) for path, label, split, box in _in_pixels(root, lines, splits, boxes, problems)]
    table = pd.DataFrame(utf8_only(rows, problems), columns=["path", "label", "split", *BOX])
    notes += _orphans(root, lines.keys() | splits.keys())
    return LayoutRows(taken_once(table, notes, problems), [*notes, *boxes.notes], problems)


def _in_pixels(
    root: Path, lines: dict[Path, list[_Line]], splits: dict[Path, str], boxes: Boxes, problems: list[str]
) -> Iterator[tuple[str, str, str, Corners]]:
    """Path, label, split and box of each line."""
    sizes = upright_sizes([path for path, boxed in lines.items() if boxed])
    for path, size in sizes.items():
        name = path.relative_to(root).as_posix()
        if isinstance(size, str):
            problems.append(f"{name}: {size}, so its boxes have no place: replace or remove it")
            continue
        width, height = size
        for label, (x1, y1, x2, y2) in lines[path]:
            inside = boxes.inside(name, (x1 * width, y1 * height, x2 * width, y2 * height), size)
            if inside is not None:
                yield name, label, splits[path], inside


def yolo_names(folder: Path) -> dict[int, str] | None:
    """Number -> name of each class, of the `data.yaml` of a folder; None where there is none.

    Args:
        folder: Of a data set.

    Raises:
        ManifestError: It is none, or names no class.
    """
    file = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    return None if file is None else _names(_settings(file), file)


def yolo_objects(file: Path, name: str, names: dict[int, str] | None, problems: list[str]) -> Iterator[_Line]:
    """Label and corners, in shares of the image, of each line of a file of boxes.

    Args:
        file: Of them.
        name: What it is called in problems.
        names: Number -> name of each class; None where that is not known, and labels are "".
        problems: Lines that are no box are added to it.
    """
    for number, line in lines_of(file):
        cells = line.split()
        try:
            label, values = int(float(cells[0])), [float(cell) for cell in cells[1:]]
        except (ValueError, OverflowError):
            label, values = -1, []
        box = _corners(values)
        if box is None:
            problems.append(f"{name}, line {number}: expected {_LINE}, found {line[:60]!r}")
        elif names is None:
            yield "", box
        elif label not in names:
            problems.append(f"{name}, line {number}: class {cells[0]}: data.yaml names {len(names)}, from 0")
        else:
            yield names[label], box


def _corners(values: list[float]) -> Corners | None:
    """From centre and size (a fifth number is a network's sureness), or around a polygon; None for anything else."""
    if not all(abs(value) < 1e6 for value in values):
        return None
    if len(values) in (4, 5):
        x, y, width, height = values[:4]
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(values) < 6 or len(values) % 2:
        return None
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])


def _settings(file: Path) -> dict[str, Any]:
    try:
        settings = read_plain_yaml(decode(read_text_file(file))[0])
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ManifestError(f"{file}: cannot be read as YAML ({str(error).splitlines()[0]}): correct it") from error
    if not isinstance(settings, dict):
        raise ManifestError(f"{file}: expected train:, val: and names:, found {type(settings).__name__}")
    return settings


def _names(settings: dict[str, Any], file: Path) -> dict[int, str]:
    """Number -> name of each class.

    Raises:
        ManifestError: There are none.
    """
    names = settings.get("names")
    pairs = enumerate(names) if isinstance(names, list) else names.items() if isinstance(names, dict) else ()
    labels = {}
    for number, name in pairs:
        if not isinstance(name, str | int | float):
            raise ManifestError(
                f"{file}: names: of class {str(number)[:20]}: expected a text, found {one_line(name, 40)}: write its "
                "name"
            )
        if str(number).isdigit():
            labels[int(number)] = str(name)
    if not labels:
        raise ManifestError(f"{file}: expected names: with the name of each class, found {str(names)[:60]}")
    return labels


def _images(
    root: Path, file: str, settings: dict[str, Any], key: str, passed: PassedOver, notes: list[str], problems: list[str]
) -> list[Path]:
    """The images of a split, wherever `data.yaml` says that they are."""
    given = settings.get(key)
    places = given if isinstance(given, list) else [given] if given else []
    images = []
    for place in map(str, places):
        path = _place(root, settings.get("path"), place)
        if path is None:
            notes.append(f"{file}: {key}: {place}: not below {root}, so this split has no images")
        elif path.is_dir():
            images += find_images(path, passed)
        else:
            images += _listed(root, path, problems)
    return images


def _place(root: Path, start: object, place: str) -> Path | None:
    """Where a folder (or list) of images lies below the root: as written, from `path:`, or without leading `..`."""
    bare = place.replace("\\", "/")
    parts = [part for part in bare.split("/") if part not in ("..", ".", "")]
    starts = [root / str(start).replace("\\", "/"), root] if start else [root]
    shorter = parts[1:] if len(parts) > 2 and not bare.startswith("/") else parts
    for path in (*(folder / bare for folder in starts), root.joinpath(*parts), root.joinpath(*shorter)):
        if path.resolve().is_relative_to(root.resolve()) and path.exists() and path.resolve() != root.resolve():
            return root / path.resolve().relative_to(root.resolve())
    return None


def _listed(root: Path, file: Path, problems: list[str]) -> list[Path]:
    """The images that a text file names, from the root or from its own folder."""
    images, absent = [], []
    for _, line in lines_of(file):
        name = line.replace("\\", "/").removeprefix("./")
        path = next((folder / name for folder in (root, file.parent) if (folder / name).is_file()), None)
        if path is not None and is_image_name(path.name):
            images.append(path)
        else:
            absent.append(name)
    if absent:
        problems.append(f"{file.name}: {len(absent)} image(s) are not there: {shown(absent)}: restore or remove them")
    return images


def _label_file(image: Path) -> Path:
    """Where the boxes of an image lie: in `labels/` where it lies in `images/`, else beside it."""
    parts = list(image.parts)
    places = [place for place, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    return Path(*parts).with_suffix(".txt")


def _orphans(root: Path, images: set[Path]) -> list[str]:
    """Files of boxes whose image is not there, in words."""
    expected = {_label_file(path) for path in images}
    folders = {path.parent for path in expected if path.parent.is_dir() and "labels" in path.parts}
    orphans = sorted(
        file.relative_to(root).as_posix()
        for folder in folders
        for file in folder.glob("*.txt")
        if file not in expected and file.name != "classes.txt"
    )
    return [f"{len(orphans)} file(s) of boxes belong to no image: {shown(orphans)}"] if orphans else []


def _looks_like(root: Path) -> str | None:
    """A list of classes, and a folder of boxes."""
    file = next((name for name in _FILES if (root / name).is_file()), None)
    folders = ("labels", *(f"{name}/labels" for name in _SPLITS))
    labels = next((name for name in folders if has_folder(root, name)), None)
    return f"{file}, {labels}/" if file and labels else None


YOLO = Layout("yolo", "YOLO boxes", _looks_like, read_yolo, None, marks=_FILES)
