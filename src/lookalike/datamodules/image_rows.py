"""Rows of a manifest as images or as what a frozen trunk made of them.

Letters in shapes: B batch, N images, C channels, H height, W width.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
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
Image = tuple[Path, tuple[float, float, float, float] | None]  # a file and the box in it


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
        rows = copy.copy(self)
        rows.files, rows.boxes = [file for file, _ in images], [box for _, box in images]
        rows.label_ids, rows.transforms = np.full(len(images), -1, np.int64), None
        return rows

    def __getitem__(self, index: Index) -> Sample:
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

    def __getitems__(self, indices: Sequence[Index]) -> tuple[Tensor, Tensor]:
        """bf16 [B, C, H, W] (channels last in memory) or as the trunk gives it, and int64 [B]."""
        rows = [index[1] if isinstance(index, tuple) else index for index in indices]
        stored = torch.from_numpy(self.bits[self.places[rows]]).view(torch.bfloat16)
        features = stored.permute(0, 3, 1, 2) if self.channels_last else stored
        return features, torch.from_numpy(self.label_ids[rows])
