"""A loader that knows its position inside an epoch."""

import os
import shutil
from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol, TypeVar

import cv2
import torch
from torch.utils.data import DataLoader

from lookalike.console import say
from lookalike.datamodules.image_rows import FeatureRows, ImageRows, Sample
from lookalike.models.world import ALONE, World

Collated = TypeVar("Collated")
_SHARED_MEMORY = "/dev/shm"  # where processes hand over what they have read, on Linux
_IN_FLIGHT = 2  # batches that each process reads ahead


class Batches(Protocol):
    """What `sampler` makes: the batches of a pass through the images, as a pure function of its number."""

    def __len__(self) -> int: ...

    def batches(self, epoch: int) -> Iterator[list[int]]:
        """The batches of one pass, as lists of rows."""
        ...


class _EpochBatches:
    """Yields (pass, row) pairs, from the batch where the loader stands; of each batch the part of this process."""

    def __init__(self, source: Batches, passes: int, world: World) -> None:
        self.source, self.passes, self.epoch, self.start, self.world = source, passes, 0, 0, world

    def __len__(self) -> int:
        return self.passes * len(self.source)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        first, start = self.epoch * self.passes, self.start
        whole, begun = divmod(start, len(self.source))
        for number in range(first + whole, first + self.passes):
            for rows in islice(self.source.batches(number), begun if number == first + whole else 0, None):
                yield [(number, row) for row in rows[self.world.share_of(len(rows))]]


class ResumableLoader(DataLoader[Sample]):
    """A loader that knows its position: the epoch, and the batches of it that were handed out.

    Args:
        dataset: Takes (pass, row) as an index; where an epoch is one pass, that is its number.
        source: The batches of a pass.
        workers: Loading processes.
        passes: How many of them are an epoch.
        world: The processes that share each batch; its place is the same in all of them, and counts whole batches.
    """

    def __init__(
        self,
        dataset: ImageRows | FeatureRows,
        source: Batches,
        workers: int,
        passes: int = 1,
        world: World = ALONE,
    ) -> None:
        self._position = _EpochBatches(source, passes, world)
        self._done = 0
        super().__init__(dataset, batch_sampler=self._position, **options_for(dataset, workers))

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


def default_workers(sharing: int = 1) -> int:
    """One process fewer than the cores, at most 4: the network needs the rest.

    Args:
        sharing: How many processes on this machine train together and share its cores.
    """
    return max(0, min(4, (os.cpu_count() or 1) // sharing - 1))


def workers_with_room(workers: int, batch_bytes: list[int]) -> int:
    """As many of `workers` as the shared memory has room for: containers often have 64 MB, and a full one is a crash.

    Args:
        workers: Loading processes wanted by each loader.
        batch_bytes: Size of a batch, of each loader whose processes live at the same time.

    Returns:
        Processes, 0 where there is room for none; fewer than wanted is said.
    """
    try:
        free = shutil.disk_usage(_SHARED_MEMORY).free
    except OSError:  # a system that has none
        return workers
    each = sum(_IN_FLIGHT * size for size in batch_bytes)
    handed = max(batch_bytes)  # the one that is being trained on
    room = max(0, (free - handed) // each)
    if room >= workers:
        return workers
    say(
        f"workers={workers}: {_SHARED_MEMORY} has {free / 1e6:.0f} MB free and each process fills up to "
        f"{each / 1e6:.0f} MB of it, so {room or 'none'} of them load images (a container has more with docker run "
        "--shm-size=1g)"
    )
    return room


def options_for(rows: ImageRows | FeatureRows, workers: int) -> dict[str, Any]:
    """Features need no processes: taking them is a copy, and they come as whole batches."""
    return {**worker_options(0), "collate_fn": _as_it_is} if isinstance(rows, FeatureRows) else worker_options(workers)


def _as_it_is(batch: Collated) -> Collated:
    return batch


def worker_options(workers: int) -> dict[str, Any]:
    """Settings of a loader with so many processes: one thread each, and no draw from torch's random state."""
    # A generator of its own: otherwise every new iterator draws from torch's global one, and resuming would shift it.
    generator = torch.Generator()
    return {
        "num_workers": workers,
        "prefetch_factor": _IN_FLIGHT if workers else None,
        "worker_init_fn": _one_thread,
        "persistent_workers": workers > 0,
        "generator": generator,
    }


def _one_thread(_: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
