"""`exclude.csv`: images that a data set leaves out while their files stay where they are.

A table of path (as in the manifest, relative to the root of the data) and reason; other columns are kept as they are.
"""

from pathlib import Path

import pandas as pd

from lookalike.files import atomic_file
from lookalike.tables import ManifestError

NAME = "exclude.csv"


def read_exclusions(file: Path) -> dict[str, str]:
    """Path -> reason of every line; empty when there is no such file.

    Raises:
        ManifestError: Not a CSV table with the columns path and reason.
    """
    if not file.exists():
        return {}
    table = _read(file)
    return dict(zip(table["path"], table["reason"], strict=True))


def add_exclusions(file: Path, found: dict[str, str]) -> int:
    """Adds path -> reason to the file, whole or not at all; lines that stand there stay as they are.

    Returns:
        How many are new.

    Raises:
        ManifestError: What stands there is no such table.
    """
    table = _read(file) if file.exists() else pd.DataFrame({"path": [], "reason": []}, dtype=str)
    known = set(table["path"])
    new = {path: reason for path, reason in found.items() if path not in known}
    if new:
        rows = pd.DataFrame({"path": list(new), "reason": list(new.values())})
        with atomic_file(file) as handle:
            pd.concat([table, rows], ignore_index=True).fillna("").to_csv(handle, index=False)
    return len(new)


def without(table: pd.DataFrame, excluded: dict[str, str], name: str) -> tuple[pd.DataFrame, list[str]]:
    """Leaves images out of a manifest's table, and the augmented copies of them.

    Args:
        table: Columns path and, where there are copies, source.
        excluded: Path -> reason.
        name: What to call the list in notes.

    Returns:
        The other rows, and notes in words.
    """
    out = table["path"].isin(set(excluded))
    copies = table["source"].isin(set(excluded)) & ~out if "source" in table else out & False
    notes = []
    if out.any() or copies.any():
        also = f" and {copies.sum()} copies of them" if copies.any() else ""
        notes.append(f"{out.sum()} images{also} left out by {name}")
    unknown = sorted(set(excluded) - set(table["path"]))
    if unknown:
        notes.append(f"{len(unknown)} lines of {name} name no image here (first: {unknown[0]})")
    return table[~(out | copies)], notes


def _read(file: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ManifestError(
            f"{file}: cannot be read as a table ({reason}): expected the columns path,reason"
        ) from error
    if not {"path", "reason"} <= set(table):
        raise ManifestError(
            f"{file}: expected the columns path and reason, found {', '.join(map(str, table))}: write path,reason "
            "as its first line"
        )
    return table
