"""`exclude.csv`: images that a data set leaves out while their files stay where they are.

A table of path (as in the manifest, relative to the root of the data) and reason; other columns are kept as they are.
"""

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from lookalike.data.table_file import decode, line_end, read_text_file, split
from lookalike.data.tables import ManifestError, forms_of
from lookalike.files import only_one, write_bytes

EXCLUDE_FILE = "exclude.csv"


def read_exclusions(file: Path) -> dict[str, str]:
    """Path -> reason of every line; empty when there is no such file.

    Raises:
        ManifestError: Not a CSV table with the columns path and reason.
    """
    if not file.exists():
        return {}
    head, lines = _read(file)
    return {line[head.index("path")]: line[head.index("reason")] for line in lines}


def folders_of_lists(root: Path, base: Path) -> list[Path]:
    """Where `exclude.csv` is read when no list is named: beside a table that lies elsewhere, and beside the images.

    Args:
        root: The folder or the table of a data set.
        base: The folder that its paths start from.
    """
    beside = base if root.is_dir() else root.parent
    return [base] if os.path.realpath(beside) == os.path.realpath(base) else [beside, base]


def find_exclusions(exclude: Path | None, root: Path, paths: Iterable[str] = ()) -> tuple[dict[str, str], str]:
    """Path -> reason for a data set, and the name of the list.

    Args:
        exclude: The list; None for `exclude.csv` in the root, where there is one.
        root: Of the data set.
        paths: Of its images: a listed path that is one of them but for blanks at its ends, backslashes or the form of
            its accents means that image.

    Raises:
        ManifestError: The list is named and not there, or is no such table.
    """
    if exclude and not exclude.exists():
        raise ManifestError(f"{exclude}: no such file: give data.exclude=<a CSV with path,reason>, or leave it out")
    file = exclude or root / EXCLUDE_FILE
    there = set(paths)
    reasons: dict[str, str] = {}
    for path, reason in read_exclusions(file).items():
        forms = forms_of(_readable(path))
        reasons.setdefault(next((form for form in forms if form in there), forms[0]), _readable(reason))
    return reasons, file.name


def add_exclusions(file: Path, reasons: dict[str, str]) -> int:
    """Adds lines to the file, whole or not at all; lines that stand there stay as they are.

    Args:
        file: The list; made where there is none.
        reasons: Path -> reason.

    Returns:
        How many are new.

    Raises:
        ManifestError: What stands there is no such table.
    """
    with only_one(file.with_name(f".{file.name}.lock"), "", lambda: None):
        head, lines = _read(file) if file.exists() else (["path", "reason"], [])
        listed_paths = {line[head.index("path")] for line in lines}
        new = {path: reason for path, reason in reasons.items() if path not in listed_paths}
        for path, reason in new.items():
            cells = {"path": path, "reason": reason}
            lines.append([cells.get(name, "") for name in head])
        if new:
            text = io.StringIO()
            end = line_end("".join(cell for line in [head, *lines] for cell in line))
            csv.writer(text, lineterminator=end).writerows([head, *lines])
            write_bytes(file, text.getvalue().encode("utf-8", "surrogateescape"))
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


def _read(file: Path) -> tuple[list[str], list[list[str]]]:
    """The first line, and all others, each with as many cells."""
    try:
        lines, _ = split(decode(read_text_file(file), "surrogateescape")[0])
    except (ValueError, OSError) as error:
        raise ManifestError(f"{file}: cannot be read as a table ({error}): expected the columns path,reason") from error
    head = [name.strip() for name in lines[0]] if lines else []
    if not {"path", "reason"} <= set(head):
        raise ManifestError(
            f"{file}: expected the columns path and reason, found {', '.join(head) or 'nothing'}: write path,reason "
            "as its first line"
        )
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(head):
            raise ManifestError(
                f"{file}: line {number} has {len(line)} cells, expected {len(head)} ({', '.join(head)}): put a text "
                'with a comma between quotation marks ("dark, blurred")'
            )
    return head, lines[1:]


def _readable(text: str) -> str:
    """Text whose bytes are not UTF-8, as Windows writes it: a table of images holds UTF-8 alone."""
    data = text.encode("utf-8", "surrogateescape")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
