"""Trained depthwise convolutions by machine code of our own, with the activations around them.

oneDNN's gradient of depthwise weights takes up to ten times as long as it need; what runs here reads a map once for all
gradients. Each shape of maps has its own code, compared with torch's convolution, bit for bit on whole numbers, before
it is used; where it cannot be made or differs, torch runs as ever.

Letters in shapes: B batch, C channels, H height, W width, h and w those of the result, T taps, P C rounded up to whole
vectors.
"""

from collections.abc import Callable
from functools import lru_cache, partial

import torch
from timm.layers import Conv2dSame
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional

from lookalike.console import say
from lookalike.training.cpu.depthwise_kernels import Shape, backward_kernel, forward_kernel
from lookalike.training.cpu.passes import Kept
from lookalike.training.cpu.vector_code import Bounds, Kernel, lanes

FREE: Bounds = (None, None)  # no activation
_MAPS = 4  # dimensions of a batch of maps


def use_depthwise(network: nn.Module) -> int:
    """Lets the trained depthwise convolutions of a network run by code of our own whenever gradients are wanted.

    Returns:
        How many were changed; those that something else runs already are left alone.
    """
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d) and is_depthwise(part)]
    chosen = [part for part in convolutions if "forward" not in vars(part)]
    for part in chosen:
        part.forward = partial(run_depthwise, part)  # type: ignore[method-assign]
    return len(chosen)


def is_depthwise(module: nn.Module) -> bool:
    """Whether it is a trained depthwise convolution of a kind that is run here."""
    return (
        type(module) in (nn.Conv2d, Conv2dSame)
        and isinstance(module, nn.Conv2d)
        and module.weight.requires_grad
        and module.groups == module.in_channels == module.out_channels > 1
        and module.dilation == (1, 1)
        and module.padding_mode == "zeros"
        and (type(module) is Conv2dSame or isinstance(module.padding, tuple))
    )


def is_quick(features: Tensor) -> bool:
    """Whether what is computed from these maps may run here; its output has the same answer as its input."""
    half = torch.is_autocast_enabled("cpu")
    kinds = (torch.float32, torch.bfloat16) if half else (torch.float32,)
    return (
        features.device.type == "cpu"
        and features.dtype in kinds
        and torch.is_grad_enabled()
        and not (half and torch.get_autocast_dtype("cpu") != torch.bfloat16)
    )


def activated(features: Tensor, bounds: Bounds) -> Tensor:
    """Torch's activation with these bounds, not in place, which would copy what it overwrites for the backward pass."""
    if bounds == FREE:
        return features
    result: Tensor = _Bounded.apply(features, bounds)
    return result


class _Bounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Kept, features: Tensor, bounds: Bounds) -> Tensor:
        result = features.clamp(*bounds)
        ctx.save_for_backward(result)
        ctx.about = bounds
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Kept, gradient: Tensor) -> tuple[Tensor, None]:
        (result,) = ctx.saved_tensors
        ends = (end if bound is None else bound for bound, end in zip(ctx.about, (-torch.inf, torch.inf), strict=True))
        laid_out = torch.empty_like(result).copy_(gradient)  # that of an average is in another order
        return torch.ops.aten.hardtanh_backward(laid_out, result, *ends), None


def convolved(
    convolution: nn.Conv2d,
    images: Tensor,
    shift: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    before: Bounds = FREE,
    after: Bounds = FREE,
) -> Tensor:
    """An activation, a depthwise convolution, and another activation.

    Args:
        convolution: Its kind, stride and padding.
        images: [B, C, H, W] for which `is_quick` holds; made bf16 where autocast wants it, as the result is then.
        shift: [C], added to the images before the first activation.
        weight: [C, 1, kernel height, kernel width].
        bias: [C], added before the second.
        before: Bounds of the first.
        after: Bounds of the second.

    Returns:
        [B, C, h, w], channels last.
    """
    if torch.is_autocast_enabled("cpu"):
        images = images.to(torch.bfloat16)
    shape = (
        _shape(convolution, images, before, after) if _go_together(convolution, images, shift, weight, bias) else None
    )
    kernels = _kernels(shape) if shape else None
    if shape and kernels:
        zeros = torch.zeros(shape.channels)
        result: Tensor = _Depthwise.apply(
            images, zeros if shift is None else shift, weight, zeros if bias is None else bias, shape, *kernels
        )
        return result
    images = activated(images if shift is None else images + shift.view(-1, 1, 1), before)
    if type(convolution) is Conv2dSame:
        high, wide = (_same(*sides) for sides in _sides(convolution, images))
        images = functional.pad(images, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
    padding = (0, 0) if type(convolution) is Conv2dSame else convolution.padding
    sums = functional.conv2d(images, weight, bias, convolution.stride, padding, 1, len(weight))
    return activated(sums, after)


def run_depthwise(convolution: nn.Conv2d, images: Tensor) -> Tensor:
    """As the forward of a depthwise convolution: [B, C, H, W] -> [B, C, h, w]."""
    if not is_quick(images) or images.dim() != _MAPS:
        return type(convolution).forward(convolution, images)
    return convolved(convolution, images, None, convolution.weight, convolution.bias)


def _sides(convolution: nn.Conv2d, images: Tensor) -> list[tuple[int, int, int]]:
    """Of height and width: length of a map, of the kernel, and the stride."""
    return list(zip(images.shape[2:], convolution.kernel_size, convolution.stride, strict=True))


def _same(length: int, taps: int, step: int) -> int:
    """How many zeros TensorFlow's `SAME` adds to a side in all."""
    return max((-(-length // step) - 1) * step + taps - length, 0)


def _go_together(
    convolution: nn.Conv2d, images: Tensor, shift: Tensor | None, weight: Tensor, bias: Tensor | None
) -> bool:
    """Whether sizes and types are those that a kernel trusts: it would read and write beyond others, torch says why."""
    if images.dim() != _MAPS:
        return False
    channels = images.shape[1]
    vectors = [vector for vector in (shift, bias) if vector is not None]
    return (
        weight.shape == (channels, 1, *convolution.kernel_size)
        and all(vector.shape == (channels,) for vector in vectors)
        and all(part.dtype == torch.float32 and part.device == images.device for part in (weight, *vectors))
    )


def _shape(convolution: nn.Conv2d, images: Tensor, before: Bounds, after: Bounds) -> Shape | None:
    """What a kernel is made for; None where no result is left, which torch says better."""
    sides = _sides(convolution, images)
    if type(convolution) is Conv2dSame:
        sums = [_same(*side) for side in sides]
        starts = [zeros // 2 for zeros in sums]
    else:
        starts = [int(zeros) for zeros in convolution.padding]
        sums = [2 * zeros for zeros in starts]
    ends = [(length + zeros - taps) // step + 1 for (length, taps, step), zeros in zip(sides, sums, strict=True)]
    if min(ends) < 1 or min(images.shape) < 1:
        return None
    size, result, kernel, stride, padding = (
        (int(first), int(second))
        for first, second in (images.shape[2:], ends, convolution.kernel_size, convolution.stride, starts)
    )
    half = images.dtype == torch.bfloat16
    return Shape(images.shape[1], size, result, kernel, stride, padding, before, after, half)


@lru_cache(maxsize=256)
def _kernels(shape: Shape) -> tuple[Kernel, Kernel] | None:
    """Those of the convolution and of its gradients; None, with a word why, where they cannot be made or are wrong."""
    try:
        made = forward_kernel(shape), backward_kernel(shape)
        if _agrees(shape, *made):
            return made
        reason = "torch gives other numbers"
    except (OSError, AttributeError) as error:  # another OpenMP, which no shape can change
        _tell_missing(str(error).split("\n", 1)[0])
        return None
    except (RuntimeError, TypeError, ValueError) as error:  # of LLVM
        reason = str(error).split("\n", 1)[0]
    high, wide = shape.size
    say(
        f"no code of our own for depthwise convolutions of {shape.channels} maps of {high} x {wide} ({reason}): torch's"
    )
    return None


@lru_cache(maxsize=4)
def _tell_missing(reason: str) -> None:
    """Once, not for each shape."""
    say(f"no code of our own for depthwise convolutions ({reason}): torch's")


def _agrees(shape: Shape, *kernels: Kernel) -> bool:
    """Whether result and gradients are torch's for whole numbers, whose sums are exact in any order."""
    source = torch.Generator().manual_seed(0)

    def whole(largest: int, *sizes: int) -> Tensor:
        return torch.randint(-largest, largest + 1, sizes, generator=source).float()

    kind = torch.bfloat16 if shape.half else torch.float32
    (high, wide), (top, left), (down, right) = shape.size, shape.padding, shape.padded
    count, (tall, broad) = shape.channels, shape.result
    images, weight = whole(8, 2, count, high, wide), whole(2, count, 1, *shape.kernel)
    shift, bias, gradient = whole(2, count) + 0.5, whole(2, count) + 0.25, whole(2, 2, count, tall, broad)

    def by_torch(images: Tensor, shift: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        entered = activated(images + shift.view(-1, 1, 1), shape.before)
        entered = functional.pad(entered, (left, right - wide - left, top, down - high - top))
        sums = functional.conv2d(entered, weight, bias, shape.stride, 0, 1, count)[:, :, :tall, :broad]
        return activated(sums, shape.after)

    def by_kernels(*inputs: Tensor) -> Tensor:
        result: Tensor = _Depthwise.apply(inputs[0].to(kind), *inputs[1:], shape, *kernels)
        return result

    def answers(function: Callable[..., Tensor]) -> tuple[Tensor, ...]:
        # What a caller does with saved tensors, as checkpoints of activations do, is not for these.
        own = saved_tensors_hooks(Tensor.detach, lambda kept: kept)
        with torch.enable_grad(), torch.autocast("cpu", enabled=False), own:
            inputs = [value.clone().requires_grad_() for value in (images, shift, weight, bias)]
            result = function(*inputs).to(kind)
            of_images, *others = torch.autograd.grad(result, inputs, gradient.to(kind))
            return result, of_images.to(kind), *others

    return all(map(torch.equal, answers(by_torch), answers(by_kernels)))


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Kept,
        images: Tensor,
        shift: Tensor,
        weight: Tensor,
        bias: Tensor,
        shape: Shape,
        forward: Kernel,
        backward: Kernel,
    ) -> Tensor:
        pixels, threads = images.permute(0, 2, 3, 1).contiguous(), torch.get_num_threads()
        vectors = [_whole_vectors(value, shape) for value in (shift[None], weight.flatten(1).T, bias[None])]  # float32
        sizes = (len(pixels), shape.channels, *shape.result)
        result = torch.empty(sizes, dtype=pixels.dtype, memory_format=torch.channels_last)
        copies = torch.zeros(threads * shape.group * shape.copied)
        forward(threads, *_addresses(pixels, *vectors, result, copies), len(pixels))
        # Where nothing is bounded behind, the result is not read again, and may be changed in place.
        ctx.save_for_backward(pixels, *vectors[:2], pixels if shape.after == FREE else result)
        ctx.about = (shape, backward)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Kept, gradient: Tensor) -> tuple[Tensor | None, ...]:
        pixels, shift, weight, result = ctx.saved_tensors
        shape, backward = ctx.about
        threads, rows = torch.get_num_threads(), gradient.to(result.dtype).permute(0, 2, 3, 1).contiguous()
        of_images, of_bias = torch.empty_like(pixels), torch.zeros_like(shift)
        of_shift, of_weight = torch.zeros_like(shift), torch.zeros_like(weight)
        copies = torch.zeros(threads * shape.group * shape.copied)
        inputs = _addresses(pixels, shift, weight, result, rows, copies)
        backward(threads, *inputs, *_addresses(of_images, of_shift, of_weight, of_bias), len(pixels))
        count = shape.channels
        taps = of_weight[:, :count].T.reshape(count, 1, *shape.kernel)
        return of_images.permute(0, 3, 1, 2), of_shift[0, :count], taps, of_bias[0, :count], None, None, None


def _whole_vectors(values: Tensor, shape: Shape) -> Tensor:
    """[rows, C] -> [rows, P], zeros behind."""
    return functional.pad(values.detach().float(), (0, shape.vectors * lanes() - shape.channels)).contiguous()


def _addresses(*tensors: Tensor) -> list[int]:
    """Valid as long as the caller keeps the tensors."""
    return [tensor.data_ptr() for tensor in tensors]
