"""Inverted residuals in float32 by kernels of ours: the trained ones of a network on a processor.

What torch does in thirteen passes over memory, forward and backward of each of three convolutions, batch norms and
activations, the kernels do in seven, and multiply at nine tenths of what the processor can. The network's modules
stay what they are: only how they run changes, and whatever the kernels do not know runs as before.

Letters in shapes: B batch, C channels in, O channels out, H height, W width, h and w those behind a stride, R rows.
"""

import math
from functools import partial
from typing import Any

import numpy as np
import torch
from timm.layers import BatchNormAct2d, Conv2dSame
from timm.models._efficientnet_blocks import InvertedResidual
from timm.models.efficientnet import EfficientNet
from torch import Tensor, nn

from lookalike.training.cpu import expansion_kernels as kernels_of_head
from lookalike.training.cpu import residual_kernels as kernels
from lookalike.training.cpu.depthwise import SIDES, Geometry
from lookalike.training.cpu.expansion_kernels import Expansion, Norm
from lookalike.training.cpu.lanes import LANES
from lookalike.training.cpu.panels import BETA, GAMMA, MEAN, OF_BETA, OF_GAMMA, ROWS, VARIANCE
from lookalike.training.cpu.team import together

_BOUNDS = {nn.ReLU: (0.0, math.inf), nn.ReLU6: (0.0, 6.0), nn.Identity: (-math.inf, math.inf)}


def use_residuals(network: nn.Module) -> int:
    """Lets the trained inverted residuals of a network run by our kernels, wherever they meet float32 on a processor.

    Returns:
        How many were changed.
    """
    chosen = [module for module in network.modules() if _fits(module) and _is_trained(module)]
    for module in chosen:
        module.forward = partial(_forward, module)  # type: ignore[method-assign]
    for convolution, norm in _heads(network) if chosen else ():
        convolution.forward = partial(_forward_of_head, convolution, norm)
        norm.forward = partial(_forward_unless_done, norm)
    return len(chosen)


def has_residuals(network: nn.Module) -> bool:
    """Whether `use_residuals` would change anything."""
    return any(_fits(module) and _is_trained(module) for module in network.modules())


def _heads(network: nn.Module) -> list[tuple[Any, Any]]:
    """The last 1 x 1 convolution of an EfficientNet and its batch norm, where they are trained."""
    pairs = [(module.conv_head, module.bn2) for module in network.modules() if type(module) is EfficientNet]
    return [
        (convolution, norm)
        for convolution, norm in pairs
        if _is_pointwise(convolution) and _bounds(norm) is not None and (_is_trained(convolution) or _is_trained(norm))
    ]


def _is_trained(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


def _fits(module: nn.Module) -> bool:
    return (
        type(module) is InvertedResidual
        and module.conv_s2d is None
        and all(isinstance(part, nn.Identity) for part in (module.aa, module.se))
        and all(_is_pointwise(convolution) for convolution in (module.conv_pw, module.conv_pwl))
        and all(_bounds(norm) is not None for norm in (module.bn1, module.bn2, module.bn3))
        and _is_depthwise(module.conv_dw)
    )


def _is_pointwise(module: nn.Module) -> bool:
    return (
        type(module) is nn.Conv2d
        and (module.kernel_size, module.stride, module.groups) == ((1, 1), (1, 1), 1)
        and module.padding in ((0, 0), 0)
        and module.bias is None
    )


def _is_depthwise(module: nn.Module) -> bool:
    if type(module) not in (nn.Conv2d, Conv2dSame) or module.bias is not None or module.padding_mode != "zeros":
        return False
    (side, other), (stride, across), (dilation, wide) = module.kernel_size, module.stride, module.dilation
    return (
        module.in_channels == module.out_channels == module.groups
        and (side, stride, dilation) == (other, across, wide)
        and side in SIDES
        and isinstance(module.padding, tuple)
        and all(padding <= dilation * (side - 1) for padding in module.padding)
    )


def _bounds(norm: nn.Module) -> tuple[float, float] | None:
    """Between which values the activation behind a batch norm lets through; None if we cannot compute it."""
    if not isinstance(norm, nn.BatchNorm2d) or not (norm.affine and norm.track_running_stats):
        return None
    if type(norm) is nn.BatchNorm2d:
        return _BOUNDS[nn.Identity] if norm.momentum is not None else None
    if type(norm) is not BatchNormAct2d or norm.momentum is None or not isinstance(norm.drop, nn.Identity):
        return None
    return _BOUNDS.get(type(norm.act))


def _forward(block: Any, images: Tensor) -> Tensor:
    """As `InvertedResidual.forward`: [B, C, H, W] -> [B, O, h, w]."""
    if not _is_plain(images, *block.parameters()):
        return InvertedResidual.forward(block, images)  # type: ignore[no-any-return]
    drops = isinstance(block.drop_path, nn.Identity) or not block.training
    layers = ((block.conv_pw, block.bn1), (block.conv_dw, block.bn2), (block.conv_pwl, block.bn3))
    weights = [part for convolution, norm in layers for part in (convolution.weight, norm.weight, norm.bias)]
    result: Tensor = _Residual.apply(block, images, block.has_skip and drops, *weights)
    if block.has_skip and not drops:
        result = block.drop_path(result) + images
    return result


def _is_plain(images: Tensor, *parameters: Tensor) -> bool:
    """Whether all is float32 on a processor, and nothing asks for another type."""
    tensors = (images, *parameters)
    plain = all(tensor.dtype == torch.float32 and tensor.device.type == "cpu" for tensor in tensors)
    return plain and not torch.is_autocast_enabled("cpu") and images.numel() > 0


def _forward_of_head(convolution: Any, norm: Any, images: Tensor) -> Tensor:
    """The convolution, the batch norm and the activation behind it: [B, C, H, W] -> [B, K, H, W]."""
    if not _is_plain(images, *convolution.parameters(), *norm.parameters()):
        return nn.Conv2d.forward(convolution, images)
    result: Tensor = _Head.apply(convolution, norm, images, convolution.weight, norm.weight, norm.bias)
    result.normalised_by = norm  # type: ignore[attr-defined]
    return result


def _forward_unless_done(norm: Any, images: Tensor) -> Tensor:
    if getattr(images, "normalised_by", None) is norm:
        return images
    result: Tensor = type(norm).forward(norm, images)
    return result


class _Head(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, convolution: Any, norm: Any, images: Tensor, *weights: Tensor) -> Tensor:
        batch, _, height, width = images.shape
        channels = len(convolution.weight)
        result = torch.empty(batch, height, width, channels).permute(0, 3, 1, 2)
        z = _empty(-(-channels // LANES), batch * height * width, LANES)
        work = Expansion(_rows(images.detach()), _matrix(convolution.weight.detach()), z, _norm(norm))
        together(kernels_of_head.expand_alone, (work, _rows(result)), len(z), kernels_of_head.room_alone(work))
        _keep_statistics(norm, work.norm, z.shape[1])
        ctx.save_for_backward(images, *weights)
        ctx.work = work
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        images, weight, *_ = ctx.saved_tensors
        work: Expansion = ctx.work
        of_images, of_weight = torch.empty_like(images, memory_format=torch.channels_last), torch.empty_like(weight)
        of_z, packed = _empty(*work.z.shape), _packed(images.shape[1], len(weight))
        room, g = kernels_of_head.room_alone(work), _rows(gradient)
        together(kernels_of_head.back_alone, (work, g, of_z, _matrix(of_weight), packed), len(of_z), room)
        if ctx.needs_input_grad[2]:
            to_input = (of_z, packed, _rows(of_images), g, False)
            together(kernels_of_head.back_to_input, to_input, -(-of_z.shape[1] // ROWS), room)
        gradients = (of_images, of_weight, *_of_norm(work.norm, len(weight)))
        needed = ctx.needs_input_grad[2:]
        return None, None, *(part if need else None for part, need in zip(gradients, needed, strict=True))


class _Residual(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, block: Any, images: Tensor, skip: bool, *weights: Tensor) -> Tensor:
        sizes = _geometry(block.conv_dw, images)
        work, result = _residual(block, images, skip, sizes)
        room = kernels.room_of(work)
        together(kernels.widen, work, len(work.expansion.z), room)
        together(kernels.narrow, work, -(-work.middle.z.shape[1] // ROWS), room)
        together(kernels.finish, work, len(work.projection.z), room)
        for norm, layer in zip((block.bn1, block.bn2, block.bn3), work, strict=True):
            _keep_statistics(norm, layer.norm, layer.z.shape[1])
        ctx.save_for_backward(images, *weights)
        ctx.work, ctx.room = work, room
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        images, *weights = ctx.saved_tensors
        work, room, needed = ctx.work, ctx.room, ctx.needs_input_grad
        of_images = torch.empty_like(images, memory_format=torch.channels_last)
        of_weights = [torch.empty_like(weight) for weight in weights[::3]]
        wide, channels = work.expansion.weight.shape
        panels = len(work.expansion.z)
        wanted = kernels.Wanted(
            _rows(gradient),
            _empty(work.middle.z.shape[1], len(work.projection.z) * LANES),
            _empty(*work.expansion.z.shape),
            _packed(channels, wide),
            _rows(of_images),
            *(_matrix(of_weight) for of_weight in of_weights),
            needed[1],
        )
        together(kernels.back_through_projection, (work, wanted), len(work.projection.z), room)
        together(kernels.back_through_panels, (work, wanted), panels, room)
        if needed[1]:
            parts = -(-work.expansion.z.shape[1] // ROWS)
            to_input = (wanted.of_z1, wanted.packed, wanted.of_x, wanted.g, work.projection.skip)
            together(kernels_of_head.back_to_input, to_input, parts, room)
        gradients: list[Tensor | None] = []
        for of_weight, layer in zip(of_weights, work, strict=True):
            gradients += [of_weight, *_of_norm(layer.norm, len(of_weight))]
        used = [part if need else None for part, need in zip(gradients, needed[3:], strict=True)]
        return None, of_images if needed[1] else None, None, *used


def _geometry(convolution: nn.Conv2d, images: Tensor) -> Geometry:
    batch, _, height, width = images.shape
    side, stride, dilation = convolution.kernel_size[0], convolution.stride[0], convolution.dilation[0]
    reach = dilation * (side - 1)
    if isinstance(convolution, Conv2dSame):
        size = (-(-height // stride), -(-width // stride))
        padding = [
            max((out - 1) * stride + reach + 1 - given, 0) for out, given in zip(size, (height, width), strict=True)
        ]
        top, left = padding[0] // 2, padding[1] // 2
    else:
        top, left = convolution.padding  # type: ignore[misc]
        size = ((height + 2 * top - reach - 1) // stride + 1, (width + 2 * left - reach - 1) // stride + 1)
    return Geometry(batch, height, width, *size, side, stride, dilation, top, left)


def _residual(block: Any, images: Tensor, skip: bool, sizes: Geometry) -> tuple[kernels.Residual, Tensor]:
    """What the kernels work on, and the result they fill."""
    outputs, wide = block.conv_pwl.weight.shape[:2]
    rows, behind = (
        sizes.images * pixels for pixels in (sizes.height * sizes.width, sizes.out_height * sizes.out_width)
    )
    panels, out_panels = -(-wide // LANES), -(-outputs // LANES)
    size = (sizes.images, sizes.out_height, sizes.out_width, outputs)
    result = torch.empty(size).permute(0, 3, 1, 2)
    weights = [_matrix(part.weight.detach()) for part in (block.conv_pw, block.conv_dw, block.conv_pwl)]
    norms = [_norm(norm) for norm in (block.bn1, block.bn2, block.bn3)]
    expansion = Expansion(_rows(images.detach()), weights[0], _empty(panels, rows, LANES), norms[0])
    middle = kernels.Middle(weights[1], _empty(panels, behind, LANES), norms[1], sizes)
    z3 = _empty(out_panels, behind, LANES)
    projection = kernels.Projection(weights[2], _packed(outputs, wide), z3, norms[2], _rows(result), skip)
    return kernels.Residual(expansion, middle, projection), result


def _norm(norm: Any) -> Norm:
    """A batch norm's own numbers, the channels filled up to whole panels with 0."""
    facts = np.zeros((9, -(-norm.num_features // LANES) * LANES), np.float32)
    facts[GAMMA, : norm.num_features] = norm.weight.detach().numpy()
    facts[BETA, : norm.num_features] = norm.bias.detach().numpy()
    if not norm.training:
        facts[MEAN, : norm.num_features] = norm.running_mean.numpy()
        facts[VARIANCE, : norm.num_features] = norm.running_var.numpy()
    low, high = _bounds(norm)  # type: ignore[misc]
    return Norm(facts, norm.eps, norm.training, low, high)


def _keep_statistics(norm: Any, computed: Norm, rows: int) -> None:
    """The running ones, as torch keeps them."""
    if not computed.batch:
        return
    mean, variance = (torch.from_numpy(computed.facts[row, : norm.num_features]) for row in (MEAN, VARIANCE))
    with torch.no_grad():
        norm.num_batches_tracked.add_(1)
        norm.running_mean.mul_(1 - norm.momentum).add_(mean, alpha=norm.momentum)
        norm.running_var.mul_(1 - norm.momentum).add_(variance, alpha=norm.momentum * rows / (rows - 1))


def _of_norm(norm: Norm, channels: int) -> tuple[Tensor, Tensor]:
    """Gradients of gamma and beta."""
    gamma, beta = (torch.from_numpy(norm.facts[row, :channels].copy()) for row in (OF_GAMMA, OF_BETA))
    return gamma, beta


def _rows(images: Tensor) -> np.ndarray:
    """[B, C, H, W] -> float32 [R, C], a view where they lie channels last."""
    return images.permute(0, 2, 3, 1).contiguous().view(-1, images.shape[1]).numpy()


def _matrix(weight: Tensor) -> np.ndarray:
    """[O, I, side, side] -> float32 [O, I x side x side], a view: one of I and side is 1."""
    values: np.ndarray = weight.reshape(len(weight), -1).numpy()
    return values


def _empty(*shape: int) -> np.ndarray:
    values: np.ndarray = torch.empty(shape).numpy()  # torch's memory begins at a whole cache line
    return values


def _packed(channels: int, wide: int) -> np.ndarray:
    """Room for weights in panels; what stays unwritten is 0."""
    shape = (-(-channels // LANES), -(-wide // LANES) * LANES, LANES)
    return np.zeros(shape, np.float32) if wide % LANES else _empty(*shape)
