"""What is wrong with the rows of a table of images: each problem with the rows that it is in and what to do."""

from collections.abc import Iterable

import pandas as pd

from lookalike.data.column_names import BOX
from lookalike.settings.split_names import SPLITS

ROLES = ("", "reference", "query", "both")
_SHOWN = 5


def row_problems(table: pd.DataFrame) -> list[str]:
    """Cells that are empty or mean nothing, and rows of the same image.

    Args:
        table: Rows in the order of the file, whose index counts them from 0; columns path, label, split; perhaps
            role and `BOX`.
    """
    if table.empty:
        return []
    problems = []
    empty = {"path": "give the image file, or remove these rows", "label": "give one, or remove these rows"}
    for column, way_out in empty.items():
        cells = table[column].str.strip()
        if (cells == "").any():
            problems.append(f"{rows_of(table.index[cells == ''])}: no {column}: {way_out}")
    for column, allowed in (("split", SPLITS), ("role", ROLES)):
        values = table[column] if column in table else pd.Series("", table.index)
        others = values[~values.isin(allowed)]
        names = ", ".join(name or "(empty)" for name in allowed)
        for value, rows in others.groupby(others):
            problems.append(f"{rows_of(rows.index)}: {column} {value!r}: expected one of {names}")
    return problems + _twice(table)


def rows_of(places: Iterable[int]) -> str:
    """Rows as a person counts them in a table, the header being row 1: `row 2`, or `3 rows (2, 5, 9)`.

    Args:
        places: Of the rows, from 0.
    """
    numbers = [str(place + 2) for place in places]
    if len(numbers) == 1:
        return f"row {numbers[0]}"
    return f"{len(numbers)} rows ({', '.join(numbers[:_SHOWN])}{', ...' if numbers[_SHOWN:] else ''})"


def _twice(table: pd.DataFrame) -> list[str]:
    """Rows of one path and box, with the values in which they differ."""
    keys = ["path", *(name for name in BOX if name in table)]
    named = table[table["path"].str.strip() != ""]
    problems = []
    for _, rows in named[named.duplicated(keys, keep=False)].groupby(keys, sort=False, dropna=False):
        differing = [
            f"{name} {' and '.join(map(repr, rows[name].unique()[:_SHOWN]))}"
            for name in ("label", "split", "role")
            if name in rows and rows[name].nunique() > 1
        ]
        what = f"with {', '.join(differing)}: keep the right row" if differing else "with the same values: keep one row"
        times = "listed twice" if len(rows) == 2 else f"listed {len(rows)} times"
        problems.append(f"{rows['path'].iloc[0]}: {times}, in {rows_of(rows.index)}, {what}")
    return problems
