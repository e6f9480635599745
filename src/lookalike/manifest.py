"""One validated table of images, from folders, Market-1501's layout, a CSV file or a Parquet file.

Every command starts here: what is an image, what is its label, which images are searched (references) and which ask
(queries). Nothing is decoded; `images` does that. Rows are sorted by path, so the same data gives the same table.
"""

import hashlib
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lookalike.errors import did_you_mean, listed
from lookalike.exclusions import find_exclusions, without
from lookalike.files import atomic_file
from lookalike.images import find_images, is_image_name
from lookalike.market import DISTRACTOR, hold_out_people, market_root, passed_over, read_market, unpack, utf8_only
from lookalike.progress import say
from lookalike.tables import BOX, COLUMNS, SPLIT_NAMES, SPLITS, read_table
from lookalike.tables import ManifestError as ManifestError  # callers of this module catch it under this name

ROLES = ("", "reference", "query", "both")
RECIPE = "transform.json"  # `augment` puts it beside its copies: that folder is no class
_MARKET_PLACES = {
    "train": "images in bounding_box_train/",
    "validation": "people under two cameras or more in bounding_box_train/, held out with data.validation_share=0.1",
    "test": "images in query/ and bounding_box_test/",
}


@dataclass(frozen=True)
class Protocol:
    """Who asks and who answers in one split.

    Attributes:
        references: Rows that are searched, in manifest order.
        queries: Rows that ask, in manifest order.
        own_row: int64 [Q], the row of each query among the references, -1 when it is not one of them.
        text: The same in words, to be printed beside every score.
    """

    references: pd.DataFrame
    queries: pd.DataFrame
    own_row: np.ndarray
    text: str


@dataclass(frozen=True)
class Manifest:
    """A table of images below one root.

    Attributes:
        root: The folder that relative paths start from.
        table: Columns `COLUMNS` (and `BOX`, `category` when given): path, label, split, role and source are strings
            ("" = empty), camera is Int64 with missing values, ignore is bool. Sorted by path.
        notes: What was passed over while reading, in words.
        cameras_expected: Whether the layout names a camera per image (Market-1501), so that a missing one is odd.
        left_out: Path -> reason of the images that `exclude.csv` leaves out.
        folders: Whether it was read from class folders.
    """

    root: Path
    table: pd.DataFrame
    notes: tuple[str, ...] = ()
    cameras_expected: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)
    folders: bool = False

    def file(self, path: str) -> Path:
        """Where the file of a row lies."""
        return self.root / path

    @property
    def original(self) -> pd.DataFrame:
        """The rows that are not augmented copies."""
        return self.table[self.table["source"] == ""]

    @property
    def known(self) -> pd.DataFrame:
        """The original training images that are not ignored: what a gallery holds."""
        rows = self.original
        return rows[(rows["split"] == "train") & ~rows["ignore"]]

    @cached_property
    def labels(self) -> list[str]:
        """The sorted training labels; a label's id is its place in this list."""
        train = self.table[(self.table["split"] == "train") & ~self.table["ignore"]]
        return sorted(train["label"].unique())

    def counts(self) -> pd.DataFrame:
        """Images per label (rows) and split (columns); augmented copies have a column of their own."""
        split = self.table["split"].where(self.table["source"] == "", "augmented")
        return pd.crosstab(self.table["label"], split).reindex(columns=[*SPLITS, "augmented"], fill_value=0)

    def protocol(self, split: str) -> Protocol:
        """Chooses references and queries for a split.

        With roles the split brings both; without, the original training images are the references and the images of
        the split are the queries. Augmented copies are neither.

        Raises:
            ManifestError: The split has no query or no reference.
        """
        rows = self.original[self.original["split"] == split]
        if (rows["role"] != "").any():
            references = rows[rows["role"].isin(["reference", "both"])]
            queries = rows[rows["role"].isin(["query", "both"]) & ~rows["ignore"]]
            text = f"{len(queries)} queries and {len(references)} references, both of split {split}"
            text += _extras(references, self.cameras_expected)
        else:
            references, queries = self.known, rows[~rows["ignore"]]
            text = (
                f"{len(queries)} queries of split {split}, {len(references)} references: the original training images"
            )
        for name, found in (("query", queries), ("reference", references)):
            if found.empty:
                places = _MARKET_PLACES if self.cameras_expected else {}
                expected = places.get(split, f"images in {split}/<class>/ (or rows with role={name})")
                raise ManifestError(
                    f"{self.root}: split {split} has no {name}: expected {expected}; "
                    f"splits with images: {', '.join(self.table['split'].unique()) or 'none'}"
                )
        place = pd.Series(np.arange(len(references)), index=references.index)
        own_row = place.reindex(queries.index).fillna(-1).to_numpy(np.int64)
        if (own_row >= 0).any():
            text += "; a query never finds itself"
        return Protocol(references, queries, own_row, text)

    def with_augmented(self, rows: pd.DataFrame) -> "Manifest":
        """The same manifest plus augmented copies (their paths absolute or relative to the root)."""
        table = pd.concat([self.table, rows.assign(ignore=False, role="")], ignore_index=True)
        return replace(self, table=_tidy(table))

    def fingerprint(self) -> str:
        """SHA-256 over the rows and the sizes of their files: changes when the data set does."""
        digest = hashlib.sha256()
        for row in self.table.itertuples(index=False):
            size = self.file(str(row.path)).stat().st_size
            digest.update(repr((size, *(str(value) for value in row))).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def read_manifest(root: Path, *, validation_share: float = 0.0, seed: int = 0, exclude: Path | None = None) -> Manifest:
    """Reads a data set.

    Args:
        root: A folder with `train/<class>/`, `validation/<class>/`, `test/<class>/` (also `val`, `valid`), a folder of
            class folders (with `validation_share`), the folders of Market-1501 (or the one folder above them), or a
            `.csv` / `.parquet` table with at least `path` and `label`; the tables of open-metric-learning
            (`is_query`, `is_gallery`, `x_1` ...) are understood.
        validation_share: Share, 0 to 1, to hold out when there is no validation image: of each training class, or of
            the people in Market-1501's layout.
        seed: What is held out.
        exclude: Table of images to leave out; None for `exclude.csv` in the root, where there is one.

    Raises:
        ManifestError: Nothing there, or problems in it; up to 20 are listed.
    """
    manifest, problems = _survey(root, validation_share, seed, exclude)
    _refuse(root, problems + _file_problems(manifest))
    return manifest


def _survey(root: Path, validation_share: float, seed: int, exclude: Path | None) -> tuple[Manifest, list[str]]:
    """The data set, and the problems of its table."""
    if not root.exists():
        raise ManifestError(
            f"{root}: no such folder or table: expected train/<class>/*.jpg (and validation/, test/) or a .csv or "
            ".parquet table; give yours with data.root=<path>"
        )
    market = market_root(root)
    if market:
        (table, notes, problems), base = read_market(market), market
    elif root.is_dir():
        (table, notes, problems), base = _read_folders(root, validation_share > 0), root
    else:
        (table, problems), notes, base = read_table(root), [], root.parent
    if table.empty and not problems:
        problems.append("no image at all: expected at least one in train/<class>/")
    table = _tidy(table)
    if validation_share > 0 and not (table["split"] == "validation").any():
        table = (hold_out_people if market else _hold_out)(table, validation_share, seed)
        held = table[table["split"] == "validation"]
        what = f"{held['label'].nunique()} people with {len(held)}" if market else f"{len(held)}"
        notes.append(f"{what} training images held out for validation (share {validation_share:g}, seed {seed})")
    left_out, name = find_exclusions(exclude, base)
    table, told = without(table, left_out, name)  # last, so that it moves no other image
    notes += told
    manifest = Manifest(
        base, table.reset_index(drop=True), tuple(notes), market is not None, left_out, not market and root.is_dir()
    )
    return manifest, problems + _problems(manifest.table)


def read_data(
    root: str | None,
    validation_share: float = 0.0,
    seed: int = 0,
    archive: str | None = None,
    exclude: str | None = None,
) -> Manifest:
    """`read_manifest` for the `data.*` settings of a command; files that were passed over are mentioned.

    Args:
        root: The data set; with `archive`, where it is unpacked, None for `data/<name of the archive>`.
        validation_share: See `read_manifest`.
        seed: See `read_manifest`.
        archive: A zip of Market-1501, unpacked first unless `root` holds it already.
        exclude: See `read_manifest`.

    Raises:
        ManifestError: No root, or problems in it.
        MarketError: The archive cannot be unpacked.
    """
    manifest, problems = survey_data(root, validation_share, seed, archive, exclude)
    _refuse(root, problems + _file_problems(manifest))
    return manifest


def survey_data(
    root: str | None,
    validation_share: float = 0.0,
    seed: int = 0,
    archive: str | None = None,
    exclude: str | None = None,
) -> tuple[Manifest, list[str]]:
    """As `read_data`, but tells the problems of the table instead of raising, and does not look at the files.

    Raises:
        ManifestError: There is no data set at all.
        MarketError: The archive cannot be unpacked.
    """
    if archive:
        root = str(unpack(Path(archive), Path(root) if root else Path("data", Path(archive).stem)))
    if not root:
        raise ManifestError(
            "data.root: needs a value: give data.root=<folder with train/<class>/*.jpg, or a .csv / .parquet table>"
        )
    manifest, problems = _survey(Path(root), validation_share, seed, Path(exclude) if exclude else None)
    for note in manifest.notes:
        say(f"{root}: {note}")
    return manifest, problems


def boxes_of(rows: pd.DataFrame) -> list[tuple[float, float, float, float] | None]:
    """The box of each row, None where a row has none."""
    if not set(BOX) <= set(rows):
        return [None] * len(rows)
    values = rows[list(BOX)].to_numpy(float)
    return [None if np.isnan(box).any() else (box[0], box[1], box[2], box[3]) for box in values.tolist()]


def write_table(manifest: Manifest, path: Path) -> None:
    """Writes the table as `.csv` or `.parquet`, paths relative to the written file, so that it can be read back."""

    def beside(file: str) -> str:
        return Path(os.path.relpath(manifest.file(file), path.parent)).as_posix() if file else ""

    table = manifest.table.assign(**{name: manifest.table[name].map(beside) for name in ("path", "source")})
    with atomic_file(path) as handle:
        if path.suffix == ".parquet":
            table.to_parquet(handle, index=False)
        else:
            table.to_csv(handle, index=False)


def _extras(references: pd.DataFrame, market: bool) -> str:
    """What else is among the references, in words."""
    junk = references["ignore"]
    distractors = ~junk & (references["label"] == DISTRACTOR) if market else junk & False
    counts = {"distractors": distractors.sum(), "junk": junk.sum()}
    return "".join(f"; {count} {name}" for name, count in counts.items() if count)


def _tidy(table: pd.DataFrame) -> pd.DataFrame:
    """Gives every column its type, in the order of `COLUMNS`, rows sorted by path (then box)."""
    table = table.copy()
    for name in ("label", "split", "role", "source"):
        table[name] = (table[name] if name in table else pd.Series("", index=table.index)).fillna("").astype(str)
    table["label"] = [unicodedata.normalize("NFC", label) for label in table["label"]]
    table["camera"] = (table["camera"] if "camera" in table else pd.Series(pd.NA, index=table.index)).astype("Int64")
    table["ignore"] = (table["ignore"] if "ignore" in table else pd.Series(False, index=table.index)).astype(bool)
    extra = [name for name in (*BOX, "category") if name in table]
    boxes = [name for name in BOX if name in table]
    ordered = table[[*COLUMNS, *extra]].sort_values(["path", *boxes], kind="stable")
    return ordered.reset_index(drop=True)


def _read_folders(root: Path, may_split: bool) -> tuple[pd.DataFrame, list[str], list[str]]:
    folders = {entry.name for entry in root.iterdir() if entry.is_dir()}
    splits = {name: split for name, split in SPLIT_NAMES.items() if name in folders}
    if "train" not in splits:
        classes = [entry.name for entry in sorted(root.iterdir()) if entry.is_dir() and find_images(entry)]
        if not (may_split and classes):
            found = ", ".join(sorted(entry.name for entry in root.iterdir())[:6]) or "nothing"
            way_out = (
                "add data.validation_share=0.2 to split these class folders"
                if classes
                else "give the folder above with data.root="
            )
            raise ManifestError(f"{root}: expected a folder train/<class>/ in it, found {found}; {way_out}")
        splits = {"": "train"}
    rows: list[tuple[str, str, str]] = []
    problems: list[str] = []
    skipped: Counter[str] = Counter()
    for name, split in sorted(splits.items()):
        _read_split(root, root / name, split, rows, problems, skipped)
    table = pd.DataFrame(utf8_only(rows, problems), columns=["path", "label", "split"])
    return table, passed_over(skipped), problems


def _read_split(
    root: Path, folder: Path, split: str, rows: list[tuple[str, str, str]], problems: list[str], skipped: Counter[str]
) -> None:
    """Appends the images of one split folder; the first folder below it is the label."""
    for entry in sorted(folder.iterdir()):
        where = entry.relative_to(root).as_posix()
        if entry.name.startswith(".") or (entry / RECIPE).is_file():
            continue
        if not entry.is_dir():
            if is_image_name(entry.name):
                problems.append(f"{where}: an image outside any class folder: move it to {split}/<class>/")
            else:
                skipped[entry.suffix] += 1
            continue
        images = find_images(entry)
        if not images:
            problems.append(f"{where}: a class with no images: add some or remove the folder")
        rows += [(image.relative_to(root).as_posix(), entry.name, split) for image in images]
        for _, folders, names in os.walk(entry):
            folders[:] = [name for name in folders if not name.startswith(".")]
            skipped.update(Path(name).suffix for name in names if not (name.startswith(".") or is_image_name(name)))


def _hold_out(table: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """Moves a share of every training class to validation; at least one stays. Copies go where their original goes."""
    table = table.copy()
    rng = np.random.default_rng(seed)
    for _, rows in table[(table["split"] == "train") & (table["source"] == "")].groupby("label", sort=True):
        count = min(max(1, round(len(rows) * share)), len(rows) - 1)
        table.loc[rng.permutation(rows.index.to_numpy())[:count], "split"] = "validation"
    table.loc[table["source"].isin(table["path"][table["split"] == "validation"]), "split"] = "validation"
    return table


def _refuse(root: str | Path | None, problems: list[str]) -> None:
    if problems:
        raise ManifestError(f"{root}: {len(problems)} problem(s) in the data:\n  {listed(problems)}")


def _problems(table: pd.DataFrame) -> list[str]:
    problems = []
    for column, allowed in (("split", SPLITS), ("role", ROLES)):
        for value in sorted(set(table[column]) - set(allowed)):
            problems.append(f"{column} {value!r}: expected one of {', '.join(name or '(empty)' for name in allowed)}")
    keys = ["path", *(name for name in BOX if name in table)]
    problems += [f"{path}: listed twice" for path in table[table.duplicated(keys)]["path"].unique()]
    problems += [f"{path}: no label" for path in table["path"][table["label"] == ""]]
    return problems + _unmatched(table)


def _file_problems(manifest: Manifest) -> list[str]:
    problems = []
    for path in manifest.table["path"]:
        try:
            status = manifest.file(path).stat()
        except OSError as error:
            problems.append(f"{path}: {error.strerror}: restore the file or remove its row")
            continue
        if stat.S_ISDIR(status.st_mode):
            problems.append(f"{path or '(no path)'}: a folder, expected an image file: correct or remove its row")
        elif status.st_size == 0:
            problems.append(f"{path}: zero bytes: replace or remove the file")
    return problems


def _unmatched(table: pd.DataFrame) -> list[str]:
    """Classes that no reference can match, in splits that have no references of their own."""
    train = table[(table["split"] == "train") & (table["source"] == "") & ~table["ignore"]]
    known = sorted(set(train["label"]))
    problems = []
    for split in ("validation", "test"):
        rows = table[(table["split"] == split) & ~table["ignore"]]
        if (rows["role"] != "").any():
            continue
        for label in sorted(set(rows["label"]) - set(known)):
            problems.append(
                f"class {label!r} is in {split} but not in train: no reference can match it; "
                f"add training images, rename or remove the folder{did_you_mean(label, known)}"
            )
    return problems
