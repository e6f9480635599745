"""Frozen batch norms inside the convolutions before them: what is trained stays the same, two passes over memory go.

A batch norm with frozen statistics multiplies every channel by a number and adds another. The convolution can do both:
its weights times the one, and the other as its bias; gradients of scale, shift and weights come out of those few
numbers. Torch's backward pass of such a batch norm sums over all positions, and takes as long as the convolution's own.

Letters in shapes: B batch, C channels, H height, W width.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lookalike.models.trunk import in_eval_mode

_Norm = nn.modules.batchnorm._BatchNorm
_NEAR = 1e-3  # largest difference from the network as it was, relative to its largest output


def fold_frozen_norms(backbone: nn.Module, size: tuple[int, int]) -> int:
    """Lets trained convolutions of a network do what the frozen batch norms behind them do, in float32 and bf16.

    A batch norm in training mode runs as ever. Which convolution stands before which batch norm is seen by running the
    network, and what comes out is compared; a network that would give something else is left as it is.

    Args:
        backbone: Its parameters that are trained are marked; names and places of all parameters stay.
        size: Height and width of its images.

    Returns:
        How many were folded.
    """
    unfold(backbone)
    pixels = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    with in_eval_mode(backbone), torch.no_grad():
        try:
            before, pairs = _pairs(backbone, pixels.to(next(backbone.parameters()).device))
            for convolution, norm in pairs:
                _fold(convolution, norm)
            after = backbone(pixels.to(before.device))
        except (RuntimeError, ValueError, TypeError):  # a network that does not run alone is left as it is
            unfold(backbone)
            return 0
        if not (after - before).abs().max() <= _NEAR * before.abs().max():
            unfold(backbone)
            return 0
    return len(pairs)


def unfold(backbone: nn.Module) -> None:
    """Undoes it."""
    for module in backbone.modules():
        if getattr(vars(module).get("forward"), "func", None) in (_convolved, _activated):
            del module.forward


def _fold(convolution: nn.Conv2d, norm: _Norm) -> None:
    convolution.forward = partial(_convolved, convolution, norm)  # type: ignore[method-assign]
    norm.forward = partial(_activated, norm)  # type: ignore[method-assign]


def _pairs(backbone: nn.Module, pixels: Tensor) -> tuple[Tensor, list[tuple[nn.Conv2d, _Norm]]]:
    """What the network gives, and the convolutions whose output enters a batch norm and nothing else."""
    outputs: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # the tensors are kept, so that none takes another's place
    pairs: list[tuple[nn.Conv2d, _Norm]] = []
    runs: dict[int, int] = {}

    def made(module: nn.Module, _: tuple[Any, ...], output: Tensor) -> None:
        runs[id(module)] = runs.get(id(module), 0) + 1
        if isinstance(module, nn.Conv2d) and _fits(module):
            outputs[id(output)] = (module, output)

    def entered(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(module, _Norm) and _fits_behind(module) and id(inputs[0]) in outputs:
            pairs.append((outputs[id(inputs[0])][0], module))

    handles = [
        handle
        for module in backbone.modules()
        if isinstance(module, nn.Conv2d | _Norm)
        for handle in (module.register_forward_hook(made), module.register_forward_pre_hook(entered))
    ]
    try:
        whole: Tensor = backbone(pixels)
    finally:
        for handle in handles:
            handle.remove()
    return whole, [pair for pair in pairs if all(runs[id(module)] == 1 for module in pair)]


def _fits(convolution: nn.Conv2d) -> bool:
    return convolution.weight.requires_grad and "forward" not in vars(convolution)


def _fits_behind(norm: _Norm) -> bool:
    """Kinds whose forward is known: torch's, and timm's with dropout and activation behind."""
    plain_or_timm = type(norm) is nn.BatchNorm2d or {"drop", "act"} <= set(dict(norm.named_children()))
    return plain_or_timm and norm.track_running_stats and norm.affine and "forward" not in vars(norm)


def _convolved(convolution: nn.Conv2d, norm: _Norm, images: Tensor) -> Tensor:
    """[B, C, H, W] -> the convolution with the batch norm in it, or alone where that is in training mode."""
    if norm.training:
        return type(convolution).forward(convolution, images)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    bias = norm.bias - norm.running_mean * scale
    if convolution.bias is not None:
        bias = bias + convolution.bias * scale
    with _lent(convolution, convolution.weight * scale.view(-1, 1, 1, 1), bias):
        return type(convolution).forward(convolution, images)


@contextmanager
def _lent(convolution: nn.Conv2d, weight: Tensor, bias: Tensor) -> Iterator[None]:
    """Other weights for one call: forward functions of timm pad as they need, and take what the module has."""
    vars(convolution).update(weight=weight, bias=bias)  # seen before the parameters, which stay as they are
    try:
        yield
    finally:
        for name in ("weight", "bias"):
            del vars(convolution)[name]


def _activated(norm: _Norm, features: Tensor) -> Tensor:
    """What is left to the batch norm whose convolution did its work."""
    if norm.training:
        return type(norm).forward(norm, features)
    for name in ("drop", "act"):
        part = getattr(norm, name, None)
        if part is not None:
            features = part(features)
    return features
