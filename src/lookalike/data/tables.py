"""Tables of images as people write them: CSV or Parquet, our columns or those of open-metric-learning.

Labels stay the text that was written; numbers and flags are checked cell by cell, and every problem names its row.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from lookalike.errors import LookalikeError

COLUMNS = ("path", "label", "split", "role", "camera", "ignore", "source")
BOX = ("x1", "y1", "x2", "y2")
SPLITS = ("train", "validation", "test")
SPLIT_NAMES = {**{name: name for name in SPLITS}, "val": "validation", "valid": "validation"}
_OML_NAMES = {"x_1": "x1", "y_1": "y1", "x_2": "x2", "y_2": "y2"}
_TRUE, _FALSE = frozenset({"1", "1.0", "true", "yes"}), frozenset({"", "0", "0.0", "false", "no"})


class ManifestError(LookalikeError):
    """The data set cannot be used as it is; every problem found is listed."""


def read_table(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Reads a `.csv` or `.parquet` table with at least the columns path and label.

    Args:
        path: The file.

    Returns:
        Its rows with our column names, and the problems found in single cells.

    Raises:
        ManifestError: Not a table, or without these columns.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise ManifestError(
            f"{path}: expected a folder, a .csv or a .parquet table; got a {path.suffix or 'nameless'} file"
        )
    try:
        parquet = path.suffix == ".parquet"
        table = pd.read_parquet(path) if parquet else pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise ManifestError(
            f"{path}: cannot be read as a table ({str(error).splitlines()[0]}): save it again as CSV or Parquet"
        ) from error
    table = table.rename(columns=_OML_NAMES)
    if not {"path", "label"} <= set(table):
        raise ManifestError(
            f"{path}: expected the columns path and label (also {', '.join(COLUMNS[2:])}), "
            f"found {', '.join(map(str, table))}"
        )
    return _with_types(table)


def training_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that are trained on: those of split train that are not ignored, augmented copies included."""
    return table[(table["split"] == "train") & ~table["ignore"]]


def original_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that are no augmented copies."""
    return table[table["source"] == ""]


def _with_types(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Cells as text, flags and numbers, split names as ours, roles and cameras where other columns tell them."""
    problems: list[str] = []
    for name in table:
        table[name] = [_as_text(value) for value in table[name]]
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


def _as_text(value: object) -> str:
    """A cell as text: missing becomes "", 7.0 becomes 7 (a label column that pandas turned into floats)."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _flags(column: pd.Series, name: str, problems: list[str]) -> pd.Series:
    text = column.str.lower()
    for row in np.flatnonzero(~text.isin(_TRUE | _FALSE)):
        problems.append(f"row {row + 2}: {name} is {column.iloc[row]!r}: expected true or false")
    return text.isin(_TRUE)


def _numbers(column: pd.Series, name: str, problems: list[str]) -> pd.Series:
    numbers = pd.to_numeric(column.replace("", None), errors="coerce")
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
