"""Lightning loaders from a manifest: training batches, and the references and queries of validation and test.

A training sample's randomness comes from (seed, epoch, row); the position inside an epoch is one number. So neither
the number of workers nor a crash changes what the model sees.

Letters in shapes: B batch, H height, W width.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lookalike.data.manifest import Manifest
from lookalike.data.pixels import PixelSettings
from lookalike.data.protocol import Protocol as RetrievalProtocol
from lookalike.datamodules.image_rows import FeatureRows, Features, ImageRows, Index, Sample
from lookalike.datamodules.online_transforms import OnlineTransforms
from lookalike.datamodules.resumable_loader import Batches, ResumableLoader, options_for, workers_with_room
from lookalike.models.world import ALONE, World

_FEW = 32  # images


class ImageDataModule(pl.LightningDataModule):
    """Loaders for training, and for validation and test by neighbours.

    Args:
        manifest: The data set; augmented copies are trained on, never searched.
        pixels: How images are read.
        transforms: Random changes while training, at a size of their own; None for none.
        batches: Makes the training batches from the label ids (int64 [N]); needed for training alone.
        seed: What the randomness of a sample starts from.
        workers: Loading processes of each loader; fewer where the shared memory has no room for what they read ahead.
        eval_batch: Images per batch of validation and test.
        test_split: What `test_dataloader` loads.
        views: How many random versions of each training image there are; None for new ones in every epoch.
        passes: How many times an epoch goes through the training images.
        world: The processes that share each training batch, and the batches of validation.
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
        views: int | None = None,
        passes: int = 1,
        world: World = ALONE,
    ) -> None:
        super().__init__()
        self.world = world
        self.manifest, self.pixels, self.eval_batch = manifest, pixels, eval_batch
        self.test_split, self.passes = test_split, passes
        trained = transforms.pixels if transforms else pixels
        self.train_rows = ImageRows(manifest, manifest.training_rows, trained, transforms, seed, views)
        self.batches = batches(self.train_rows.label_ids) if batches else None
        self.features: tuple[Features, ...] = ()
        self.workers = self._with_room(workers) if workers else 0
        self._loader: ResumableLoader | None = None
        self._resumed: dict[str, int] | None = None

    def train_dataloader(self) -> ResumableLoader:
        """Batches of (uint8 [B, H, W, 3], int64 [B]); what the trunk makes of them where `features` has it."""
        assert self.batches is not None, "ImageDataModule(batches=...) is needed for training"
        rows = self._loadable(self.train_rows)
        self._loader = ResumableLoader(rows, self.batches, self.workers, self.passes, self.world)
        if self._resumed is not None:
            self._loader.position = self._resumed
        return self._loader

    @property
    def steps(self) -> int:
        """Training batches of an epoch."""
        assert self.batches is not None, "ImageDataModule(batches=...) is needed for training"
        return self.passes * len(self.batches)

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
        """References first, queries second; in manifest order.

        Of several processes each has every so manyth batch: what is in a batch is the same as with one process, and so
        are its embeddings, to the last bit.
        """
        return [self._loader_of(self._loadable(rows), self.world) for rows in self.validation_rows]

    def test_dataloader(self) -> list[DataLoader[Sample]]:
        """The same of the test split."""
        return [self._loader_of(rows) for rows in self._rows_of(self.test_protocol)]

    @cached_property
    def validation_rows(self) -> list[ImageRows]:
        """References and queries of validation."""
        return self._rows_of(self.protocol)

    @property
    def unchanging_rows(self) -> list[ImageRows]:
        """Those that show nothing new after some epochs."""
        return [*([] if self.train_rows.views is None else [self.train_rows]), *self.validation_rows]

    def first_batch(self) -> tuple[Tensor, Tensor]:
        """The first training batch, or this process's part of it, without moving the loader."""
        assert self.batches is not None, "ImageDataModule(batches=...) is needed for training"
        rows = next(iter(self.batches.batches(0)))
        return self._batch_of(self.train_rows, [(0, row) for row in rows[self.world.share_of(len(rows))]])

    def _batch_of(self, rows: ImageRows, indices: Sequence[Index]) -> tuple[Tensor, Tensor]:
        """Some rows as they enter the network, and their label ids, without a loader."""
        loadable = self._loadable(rows)
        if isinstance(loadable, FeatureRows):
            return loadable.__getitems__(indices)
        images, labels = zip(*(loadable[index] for index in indices), strict=True)
        return torch.stack(images), torch.tensor(labels)

    def validation_sample(self) -> Tensor:
        """Some references of validation as they enter the network, without a loader."""
        rows = self.validation_rows[0]
        return self._batch_of(rows, range(min(len(rows), _FEW)))[0]

    def _with_room(self, workers: int) -> int:
        image = self.pixels.height * self.pixels.width * 3
        loaders = 2 * [self.eval_batch * image]
        if self.batches:
            pixels = self.train_rows.pixels
            shared = len(next(iter(self.batches.batches(0)))) // self.world.size
            loaders.insert(0, shared * pixels.height * pixels.width * 3)
        return workers_with_room(workers, [self.world.local_size * size for size in loaders])

    def _loadable(self, rows: ImageRows) -> ImageRows | FeatureRows:
        """What the trunk made of the rows, where that is cached and nothing random comes before it; else the images."""
        if rows not in self.unchanging_rows:
            return rows
        covering = (features for features in self.features if features.cover(rows))
        return next((FeatureRows(features, rows) for features in covering), rows)

    def _rows_of(self, protocol: RetrievalProtocol) -> list[ImageRows]:
        return [ImageRows(self.manifest, part, self.pixels) for part in (protocol.references, protocol.queries)]

    def _loader_of(self, rows: ImageRows | FeatureRows, world: World = ALONE) -> DataLoader[Sample]:
        if world.alone:
            return DataLoader(rows, batch_size=self.eval_batch, **options_for(rows, self.workers))
        batches = [
            list(part) for part in np.split(np.arange(len(rows)), range(self.eval_batch, len(rows), self.eval_batch))
        ]
        # None of the processes may have none, as Lightning leaves out the validation of such a one.
        return DataLoader(rows, batch_sampler=world.dealt(batches), **options_for(rows, self.workers))
