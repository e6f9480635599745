"""Tables of images as people write them: CSV or Parquet, our columns or those of open-metric-learning.

Labels stay the text that was written; numbers and flags are checked cell by cell, and every problem names its row.
"""

import os
from contextlib import suppress
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pandas as pd

from lookalike.data.table_file import read_csv, read_parquet
from lookalike.errors import LookalikeError
from lookalike.settings.paths import PathError, at_home

COLUMNS = ("path", "label", "split", "role", "camera", "ignore", "source")
BOX = ("x1", "y1", "x2", "y2")
SPLITS = ("train", "validation", "test")
SPLIT_NAMES = {**{name: name for name in SPLITS}, "val": "validation", "valid": "validation"}
_OML_NAMES = {"x_1": "x1", "y_1": "y1", "x_2": "x2", "y_2": "y2"}
_TRUE, _FALSE = frozenset({"1", "1.0", "true", "yes"}), frozenset({"", "0", "0.0", "false", "no"})
_KNOWN = frozenset({*COLUMNS, *BOX, "is_query", "is_gallery", "sequence", "category"})
_SHOWN = 20  # columns in an error


class ManifestError(LookalikeError):
    """The data set cannot be used as it is; every problem found is listed."""


def read_table(path: Path) -> tuple[pd.DataFrame, str, list[str]]:
    """Reads a `.csv`, `.tsv` or `.parquet` table with at least the columns path and label.

    Args:
        path: The file.

    Returns:
        Its rows with our column names, how it was read where that is not plain (`separated by ;`), and the problems
        found in single cells.

    Raises:
        ManifestError: Not a table, or without these columns.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".tsv", ".parquet"):
        raise ManifestError(
            f"{path}: expected a folder, a .csv or a .parquet table; got a {path.suffix or 'nameless'} file"
        )
    try:
        cells = read_parquet(path) if suffix == ".parquet" else read_csv(path)
    except (ValueError, OSError) as error:
        raise ManifestError(
            f"{path}: cannot be read as a table ({str(error).splitlines()[0]}): save it again as CSV or Parquet"
        ) from error
    names = _own_names(path, cells.names)
    if not {"path", "label"} <= set(names):
        raise ManifestError(
            f"{path}: expected the columns path and label (also {', '.join(COLUMNS[2:])}), "
            f"found {', '.join(cells.names[:_SHOWN])}{f' ({cells.seen})' if cells.seen else ''}"
        )
    table = pd.DataFrame(dict(zip(names, cells.columns, strict=True)), dtype="str")
    for name in table:
        if name in ("path", "source"):
            table[name] = [_located(text, path.parent) for text in table[name]]
        else:
            table[name] = table[name].str.strip()
        if name in (*BOX, "camera") and cells.separator != ",":
            decimal = table[name].str.fullmatch(r"-?[0-9]+,[0-9]+")
            table[name] = table[name].where(~decimal, table[name].str.replace(",", "."))
    table, problems = _with_types(table)
    return table, cells.seen, problems


def _own_names(path: Path, names: list[str]) -> list[str]:
    """Our names of the columns; others as they are, with a number where one stands twice.

    Raises:
        ManifestError: Two columns mean the same.
    """
    own: list[str] = []
    for name in names:
        plain = name.casefold()
        mine = _OML_NAMES.get(plain, plain)
        use = mine if mine in _KNOWN and (name == plain or plain not in names) else name
        if use in own and use in _KNOWN:
            also = names[own.index(use)]
            raise ManifestError(f"{path}: the columns {also} and {name} both mean {use}: keep one of them")
        own.append(use if use not in own else f"{use}.{len(own)}")
    return own


def forms_of(path: str) -> list[str]:
    """A path as it is written, then as it may be meant: without blanks, `~`, backslashes, accents in another form."""
    bare = path.strip()
    if bare.startswith("~"):
        with suppress(PathError):
            return list(dict.fromkeys([path, at_home(bare.replace("\\", "/")), bare]))
    if path == bare and path.isascii() and "\\" not in path:
        return [path]
    forms = [path, bare, bare.replace("\\", "/")]
    return list(dict.fromkeys([*forms, *(normalize(form, name) for name in forms[1:] for form in ("NFC", "NFD"))]))


def _located(path: str, folder: Path) -> str:
    """A path in the form that leads to a file; without blanks at its ends where none does."""
    forms = forms_of(path)
    if len(forms) == 1:
        return path
    return next((form for form in forms if form and os.path.lexists(folder / form)), path.strip())


def training_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that are trained on: those of split train that are not ignored, augmented copies included."""
    return table[(table["split"] == "train") & ~table["ignore"]]


def original_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that are no augmented copies."""
    return table[table["source"] == ""]


def _with_types(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Flags and numbers instead of text, split names as ours, roles and cameras where other columns tell them."""
    problems: list[str] = []
    if "split" not in table:
        table["split"] = "train"
    table["split"] = table["split"].replace(SPLIT_NAMES)
    for name in ("ignore", "is_query", "is_gallery"):
        if name in table:
            table[name] = _flags(table[name], name, problems)
    if "is_query" in table and "is_gallery" in table:
        roles = {(True, True): "both", (True, False): "query", (False, True): "reference", (False, False): ""}
        table["role"] = [roles[pair] for pair in zip(table["is_query"], table["is_gallery"], strict=True)]
        table.loc[table["split"] == "train", "role"] = ""
    if "sequence" in table and "camera" not in table:
        table["camera"] = _cameras_from_sequences(table, problems)
    for name in ("camera", *BOX):
        if name in table:
            table[name] = _numbers(table[name], name, problems)
    corners = table[[name for name in BOX if name in table]].notna().sum(axis=1)
    for row in np.flatnonzero(corners % 4):
        problems.append(f"row {row + 2}: a box of {corners.iloc[row]} numbers: expected x1, y1, x2, y2 or none of them")
    return table, problems


def _flags(column: pd.Series, name: str, problems: list[str]) -> pd.Series:
    text = column.str.lower()
    for row in np.flatnonzero(~text.isin(_TRUE | _FALSE)):
        problems.append(f"row {row + 2}: {name} is {column.iloc[row]!r}: expected true or false")
    return text.isin(_TRUE)


def _numbers(column: pd.Series, name: str, problems: list[str]) -> pd.Series:
    numbers = pd.to_numeric(column.replace("", None), errors="coerce").astype(float)
    # Beyond 2^53 (infinity included) whole numbers are no longer told apart.
    wrong = ((column != "") & ~(numbers.abs() <= 2**53)) | ((name == "camera") & (numbers % 1 > 0))
    kind = "whole number" if name == "camera" else "number"
    for row in np.flatnonzero(wrong):
        problems.append(f"row {row + 2}: {name} is {column.iloc[row]!r}: expected a {kind} or nothing")
    return numbers.where(~wrong)


def _cameras_from_sequences(table: pd.DataFrame, problems: list[str]) -> pd.Series:
    """A sequence (open-metric-learning) hides its own members; so does a camera when no sequence spans two labels."""
    labels_per_sequence = table[table["sequence"] != ""].groupby("sequence")["label"].nunique()
    for sequence in labels_per_sequence.index[labels_per_sequence > 1]:
        problems.append(
            f"sequence {sequence} spans several labels: expected one label per sequence; split it or drop the column"
        )
    codes = pd.Series(pd.factorize(table["sequence"])[0], index=table.index).astype(str)
    return codes.where(table["sequence"] != "", "")
