"""Class weights of very many labels, of which a step compares and changes a sample: Partial FC (An et al. 2022).

"Killing Two Birds with One Stone: Efficient and Robust Training of Face Recognition CNNs by Partial FC", CVPR 2022: the
labels of a batch are always in the sample, the others are drawn. What a step costs then goes with the sample and not
with the labels, and the moments of AdamW are kept for the rows that were ever in one.

Letters in shapes: C labels, K labels of a sample, S weights per label, R rows that have moments, D embedding.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from lookalike.errors import LookalikeError

_BETAS, _EPSILON = (0.9, 0.999), 1e-8  # those of AdamW


class SampledClasses(nn.Module):
    """The weights of all labels, and the moments of those that were in a sample.

    Args:
        weights: float32 [C * S, D], the S weights of a label one after the other.
        per_label: S.
        count: K, at least the labels of a batch.
        seed: What samples are drawn from, with the number of the step.
    """

    table: Tensor

    def __init__(self, weights: Tensor, per_label: int, count: int, seed: int) -> None:
        super().__init__()
        self.register_buffer("table", weights.detach().clone(memory_format=torch.contiguous_format))
        self._per_label, self._count, self._seed = per_label, count, seed
        self._place = torch.full((len(weights),), -1, dtype=torch.int32)  # of the moments of a row; on the CPU
        self._moments = weights.new_zeros(2, 0, weights.shape[1])
        self._steps = torch.zeros(0, dtype=torch.int32)
        self._used = 0
        self._rows = torch.zeros(0, dtype=torch.int64)

    @property
    def labels(self) -> int:
        """C."""
        return len(self.table) // self._per_label

    @property
    def rows_with_moments(self) -> int:
        """R."""
        return self._used

    def draw(self, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """The sample of a step, a function of the seed, its number and the labels alone.

        Args:
            labels: int64 [B], label ids.
            step: Its number.

        Returns:
            The weights of the sample float32 [K * S, D], in the order of the labels, and which of its labels those of
            the batch are, int64 [B].

        Raises:
            LookalikeError: The batch has more labels than a sample.
        """
        own = np.unique(labels.cpu().numpy())
        others = self._count - len(own)
        if others < 0:
            raise LookalikeError(
                f"loss.sample_classes: a sample has {self._count} labels, and the batch alone {len(own)}: give a "
                "larger share"
            )
        drawn = np.random.default_rng([self._seed, step]).choice(
            self.labels - len(own), others, replace=False, shuffle=False
        )
        # The n-th of the labels that the batch does not have.
        drawn += np.searchsorted(own - np.arange(len(own)), drawn, side="right")
        sample = torch.from_numpy(np.sort(np.concatenate([own, drawn])))
        within = torch.searchsorted(sample, labels.cpu())
        rows = sample[:, None] * self._per_label + torch.arange(self._per_label)
        self._rows = rows.flatten()
        return self.table[self._rows.to(self.table.device)], within.to(labels.device)

    @torch.no_grad()
    def step(self, gradient: Tensor, rate: float) -> None:
        """One step of AdamW, without weight decay, for the rows of the last sample; the moments of others stand still.

        Args:
            gradient: float32 [K * S, D].
            rate: Learning rate.
        """
        device = self.table.device
        self._make_room()
        places = self._place[self._rows].long()
        self._steps[places] += 1
        steps = self._steps[places].to(device, torch.float64)[:, None]
        rows, at = self._rows.to(device), places.to(device)
        self._moments = self._moments.to(device)
        mean = self._moments[0, at].lerp_(gradient, 1 - _BETAS[0])
        square = self._moments[1, at].mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
        self._moments[0, at], self._moments[1, at] = mean, square
        unbiased, root = 1 - _BETAS[0] ** steps, (1 - _BETAS[1] ** steps).sqrt()
        change = mean.div_(square.sqrt_().div_(root.float()).add_(_EPSILON)).mul_((rate / unbiased).float())
        self.table[rows] -= change

    def _make_room(self) -> None:
        """Places for the rows of the sample that have none; room grows by halves, so that it is copied seldom."""
        fresh = self._rows[self._place[self._rows] < 0]
        needed = self._used + len(fresh)
        self._place[fresh] = torch.arange(self._used, needed, dtype=torch.int32)
        if needed > len(self._steps):
            room = min(len(self.table), max(needed, math.ceil(1.5 * len(self._steps))))
            moments = self._moments.new_zeros(2, room, self._moments.shape[2])
            moments[:, : self._used] = self._moments[:, : self._used]
            steps = self._steps.new_zeros(room)
            steps[: self._used] = self._steps[: self._used]
            self._moments, self._steps = moments, steps
        self._used = needed

    def optimiser_state(self) -> dict[str, Tensor]:
        """The moments, for a checkpoint: `place` int32 [C * S], `moments` float32 [2, R, D], `steps` int32 [R]."""
        return {
            "place": self._place,
            "moments": self._moments[:, : self._used].cpu(),
            "steps": self._steps[: self._used],
        }

    def load_optimiser_state(self, state: dict[str, Tensor]) -> None:
        """Takes them back.

        Raises:
            ValueError: They are of other weights.
        """
        place, moments, steps = state["place"], state["moments"], state["steps"]
        used = len(steps)
        right = place.shape == self._place.shape and moments.shape == (2, used, self.table.shape[1])
        if not right or int(place.max()) != used - 1 or int((place >= 0).sum()) != used or int(place.min()) < -1:
            raise ValueError("the moments of the class weights are of other weights")
        self._place, self._steps, self._used = place.to(torch.int32), steps.to(torch.int32), used
        self._moments = moments.to(self.table.device, self.table.dtype)
