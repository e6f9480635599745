"""Tables of images as people write them: CSV or Parquet, our columns or those of open-metric-learning.

Labels stay the text that was written; numbers and flags are checked cell by cell, and every problem names its row.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pandas as pd

from lookalike.data.column_names import BOX, free_name, incomplete_box, own_columns
from lookalike.data.table_file import read_csv, read_parquet
from lookalike.errors import LookalikeError
from lookalike.settings.paths import PathError, at_home
from lookalike.settings.split_names import SPLIT_NAMES, split_named

COLUMNS = ("path", "label", "split", "role", "camera", "ignore", "source")
OPTIONAL = (*BOX, "category")  # of a manifest, besides, in this order; like `COLUMNS` part of its fingerprint
CARRIED = ("site", "date", "seconds", "scene", "tracklet", "camera_name")  # have a meaning, and change no row
_KNOWN = frozenset({*COLUMNS, *OPTIONAL, *CARRIED, "is_query", "is_gallery", "sequence"})
_TRUE, _FALSE = frozenset({"1", "1.0", "true", "yes"}), frozenset({"", "0", "0.0", "false", "no"})
_MISSING = frozenset({"na", "n/a", "nan", "none", "null"})  # of a camera, site, scene or date; a label may be any text
_SPREADSHEETS = frozenset({".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers", ".fods"})
_SHOWN = 20  # columns in an error
_NAMED = 6  # cameras in a note


class ManifestError(LookalikeError):
    """The data set cannot be used as it is; every problem found is listed."""


@dataclass(frozen=True)
class Table:
    """A table of images as it was read.

    Attributes:
        rows: Its rows under our names of columns; others under their own, as text.
        seen: How it was read where that is not plain, such as `separated by ;`.
        problems: In single cells, in words.
        notes: What became of names of cameras, and of columns that another one takes the place of, in words.
    """

    rows: pd.DataFrame
    seen: str
    problems: list[str]
    notes: list[str]


def read_table(path: Path, columns: Mapping[str, str] | None = None, images: Path | None = None) -> Table:
    """Reads a `.csv`, `.tsv` or `.parquet` table with at least the columns path and label.

    Args:
        path: The file.
        columns: Our name of a column -> what it is called in the table, where that is another name.
        images: The folder that paths start from; None for that of the file.

    Raises:
        ManifestError: Not a table, or without these columns.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".tsv", ".parquet"):
        raise ManifestError(
            f"{path}: expected a folder, a .csv or a .parquet table; got a {path.suffix or 'nameless'} file"
            f"{': save it as CSV (UTF-8)' if suffix in _SPREADSHEETS else ''}"
        )
    try:
        cells = read_parquet(path) if suffix == ".parquet" else read_csv(path)
    except (ValueError, OSError) as error:
        raise ManifestError(
            f"{path}: cannot be read as a table ({str(error).splitlines()[0]}): save it again as CSV or Parquet"
        ) from error
    columns = columns or {}
    try:
        places = own_columns(cells.names, columns, _KNOWN)
    except ValueError as error:
        raise ManifestError(f"{path}: {error}") from error
    if not {"path", "label"} <= set(places):
        missing = next(name for name in ("path", "label") if name not in places)
        raise ManifestError(
            f"{path}: expected the columns path and label (also {', '.join(COLUMNS[2:])}), "
            f"found {', '.join(cells.names[:_SHOWN])}{f' ({cells.seen})' if cells.seen else ''}: name yours, as in "
            f"data.columns.{missing}=<its name>"
        )
    table = pd.DataFrame({name: cells.columns[place] for name, place in places.items()}, dtype="str")
    for name in table:
        if name in ("path", "source"):
            table[name] = [_located(text, images or path.parent) for text in table[name]]
        else:
            table[name] = table[name].str.strip()
        if name in (*BOX, "camera", "seconds") and cells.separator != ",":
            decimal = table[name].str.fullmatch(r"-?[0-9]+,[0-9]+")
            table[name] = table[name].where(~decimal, table[name].str.replace(",", "."))
    named = ", ".join(f"{name} from {header}" for name, header in columns.items())
    table, problems, notes = typed(table)
    return Table(table, ", ".join(filter(None, [cells.seen, named])), problems, notes)


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


def typed(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Flags and numbers instead of text, split names as ours, roles and cameras where other columns tell them.

    Args:
        table: Text, under our names of columns; path and label are there.

    Returns:
        The table, problems in single cells and notes, in words.
    """
    problems: list[str] = []
    notes: list[str] = []
    for name in ("camera", "site", "date", "seconds", "scene", "tracklet"):
        if name in table:
            table[name] = table[name].where(~table[name].str.casefold().isin(_MISSING), "")
    if "split" not in table:
        table["split"] = "train"
    table["split"] = _splits(table["split"], notes)
    roles_told = {"is_query", "is_gallery"} & set(table.columns)
    read = roles_told if len(roles_told) == 2 else set()  # what they say stands in other columns then
    if roles_told - read:
        notes.append(f"{roles_told.pop()} alone tells no role: it is carried along (is_query and is_gallery tell one)")
    for name in ("ignore", *sorted(read)):
        if name in table:
            table[name] = _flags(table[name], name, problems)
    if read:
        roles = {(True, True): "both", (True, False): "query", (False, True): "reference", (False, False): ""}
        pairs = zip(table["is_query"], table["is_gallery"], strict=True)
        role = pd.Series([roles[pair] for pair in pairs], table.index, "str")
        table = _kept_aside(table, "role", role.mask(table["split"] == "train", ""), "is_query and is_gallery", notes)
    if "sequence" in table and not {"camera", "scene"} <= set(table.columns):
        read.add("sequence")
    if "sequence" in table and "camera" not in table:
        table["camera"] = _cameras_from_sequences(table, problems)
    if "sequence" in table and "scene" not in table:
        table["scene"] = table["sequence"]
    if "camera" in table:
        table = _with_numbered_cameras(table, notes)
    for name in ("camera", *BOX):
        if name in table:
            table[name] = _numbers(table[name], name, problems)
    corners = table[[name for name in BOX if name in table]].notna().sum(axis=1)
    incomplete = corners.map(incomplete_box)
    problems += [f"row {row + 2}: {incomplete.iloc[row]}" for row in np.flatnonzero(incomplete != "")]
    return table.drop(columns=sorted(read)), problems, notes


def _kept_aside(table: pd.DataFrame, name: str, column: pd.Series, source: str, notes: list[str]) -> pd.DataFrame:
    """The table with that column; another one of its name goes on as `name.1`, which is noted.

    Args:
        table: As it was read.
        name: Of the column.
        column: What it holds.
        source: What tells that, in words.
        notes: Added to.
    """
    if name in table and not table[name].equals(column) and (table[name] != "").any():
        other = free_name(name, set(map(str, table.columns)))
        notes.append(f"the column {name} of the table is called {other}, as {name} is told by {source}")
        table = table.assign(**{other: table[name]})
    return table.assign(**{name: column})


def _with_numbered_cameras(table: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Whole numbers for cameras that have names, in the order of their names, which stay in `camera_name`."""
    text = table["camera"]
    is_number = pd.to_numeric(text, errors="coerce").notna() | (text == "")
    if is_number.all():
        return table
    names = sorted(set(text) - {""})
    numbers = {name: str(number) for number, name in enumerate(names)} | {"": ""}
    shown = ", ".join(f"{number} {name}" for number, name in enumerate(names[:_NAMED]))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    notes.append(f"{len(names)} names of cameras became numbers: {shown}{more}")
    return _kept_aside(table, "camera_name", text, "the names of cameras", notes).assign(camera=text.map(numbers))


def _splits(column: pd.Series, notes: list[str]) -> pd.Series:
    """Splits under our names; which other ones were read as what is noted."""
    meant = {name: split_named(name) or name for name in column.unique()}
    renamed = [f"{name} as {split}" for name, split in sorted(meant.items()) if split != SPLIT_NAMES.get(name, name)]
    if renamed:
        more = ", ..." if renamed[_NAMED:] else ""
        notes.append(f"splits of other names are read: {', '.join(renamed[:_NAMED])}{more}")
    return column.map(meant)


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
