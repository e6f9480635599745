"""Labels, cameras and all else out of the names of files: `data.pattern`, a regular expression with named groups.

For what trackers, cameras and downloads write: `cam3/0412_t007_00123.jpg`. A group is a column of the table, under the
names that a CSV table has.
"""

import re
from pathlib import Path, PurePosixPath

import pandas as pd

from lookalike.data.image_files import PassedOver, find_images
from lookalike.data.table_rows import ROLES
from lookalike.data.tables import ManifestError, typed
from lookalike.files import readable
from lookalike.settings.split_names import SPLITS

_EXAMPLE = r"(?P<label>[^_/]+)_c(?P<camera>[0-9]+).*"
# What parts of names mean that trackers and cameras write, such as `cam3` and `c3`.
_MEANS = {"cam": "camera", "camera": "camera", "c": "camera"}
_NUMBERED = re.compile(r"([A-Za-z]+)\d+")
_OWN = frozenset({"path", "source"})  # columns that no name of a file can tell


def read_named_files(root: Path, pattern: str, passed: PassedOver) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Reads every image below a folder by its path; nothing is decoded.

    Args:
        root: The folder.
        pattern: Must match the whole path of an image below `root`, without its ending and with `/` between folders;
            its named groups are columns, `label` among them. A group that takes no part is an empty cell.
        passed: What is not read is added to it.

    Returns:
        A table with the columns path and those of the groups; notes; and the problems, one for each name that the
        pattern does not match.

    Raises:
        ManifestError: The pattern is none, or has no group `label`.
    """
    expression = _compiled(pattern)
    columns = list(expression.groupindex)
    rows: list[list[str]] = []
    problems: list[str] = []
    for file in find_images(root, passed):
        path = file.relative_to(root).as_posix()
        if (shown := readable(path)) != path:
            problems.append(f"{shown}: the name is not UTF-8: rename it")
        elif said := expression.fullmatch(str(PurePosixPath(path).with_suffix(""))):
            rows.append([path, *(said[name] or "" for name in columns)])
        else:
            problems.append(f"{path}: data.pattern does not match it: correct the pattern, or move the file elsewhere")
    table, more, notes = typed(pd.DataFrame(rows, columns=["path", *columns], dtype="str"))
    problems += [_in_file(problem, table) for problem in more]
    return table, notes, problems + _cell_problems(table)


def by_pattern(paths: list[str]) -> str:
    """How the names of these files may tell their labels, as an advice.

    Args:
        paths: Of images, from the folder that is read on.
    """
    return f"let names tell the labels, as in 'data.pattern={example_pattern(paths)}'"


def example_pattern(paths: list[str]) -> str:
    """A pattern that matches all of some names: the first part without a meaning of its own is the label.

    Args:
        paths: Of images; with `/` between folders.
    """
    stems = [str(PurePosixPath(path).with_suffix("")) for path in paths]
    made, columns = "", {"label"}
    for part in re.split(r"([_/.-]+)", stems[0]):
        meant = _NUMBERED.fullmatch(part)
        column = _MEANS.get(meant[1].casefold()) if meant else None
        if meant and column and column not in columns:
            made, columns = rf"{made}{meant[1]}(?P<{column}>\d+)", {*columns, column}
        elif re.fullmatch(r"[_/.-]*", part):
            made += re.escape(part)
        else:
            made += r"[^_/]*" if "(?P<label>" in made else r"(?P<label>[^_/]+)"
    if "(?P<label>" in made and all(re.fullmatch(made, stem) for stem in stems):
        return made
    return r"(.*/)?(?P<label>[^_/]+)[^/]*"


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ManifestError(
            f"data.pattern={pattern}: no regular expression ({error}): expected one such as {_EXAMPLE}"
        ) from error
    if "label" not in expression.groupindex:
        groups = ", ".join(expression.groupindex) or "none"
        raise ManifestError(
            f"data.pattern={pattern}: expected a group (?P<label>...), its groups are {groups}: say which part of a "
            f"path is the label, as in {_EXAMPLE}"
        )
    if own := sorted(_OWN & set(expression.groupindex)):
        raise ManifestError(f"data.pattern={pattern}: a group cannot be called {own[0]}: give it another name")
    return expression


def _cell_problems(table: pd.DataFrame) -> list[str]:
    """Cells that are empty or mean nothing, a line each."""
    problems = [f"{path}: no label: expected one in its name" for path in table["path"][table["label"] == ""]]
    for column, allowed in (("split", SPLITS), ("role", ROLES)):
        cells = table[column] if column in table else pd.Series(allowed[0], table.index)
        for row in table.index[~cells.isin(allowed)]:
            names = ", ".join(name or "(empty)" for name in allowed)
            problems.append(f"{table['path'][row]}: {column} {cells[row]!r}: expected one of {names}")
    return problems


def _in_file(problem: str, table: pd.DataFrame) -> str:
    """A problem of a cell with the file instead of its row."""
    return re.sub(r"^row ([0-9]+)", lambda row: str(table["path"].iloc[int(row[1]) - 2]), problem)
