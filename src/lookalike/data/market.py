"""Market-1501 as it is distributed: its folders, what its file names say, people held out, and its zip.

Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015. `0002_c1s1_000451_03.jpg` is person 0002 seen
by camera 1. `-1` is junk, which neither helps nor hurts; `0000` is a distractor, a reference that is nobody's match.
"""

import re
from collections import Counter
from pathlib import Path

import pandas as pd

from lookalike.data.class_folders import passed_over, utf8_only
from lookalike.data.image_files import find_images, is_image_name

TRAIN, REFERENCES, QUERIES = "bounding_box_train", "bounding_box_test", "query"
FOLDERS = {TRAIN: ("train", ""), REFERENCES: ("test", "reference"), QUERIES: ("test", "query")}  # split, role
JUNK, DISTRACTOR = "-1", "0000"
EXAMPLE = "0002_c1s1_000451_03.jpg"


# A camera is followed by its sequence (c1s1), by `_` or by the end: `0002_c1owboy.jpg` names none.
_NAME = re.compile(r"(-1|[0-9]+)_(?:c([0-9]{1,9})(?=s[0-9]|[_.]))?.*")
_Row = tuple[str, str, str, str, int | None, bool]


def market_root(root: Path) -> Path | None:
    """The folder with `bounding_box_train` or `bounding_box_test`: `root`, else its one subfolder that has; or None."""
    if _has_layout(root):
        return root
    inside = sorted(root.iterdir()) if root.is_dir() else []
    roots = [entry for entry in inside if not entry.name.startswith(".") and _has_layout(entry)]
    return roots[0] if len(roots) == 1 else None


def read_market(root: Path) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Reads the images of Market-1501's three folders; nothing is decoded.

    Args:
        root: The folder above them, see `market_root`.

    Returns:
        A table with the columns path (relative to `root`), label, split, role, camera (Int64) and ignore; notes on what
        was passed over; and the problems found.
    """
    rows: list[_Row] = []
    problems: list[str] = []
    skipped: Counter[str] = Counter()
    images = {folder: _read_folder(root, folder, rows, problems, skipped) for folder in FOLDERS}
    problems += _without_images(root, images)
    table = pd.DataFrame(utf8_only(rows, problems), columns=["path", "label", "split", "role", "camera", "ignore"])
    table = table.astype({"camera": "Int64", "ignore": bool})
    people = table[~table["ignore"] & (table["label"] != DISTRACTOR)].groupby("split")["label"].unique()
    both = sorted({*people.get("train", ())} & {*people.get("test", ())})
    notes = passed_over(skipped)
    if both:
        notes.append(
            f"{len(both)} people are in train and in test (such as {both[0]}): test figures are better than they "
            "would be on people never seen"
        )
    return table, notes, problems


def _has_layout(folder: Path) -> bool:
    return (folder / TRAIN).is_dir() or (folder / REFERENCES).is_dir()


def _read_folder(root: Path, folder: str, rows: list[_Row], problems: list[str], skipped: Counter[str]) -> int:
    """Appends the images of one folder; returns how many image files it has, good names or not."""
    images = 0
    split, role = FOLDERS[folder]
    for entry in sorted((root / folder).iterdir()) if (root / folder).is_dir() else []:
        where = f"{folder}/{entry.name}"
        if entry.name.startswith("."):
            continue
        if not is_image_name(entry.name):
            if not entry.is_dir():
                skipped[entry.suffix] += 1
            elif find_images(entry):
                problems.append(f"{where}: a folder of images: expected the images themselves, move them to {folder}/")
            continue
        images += 1
        name = _NAME.fullmatch(entry.name)
        if not name:
            problems.append(f"{where}: the name has no id: expected {EXAMPLE}; rename or remove it")
            continue
        label, camera = name.groups()
        if label == DISTRACTOR and folder != REFERENCES:
            problems.append(f"{where}: {DISTRACTOR} is nobody: expected in {REFERENCES}/ only; move or remove it")
        rows.append((where, label, split, role, int(camera) if camera else None, label == JUNK))
    return images


def _without_images(root: Path, images: dict[str, int]) -> list[str]:
    """Folders that are there but empty, and what is missing of a pair that only works together."""
    wanted = {folder for folder in FOLDERS if (root / folder).is_dir()}
    if wanted & {REFERENCES, QUERIES}:
        wanted |= {REFERENCES, QUERIES}
    texts = {
        TRAIN: "training images; copy them there or remove the folder",
        REFERENCES: f"the images that {QUERIES} is compared with; copy them there, or remove {QUERIES} to train only",
        QUERIES: f"the images that ask {REFERENCES}; copy them there, or remove {REFERENCES} to train only",
    }
    return [
        f"{folder}: no image: expected {text} ({EXAMPLE})"
        for folder, text in texts.items()
        if folder in wanted and not images[folder]
    ]
