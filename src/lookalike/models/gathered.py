"""What the processes that train together have, joined into one batch: rows in the order of one process, with gradients.

Letters in shapes: B batch of all processes, b that of one, D embedding.
"""

from typing import Protocol

import torch
from torch import Tensor, distributed


class _Context(Protocol):
    """What backward has to know."""

    count: int


class _Joined(torch.autograd.Function):
    """Rows of all processes; the gradient of its own comes back, times the number of processes.

    Every process computes the loss of the whole batch, so the gradient of its own rows is there already. Averaging the
    gradients of weights over processes, as DDP does, would leave 1 / N of it.
    """

    @staticmethod
    def forward(ctx: _Context, rows: Tensor) -> Tensor:
        ctx.count = len(rows)
        return torch.cat(_parts(rows))

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> Tensor:
        first = distributed.get_rank() * ctx.count
        return gradient[first : first + ctx.count] * distributed.get_world_size()


def joined(rows: Tensor) -> Tensor:
    """The rows of all processes, those of the first one first.

    Args:
        rows: [b, ...], equally many in each process. What is computed from the result must be the same in every
            process, and gradients of weights must then be averaged over the processes.

    Returns:
        [B, ...]
    """
    if not rows.requires_grad:
        return torch.cat(_parts(rows))
    whole: Tensor = _Joined.apply(rows)
    return whole


def _parts(rows: Tensor) -> list[Tensor]:
    rows = rows.detach().contiguous()
    parts = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, rows)
    return parts
