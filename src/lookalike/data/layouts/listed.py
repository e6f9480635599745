"""What readers of long lists share: cells of lines, images that are listed twice, images that no list names."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from lookalike.data.column_names import BOX
from lookalike.data.image_files import PassedOver, files_below, is_image_name
from lookalike.data.table_file import decode
from lookalike.data.tables import ManifestError
from lookalike.files import readable
from lookalike.special_files import is_special

_HEAD = 1 << 16  # bytes of a file that are read to recognise it
_SHOWN = 20


def shown(names: Iterable[str], most: int = _SHOWN) -> str:
    """The first names, and how many more there are.

    Args:
        names: Of files, or other texts.
        most: That are shown.
    """
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def head_of(file: Path) -> list[str]:
    """The first lines of a text file, without blanks at their ends; none where it cannot be read as text.

    Args:
        file: It may be missing.
    """
    try:
        if is_special(file) or not file.is_file():
            return []
        with file.open("rb") as handle:
            data = handle.read(_HEAD)
        if len(data) == _HEAD:
            data = data[: data.rfind(b"\n") + 1]
        return [line.strip() for line in decode(data)[0].splitlines()]
    except (OSError, ValueError):
        return []


def cells_of(
    lines: list[tuple[int, str]], count: int, expected: str, problems: list[str], last_has_blanks: bool = True
) -> list[list[str]]:
    """The cells of lines, which blanks separate; a line with another number of them is a problem.

    All but the one that may hold blanks, a path, are text that a table holds.

    Args:
        lines: Each with its number.
        count: Cells per line.
        expected: The name of the list, a colon, and a line as it should be; for problems.
        problems: Added to.
        last_has_blanks: Whether blanks belong to the last cell (names of files), else to the first.
    """
    name, _, example = expected.partition(": ")
    rows = []
    for number, line in lines:
        cells = line.split(None, count - 1) if last_has_blanks else line.rsplit(None, count - 1)
        path = count - 1 if last_has_blanks else 0
        if len(cells) == count:
            rows.append([cell if place == path else readable(cell) for place, cell in enumerate(cells)])
        else:
            problems.append(f"{name}, line {number}: expected {example}, found {readable(line)[:60]!r}")
    return rows


def need_files(root: Path, names: Iterable[str], title: str, why: str) -> None:
    """Refuses a data set whose lists are not all there.

    Args:
        root: The folder they belong to.
        names: Of the files.
        title: Of the data set.
        why: What cannot be known without them.

    Raises:
        ManifestError: Names the missing ones.
    """
    missing = [name for name in names if not (root / name).is_file()]
    if missing:
        raise ManifestError(f"{root}: {title} without {', '.join(missing)}, so nobody knows {why}: copy it there")


def taken_once(table: pd.DataFrame, notes: list[str], problems: list[str]) -> pd.DataFrame:
    """The rows without those that say the same again, which is noted; an image with two meanings is a problem.

    Args:
        table: Columns path, label, and perhaps split, role and `BOX`.
        notes: Added to.
        problems: Added to.
    """
    boxed = [name for name in BOX if name in table]
    again = table.duplicated([*_meaning_of(table), *boxed])
    if again.any():
        paths = table.loc[again, "path"].unique()
        notes.append(f"{int(again.sum())} line(s) say again what another one says and are taken once: {shown(paths)}")
        table = table[~again].reset_index(drop=True)
    keys = ["path", *boxed, *(["label"] if boxed else [])]  # one box may hold things of two labels
    for path, rows in table[table.duplicated(keys, keep=False)].groupby("path", sort=False):
        differing = [
            f"{name} {' and '.join(map(repr, rows[name].unique()[:_SHOWN]))}"
            for name in _meaning_of(table)[1:]
            if rows[name].nunique() > 1
        ]
        problems.append(f"{path}: listed {len(rows)} times, with {', '.join(differing)}: keep the right line")
    return table


def _meaning_of(table: pd.DataFrame) -> list[str]:
    return [name for name in ("path", "label", "split", "role") if name in table]


def tell_labels_of_both(table: pd.DataFrame, notes: list[str]) -> None:
    """Notes labels of training that test has, too, where a data set promises that there is none.

    Args:
        table: Columns label and split.
        notes: Added to.
    """
    labels = table.groupby("split")["label"].unique()
    both = sorted({*labels.get("train", ())} & {*labels.get("test", ())})
    if both:
        notes.append(
            f"{len(both)} labels are in train and in test, where its papers have none (such as {both[0]}): test "
            "figures are better than they would be on labels never seen"
        )


def tell_unlisted(
    base: Path,
    folders: Sequence[str],
    listed: Iterable[str],
    passed: PassedOver,
    notes: list[str],
    own: Sequence[str] = (),
) -> None:
    """Notes images that lie beside the listed ones and that no list names.

    Args:
        base: What paths start from.
        folders: Of the images, below `base`.
        listed: Paths of the listed images.
        passed: Files that are no images are added to it.
        notes: Added to.
        own: Names of files of the data set itself, which were read.
    """
    names = {os.path.normpath(path) for path in listed}
    unlisted = set()
    for file in (file for name in folders for file in files_below(base / name, passed)):
        if not is_image_name(file.name):
            if file.name not in own:
                passed.add(file)
        elif os.path.normpath(path := file.relative_to(base).as_posix()) not in names:
            unlisted.add(path)
    if unlisted:
        notes.append(f"{len(unlisted)} image(s) that no list names are passed over: {shown(sorted(unlisted))}")


def top_folders(paths: Iterable[str]) -> list[str]:
    """The folders that paths begin with, sorted; those of the base itself are not among them."""
    return sorted({path.partition("/")[0] for path in paths if "/" in path and not path.startswith("../")})


def folder_with(base: Path, folders: Sequence[str], names: Sequence[str]) -> str:
    """The folder that holds images: the first in which one of the names lies, else the first that is there.

    Args:
        base: What the folders are below.
        folders: Where the images may lie, the likeliest first; "" is the base.
        names: Paths of some images, relative to that folder.
    """
    there = [folder for folder in folders if (base / folder).is_dir()]
    holding = (folder for folder in there if any((base / folder / name).is_file() for name in names[:_SHOWN]))
    return next(holding, next(iter(there), ""))


def below(folder: str, name: str) -> str:
    """The path of a name in a folder, which may be "" for none."""
    return f"{folder}/{name}" if folder else name
