"""Rows of a manifest as images or as what a frozen trunk made of them.

Letters in shapes: B batch, N images, C channels, H height, W width.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lookalike.data.images import read_image
from lookalike.data.manifest import Manifest, boxes_of
from lookalike.data.pixels import PixelSettings
from lookalike.datamodules.online_transforms import OnlineTransforms, sample_seed

Sample = tuple[Tensor, int]
Index = int | tuple[int, int]  # a row, or (epoch, row)
Box = tuple[float, float, float, float]
Image = tuple[Path, Box | None, int | None]  # a file, the box in it, and the seed of its random changes, if any


class ImageRows(Dataset[Sample]):
    """Rows of a manifest as (uint8 image [H, W, 3], label id); label ids are -1 for labels that are not trained.

    Args:
        manifest: Where the files lie.
        rows: The rows, in order.
        pixels: How images are read.
        transforms: Random changes, or None; then an index is a row, otherwise (epoch, row).
        seed: What the randomness of a sample starts from.
        views: How many random versions of each image there are, one epoch after the other showing the next; None for
            new ones in every epoch.
    """

    def __init__(
        self,
        manifest: Manifest,
        rows: pd.DataFrame,
        pixels: PixelSettings,
        transforms: OnlineTransforms | None = None,
        seed: int = 0,
        views: int | None = None,
    ) -> None:
        ids = {label: number for number, label in enumerate(manifest.labels)}
        self.files: list[Path] = [manifest.file(path) for path in rows["path"]]
        self.boxes = boxes_of(rows)
        self.label_ids = np.array([ids.get(label, -1) for label in rows["label"]], np.int64)
        self.pixels, self.transforms, self.seed = pixels, transforms, seed
        self.views = views if transforms is not None and transforms.random else 1

    def __len__(self) -> int:
        return len(self.files)

    def image(self, epoch: int, row: int) -> Image:
        """What a row shows in an epoch."""
        if self.transforms is None or not self.transforms.random:
            return self.files[row], self.boxes[row], None
        version = epoch if self.views is None else epoch % self.views
        return self.files[row], self.boxes[row], sample_seed(self.seed, version, row)

    @cached_property
    def images(self) -> list[Image]:
        """What the rows ever show: all rows as in the first epoch, then all as in the second, until they repeat."""
        return [self.image(version, row) for version in range(self.versions) for row in range(len(self))]

    @property
    def versions(self) -> int:
        """How many versions of each image there are; rows that show something new in every epoch have no end."""
        assert self.views is not None, "rows that show something new in every epoch have no end"
        return self.views

    def read(self, image: Image) -> Tensor:
        """Any image, uint8 [H, W, 3], with the changes of these rows where it has a seed."""
        file, box, seed = image
        if seed is None:
            return torch.from_numpy(read_image(file, self.pixels, box))
        assert self.transforms is not None, "rows without random changes show no image that has a seed"
        return torch.from_numpy(self.transforms(file, seed, box))

    def for_a_thread(self) -> "ImageRows":
        """The same rows for another thread: their random changes have a state while they are made."""
        rows = copy.copy(self)
        rows.transforms = copy.deepcopy(self.transforms)
        return rows

    def __getitem__(self, index: Index) -> Sample:
        epoch, row = index if isinstance(index, tuple) else (0, index)
        return self.read(self.image(epoch, row)), int(self.label_ids[row])


@dataclass(frozen=True)
class Features:
    """What a frozen trunk made of images.

    Attributes:
        bits: uint16 [N, ...], the bits of bf16.
        places: The row of each image as it is shown.
        pixels: How the images were read.
        channels_last: Whether `bits` are [N, H, W, C] of maps that the trunk gives as [B, C, H, W].
    """

    bits: np.ndarray
    places: dict[Image, int]
    pixels: PixelSettings
    channels_last: bool

    def cover(self, rows: ImageRows) -> bool:
        """Whether all that `rows` ever show is there."""
        return rows.pixels == self.pixels and all(image in self.places for image in rows.images)


class FeatureRows(Dataset[Sample]):
    """The same rows as (what the trunk made of the image in bf16, label id), whole batches at once.

    Args:
        features: Covers the rows.
        rows: The images.
    """

    def __init__(self, features: Features, rows: ImageRows) -> None:
        self.bits, self.label_ids, self.channels_last = features.bits, rows.label_ids, features.channels_last
        places = [features.places[image] for image in rows.images]
        self.places = np.array(places, np.int64).reshape(rows.versions, len(rows))  # [versions, N]

    def __len__(self) -> int:
        return len(self.label_ids)

    def __getitems__(self, indices: Sequence[Index]) -> tuple[Tensor, Tensor]:
        """bf16 [B, C, H, W] (channels last in memory) or as the trunk gives it, and int64 [B]."""
        pairs = [index if isinstance(index, tuple) else (0, index) for index in indices]
        rows = [row for _, row in pairs]
        versions = [epoch % len(self.places) for epoch, _ in pairs]
        stored = torch.from_numpy(self.bits[self.places[versions, rows]]).view(torch.bfloat16)
        features = stored.permute(0, 3, 1, 2) if self.channels_last else stored
        return features, torch.from_numpy(self.label_ids[rows])
