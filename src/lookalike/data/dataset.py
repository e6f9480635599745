"""`Dataset`: a data set as a person holds it: folders, a table or a published one, checked when it is opened."""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from lookalike.data.manifest import Manifest, boxes_of
from lookalike.data.protocol import Protocol
from lookalike.data.reading import read_data
from lookalike.data.tables import ManifestError
from lookalike.data.thumbnail import picture
from lookalike.pages import snippet
from lookalike.settings.check import check
from lookalike.settings.data import Data, HeldOut, SplitBy

_LABELS_SHOWN = 12  # in a notebook


class Dataset:
    """A data set whose problems are told all at once.

    Args:
        root: A folder with `train/<class>/`, `validation/<class>/`, `test/<class>/`, a folder of class folders (with
            `validation_share`), a published data set as it is distributed, or a `.csv` / `.parquet` table.
        validation_share: Share, 0 to 1, to hold out of training when there is no validation image.
        seed: Which images are held out.
        archive: A zip of Market-1501, unpacked first unless `root` holds it already.
        exclude: CSV of images to leave out; None for `exclude.csv` in the root, where there is one.
        keep_copies: Whether references that are copies of a query's file, byte for byte, answer it.
        split: What stays together when images are held out: individual, site, date, scene or stratified.
        test_share: As `validation_share`, for test.
        images: The folder that the paths of a table start from; None for the table's own.
        columns: Our name of a column -> what it is called in the table, such as `{"label": "individual_id"}`.
        pattern: A regular expression that reads the names of files, as `data.pattern`.
        layout: `auto`, `folders` (class folders), or the name of a published data set, see docs/data.md.
        fold: Which of the splits that a published data set comes with, from 1 on; None for the first.

    Raises:
        SettingsError: A share, `seed`, `split` or a name in `columns` is out of range.
        ManifestError: Nothing there, or problems in it.
        MarketError: The archive cannot be unpacked.
    """

    def __init__(
        self,
        root: str | Path | None,
        *,
        validation_share: float = 0.0,
        seed: int = 0,
        archive: str | Path | None = None,
        exclude: str | Path | None = None,
        keep_copies: bool = False,
        split: SplitBy | None = None,
        test_share: float | None = None,
        images: str | Path | None = None,
        columns: Mapping[str, str | None] | None = None,
        pattern: str | None = None,
        layout: str = "auto",
        fold: int | None = None,
    ) -> None:
        for name, path in (("root", root), ("archive", archive), ("exclude", exclude), ("images", images)):
            if path is not None and not isinstance(path, str | os.PathLike):
                raise ManifestError(
                    f"Dataset: {name}: expected a path, got {type(path).__name__}: write a table to a .csv or .parquet "
                    "file first"
                )
        root, archive, exclude, images = (str(path) if path else None for path in (root, archive, exclude, images))
        values: dict[str, Any] = {"root": root, "validation_share": validation_share, "seed": seed, "split": split}
        values |= {"archive": archive, "exclude": exclude, "keep_copies": keep_copies, "test_share": test_share}
        values |= {"images": images, "columns": dict(columns) if isinstance(columns, Mapping) else columns or {}}
        values |= {"pattern": pattern, "layout": layout, "fold": fold}
        self._source: dict[str, Any] = check(Data, values).model_dump()
        self.manifest: Manifest = read_data(**self._source)

    @classmethod
    def of(cls, data: "Dataset | Mapping[str, Any] | str | Path") -> "Dataset":
        """The data set itself, that of a path, or that of what `Dataset` takes by name."""
        if isinstance(data, Mapping):
            return cls(**data)
        return data if isinstance(data, Dataset) else cls(data)

    @classmethod
    def of_settings(
        cls,
        data: Data,
        held_out: HeldOut = HeldOut(),  # noqa: B008 - frozen
        asked: str | None = None,
    ) -> "Dataset":
        """That of checked `data.*` settings.

        Args:
            data: The settings.
            held_out: What is held out where the settings ask for nothing, as a model's training did.
            asked: The split that is measured: what is held out is not told where that split has nothing to do with it.
        """
        opened = cls.__new__(cls)
        opened._source = held_out_like(data.model_dump(), held_out)
        opened.manifest = read_data(**opened._source, asked=asked)
        return opened

    @property
    def source(self) -> Mapping[str, Any]:
        """What it was opened from: the arguments by name, `columns` whole."""
        return self._source

    def held_out_as(self, held_out: HeldOut) -> "Dataset":
        """The same data set with that hold-out, unless it has one of its own or none is needed.

        A model that was trained on part of the training images is measured on the rest of them.
        """
        source = held_out_like(self._source, held_out)
        return self if source == self._source else Dataset(**source)

    @property
    def labels(self) -> list[str]:
        """The sorted training labels."""
        return self.manifest.labels

    @cached_property
    def counts(self) -> pd.DataFrame:
        """Images per label (rows) and split (columns)."""
        counts = self.manifest.counts()
        return counts.loc[:, counts.sum() > 0]

    def protocol(self, split: str) -> Protocol:
        """Who asks and who answers in a split.

        Args:
            split: train, validation or test.

        Raises:
            ManifestError: The split has no query or no reference.
        """
        return self.manifest.protocol(split)

    def __len__(self) -> int:
        return len(self.manifest.table)

    def _repr_html_(self) -> str:
        """In a notebook: images per split, and a picture of each of its first labels."""
        table = self.manifest.original
        first = table.drop_duplicates("label").sort_values("label").head(_LABELS_SHOWN)
        pictures = [
            picture(self.manifest.file(path), label, (f"{counted} images",), box=box)
            for path, label, counted, box in zip(
                first["path"], first["label"], self.counts.loc[first["label"]].sum(axis=1), boxes_of(first), strict=True
            )
        ]
        more = f"; the first {len(first)}" if len(first) < len(self.counts) else ""
        return snippet(f"{self!r}{more}", pictures=[pictures])

    def __repr__(self) -> str:
        splits = ", ".join(f"{total} {split}" for split, total in self.counts.sum().items())
        return f"Dataset({str(self.manifest.root)!r}: {len(self)} images ({splits}), {len(self.labels)} labels)"


def held_out_like(source: Mapping[str, Any], held_out: HeldOut) -> dict[str, Any]:
    """What a data set is opened from, with that hold-out where it asks for none of its own.

    Args:
        source: What `Dataset` takes by name.
        held_out: Of a model's training.
    """
    own = any(source.get(name) for name in ("validation_share", "test_share", "split"))
    return {**source, **({} if own or not held_out.any else held_out.model_dump())}
