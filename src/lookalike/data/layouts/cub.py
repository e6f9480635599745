"""CUB-200-2011: birds, in lists by number. Metric learning divides it by class, not by `train_test_split.txt`.

Wah et al., "The Caltech-UCSD Birds-200-2011 Dataset", 2011: lines are `1 001.Black_footed_Albatross/....jpg`
(images.txt), `1 1` (image_class_labels.txt), `1 001.Black_footed_Albatross` (classes.txt), `1 60.0 27.0 325.0 304.0`
(bounding_boxes.txt: x, y, width, height). The first 100 classes train, the others are searched: Oh Song et al., CVPR
2016, and the readers of pytorch-metric-learning.
"""

import re
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from lookalike.data.column_names import BOX
from lookalike.data.image_files import PassedOver, has_file
from lookalike.data.layouts.layout import Layout, LayoutRows, Standard, utf8_only
from lookalike.data.layouts.listed import cells_of, need_files, taken_once, tell_unlisted
from lookalike.data.layouts.lists import lines_of, names_by_number
from lookalike.data.tables import ManifestError
from lookalike.files import readable

_IMAGES, _LABELS, _CLASSES, _BOXES = "images.txt", "image_class_labels.txt", "classes.txt", "bounding_boxes.txt"
_SPLIT = "train_test_split.txt"
_EXAMPLES = {
    _IMAGES: "1 001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg",
    _LABELS: "1 1",
    _BOXES: "1 60.0 27.0 325.0 304.0",
}
_TRAINED = 100  # classes
_CLASSES_THERE = 200
_NAME = re.compile(r"[0-9]{3}\..+/.+")


def read_cub(root: Path, passed: PassedOver, boxes: bool = False) -> LayoutRows:
    """Reads the lists; nothing is decoded.

    Args:
        root: The folder with the lists.
        passed: What is not read is added to it.
        boxes: Whether only the box of each bird is used; the protocol of metric learning uses whole photographs.

    Returns:
        A table with the columns path, label (the name of the class), split and role, and with `boxes` x1, y1, x2, y2.

    Raises:
        ManifestError: A list is missing, or no text, or the lists are those of another data set (NABirds has the same).
    """
    wanted = [_IMAGES, _LABELS, *([_BOXES] if boxes else [])]
    need_files(root, wanted, "CUB-200-2011", "what its images show")
    problems: list[str] = []
    images = _by_number(root, _IMAGES, problems)
    if other := next((name for name in images.values() if not _NAME.fullmatch(name)), None):
        raise ManifestError(
            f"{root / _IMAGES}: not of CUB-200-2011: expected images such as {_EXAMPLES[_IMAGES].split()[1]}, found "
            f"{readable(other)[:60]!r}: read another data set with such lists by its class folders, with "
            f"data.layout=folders data.root={root / 'images'} data.validation_share=0.2"
        )
    classes = _by_number(root, _LABELS, problems)
    names = names_by_number(root / _CLASSES) if has_file(root, _CLASSES) else {}
    corners = _boxes(root, problems) if boxes else {}
    rows = []
    for number, name in images.items():
        label = classes.get(number, "")
        if label.isdigit() and not 1 <= int(label) <= _CLASSES_THERE:
            problems.append(f"{_LABELS}: image {number}: expected a class from 1 to {_CLASSES_THERE}, found {label}")
            continue
        if not label.isdigit():
            problems.append(
                f"{_LABELS}: image {number} ({readable(name)}) has no class: expected a line such as {number} 1"
            )
            continue
        split, role = ("train", "") if int(label) <= _TRAINED else ("test", "both")
        box = corners.get(number, (np.nan,) * 4)
        rows.append((f"images/{name}", names.get(label) or readable(name.partition("/")[0]), split, role, *box))
    problems += [f"{_LABELS}: image {number} is not in {_IMAGES}: add it there" for number in classes.keys() - images]
    table = pd.DataFrame(utf8_only(rows, problems), columns=["path", "label", "split", "role", *BOX])
    table = table if boxes else table.drop(columns=list(BOX))
    unused = f"; {_SPLIT}, which divides every class, is not used" if has_file(root, _SPLIT) else ""
    notes = [
        f"divided as in metric learning: classes 1 to {_TRAINED} train, the others are searched{unused}; "
        + ("only the box of each bird is used" if boxes else "whole photographs, no boxes")
    ]
    table = taken_once(table, notes, problems)
    tell_unlisted(root, ["images"], table["path"], passed, notes)
    return LayoutRows(table, notes, problems)


def _by_number(root: Path, name: str, problems: list[str]) -> dict[str, str]:
    """Number -> what a list says of it."""
    cells = cells_of(lines_of(root / name), 2, f"{name}: {_EXAMPLES[name]}", problems)
    said: dict[str, str] = {}
    for number, value in cells:
        if said.setdefault(number, value) != value:
            problems.append(
                f"{name}: {number} stands twice, as {readable(said[number])} and {readable(value)}: keep the right line"
            )
    return said


def _boxes(root: Path, problems: list[str]) -> dict[str, tuple[float, ...]]:
    """Number -> x1, y1, x2, y2."""
    boxes: dict[str, tuple[float, ...]] = {}
    for number, *cells in cells_of(lines_of(root / _BOXES), 5, f"{_BOXES}: {_EXAMPLES[_BOXES]}", problems):
        try:
            left, top, width, height = map(float, cells)
        except ValueError:
            left = top = width = height = np.nan
        if not np.isfinite([left, top, width, height]).all():
            problems.append(f"{_BOXES}: image {number}: expected four numbers, found {' '.join(cells)[:60]!r}")
            continue
        boxes[number] = (left, top, left + width, top + height)
    return boxes


def _looks_like(root: Path) -> str | None:
    there = [name for name in (_IMAGES, _LABELS) if has_file(root, name)]
    return ", ".join(there) if len(there) == 2 else None


_STANDARD = Standard(
    "every image of classes 101 to 200 asks all others of them; Recall@k: whether one of the first k shows its class",
    ("cmc@1", "cmc@2", "cmc@4", "cmc@8"),
    "Oh Song et al., CVPR 2016",
    average_precision="none",
    cmc_name="Recall",
    lone_missed=True,
)
CUB = Layout("cub-200-2011", "CUB-200-2011", _looks_like, read_cub, _STANDARD, disjoint=True, marks=(_IMAGES,))
CUB_BOXES = Layout(
    "cub-200-2011-boxes",
    "CUB-200-2011 in its boxes",
    _looks_like,
    partial(read_cub, boxes=True),
    _STANDARD,
    disjoint=True,
    asked_for=True,
)
