"""Lightning loaders from a manifest: training batches, and the references and queries of validation and test.

A training sample's randomness comes from (seed, epoch, row); the position inside an epoch is one number. So neither
the number of workers nor a crash changes what the model sees.

Letters in shapes: B batch, H height, W width.
"""

import copy
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import cv2
import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lookalike.augment import OnlineTransforms, sample_seed
from lookalike.images import PixelSettings, read_image
from lookalike.manifest import Manifest, boxes_of
from lookalike.manifest import Protocol as RetrievalProtocol

Sample = tuple[Tensor, int]
Image = tuple[Path, tuple[float, float, float, float] | None]  # a file and the box in it


class Batches(Protocol):
    """What `sampler` makes: the batches of an epoch, as a pure function of its number."""

    def __len__(self) -> int: ...

    def batches(self, epoch: int) -> Iterator[list[int]]:
        """The batches of one epoch, as lists of rows."""
        ...


class ImageRows(Dataset[Sample]):
    """Rows of a manifest as (uint8 image [H, W, 3], label id); label ids are -1 for labels that are not trained.

    Args:
        manifest: Where the files lie.
        rows: The rows, in order.
        pixels: How images are read.
        transforms: Random changes, or None; then an index is a row, otherwise (epoch, row).
        seed: What the randomness of a sample starts from.
    """

    def __init__(
        self,
        manifest: Manifest,
        rows: pd.DataFrame,
        pixels: PixelSettings,
        transforms: OnlineTransforms | None = None,
        seed: int = 0,
    ) -> None:
        ids = {label: number for number, label in enumerate(manifest.labels)}
        self.files: list[Path] = [manifest.file(path) for path in rows["path"]]
        self.boxes = boxes_of(rows)
        self.label_ids = np.array([ids.get(label, -1) for label in rows["label"]], np.int64)
        self.pixels, self.transforms, self.seed = pixels, transforms, seed

    def __len__(self) -> int:
        return len(self.files)

    @property
    def images(self) -> list[Image]:
        """What each row shows."""
        return list(zip(self.files, self.boxes, strict=True))

    def of(self, images: list[Image]) -> "ImageRows":
        """Other images, read in the same way, without labels and random changes."""
        other = copy.copy(self)
        other.files, other.boxes = [file for file, _ in images], [box for _, box in images]
        other.label_ids, other.transforms = np.full(len(images), -1, np.int64), None
        return other

    def __getitem__(self, index: int | tuple[int, int]) -> Sample:
        epoch, row = index if isinstance(index, tuple) else (0, index)
        if self.transforms is None:
            image = read_image(self.files[row], self.pixels, self.boxes[row])
        else:
            image = self.transforms(self.files[row], sample_seed(self.seed, epoch, row), self.boxes[row])
        return torch.from_numpy(image), int(self.label_ids[row])


@dataclass(frozen=True)
class Features:
    """What a frozen trunk made of images.

    Attributes:
        bits: uint16 [N, ...], the bits of bf16.
        places: The row of each image.
        channels_last: Whether `bits` are [N, H, W, C] of maps that the trunk gives as [B, C, H, W].
    """

    bits: np.ndarray
    places: dict[Image, int]
    channels_last: bool

    def cover(self, rows: ImageRows) -> bool:
        """Whether all images of `rows` are there."""
        return all(image in self.places for image in rows.images)


class FeatureRows(Dataset[Sample]):
    """The same rows as (what the trunk made of the image in bf16, label id), whole batches at once.

    Args:
        features: Covers the rows.
        rows: The images.
    """

    def __init__(self, features: Features, rows: ImageRows) -> None:
        self.bits, self.label_ids, self.channels_last = features.bits, rows.label_ids, features.channels_last
        self.places = np.array([features.places[image] for image in rows.images], np.int64)

    def __len__(self) -> int:
        return len(self.places)

    def __getitems__(self, indices: list[Any]) -> tuple[Tensor, Tensor]:
        """bf16 [B, C, H, W] (channels last in memory) or as the trunk gives it, and int64 [B]."""
        rows = [index[1] if isinstance(index, tuple) else index for index in indices]
        features = torch.from_numpy(self.bits[self.places[rows]]).view(torch.bfloat16)
        given = features.permute(0, 3, 1, 2) if self.channels_last else features
        return given, torch.from_numpy(self.label_ids[rows])


class _EpochBatches:
    """Yields (epoch, row) pairs, from the batch where the loader stands."""

    def __init__(self, source: Batches) -> None:
        self.source, self.epoch, self.start = source, 0, 0

    def __len__(self) -> int:
        return len(self.source)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, start = self.epoch, self.start
        for number, rows in enumerate(self.source.batches(epoch)):
            if number >= start:
                yield [(epoch, row) for row in rows]


class ResumableLoader(DataLoader[Sample]):
    """A loader that knows its position: the epoch, and the batches of it that were handed out.

    Args:
        dataset: Takes (epoch, row) as an index.
        source: The batches.
        workers: Loading processes.
    """

    def __init__(self, dataset: ImageRows | FeatureRows, source: Batches, workers: int) -> None:
        self._position = _EpochBatches(source)
        self._done = 0
        super().__init__(dataset, batch_sampler=self._position, **_options_for(dataset, workers))

    def __iter__(self) -> Any:
        if self._done >= len(self):
            self._position.epoch, self._done = self._position.epoch + 1, 0
        self._position.start = self._done
        return self._counted(super().__iter__())

    def _counted(self, batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            self._done += 1
            yield batch

    @property
    def position(self) -> dict[str, int]:
        """Where the loader stands; set it to go on from there."""
        return {"epoch": self._position.epoch, "batches_done": self._done}

    @position.setter
    def position(self, position: dict[str, int]) -> None:
        self._position.epoch, self._done = position["epoch"], position["batches_done"]


class ImageDataModule(pl.LightningDataModule):
    """Loaders for training, and for validation and test by neighbours.

    Args:
        manifest: The data set; augmented copies are trained on, never searched.
        pixels: How images are read.
        transforms: Random changes while training; None for none.
        batches: Makes the training batches from the label ids (int64 [N]); needed for training alone.
        seed: What the randomness of a sample starts from.
        workers: Loading processes.
        eval_batch: Images per batch of validation and test.
        test_split: What `test_dataloader` loads.
    """

    def __init__(
        self,
        manifest: Manifest,
        pixels: PixelSettings,
        transforms: OnlineTransforms | None = None,
        batches: Callable[[np.ndarray], Batches] | None = None,
        seed: int = 0,
        workers: int = 0,
        eval_batch: int = 64,
        test_split: str = "test",
    ) -> None:
        super().__init__()
        self.manifest, self.pixels, self.workers, self.eval_batch = manifest, pixels, workers, eval_batch
        self.test_split = test_split
        train = manifest.table[(manifest.table["split"] == "train") & ~manifest.table["ignore"]]
        self.train_rows = ImageRows(manifest, train, pixels, transforms, seed)
        self.batches = batches(self.train_rows.label_ids) if batches else None
        self.features: Features | None = None
        self._loader: ResumableLoader | None = None
        self._resumed: dict[str, int] | None = None

    def train_dataloader(self) -> ResumableLoader:
        """Batches of (uint8 [B, H, W, 3], int64 [B]); what the trunk makes of them where `features` has it."""
        assert self.batches is not None, "ImageDataModule(batches=...) is needed for training"
        self._loader = ResumableLoader(self._known(self.train_rows), self.batches, self.workers)
        if self._resumed is not None:
            self._loader.position = self._resumed
        return self._loader

    def state_dict(self) -> dict[str, int]:
        """The position inside the epoch, kept in every checkpoint.

        Kept here and not by the loader: Lightning does not restore a loader's state at the end of an epoch.
        """
        assert self._loader is not None, "checkpoints are written while training"
        return self._loader.position

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Lets the next training loader go on from there: the rest of the epoch, and nothing twice."""
        self._resumed = state_dict

    @cached_property
    def protocol(self) -> RetrievalProtocol:
        """Who asks and who answers in validation."""
        return self.manifest.protocol("validation")

    @cached_property
    def test_protocol(self) -> RetrievalProtocol:
        """The same of the test split."""
        return self.manifest.protocol(self.test_split)

    def val_dataloader(self) -> list[DataLoader[Sample]]:
        """References first, queries second; in manifest order."""
        return [self._loader_of(self._known(rows)) for rows in self.validation_rows]

    def test_dataloader(self) -> list[DataLoader[Sample]]:
        """The same of the test split."""
        return [self._loader_of(rows) for rows in self._rows_of(self.test_protocol)]

    @cached_property
    def validation_rows(self) -> list[ImageRows]:
        """References and queries of validation."""
        return self._rows_of(self.protocol)

    @property
    def unchanging_rows(self) -> list[ImageRows]:
        """Those whose pixels are the same in every epoch."""
        transforms = self.train_rows.transforms
        still = [] if transforms is not None and transforms.random else [self.train_rows]
        return still + self.validation_rows

    def first_batch(self) -> tuple[Tensor, Tensor]:
        """The first training batch, without moving the loader."""
        assert self.batches is not None, "ImageDataModule(batches=...) is needed for training"
        rows = [(0, row) for row in next(iter(self.batches.batches(0)))]
        known = self._known(self.train_rows)
        if isinstance(known, FeatureRows):
            return known.__getitems__(rows)
        images, labels = zip(*(known[row] for row in rows), strict=True)
        return torch.stack(images), torch.tensor(labels)

    def _known(self, rows: ImageRows) -> ImageRows | FeatureRows:
        """What the trunk made of the rows, where that is known and nothing random comes before it."""
        if self.features is None or rows not in self.unchanging_rows or not self.features.cover(rows):
            return rows
        return FeatureRows(self.features, rows)

    def _rows_of(self, protocol: RetrievalProtocol) -> list[ImageRows]:
        return [ImageRows(self.manifest, part, self.pixels) for part in (protocol.references, protocol.queries)]

    def _loader_of(self, rows: ImageRows | FeatureRows) -> DataLoader[Sample]:
        return DataLoader(rows, batch_size=self.eval_batch, **_options_for(rows, self.workers))


def default_workers() -> int:
    """One process fewer than the cores, at most 4: the network needs the rest."""
    return max(0, min(4, (os.cpu_count() or 1) - 1))


def _options_for(rows: ImageRows | FeatureRows, workers: int) -> dict[str, Any]:
    """Features need no processes: taking them is a copy, and they come as whole batches."""
    return {**worker_options(0), "collate_fn": _as_it_is} if isinstance(rows, FeatureRows) else worker_options(workers)


def _as_it_is(batch: Any) -> Any:
    return batch


def worker_options(workers: int) -> dict[str, Any]:
    """Settings of a loader with so many processes: one thread each, and no draw from torch's random state."""
    # A generator of its own: otherwise every new iterator draws from torch's global one, and resuming would shift it.
    generator = torch.Generator()
    return {
        "num_workers": workers,
        "worker_init_fn": _one_thread,
        "persistent_workers": workers > 0,
        "generator": generator,
    }


def _one_thread(_: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
