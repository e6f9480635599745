"""Which rows form each training batch: seeded, a pure function of (seed, epoch), so resuming needs one number.

Letters: P labels per batch, K images per label.
"""

from collections.abc import Iterator

import numpy as np

from lookalike.errors import LookalikeError


class SamplerError(LookalikeError):
    """The labels cannot fill a batch as asked."""


class ShuffledBatches:
    """Every row once per epoch, in random order; the incomplete last batch is left out.

    Args:
        rows: Number of rows.
        batch_size: Rows per batch.
        seed: An integer from 0.
    """

    def __init__(self, rows: int, batch_size: int, seed: int) -> None:
        if rows < batch_size:
            raise SamplerError(
                f"batch_size={batch_size}, but there are {rows} training images: use a smaller trainer.batch_size"
            )
        self._rows, self._batch_size, self._seed = rows, batch_size, seed

    def __len__(self) -> int:
        return self._rows // self._batch_size

    def batches(self, epoch: int) -> Iterator[list[int]]:
        """The batches of one epoch, as lists of rows."""
        order = np.random.default_rng([self._seed, epoch]).permutation(self._rows)
        for first in range(0, len(self) * self._batch_size, self._batch_size):
            yield order[first : first + self._batch_size].tolist()


class LabelBatches:
    """P labels x K images per batch, as the pair losses need (Hermans et al. 2017).

    An epoch has as many images as the data. Labels are drawn without replacement until all were used; a label with
    fewer than K images repeats some of them.

    Args:
        label_ids: One id per row.
        labels_per_batch: P, at least 2.
        images_per_label: K, at least 2.
        seed: An integer from 0.
    """

    def __init__(self, label_ids: np.ndarray, labels_per_batch: int, images_per_label: int, seed: int) -> None:
        self._members = [np.flatnonzero(label_ids == label) for label in np.unique(label_ids)]
        if len(self._members) < labels_per_batch:
            raise SamplerError(
                f"labels_per_batch={labels_per_batch}, but there are {len(self._members)} training labels: "
                "use a smaller trainer.labels_per_batch"
            )
        self._p, self._k, self._seed = labels_per_batch, images_per_label, seed
        self._length = max(1, len(label_ids) // (labels_per_batch * images_per_label))

    def __len__(self) -> int:
        return self._length

    def batches(self, epoch: int) -> Iterator[list[int]]:
        """The batches of one epoch, as lists of rows grouped by label."""
        rng = np.random.default_rng([self._seed, epoch])
        waiting: list[int] = []
        piles: dict[int, list[int]] = {label: [] for label in range(len(self._members))}
        for _ in range(self._length):
            if len(waiting) < self._p:
                fresh = [label for label in rng.permutation(len(self._members)).tolist() if label not in waiting]
                waiting += fresh
            chosen, waiting = waiting[: self._p], waiting[self._p :]
            yield [row for label in chosen for row in self._draw(label, piles, rng)]

    def _draw(self, label: int, piles: dict[int, list[int]], rng: np.random.Generator) -> list[int]:
        """K rows of a label; its images come round in turn before any repeats."""
        taken: list[int] = []
        while len(taken) < self._k:
            if not piles[label]:
                fresh = rng.permutation(self._members[label]).tolist()
                piles[label] = sorted(fresh, key=taken.count, reverse=True)  # what this batch has comes last
            taken.append(piles[label].pop())
        return taken
