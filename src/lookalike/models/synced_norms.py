"""Batch norms that take mean and variance over the batches of all processes: as one process with all of them does.

Not `torch.nn.SyncBatchNorm`: that runs on GPUs alone, and it does not know timm's batch norms, which hold
their activation. This one is a few operations more on a GPU, and the same everywhere.

Letters in shapes: b batch of one process, C channels.
"""

from typing import Any

import torch
from torch import Tensor, distributed, nn

_Norm = nn.modules.batchnorm._BatchNorm
_CHANNELS = 1  # dimension


class _Summed(torch.autograd.Function):
    """The sum over processes, forwards and backwards."""

    @staticmethod
    def forward(ctx: object, values: Tensor) -> Tensor:
        return _sum(values)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return _sum(gradient)


def _sum(values: Tensor) -> Tensor:
    total: Tensor = values.detach().clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(total)
    return total


class _Synced:
    """Stands before a class of batch norm; what is added to it (timm's activation) is kept."""

    def forward(self, images: Tensor) -> Tensor:
        norm: Any = self
        if not norm.training:
            whole: Tensor = super().forward(images)  # type: ignore[misc]
            return whole
        result = _normalised(norm, images)
        for name in ("drop", "act"):
            if hasattr(norm, name):
                result = getattr(norm, name)(result)
        return result


def random_parts(network: nn.Module) -> list[str]:
    """The names of the parts that draw random numbers while they are trained: dropout, stochastic depth.

    Args:
        network: In training mode.
    """
    return [
        name
        for name, part in network.named_modules()
        if part.training and (getattr(part, "p", 0) or getattr(part, "drop_prob", 0) or 0) > 0
    ]


def sync_norms(network: nn.Module) -> int:
    """Lets the batch norms that learn their statistics take them over all processes; names of tensors stay.

    Args:
        network: In training mode; batch norms that are in eval mode are left as they are.

    Returns:
        How many were changed.
    """
    changed = [part for part in network.modules() if isinstance(part, _Norm) and part.training]
    for part in changed:
        if not isinstance(part, _Synced):
            part.__class__ = type(f"Synced{type(part).__name__}", (_Synced, type(part)), {})
    return len(changed)


def _normalised(norm: _Norm, images: Tensor) -> Tensor:
    """The batch norm of [b, C, ...] in training, with the statistics of all processes; moves the running ones."""
    others = [dimension for dimension in range(images.dim()) if dimension != _CHANNELS]
    shape = [1, -1] + [1] * (images.dim() - 2)
    exact = images if images.dtype == torch.float64 else images.float()
    count = exact.new_tensor([images.numel() / images.shape[_CHANNELS]])
    sums = _Summed.apply(torch.cat([exact.sum(others), count]))
    total = sums[-1].detach()
    mean = sums[:-1] / total
    centred = exact - mean.view(shape)
    variance = _Summed.apply(centred.square().sum(others)) / total  # not from a sum of squares, which cancels
    _move(norm, mean.detach(), (variance.detach() * total / (total - 1).clamp(min=1)))
    result = centred * torch.rsqrt(variance + norm.eps).view(shape)
    if norm.affine:
        result = result * norm.weight.view(shape) + norm.bias.view(shape)
    normalised: Tensor = result.to(images.dtype)
    return normalised


@torch.no_grad()
def _move(norm: _Norm, mean: Tensor, variance: Tensor) -> None:
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    share = norm.momentum if norm.momentum is not None else 1.0 / float(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), share)
    norm.running_var.lerp_(variance.to(norm.running_var.dtype), share)
