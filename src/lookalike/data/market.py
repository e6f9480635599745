"""Data sets of people and vehicles whose folders are roles and whose file names are labels: Market-1501 and its like.

Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015. `0002_c1s1_000451_03.jpg` is person 0002 seen
by camera 1. `-1` is junk, which neither helps nor hurts; `0000` is a distractor, a reference that is nobody's match.
VeRi-776 and others have the same files in folders of other names.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from lookalike.data.image_files import PassedOver, entries_of, find_images, has_folder, is_image_name, unopened
from lookalike.files import readable


@dataclass(frozen=True)
class Layout:
    """Where a data set keeps which images.

    Attributes:
        name: What it is called.
        train: The folder of training images.
        references: That of the images that are searched.
        queries: That of the images that ask.
    """

    name: str
    train: str
    references: str
    queries: str

    @property
    def folders(self) -> dict[str, tuple[str, str]]:
        """Folder -> split and role."""
        return {self.train: ("train", ""), self.references: ("test", "reference"), self.queries: ("test", "query")}


MARKET = Layout("Market-1501", "bounding_box_train", "bounding_box_test", "query")
TRAIN, REFERENCES, QUERIES, FOLDERS = MARKET.train, MARKET.references, MARKET.queries, MARKET.folders
VERI = Layout("VeRi-776", "image_train", "image_test", "image_query")
FLAT = Layout("train, gallery and query", "train", "gallery", "query")
# Names of folders that are roles and never classes, in small letters; all that start like Market-1501's are, too.
_ROLE_NAMES = frozenset(
    {*VERI.folders, "image_gallery", "query", "queries", "gallery", "probe", "multi-query", "gt_bbox"}
)
JUNK, DISTRACTOR = "-1", "0000"
EXAMPLE = "0002_c1s1_000451_03.jpg"


# A camera is followed by its sequence (c1s1), by `_` or by the end: `0002_c1owboy.jpg` names none.
_NAME = re.compile(r"(-1|[0-9]+)_(?:c([0-9]{1,9})(?=s[0-9]|[_.]))?.*")
AnyRow = TypeVar("AnyRow", bound=tuple[Any, ...])
_Row = tuple[str, str, str, str, int | None, bool]


def is_role_name(name: str) -> bool:
    """Whether a folder of that name holds the queries or references of a data set, so that it is no class."""
    return name.casefold() in _ROLE_NAMES or name.casefold().startswith("bounding_box_")


def label_and_camera(name: str) -> tuple[str, int | None] | None:
    """What a file name says: `0002_c1s1_000451_03.jpg` is 0002 under camera 1; None for a name without an id."""
    said = _NAME.fullmatch(name)
    return (said[1], int(said[2]) if said[2] else None) if said else None


def utf8_only(rows: list[AnyRow], problems: list[str]) -> list[AnyRow]:
    """The rows whose first cell, a path, is UTF-8 (tables hold nothing else); the others become problems."""
    names = [readable(row[0]) for row in rows]
    problems += [
        f"{name}: the name is not UTF-8: rename it" for row, name in zip(rows, names, strict=True) if name != row[0]
    ]
    return [row for row, name in zip(rows, names, strict=True) if name == row[0]]


def layout_of(folder: Path) -> Layout | None:
    """Which of these layouts a folder has."""
    for layout in (MARKET, VERI):
        if any(has_folder(folder, name) for name in (layout.train, layout.references)):
            return layout
    pair = (FLAT.references, FLAT.queries)
    if all(has_folder(folder, name) for name in pair) and any(_holds_images(folder / name) for name in pair):
        return FLAT
    return None


def market_root(root: Path) -> Path | None:
    """The folder with one of these layouts: `root`, else its one subfolder that has; or None.

    A `train` folder in the root makes it a data set of its own, so what lies below it is not asked.
    """
    return root_with(root, lambda folder: layout_of(folder) is not None)


def root_with(root: Path, has_layout: Callable[[Path], bool]) -> Path | None:
    """The folder with a layout: `root`, else, where it has no `train` of its own, its one subfolder that has; or None.

    Args:
        root: Where it is looked for.
        has_layout: Whether a folder has the layout.
    """
    if has_layout(root):
        return root
    if not root.is_dir() or (root / "train").is_dir():
        return None
    inside = [path for path, is_folder in entries_of(root, PassedOver()) if is_folder and has_layout(path)]
    return inside[0] if len(inside) == 1 else None


def read_market(root: Path, passed: PassedOver | None = None) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Reads the images of the three folders; nothing is decoded.

    Args:
        root: The folder above them, see `market_root`.
        passed: What is not read is added to it.

    Returns:
        A table with the columns path (relative to `root`), label, split, role, camera (Int64) and ignore; notes; and
        the problems found.
    """
    layout, passed = layout_of(root) or MARKET, PassedOver() if passed is None else passed
    rows: list[_Row] = []
    problems: list[str] = []
    images = {folder: _read_folder(root, folder, layout, rows, problems, passed) for folder in layout.folders}
    problems += _without_images(root, layout, images)
    table = pd.DataFrame(utf8_only(rows, problems), columns=["path", "label", "split", "role", "camera", "ignore"])
    table = table.astype({"camera": "Int64", "ignore": bool})
    people = table[~table["ignore"] & (table["label"] != DISTRACTOR)].groupby("split")["label"].unique()
    both = sorted({*people.get("train", ())} & {*people.get("test", ())})
    notes = []
    if both:
        notes.append(
            f"{len(both)} people are in train and in test (such as {both[0]}): test figures are better than they "
            "would be on people never seen"
        )
    return table, notes, problems


def _holds_images(folder: Path) -> bool:
    return any(not is_folder and is_image_name(path.name) for path, is_folder in entries_of(folder, PassedOver()))


def _read_folder(
    root: Path, folder: str, layout: Layout, rows: list[_Row], problems: list[str], passed: PassedOver
) -> int:
    """Appends the images of one folder; returns how many image files it has, good names or not."""
    images = 0
    split, role = layout.folders[folder]
    for path, is_folder in entries_of(root / folder, passed) if (root / folder).is_dir() else []:
        where = f"{folder}/{path.name}"
        if is_folder:
            if find_images(path):
                problems.append(f"{where}: a folder of images: expected the images themselves, move them to {folder}/")
            continue
        if not is_image_name(path.name):
            passed.add(path)
            continue
        images += 1
        said = label_and_camera(path.name)
        if not said:
            problems.append(f"{where}: the name has no id: expected {EXAMPLE}; rename or remove it")
            continue
        label, camera = said
        if label == DISTRACTOR and folder != layout.references:
            references = layout.references
            problems.append(f"{where}: {DISTRACTOR} is nobody: expected in {references}/ only; move or remove it")
        rows.append((where, label, split, role, camera, label == JUNK))
    return images


def _without_images(root: Path, layout: Layout, images: dict[str, int]) -> list[str]:
    """Folders that are there but empty, and what is missing of a pair that only works together."""
    train, references, queries = layout.folders
    wanted = {folder for folder in layout.folders if (root / folder).is_dir()}
    if wanted & {references, queries}:
        wanted |= {references, queries}
    texts = {
        train: "training images; copy them there or remove the folder",
        references: f"the images that {queries} is compared with; copy them there, or remove {queries} to train only",
        queries: f"the images that ask {references}; copy them there, or remove {references} to train only",
    }
    closed = {folder: unopened(root / folder) for folder in wanted if has_folder(root, folder)}
    return [
        f"{folder}: {closed.get(folder) or f'no image: expected {text} ({EXAMPLE})'}"
        for folder, text in texts.items()
        if folder in wanted and not images[folder]
    ]
