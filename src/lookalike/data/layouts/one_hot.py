"""Roboflow's tables of classes: `train/_classes.csv` with a column for each class, and the images beside it.

Format: https://roboflow.com/formats/multiclass-classification-csv, and Datumaro's page "Roboflow". Its other export for
classification is class folders in `train/`, `valid/` and `test/`.
"""

from pathlib import Path

import pandas as pd

from lookalike.data.image_files import PassedOver, has_file
from lookalike.data.layouts.layout import Layout, LayoutRows, utf8_only
from lookalike.data.layouts.listed import below, shown, taken_once, tell_unlisted
from lookalike.data.table_file import read_csv
from lookalike.data.tables import ManifestError
from lookalike.settings.split_names import split_named

_TABLE = "_classes.csv"
_SPLITS = ("train", "valid", "val", "validation", "test")  # folders
_TRUE, _FALSE = frozenset({"1", "1.0", "true"}), frozenset({"0", "0.0", "false", ""})


def read_one_hot(root: Path, passed: PassedOver) -> LayoutRows:
    """Reads the tables; nothing is decoded.

    Args:
        root: The folder with `_classes.csv`, or above those that have one.
        passed: What is not read is added to it.

    Returns:
        A table with the columns path, label and split. An image of no class, or of several, has no label: it is left
        out, which is noted.

    Raises:
        ManifestError: A table cannot be read, or has no column of names.
    """
    notes: list[str] = []
    problems: list[str] = []
    rows, without, several = [], list[str](), list[str]()
    folders = _folders(root)
    for folder in folders:
        split = (split_named(folder) if folder else None) or "train"
        for name, labels in _labels(root / folder / _TABLE, below(folder, _TABLE), problems):
            path = below(folder, name)
            if len(labels) == 1:
                rows.append((path, labels[0], split))
            else:
                (several if labels else without).append(path)
    texts = {"have no class and are left out": without, "have several classes and are left out": several}
    notes += [f"{len(paths)} image(s) {text}: {shown(paths)}" for text, paths in texts.items() if paths]
    table = pd.DataFrame(utf8_only(rows, problems), columns=["path", "label", "split"])
    table = taken_once(table, notes, problems)
    tell_unlisted(
        root, [folder for folder in folders if folder], [*table["path"], *without, *several], passed, notes, (_TABLE,)
    )
    return LayoutRows(table, notes, problems)


def _labels(file: Path, name: str, problems: list[str]) -> list[tuple[str, list[str]]]:
    """Each image of a table, and the classes that it has."""
    try:
        cells = read_csv(file)
    except (OSError, ValueError) as error:
        raise ManifestError(f"{file}: cannot be read as a table ({error}): export it again") from error
    first, *classes = cells.names
    if first.casefold() != "filename" or not classes:
        raise ManifestError(
            f"{file}: expected the column filename and one for each class, found {', '.join(cells.names[:20])}"
        )
    images = []
    for number, (image, *marks) in enumerate(zip(*cells.columns, strict=True), 2):
        plain = [mark.strip().casefold() for mark in marks]
        strange = [mark for mark in plain if mark not in _TRUE | _FALSE]
        if strange or not image.strip():
            problems.append(
                f"{name}, row {number}: expected a file and 0 or 1 for each class, found {strange[:1] or ''}"
            )
            continue
        images.append((image.strip(), [label for label, mark in zip(classes, plain, strict=True) if mark in _TRUE]))
    return images


def _folders(root: Path) -> list[str]:
    """Those with a table: folders of splits, or the root itself."""
    return [folder for folder in ("", *_SPLITS) if has_file(root, below(folder, _TABLE))]


def _looks_like(root: Path) -> str | None:
    return ", ".join(below(folder, _TABLE) for folder in _folders(root)) or None


ONE_HOT = Layout(
    "roboflow-classes", "Roboflow's table of classes", _looks_like, read_one_hot, None, marks=(_TABLE, *_SPLITS)
)
