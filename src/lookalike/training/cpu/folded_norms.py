"""Frozen batch norms inside the convolutions before them: what is trained stays the same, two passes over memory go.

A batch norm with frozen statistics multiplies every channel by a number and adds another. The convolution can do both:
its weights times the one, and the other as its bias; gradients of scale, shift and weights come out of those few
numbers. Torch's backward pass of such a batch norm sums over all positions, and takes as long as the convolution's own.
A depthwise convolution also does the activation behind it, and shift and activation of the batch norm in front of it.

Letters in shapes: B batch, C channels, H height, W width.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lookalike.models.trunk import in_eval_mode
from lookalike.training.cpu.convolutions import is_pointwise, pointwise
from lookalike.training.cpu.depthwise import FREE, activated, convolved, is_depthwise, is_quick, run_depthwise
from lookalike.training.cpu.passes import Kept
from lookalike.training.cpu.vector_code import Bounds

_Norm = nn.modules.batchnorm._BatchNorm
_NEAR, _NEAR_IN_BF16 = 1e-3, 0.1  # largest distance from what the network gave, relative to that


@dataclass
class _Folded:
    """A convolution and the frozen batch norm behind it.

    Attributes:
        convolution: It.
        norm: Its batch norm.
        depthwise: Whether the convolution runs with the activation of the norm.
        front: What is in front of a depthwise convolution, whose shift and activation it does.
        left_to_next: Whether a depthwise convolution does those of this one.
        product: Whether the convolution runs as a matrix product in bf16.
        shift: What it has left to the next, [C], until that runs.
    """

    convolution: nn.Conv2d
    norm: _Norm
    depthwise: bool = False
    front: "_Folded | None" = None
    left_to_next: bool = False
    product: bool = False
    shift: Tensor | None = None

    def is_quick(self, features: Tensor) -> bool:
        """Whether a depthwise convolution does its share; the same for all that comes of these features."""
        return not self.norm.training and is_quick(features)

    def taken_shift(self) -> Tensor:
        """What is left to be added; not kept, so that networks can be copied after a step."""
        shift, self.shift = self.shift, None
        assert shift is not None, "a depthwise convolution ran without the one in front of it"
        return shift

    def weight_and_bias(self) -> tuple[Tensor, Tensor]:
        """Those of both as one convolution."""
        norm, own = self.norm, self.convolution
        folded: tuple[Tensor, Tensor] = _Fold.apply(
            own.weight, own.bias, norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.eps
        )
        return folded


class _Fold(torch.autograd.Function):
    """Weights and bias of a convolution [O, ...], [O], and scale, shift, mean and variance [O] of its norm, as one.

    As one step of autograd: each of a dozen small ones takes longer than its few numbers.
    """

    @staticmethod
    def forward(
        ctx: Kept,
        weight: Tensor,
        own_bias: Tensor | None,
        scale: Tensor,
        shift: Tensor,
        mean: Tensor,
        variance: Tensor,
        eps: float,
    ) -> tuple[Tensor, Tensor]:
        root = torch.rsqrt(variance + eps)
        factor = scale * root
        centre = -mean if own_bias is None else own_bias - mean
        ctx.save_for_backward(weight, root, factor, centre)
        return weight * factor.view(-1, 1, 1, 1), torch.addcmul(shift, centre, factor)

    @staticmethod
    @once_differentiable
    def backward(ctx: Kept, of_weight: Tensor, of_bias: Tensor) -> tuple[Tensor | None, ...]:
        weight, root, factor, centre = ctx.saved_tensors
        of_factor = torch.addcmul((of_weight * weight).flatten(1).sum(1), of_bias, centre)
        of_own = of_bias * factor if ctx.needs_input_grad[1] else None
        return of_weight * factor.view(-1, 1, 1, 1), of_own, of_factor * root, of_bias, None, None, None


def fold_frozen_norms(backbone: nn.Module, size: tuple[int, int], compiled: bool = True, half: bool = False) -> int:
    """Lets trained convolutions of a network do what the frozen batch norms behind them do, in float32 and bf16.

    A batch norm in training mode runs as ever. Which convolution stands before which batch norm is seen by running the
    network, and what comes out is compared; a network that would give something else is left as it is.

    Args:
        backbone: Its parameters that are trained are marked; names and places of all parameters stay.
        size: Height and width of its images.
        compiled: Let depthwise convolutions run with the activations around them, where gradients are wanted.
        half: Let convolutions of single pixels run as matrix products in bf16, where autocast wants it.

    Returns:
        How many were folded.
    """
    unfold(backbone)
    pixels = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    with in_eval_mode(backbone):
        try:
            with torch.no_grad():
                before, pairs = _pairs(backbone, pixels.to(next(backbone.parameters()).device))
            for pair in pairs:
                _fold(pair, compiled, half)
            for wanted in (False, True):  # with gradients other code runs
                with torch.set_grad_enabled(wanted), torch.autocast(before.device.type, torch.bfloat16, enabled=half):
                    after = backbone(pixels.to(before.device)).detach()
                if not (after - before).norm() <= (_NEAR_IN_BF16 if half else _NEAR) * before.norm():
                    unfold(backbone)
                    return 0
        except (RuntimeError, ValueError, TypeError):  # a network that does not run alone is left as it is
            unfold(backbone)
            return 0
    return len(pairs)


def unfold(backbone: nn.Module) -> None:
    """Undoes it, and depthwise convolutions by code of our own."""
    for module in backbone.modules():
        if getattr(vars(module).get("forward"), "func", None) in (_convolved, _activated, run_depthwise):
            del module.forward


def _fold(pair: _Folded, compiled: bool, half: bool) -> None:
    pair.product = half and is_pointwise(pair.convolution)
    pair.depthwise = compiled and is_depthwise(pair.convolution)
    if pair.front and pair.depthwise and _bounds(pair.front.norm) is not None:
        pair.front.left_to_next = True
    else:
        pair.front = None
    pair.convolution.forward = partial(_convolved, pair)  # type: ignore[method-assign]
    pair.norm.forward = partial(_activated, pair)  # type: ignore[method-assign]


def _pairs(backbone: nn.Module, pixels: Tensor) -> tuple[Tensor, list[_Folded]]:
    """What the network gives, and the convolutions whose output enters a batch norm and nothing else."""
    outputs: dict[int, tuple[nn.Module, Tensor]] = {}  # the tensors are kept, so that none takes another's place
    pairs: dict[int, _Folded] = {}  # by their norms
    fronts: dict[int, nn.Module] = {}  # of convolutions the norms
    runs: dict[int, int] = {}

    def made(module: nn.Module, _: tuple[Any, ...], output: Tensor) -> None:
        runs[id(module)] = runs.get(id(module), 0) + 1
        if isinstance(module, _Norm) or _fits(module):
            outputs[id(output)] = (module, output)

    def entered(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        maker = outputs.get(id(inputs[0]), (None,))[0]
        if isinstance(module, _Norm) and isinstance(maker, nn.Conv2d) and _fits_behind(module):
            pairs[id(module)] = _Folded(maker, module)
        elif isinstance(module, nn.Conv2d) and isinstance(maker, _Norm):
            fronts[id(module)] = maker

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
    once = {
        key: pair for key, pair in pairs.items() if all(runs[id(part)] == 1 for part in (pair.convolution, pair.norm))
    }
    for pair in once.values():
        pair.front = once.get(id(fronts.get(id(pair.convolution))))
    return whole, list(once.values())


def _fits(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.weight.requires_grad and "forward" not in vars(module)


def _fits_behind(norm: _Norm) -> bool:
    """Kinds whose forward is known: torch's, and timm's with dropout and activation behind."""
    plain_or_timm = type(norm) is nn.BatchNorm2d or {"drop", "act"} <= set(dict(norm.named_children()))
    return plain_or_timm and norm.track_running_stats and norm.affine and "forward" not in vars(norm)


def _bounds(norm: _Norm) -> Bounds | None:
    """What the activation of a norm keeps to; None where it is another kind."""
    if not isinstance(getattr(norm, "drop", None), nn.Identity | None):
        return None
    activation = getattr(norm, "act", None)
    if isinstance(activation, nn.Hardtanh):  # ReLU6 is one
        return float(activation.min_val), float(activation.max_val)
    if isinstance(activation, nn.ReLU):
        return 0.0, None
    return FREE if isinstance(activation, nn.Identity | None) else None


def _convolved(pair: _Folded, images: Tensor) -> Tensor:
    """[B, C, H, W] -> the convolution with the batch norm in it, or alone where that is in training mode."""
    convolution = pair.convolution
    if pair.norm.training:
        return type(convolution).forward(convolution, _as_usual(pair.front, images))
    weight, whole = pair.weight_and_bias()
    bias: Tensor | None = whole
    if pair.left_to_next and pair.is_quick(images):
        pair.shift, bias = whole, None
    if pair.depthwise and pair.is_quick(images):
        front = pair.front if pair.front and pair.front.is_quick(images) else None
        shift = front.taken_shift() if front else None
        before = (_bounds(front.norm) if front else None) or FREE
        return convolved(convolution, images, shift, weight, bias, before, _bounds(pair.norm) or FREE)
    if pair.product and pair.is_quick(images) and torch.is_autocast_enabled("cpu"):
        return pointwise(images, weight, bias)
    with _lent(convolution, weight, bias):
        return type(convolution).forward(convolution, images)


def _as_usual(front: _Folded | None, features: Tensor) -> Tensor:
    """Shift and activation that were left to a convolution which runs as ever."""
    if front is None or not front.is_quick(features):
        return features
    return activated(features + front.taken_shift().view(-1, 1, 1), _bounds(front.norm) or FREE)


@contextmanager
def _lent(convolution: nn.Conv2d, weight: Tensor, bias: Tensor | None) -> Iterator[None]:
    """Other weights for one call: forward functions of timm pad as they need, and take what the module has."""
    vars(convolution).update(weight=weight, bias=bias)  # seen before the parameters, which stay as they are
    try:
        yield
    finally:
        for name in ("weight", "bias"):
            del vars(convolution)[name]


def _activated(pair: _Folded, features: Tensor) -> Tensor:
    """What is left to the batch norm whose convolution did its work."""
    norm = pair.norm
    if norm.training:
        return type(norm).forward(norm, features)
    bounds = _bounds(norm)
    if bounds is not None:
        done = (pair.depthwise or pair.left_to_next) and pair.is_quick(features)
        return features if done else activated(features, bounds)
    for name in ("drop", "act"):
        part = getattr(norm, name, None)
        if part is not None:
            features = part(features)
    return features
