"""A data set of any layout read into one table; every problem in it is told at once."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypedDict, Unpack

import pandas as pd

from lookalike.console import progress, say
from lookalike.data.class_folders import RECIPE, holds_splits, read_class_folders
from lookalike.data.column_names import BOX
from lookalike.data.exclusions import find_exclusions, folders_of_lists, without
from lookalike.data.file_problems import file_problems
from lookalike.data.grades import Grades
from lookalike.data.hold_out import asking_as_in_test
from lookalike.data.image_files import PassedOver, entries_of, find_broken, has_file, is_image_name, unopened
from lookalike.data.labels import alike_note, composed_note, stripped_note
from lookalike.data.layouts.layout import Standard
from lookalike.data.layouts.registry import AUTO, Recognised, recognise
from lookalike.data.manifest import Manifest, tidy
from lookalike.data.market_archive import unpack
from lookalike.data.named_files import read_named_files
from lookalike.data.splits import divide
from lookalike.data.table_rows import row_problems
from lookalike.data.tables import ManifestError, read_table
from lookalike.errors import did_you_mean, listed
from lookalike.settings.check import check
from lookalike.settings.data import Columns, HeldOut, SplitBy
from lookalike.settings.paths import at_home

_NAMED = 5  # labels in a note


class Selection(TypedDict, total=False):
    """What is taken of a data set: which images are held out for validation, and which are left out.

    Attributes:
        validation_share: Share, 0 to 1, to hold out when there is no validation image: of each training class, or of
            the people in Market-1501's layout. 0 unless given.
        test_share: The same for test; None unless given.
        split: What stays together when images are held out, see `splits.divide`; None unless given.
        seed: What is held out. 0 unless given.
        exclude: Table of images to leave out; None, unless given, for `exclude.csv` in the root, where there is one.
        keep_copies: Whether references that are copies of a query's file answer it. False unless given.
        pattern: A regular expression that reads the names of files, see `named_files`; None unless given.
        images: The folder that the paths of a table start from; None, unless given, for the table's own.
        columns: Our name of a column -> what a table calls it; names of None count as not given.
        layout: `auto`, `folders`, or the name of a layout, see `registry.recognise`; `auto` unless given.
        fold: Which of the splits that a data set comes with, from 1 on; None, unless given, for the first.
        asked: The split that is measured, so that a division that it has no part in is not told; None for all.
    """

    validation_share: float
    test_share: float | None
    split: SplitBy | None
    seed: int
    exclude: str | Path | None
    keep_copies: bool
    pattern: str | None
    images: str | Path | None
    columns: Mapping[str, str | None]
    layout: str
    fold: int | None
    asked: str | None


def read_data(root: str | None, *, archive: str | None = None, **selection: Unpack[Selection]) -> Manifest:
    """Reads a data set for the `data.*` settings of a command; files that were passed over are mentioned.

    Args:
        root: The data set, see `read_manifest`; with `archive`, where it is unpacked, None for
            `data/<name of the archive>`.
        archive: A zip of Market-1501, unpacked first unless `root` holds it already.
        **selection: See `Selection`.

    Raises:
        ManifestError: No root, or problems in it; up to 20 are listed.
        MarketError: The archive cannot be unpacked.
    """
    return _without_problems(root, *survey_data(root, archive=archive, **selection))


def survey_data(
    root: str | None, *, archive: str | None = None, **selection: Unpack[Selection]
) -> tuple[Manifest, list[str]]:
    """As `read_data`, but returns the problems of the table instead of raising, and does not look at the files.

    Args:
        root: See `read_data`.
        archive: See `read_data`.
        **selection: See `Selection`.

    Returns:
        The data set, and the problems in words.

    Raises:
        ManifestError: There is no data set at all.
        MarketError: The archive cannot be unpacked.
    """
    root = at_home(root) if root else root
    if archive:
        archive = at_home(archive)
        root = str(unpack(Path(archive), Path(root) if root else Path("data", Path(archive).stem)))
    if not root:
        raise ManifestError(
            "data.root: needs a value: give data.root=<folder with train/<class>/*.jpg, or a .csv / .parquet table>"
        )
    manifest, problems = _survey(Path(root), **selection)
    for note in (f"read as {manifest.read_as}", *manifest.notes):
        say(f"{root}: {note}")
    return manifest, problems


def read_manifest(root: Path, **selection: Unpack[Selection]) -> Manifest:
    """Reads a data set and says nothing.

    Args:
        root: A folder with `train/<class>/`, `validation/<class>/`, `test/<class>/` (also `val`, `valid`; `query` and
            `gallery` instead of test), a folder of class folders (with `validation_share`), a published data set of one
            of `layouts` (or the one folder above it), or a
            `.csv` / `.parquet` table with at least `path` and `label`; the tables of open-metric-learning
            (`is_query`, `is_gallery`, `x_1` ...) are understood.
        **selection: See `Selection`.

    Raises:
        ManifestError: Nothing there, or problems in it; up to 20 are listed.
    """
    return _without_problems(root, *_survey(at_home(root), **selection))


def _survey(root: Path, **selection: Unpack[Selection]) -> tuple[Manifest, list[str]]:
    """The data set, and the problems of its table."""
    held_out = check(HeldOut, dict(selection))
    if not root.exists():
        raise ManifestError(
            f"{root}: no such folder or table: expected train/<class>/*.jpg (and validation/, test/) or a .csv or "
            ".parquet table; give yours with data.root=<path>"
        )
    if root.is_dir() and (reason := unopened(root)):
        raise ManifestError(f"{root}: {reason}")
    source = _read(root, held_out.any, selection)
    table, notes, problems = source.table, source.notes, source.problems
    if table.empty and not problems:
        expected = "at least one in train/<class>/" if root.is_dir() else "a row for each image below the header"
        problems.append(f"no image at all: expected {expected}")
    stripped = stripped_note(table["label"]) + composed_note(table["label"])
    table = tidy(table)
    notes += stripped + alike_note(table["label"].unique())
    if not table.empty:
        noted = _takes_part(Manifest(root, table), selection.get("asked"))
        table, divided = divide(table, held_out, source.people or source.disjoint, noted)
        notes += divided
        table = asking_as_in_test(table) if source.disjoint else table
    table, left_out, exclusion_notes = _without_excluded(table, root, source.base, selection.get("exclude"))
    manifest = Manifest(
        source.base,
        table.reset_index(drop=True),
        tuple(notes + exclusion_notes),
        source.people,
        left_out,
        source.folders,
        source.read_as,
        tuple(source.passed.lost),
        selection.get("keep_copies", False),
        source.layout,
        source.standard,
        source.grades,
    )
    rows = source.table[~source.table["path"].isin(left_out)]
    if root.is_dir():  # its rows are nobody's
        keys = ["path", *(["label", *BOX] if {*BOX} <= {*rows} else [])]  # one box may hold things of two labels
        problems += [f"{path}: listed twice" for path in rows["path"][rows.duplicated(keys)].unique()]
    else:
        problems += row_problems(rows)
    return (manifest if problems else replace(manifest, notes=(*manifest.notes, *_told_unknown(manifest)))), problems


def _without_excluded(
    table: pd.DataFrame, root: Path, base: Path, exclude: str | Path | None
) -> tuple[pd.DataFrame, dict[str, str], list[str]]:
    """Leaves images out, last of all, so that it moves no other one.

    Args:
        table: The data set, divided.
        root: The folder or the table that it was read from.
        base: The folder that its paths start from.
        exclude: The list; None for `exclude.csv` there, and for one beside a table whose images lie elsewhere, too.

    Returns:
        The other rows, path -> reason of what is left out, and notes.
    """
    folders = [base] if exclude else folders_of_lists(root, base)
    left_out: dict[str, str] = {}
    rest, notes = table, []
    for folder in folders:
        reasons, name = find_exclusions(at_home(Path(exclude)) if exclude else None, folder, table["path"])
        new = {path: reason for path, reason in reasons.items() if path not in left_out}
        rest, more = without(rest, new, name if len(folders) == 1 else str(folder / name))
        left_out |= new
        notes += more
    return rest, left_out, notes


@dataclass
class _Source:
    """What a reader of one layout made.

    Attributes:
        base: The folder that paths start from.
        table: The images.
        notes: What was passed over, in words.
        problems: In words.
        read_as: The layout, and why it was taken for that one.
        passed: What was not read.
        people: Whether its labels are people whose images name their cameras.
        folders: Whether it was read from class folders.
        disjoint: Whether train and test have no label in common.
        layout: The name of its layout in the registry; "" for a table and class folders.
        standard: How the papers that use it measure; None where there are none.
        grades: See `LayoutRows`.
    """

    base: Path
    table: pd.DataFrame
    notes: list[str]
    problems: list[str]
    read_as: str
    passed: PassedOver = field(default_factory=PassedOver)
    people: bool = False
    folders: bool = False
    disjoint: bool = False
    layout: str = ""
    standard: Standard | None = None
    grades: Mapping[str, Grades] = field(default_factory=dict)


def _read(root: Path, may_split: bool, selection: Selection) -> _Source:
    """Recognises the layout and reads it; one in the root comes before one in a folder of it."""
    passed = PassedOver()
    columns = {name: header for name, header in (selection.get("columns") or {}).items() if header}
    check(Columns, dict(columns))
    images = selection.get("images")
    pattern = selection.get("pattern")
    recognised = None if pattern else recognise(root, selection.get("layout", AUTO))
    if pattern and (not root.is_dir() or selection.get("layout", AUTO) != AUTO):
        raise ManifestError(
            f"data.pattern={pattern}: reads the names of files in a folder, so expected data.root=<a folder> and no "
            f"data.layout, got {root}: leave one of them out"
        )
    if recognised is None and selection.get("fold") is not None:
        raise ManifestError(f"data.fold={selection['fold']}: {root} comes with no splits of that kind: leave it out")
    if recognised is None and not root.is_dir():
        start = at_home(Path(images)) if images else root.parent
        if not start.is_dir():
            raise ManifestError(f"data.images={images}: no such folder: give the one that paths of {root} start from")
        read = read_table(root, columns, start)
        return _Source(start, read.rows, read.notes, read.problems, ", ".join(filter(None, ["a table", read.seen])))
    need_nothing_of_tables(root, selection)
    if pattern:
        source = _Source(root, *read_named_files(root, pattern, passed), "names of files, by data.pattern", passed)
        source.people = "camera" in source.table
    elif recognised is None:
        table, notes, problems, read_as = read_class_folders(root, may_split, passed)
        source = _Source(root, table, notes, problems, read_as, passed, "camera" in table, folders=True)
    else:
        source = _published(recognised, passed, selection.get("fold"))
        if recognised.base != root:
            _alone(root, recognised.base, may_split)
            source.read_as += f" in {recognised.base.name}/, as {root} has no train/ of its own"
    source.notes += passed.notes
    return source


def _published(recognised: Recognised, passed: PassedOver, fold: int | None) -> _Source:
    """A data set whose layout is known."""
    layout = recognised.layout
    if fold is not None and layout.read_fold is None:
        raise ManifestError(f"data.fold={fold}: {layout.title} has one split alone: leave data.fold out")
    read = (
        layout.read(recognised.base, passed)
        if layout.read_fold is None or fold is None
        else layout.read_fold(recognised.base, passed, fold)
    )
    title = " ".join(filter(None, [layout.title, read.variant]))
    return _Source(
        read.base or recognised.base,
        read.table,
        read.notes,
        read.problems,
        f"{title}, by {recognised.evidence}",
        passed,
        layout.cameras,
        disjoint=layout.disjoint,
        layout=layout.name,
        standard=read.standard or layout.standard,
        grades=read.grades,
    )


def need_nothing_of_tables(folder: Path, selection: Selection) -> None:
    """Refuses what is said of a table where a folder is read.

    Args:
        folder: What is read.
        selection: What is asked for.

    Raises:
        ManifestError: `images` or `columns` is given.
    """
    setting = "data.images" if selection.get("images") else "data.columns"
    if setting == "data.images" or any((selection.get("columns") or {}).values()):
        raise ManifestError(
            f"{folder}: a folder, and {setting} is for tables: leave it out, or give data.root=<a CSV table>"
        )


def has_layout(root: Path, wanted: str = AUTO) -> bool:
    """Whether a folder is a data set with splits or roles, and not just a folder of images.

    Args:
        root: The folder.
        wanted: See `registry.recognise`.

    Raises:
        ManifestError: See `registry.recognise`.
    """
    return holds_splits(root) or recognise(root, wanted) is not None


def _alone(root: Path, base: Path, may_split: bool) -> None:
    """Refuses a data set in a subfolder beside class folders that could be held out from."""
    entries = entries_of(root, PassedOver()) if may_split else []
    folders = [path for path, is_folder in entries if is_folder and path != base and not has_file(path, RECIPE)]
    classes = [
        path for path in folders if any(is_image_name(inner.name) for inner, _ in entries_of(path, PassedOver()))
    ]
    if classes:
        raise ManifestError(
            f"{root}: both class folders ({classes[0].name}) and a data set of its own in {base.name}: give "
            f"data.root={base}, or move it elsewhere"
        )


def _without_problems(root: str | Path | None, manifest: Manifest, table_problems: list[str]) -> Manifest:
    if problems := table_problems + file_problems(manifest):
        raise ManifestError(f"{root}: {len(problems)} problem(s) in the data:\n  {listed(problems)}")
    return manifest


def _takes_part(manifest: Manifest, split: str | None) -> bool:
    """Whether what is held out of training changes a split: it has no queries yet, or training images answer in it."""
    if split is None:
        return True
    queries, references = manifest.sides(split)
    return queries.empty or bool((references["split"] == "train").any())


def _told_unknown(manifest: Manifest) -> list[str]:
    """Notes on queries of labels that no reference has: individuals that must be turned away, or a misspelt name."""
    notes = []
    for split in ("validation", "test"):
        queries, references = manifest.sides(split)
        new = queries[~queries["label"].isin(set(references["label"][~references["ignore"]]))]
        if queries.empty or references.empty or new.empty:
            continue
        labels, enrolled = sorted(new["label"].unique()), sorted(references["label"].unique())
        words = [label for label in labels if not re.search(r"\d", label)]
        names = [f"{label}{did_you_mean(label, enrolled)}" for label in words[:_NAMED]]
        numbered = [label for label in labels if re.search(r"\d", label)]
        shown = ", ".join([*names, *numbered][:_NAMED]) + (", ..." if len(labels) > _NAMED else "")
        notes.append(
            f"{split}: {len(new)} of {len(queries)} queries are of {len(labels)} label(s) that no reference has, so "
            f"they are unknown individuals and must be turned away: {shown}"
        )
    return notes


def broken_images(manifest: Manifest, rows: pd.DataFrame) -> list[str]:
    """Decodes the images of some rows; returns why each unusable one is unusable."""
    files = [manifest.file(path) for path in rows["path"].unique()]
    with progress("checking images", len(files)) as advance:
        return find_broken(files, os.cpu_count() or 1, lambda: advance(1))
