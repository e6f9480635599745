"""`train/<class>/`, `validation/<class>/`, `test/<class>/`, or class folders alone."""

import os
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from lookalike.data.image_files import find_images, is_image_name
from lookalike.data.tables import SPLIT_NAMES, ManifestError

AnyRow = TypeVar("AnyRow", bound=tuple[Any, ...])


def passed_over(skipped: Counter[str]) -> list[str]:
    """Notes on files that are no images, counted by extension."""
    return [
        f"{count} file(s) ending in {suffix or 'nothing'} passed over: not an image extension"
        for suffix, count in sorted(skipped.items())
    ]


def utf8_only(rows: list[AnyRow], problems: list[str]) -> list[AnyRow]:
    """The rows whose first cell, a path, is UTF-8 (tables hold nothing else); the others become problems."""
    names = [row[0].encode("utf-8", "backslashreplace").decode() for row in rows]
    problems += [
        f"{name}: the name is not UTF-8: rename it" for row, name in zip(rows, names, strict=True) if name != row[0]
    ]
    return [row for row, name in zip(rows, names, strict=True) if name == row[0]]


RECIPE = "transform.json"  # `augment` puts it beside its copies: that folder is no class


def read_class_folders(root: Path, may_split: bool) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Reads class folders: a table of path, label and split; notes on what was passed over; problems."""
    folders = {entry.name for entry in root.iterdir() if entry.is_dir()}
    splits = {name: split for name, split in SPLIT_NAMES.items() if name in folders}
    if "train" not in splits:
        classes = [entry.name for entry in sorted(root.iterdir()) if entry.is_dir() and find_images(entry)]
        if not (may_split and classes):
            entries = ", ".join(sorted(entry.name for entry in root.iterdir())[:6]) or "nothing"
            way_out = (
                "add data.validation_share=0.2 to split these class folders"
                if classes
                else "give the folder above with data.root="
            )
            raise ManifestError(f"{root}: expected a folder train/<class>/ in it, found {entries}; {way_out}")
        splits = {"": "train"}
    rows: list[tuple[str, str, str]] = []
    problems: list[str] = []
    skipped: Counter[str] = Counter()
    for name, split in sorted(splits.items()):
        _read_split(root, root / name, split, rows, problems, skipped)
    table = pd.DataFrame(utf8_only(rows, problems), columns=["path", "label", "split"])
    return table, passed_over(skipped), problems


def _read_split(
    root: Path, folder: Path, split: str, rows: list[tuple[str, str, str]], problems: list[str], skipped: Counter[str]
) -> None:
    """Appends the images of one split folder; the first folder below it is the label."""
    for entry in sorted(folder.iterdir()):
        where = entry.relative_to(root).as_posix()
        if entry.name.startswith(".") or (entry / RECIPE).is_file():
            continue
        if not entry.is_dir():
            if is_image_name(entry.name):
                problems.append(f"{where}: an image outside any class folder: move it to {split}/<class>/")
            else:
                skipped[entry.suffix] += 1
            continue
        images = find_images(entry)
        if not images:
            problems.append(f"{where}: a class with no images: add some or remove the folder")
        rows += [(image.relative_to(root).as_posix(), entry.name, split) for image in images]
        for _, folders, names in os.walk(entry):
            folders[:] = [name for name in folders if not name.startswith(".")]
            skipped.update(Path(name).suffix for name in names if not (name.startswith(".") or is_image_name(name)))
