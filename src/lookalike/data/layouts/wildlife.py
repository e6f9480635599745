"""Tables of WildlifeDatasets: `metadata.csv` with a row for each animal in a photograph, and whose it is.

Čermák et al., "WildlifeDatasets: An Open-source Toolkit for Animal Re-identification", WACV 2024; columns of the
package wildlife-datasets (image_id, identity, path, and perhaps date, orientation, species, bbox as x, y, width,
height, split, original_split). In AnimalCLEF's tables the splits are called database and query.
"""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

from lookalike.data.column_names import BOX
from lookalike.data.image_files import PassedOver
from lookalike.data.layouts.boxes import Boxes
from lookalike.data.layouts.layout import Layout, LayoutRows, utf8_only
from lookalike.data.layouts.listed import head_of, shown, taken_once
from lookalike.data.tables import read_table
from lookalike.settings.split_names import split_named

_TABLE = "metadata.csv"
_UNKNOWN = frozenset({"unknown", ""})  # what the package calls an animal that nobody has named
_SPLITS = {"database": "train", "query": "test"}
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")


def read_wildlife(root: Path, passed: PassedOver) -> LayoutRows:
    """Reads the table; nothing is decoded.

    Args:
        root: The folder with `metadata.csv`.
        passed: Not used, as only the table is read.

    Returns:
        A table with the columns path, label (the identity), split, perhaps date and a box, and the others as text.
        Animals that nobody has named are left out, which is noted.

    Raises:
        ManifestError: It is no table.
    """
    read = read_table(root / _TABLE, {"label": "identity"}, root)
    table, notes, problems = read.rows, list(read.notes), list(read.problems)
    named = {"original_split": "split"} if "original_split" in table and "split" not in head_names(root) else {}
    if named:
        table = table.drop(columns="split").rename(columns=named)
    if "split" in table:
        table["split"] = [_SPLITS.get(name.casefold()) or split_named(name) or name for name in table["split"]]
    without = table["label"].str.casefold().isin(_UNKNOWN)
    if without.any():
        paths = table.loc[without, "path"]
        notes.append(f"{len(paths)} row(s) have no identity that is known and are left out: {shown(paths)}")
        table = table[~without]
    if "bbox" in table:
        table = _with_boxes(table, notes, problems)
    table = _in_utf8(table.reset_index(drop=True), problems)
    return LayoutRows(taken_once(table, notes, problems), notes, problems)


def head_names(root: Path) -> set[str]:
    """The names of the columns of the table, in small letters.

    Args:
        root: The folder with the table.
    """
    head = (head_of(root / _TABLE) or [""])[0]
    return {name.strip().strip('"').casefold() for name in re.split(r"[,;\t|]", head)}


def _in_utf8(table: pd.DataFrame, problems: list[str]) -> pd.DataFrame:
    kept = {path for (path,) in utf8_only([(path,) for path in table["path"]], problems)}
    return table[table["path"].isin(kept)]


def _with_boxes(table: pd.DataFrame, notes: list[str], problems: list[str]) -> pd.DataFrame:
    """Corners instead of the column bbox; rows whose box is too small are left out."""
    boxes, corners, kept = Boxes(), [], []
    for path, text in zip(table["path"], table["bbox"], strict=True):
        values = _numbers(text)
        if text.strip().casefold() in ("", "nan", "none"):
            corners.append((np.nan,) * 4)
            kept.append(True)
            continue
        if len(values) != 4:
            problems.append(f"{_TABLE}: {path}: bbox {text[:40]!r}: expected [x, y, width, height]")
        left, top, width, height = values if len(values) == 4 else (0.0, 0.0, 0.0, 0.0)
        inside = boxes.inside(path, (left, top, left + width, top + height), None) if len(values) == 4 else None
        corners.append(inside or (np.nan,) * 4)
        kept.append(inside is not None)
    notes += boxes.notes
    corner_table = pd.DataFrame(corners, columns=list(BOX), index=table.index)
    return pd.concat([table.drop(columns="bbox"), corner_table], axis=1)[np.array(kept, bool)]


def _numbers(text: str) -> list[float]:
    """The numbers of a cell, as JSON or as numpy prints them; none where something else is among them."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = [float(number) for number in _NUMBER.findall(text)]
    plain = isinstance(values, list) and all(type(value) in (int, float) and abs(value) < 2**53 for value in values)
    return [float(value) for value in values] if plain else []


def _looks_like(root: Path) -> str | None:
    return f"{_TABLE} with identity and path" if {"identity", "path"} <= head_names(root) else None


WILDLIFE = Layout("wildlife-datasets", "WildlifeDatasets", _looks_like, read_wildlife, None, marks=(_TABLE,))
