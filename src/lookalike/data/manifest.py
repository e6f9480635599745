"""One validated table of images, from folders, Market-1501's layout, a CSV file or a Parquet file.

Every command starts here: what is an image, what is its label, which images are searched (references) and which ask
(queries). Nothing is decoded; `images` does that. Rows are sorted by path, so the same data gives the same table.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lookalike.data.column_names import BOX
from lookalike.data.copies import without_copies
from lookalike.data.grades import Grades
from lookalike.data.labels import as_label
from lookalike.data.layouts.layout import Standard
from lookalike.data.layouts.market import DISTRACTOR
from lookalike.data.protocol import Protocol
from lookalike.data.table_file import csv_bytes
from lookalike.data.tables import COLUMNS, OPTIONAL, ManifestError, original_rows, training_rows
from lookalike.outputs import write_files
from lookalike.settings.split_names import SPLITS
from lookalike.settings.types import split_of

_MARKET_PLACES = {
    "train": "images in bounding_box_train/",
    "validation": "people under two cameras or more in bounding_box_train/, held out with data.validation_share=0.1",
    "test": "images in query/ and bounding_box_test/",
}


@dataclass(frozen=True)
class Manifest:
    """A table of images below one root.

    Attributes:
        root: The folder that relative paths start from.
        table: Columns `COLUMNS` (and `BOX`, `category` when given): path, label, split, role and source are strings
            ("" = empty), camera is Int64 with missing values, ignore is bool. Further columns of a table are carried
            along as text. Sorted by path.
        notes: What was passed over while reading, in words.
        cameras_expected: Whether the layout names a camera per image (Market-1501), so that a missing one is odd.
        left_out: Path -> reason of the images that `exclude.csv` leaves out.
        folders: Whether it was read from class folders.
        read_as: The layout that was recognised, and why.
        lost: Images and folders that could not be read, in words; these are among the notes, too.
        keep_copies: Whether a copy of a query's own file, under another name, answers it.
        layout: The name of its layout in `layouts.registry`; "" for a table and class folders.
        standard: How the papers that use it measure; None where there are none.
        grades: Path of a query -> which references are right for it, where its label does not say that.
    """

    root: Path
    table: pd.DataFrame
    notes: tuple[str, ...] = ()
    cameras_expected: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)
    folders: bool = False
    read_as: str = ""
    lost: tuple[str, ...] = ()
    keep_copies: bool = False
    layout: str = ""
    standard: Standard | None = None
    grades: Mapping[str, Grades] = field(default_factory=dict)

    def file(self, path: str) -> Path:
        """Where the file of a row lies."""
        return self.root / path

    @property
    def original(self) -> pd.DataFrame:
        """The rows that are not augmented copies."""
        return original_rows(self.table)

    @property
    def training_rows(self) -> pd.DataFrame:
        """The rows that are trained on: of split train, not ignored, augmented copies included."""
        return training_rows(self.table)

    @property
    def gallery_rows(self) -> pd.DataFrame:
        """The original images among the training rows: what a gallery holds, and what answers without roles."""
        return original_rows(self.training_rows)

    @property
    def joining_rows(self) -> pd.DataFrame:
        """The original images of validation that a gallery of `gallery_rows` can take, too; files are looked at.

        Ignored ones stay out, and so do copies of what is there, byte for byte: they would vote twice, or for another
        label than their own picture.
        """
        rows, there = self.original, self.gallery_rows
        rows = rows[(rows["split"] == "validation") & ~rows["ignore"]]
        asking = Protocol(there, rows, np.full(len(rows), -1, np.int64))
        compared = without_copies(asking, self.file, (boxes_of(rows), boxes_of(there)), self.keep_copies)
        return rows[compared.own_row < 0]

    @cached_property
    def labels(self) -> list[str]:
        """The sorted training labels; a label's id is its place in this list."""
        return sorted(self.training_rows["label"].unique())

    def counts(self) -> pd.DataFrame:
        """Images per label (rows) and split (columns); augmented copies have a column of their own."""
        split = self.table["split"].where(self.table["source"] == "", "augmented")
        return pd.crosstab(self.table["label"], split).reindex(columns=[*SPLITS, "augmented"], fill_value=0)

    def sides(self, split: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Queries and references of a split, either of them possibly empty; augmented copies are neither.

        Without roles the images of the split ask, and the original training images answer. With roles the split brings
        both; where it brings queries alone, the training images answer. Training rows that are marked as references
        answer in every split, besides what it brings.
        """
        rows = self.original[self.original["split"] == split]
        if not (rows["role"] != "").any():
            return rows[~rows["ignore"]], self.gallery_rows
        queries = rows[rows["role"].isin(["query", "both"]) & ~rows["ignore"]]
        own = rows["role"].isin(["reference", "both"])
        if not own.any():
            return queries, self.gallery_rows
        catalogue = self.gallery_rows
        catalogue = catalogue[catalogue["role"].isin(["reference", "both"]) & ~catalogue.index.isin(rows.index)]
        return queries, pd.concat([rows[own], catalogue]).sort_index() if len(catalogue) else rows[own]

    def protocol(self, split: str) -> Protocol:
        """Chooses references and queries for a split (also `val`), see `sides`; files are looked at once.

        Raises:
            ManifestError: The split has no query or no reference.
            LookalikeError: There is no such split.
        """
        split = split_of(split)
        if split not in self._protocols:
            self._protocols[split] = self._protocol_of(split)
        return self._protocols[split]

    @cached_property
    def _protocols(self) -> dict[str, Protocol]:
        return {}

    def _protocol_of(self, split: str) -> Protocol:
        queries, references = self.sides(split)
        for name, part in (("query", queries), ("reference", references)):
            if part.empty:
                places = _MARKET_PLACES if self.layout in ("market1501", "market-folders") else {}
                expected = places.get(split, f"images in {split}/<class>/ (or rows with role={name})")
                raise ManifestError(
                    f"{self.root}: split {split} has no {name}: expected {expected}; "
                    f"splits with images: {', '.join(self.table['split'].unique()) or 'none'}"
                )
        place = pd.Series(np.arange(len(references)), index=references.index)
        own_row = place.reindex(queries.index).fillna(-1).to_numpy(np.int64)
        lone = ~references["ignore"] & (references["label"] == DISTRACTOR)
        trained = int((references["split"] == "train").sum()) if split != "train" else 0
        from_training = references.index.equals(self.gallery_rows.index)
        distractors = int(lone.sum()) if self.cameras_expected and not from_training else 0
        protocol = Protocol(references, queries, own_row, split, from_training, distractors, trained)
        return without_copies(protocol, self.file, (boxes_of(queries), boxes_of(references)), self.keep_copies)

    def with_augmented(self, rows: pd.DataFrame) -> "Manifest":
        """The same manifest plus augmented copies (their paths absolute or relative to the root)."""
        table = pd.concat([self.table, rows.assign(ignore=False, role="")], ignore_index=True)
        return replace(self, table=tidy(table))

    @property
    def carried(self) -> list[str]:
        """The columns of a table that mean nothing here (or only before it was divided) and are kept as text."""
        return [str(name) for name in self.table if name not in (*COLUMNS, *OPTIONAL)]

    @property
    def camera_names(self) -> dict[int, str]:
        """Number -> name of the cameras that have names in the table."""
        if "camera_name" not in self.table:
            return {}
        named = self.table[self.table["camera"].notna() & (self.table["camera_name"] != "")]
        return {int(number): str(name) for number, name in zip(named["camera"], named["camera_name"], strict=True)}

    def fingerprint(self) -> str:
        """SHA-256 over the rows and the sizes of their files: changes when the data set does.

        Carried columns are left out: they change no row, and a table gains columns while a run goes on.
        """
        digest = hashlib.sha256()
        for row in self.table.drop(columns=self.carried).itertuples(index=False):
            size = self.file(str(row.path)).stat().st_size
            digest.update(repr((size, *(str(value) for value in row))).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def boxes_of(rows: pd.DataFrame) -> list[tuple[float, float, float, float] | None]:
    """The box of each row, None where a row has none."""
    if not set(BOX) <= set(rows):
        return [None] * len(rows)
    values = rows[list(BOX)].to_numpy(float)
    return [None if np.isnan(box).any() else (box[0], box[1], box[2], box[3]) for box in values.tolist()]


def write_table(manifest: Manifest, path: Path) -> None:
    """Writes the table as `.csv` or `.parquet`, paths relative to the written file, so that it can be read back.

    What an earlier call wrote there is replaced, anything else kept under a dated name.
    """

    def beside(file: str) -> str:
        return Path(os.path.relpath(manifest.file(file), path.parent)).as_posix() if file else ""

    table = manifest.table.assign(**{name: manifest.table[name].map(beside) for name in ("path", "source")})
    parquet = path.suffix.lower() == ".parquet"
    write_files(path, {path: table.to_parquet(index=False) if parquet else csv_bytes(table)})


def tidy(table: pd.DataFrame) -> pd.DataFrame:
    """Gives every column its type, in the order of `COLUMNS`, carried ones last, rows sorted by path (then box)."""
    table = table.copy()
    for name in ("label", "split", "role", "source"):
        table[name] = (table[name] if name in table else pd.Series("", index=table.index)).fillna("").astype(str)
    table["label"] = table["label"].map(as_label)
    table["camera"] = (table["camera"] if "camera" in table else pd.Series(pd.NA, index=table.index)).astype("Int64")
    table["ignore"] = (table["ignore"] if "ignore" in table else pd.Series(False, index=table.index)).astype(bool)
    extra = [name for name in OPTIONAL if name in table]
    carried = [str(name) for name in table if name not in (*COLUMNS, *OPTIONAL)]
    for text in carried:
        table[text] = table[text].fillna("").astype(str)
    boxes = [name for name in BOX if name in table]
    ordered = table[[*COLUMNS, *extra, *carried]].sort_values(["path", *boxes], kind="stable")
    return ordered.reset_index(drop=True)
