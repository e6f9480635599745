"""Sequences of people under two cameras, split by person: what PRID 2011 and iLIDS-VID share.

One camera asks and the other answers; of ten splits of the people the papers train and test on each and print the mean.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from lookalike.data.image_files import PassedOver, entries_of, has_file, has_folder, is_image_name
from lookalike.data.layouts.layout import LayoutRows, utf8_only
from lookalike.data.tables import ManifestError

_Row = tuple[str, str, str, str, int, str]


def read_sequences(
    root: Path, cameras: tuple[str, str], people: Mapping[str, Sequence[str]], passed: PassedOver
) -> LayoutRows:
    """Reads the pictures of some people; those of test ask under the first camera and answer under the second.

    Args:
        root: Where paths start.
        cameras: The folders above the folders of people, the first and the second camera.
        people: `train` and `test` -> names of folders of people.
        passed: What is not read is added to it.
    """
    read = LayoutRows(pd.DataFrame())
    rows: list[_Row] = []
    for split, names in people.items():
        for number, camera in enumerate(cameras, 1):
            role = "" if split == "train" else ("query", "reference")[number - 1]
            for name in names:
                pictures = _pictures(root, f"{camera}/{name}", passed)
                if not pictures:
                    read.problems.append(f"{camera}/{name}: no picture of it, but {split} lists it: restore its folder")
                rows += [(picture, name, split, role, number, f"{name}-{number}") for picture in pictures]
    if both := sorted({*people.get("train", ())} & {*people.get("test", ())}):
        read.problems.append(f"{len(both)} people are in train and in test, such as {both[0]}: correct the split")
    columns = ["path", "label", "split", "role", "camera", "tracklet"]
    read.table = pd.DataFrame(utf8_only(rows, read.problems), columns=columns).astype({"camera": "Int64"})
    return read


def folder_of(root: Path, above: Sequence[str], folder: str, cameras: Sequence[str]) -> str | None:
    """The folder with both cameras, from the root on; None where there is none.

    Args:
        root: The data set.
        above: What may stand before it, each with its `/`.
        folder: Its name.
        cameras: Of the folders in it.
    """
    places = (f"{before}{folder}" for before in above)
    return next((place for place in places if all(has_folder(root, f"{place}/{name}") for name in cameras)), None)


def splits_of(root: Path, name: str) -> Path | None:
    """The file of the splits, in the data set or beside it; None where there is none.

    Args:
        root: The data set.
        name: Of the file.
    """
    return next((folder / name for folder in (root, root.parent) if has_file(folder, name)), None)


def people_under(root: Path, camera: str) -> list[str]:
    """The names of the folders of people under one camera, sorted.

    Args:
        root: The data set.
        camera: The folder above them.
    """
    if not has_folder(root, camera):
        return []
    return [path.name for path, is_folder in entries_of(root / camera, PassedOver()) if is_folder]


def _pictures(root: Path, folder: str, passed: PassedOver) -> list[str]:
    if not has_folder(root, folder):
        return []
    pictures = []
    for path, is_folder in entries_of(root / folder, passed):
        if not is_folder and is_image_name(path.name):
            pictures.append(f"{folder}/{path.name}")
        elif not is_folder:
            passed.add(path)
    return pictures


def fold_of(splits: Sequence[object], fold: int, file: Path) -> tuple[int, str]:
    """The place of a split that a data set comes with, from 0 on, and a note on it.

    Args:
        splits: All of them.
        fold: Which, from 1 on.
        file: Where they stand.

    Raises:
        ManifestError: There are fewer.
    """
    if not 1 <= fold <= len(splits):
        raise ManifestError(f"data.fold={fold}: expected 1 to {len(splits)}, the splits in {file}")
    return fold - 1, f"split {fold} of {len(splits)} is read (data.fold); papers train and test on each, print the mean"
