"""Convolutions of small maps in bf16 as matrix products: what a processor with matrix units (AMX) does best.

Training the last stages of a network with small batches means convolutions of a few hundred positions with millions of
weights. oneDNN's backward pass takes twice as long for them as the two matrix products that they are.

Letters in shapes: B batch, C channels in, O channels out, H height, W width, h and w those of the result, K = kernel
height x kernel width x C.
"""

from functools import lru_cache, partial

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from lookalike.training.cpu.passes import Kept

_LARGEST = 64 << 20  # bytes of patches: larger maps are quicker as a convolution, and patches are kept for backward
_HALVES_FROM = 512  # channels out: from here on two products of half the width are quicker than one


def use_products(network: nn.Module) -> int:
    """Lets the trained convolutions of a network run as matrix products wherever autocast asks for bf16.

    Grouped and dilated ones stay what they are, and those that something else runs.

    Returns:
        How many were changed.
    """
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d) and _fits(part)]
    chosen = [part for part in convolutions if getattr(vars(part).get("forward"), "func", _forward) is _forward]
    for module in chosen:
        module.forward = partial(_forward, module)  # type: ignore[method-assign]
        if hasattr(module.weight, "grad_dtype"):  # torch before 2.10 gives every gradient the type of its parameter
            module.weight.grad_dtype = torch.bfloat16
        Rounded.of(module.weight)
    return len(chosen)


def is_pointwise(module: nn.Conv2d) -> bool:
    """Whether a convolution is one matrix product over all positions."""
    plain = module.kernel_size == module.stride == (1, 1) and module.padding in ((0, 0), "same", "valid")
    return _fits(module) and plain


def pointwise(images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution of single pixels in bf16, summed in float32: [B, C, H, W] -> [B, O, H, W], channels last.

    Args:
        images: Made bf16.
        weight: [O, C, 1, 1].
        bias: [O], or None.
    """
    pixels = images.to(torch.bfloat16).permute(0, 2, 3, 1)
    rows: Tensor = _Pointwise.apply(pixels.reshape(-1, pixels.shape[-1]), weight, bias)
    return rows.view(*pixels.shape[:-1], -1).permute(0, 3, 1, 2)


class Rounded:
    """A weight in bf16, kept beside it; whoever changes the weight may bring it up to date, else it is made anew.

    Args:
        weight: The weight; its layout in memory is that of the copy.
    """

    def __init__(self, weight: Tensor) -> None:
        self.values = torch.empty_like(weight, dtype=torch.bfloat16, requires_grad=False)
        self._state = (-1, -1)

    @classmethod
    def of(cls, weight: Tensor) -> "Rounded":
        """That of a weight, made when there is none of its shape, layout and device."""
        kept: Rounded | None = getattr(weight, "rounded", None)
        if kept is None or kept.values.stride() != weight.stride() or kept.values.device != weight.device:
            kept = cls(weight)
            weight.rounded = kept  # type: ignore[attr-defined]
        return kept

    def up_to_date(self, weight: Tensor) -> Tensor:
        """The values, rounded again if the weight changed since they were."""
        if self._state != (weight._version, weight.data_ptr()):
            with torch.no_grad():
                self.values.copy_(weight)
            self.note(weight)
        return self.values

    def forget(self) -> None:
        """Says that the weight may have changed."""
        self._state = (-1, -1)

    def note(self, weight: Tensor) -> None:
        """Says that the values are those of the weight as it is now."""
        self._state = (weight._version, weight.data_ptr())


def _fits(module: nn.Conv2d) -> bool:
    return (
        type(module) is nn.Conv2d  # timm has kinds of its own that pad by the input
        and module.weight.requires_grad
        and module.groups == 1
        and module.dilation == (1, 1)
        and module.stride[0] == module.stride[1]
        and isinstance(module.padding, tuple)
        and module.padding[0] == module.padding[1]
        and module.padding_mode == "zeros"
    )


def _forward(convolution: nn.Conv2d, images: Tensor) -> Tensor:
    """As `nn.Conv2d.forward`: [B, C, H, W] -> [B, O, h, w]."""
    high, wide = convolution.kernel_size
    step = convolution.stride[0]
    patches = 2 * high * wide * images.numel() // (step * step)
    if not (images.device.type == "cpu" and torch.is_autocast_enabled("cpu") and patches <= _LARGEST):
        return nn.Conv2d.forward(convolution, images)
    result: Tensor = _Product.apply(images, convolution.weight, step, convolution.padding[0])
    if convolution.bias is not None:
        result = result + convolution.bias.to(result.dtype).view(1, -1, 1, 1)
    return result


class _Pointwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Kept, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        flat = weight.flatten(1).to(torch.bfloat16)
        ctx.save_for_backward(rows, flat)
        return rows @ flat.T if bias is None else torch.addmm(bias.to(torch.bfloat16), rows, flat.T)

    @staticmethod
    @once_differentiable
    def backward(ctx: Kept, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, flat = ctx.saved_tensors
        given = gradient.to(torch.bfloat16).contiguous()
        of_rows = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_rows = given @ flat
        if ctx.needs_input_grad[1]:
            of_weight = (given.T @ rows).float()[:, :, None, None]
        if ctx.needs_input_grad[2]:
            of_bias = given.sum(0, dtype=torch.float32)
        return of_rows, of_weight, of_bias


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Kept, images: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        out, _, high, wide = weight.shape
        flat = Rounded.of(weight).up_to_date(weight).permute(0, 2, 3, 1).reshape(out, -1)  # [O, K]
        patches, size = _patches(images.to(torch.bfloat16), (high, wide), stride, padding)
        ctx.save_for_backward(patches, flat)
        ctx.about = (images.shape, images.dtype, weight.shape, stride, padding, size)
        return _by_transposed(patches, flat).view(len(images), *size, out).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Kept, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        patches, flat = ctx.saved_tensors
        images, dtype, (out, channels, high, wide), stride, padding, size = ctx.about
        rows = gradient.to(torch.bfloat16).permute(0, 2, 3, 1).reshape(-1, out)
        of_images = of_weight = None
        if ctx.needs_input_grad[0]:
            spread = (rows @ flat).view(images[0], *size, high, wide, channels)
            of_images = _gathered(spread, images, stride, padding).to(dtype)
        if ctx.needs_input_grad[1]:
            of_weight = (rows.T.contiguous() @ patches).view(out, high, wide, channels).permute(0, 3, 1, 2)
        return of_images, of_weight, None, None


def _patches(images: Tensor, kernel: tuple[int, int], stride: int, padding: int) -> tuple[Tensor, tuple[int, int]]:
    """What each position sees: [B h w, K], and (h, w)."""
    pixels = images.permute(0, 2, 3, 1)
    pixels = functional.pad(pixels, (0, 0, padding, padding, padding, padding)).contiguous()
    batch, height, width, channels = pixels.shape
    high, wide = kernel
    size = ((height - high) // stride + 1, (width - wide) // stride + 1)
    line = width * channels
    steps = (height * line, stride * line, stride * channels, line, 1)
    windows = pixels.as_strided((batch, *size, high, wide * channels), steps)
    return windows.reshape(batch * size[0] * size[1], -1), size


def _gathered(spread: Tensor, images: torch.Size, stride: int, padding: int) -> Tensor:
    """Adds up what every position gives to every pixel: [B, h, w, kernel height, kernel width, C] -> [B, C, H, W]."""
    batch, channels, height, width = images
    rows, starts = _givers(batch, height, width, spread.shape[3], spread.shape[4], stride, padding)
    gathered = functional.embedding_bag(rows, spread.view(-1, channels), starts, mode="sum")  # adds in float32
    return gathered.view(batch, height, width, channels).permute(0, 3, 1, 2)


@lru_cache(maxsize=64)
def _givers(
    batch: int, height: int, width: int, high: int, wide: int, stride: int, padding: int
) -> tuple[Tensor, Tensor]:
    """Of every pixel the places in `spread` that belong to it, one pixel after the other, and where each starts."""
    pixels = torch.arange(1, batch * height * width + 1, dtype=torch.float64).view(batch, 1, height, width)
    seen = functional.unfold(pixels, (high, wide), padding=padding, stride=stride)  # [B, taps, positions], 0 outside
    pixel = seen.transpose(1, 2).reshape(-1).long() - 1
    order = torch.sort(pixel, stable=True).indices[(pixel < 0).sum() :]
    counts = torch.bincount(pixel[order], minlength=batch * height * width)
    return order, counts.cumsum(0) - counts


def _by_transposed(left: Tensor, right: Tensor) -> Tensor:
    """[N, K] x [O, K] -> [N, O]."""
    half = len(right) // 2
    if len(right) < _HALVES_FROM:
        return left @ right.T
    return torch.cat([left @ right[:half].T, left @ right[half:].T], dim=1)
