"""Market-1501 for Lightning: from its folder or zip to loaders; validation people are disjoint from training people."""

from collections.abc import Callable
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np

from lookalike.data.pixels import PixelSettings
from lookalike.data.reading import read_data
from lookalike.data.tables import ManifestError
from lookalike.datamodules.image_datamodule import ImageDataModule
from lookalike.datamodules.online_transforms import OnlineTransforms
from lookalike.datamodules.resumable_loader import Batches


class Loading(TypedDict, total=False):
    """How images become batches, see `ImageDataModule`.

    Attributes:
        transforms: Random changes while training; none unless given.
        batches: Makes the training batches from the label ids (int64 [N]); needed for training alone.
        workers: Loading processes; 0 unless given.
        eval_batch: Images per batch of validation and test; 64 unless given.
    """

    transforms: OnlineTransforms | None
    batches: Callable[[np.ndarray], Batches] | None
    workers: int
    eval_batch: int


class MarketDataModule(ImageDataModule):
    """Loaders of Market-1501, or of a data set of the same layout.

    Test has `bounding_box_test` as references (junk is ignored, distractors are kept) and `query` as queries; training
    images take no part in it.

    Args:
        root: The folder with `bounding_box_train`, `bounding_box_test` and `query`, or the one above.
        archive: Its zip, unpacked into `root` unless the data set is there already.
        pixels: How images are read.
        validation_share: Share of the training people that are held out.
        seed: Who is held out, and what the randomness of a sample starts from.
        **loading: See `Loading`.

    Raises:
        ManifestError: Problems in the data, or another layout.
    """

    def __init__(
        self,
        root: str | Path,
        archive: str | None = None,
        pixels: PixelSettings | None = None,
        validation_share: float = 0.1,
        seed: int = 0,
        **loading: Unpack[Loading],
    ) -> None:
        manifest = read_data(str(root), archive=archive, validation_share=validation_share, seed=seed)
        if not manifest.cameras_expected:
            raise ManifestError(
                f"{root}: expected the folders bounding_box_train, bounding_box_test and query of Market-1501; "
                "use ImageDataModule for other layouts"
            )
        super().__init__(manifest, pixels or PixelSettings(256, 128), seed=seed, **loading)
