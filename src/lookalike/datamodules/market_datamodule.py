"""Market-1501 for Lightning: from its folder or zip to loaders; validation people are disjoint from training people."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from lookalike.data.dataset import read_data
from lookalike.data.pixels import PixelSettings
from lookalike.data.tables import ManifestError
from lookalike.datamodules.image_datamodule import ImageDataModule
from lookalike.datamodules.online_transforms import OnlineTransforms
from lookalike.datamodules.resumable_loader import Batches


class MarketDataModule(ImageDataModule):
    """Loaders of Market-1501, or of a data set of the same layout.

    Test has `bounding_box_test` as references (junk is ignored, distractors are kept) and `query` as queries; training
    images take no part in it.

    Args:
        root: The folder with `bounding_box_train`, `bounding_box_test` and `query`, or the one above.
        archive: Its zip, unpacked into `root` unless the data set is there already.
        pixels: How images are read.
        validation_share: Share of the training people that are held out.
        transforms: Random changes while training; None for none.
        batches: Makes the training batches from the label ids (int64 [N]); needed for training alone.
        seed: Who is held out, and what the randomness of a sample starts from.
        workers: Loading processes.
        eval_batch: Images per batch of validation and test.

    Raises:
        ManifestError: Problems in the data, or another layout.
    """

    def __init__(
        self,
        root: str | Path,
        archive: str | None = None,
        pixels: PixelSettings | None = None,
        validation_share: float = 0.1,
        transforms: OnlineTransforms | None = None,
        batches: Callable[[np.ndarray], Batches] | None = None,
        seed: int = 0,
        workers: int = 0,
        eval_batch: int = 64,
    ) -> None:
        manifest = read_data(str(root), validation_share, seed, archive)
        if not manifest.cameras_expected:
            raise ManifestError(
                f"{root}: expected the folders bounding_box_train, bounding_box_test and query of Market-1501; "
                "use ImageDataModule for other layouts"
            )
        pixels = pixels or PixelSettings(256, 128)
        super().__init__(manifest, pixels, transforms, batches, seed, workers, eval_batch)
