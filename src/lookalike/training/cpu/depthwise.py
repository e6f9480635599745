"""Depthwise convolutions of a panel: sixteen channels, image by image, each read from a copy with its padding.

Compiled by numba. The copy of an image stays in a first-level cache, so every tap is read from there. Addresses are
whole numbers of bytes.
"""

from typing import NamedTuple

import numpy as np

from lookalike.jit import jit
from lookalike.training.cpu.lanes import BYTES, load, plus, store, tap_tile, weight_tile
from lookalike.training.cpu.panels import activate, clear, mask, of_input

SIDES = (3, 5, 7)  # of kernels that can be compiled for

_compiled = jit(error_model="numpy")

_taps7, _taps4, _taps2, _taps1 = (tap_tile(pixels) for pixels in (7, 4, 2, 1))
_weights3, _weights5, _weights7 = (weight_tile(side) for side in SIDES)


class Geometry(NamedTuple):
    """Sizes of a depthwise convolution, in pixels.

    Attributes:
        images: How many.
        height: Of what enters.
        width: Of what enters.
        out_height: Of the result.
        out_width: Of the result.
        side: Of the kernel.
        stride: In both directions.
        dilation: In both directions.
        top: Padding.
        left: Padding.
    """

    images: int
    height: int
    width: int
    out_height: int
    out_width: int
    side: int
    stride: int
    dilation: int
    top: int
    left: int


@_compiled
def reach(sizes: Geometry) -> int:
    """Pixels between the first and the last tap."""
    return sizes.dilation * (sizes.side - 1)


@_compiled
def padded_size(sizes: Geometry) -> tuple[int, int]:
    """Height and width of an image with its padding."""
    height = (sizes.out_height - 1) * sizes.stride + reach(sizes) + 1
    width = (sizes.out_width - 1) * sizes.stride + reach(sizes) + 1
    return max(height, sizes.top + sizes.height), max(width, sizes.left + sizes.width)


@_compiled
def spread_size(sizes: Geometry) -> tuple[int, int]:
    """Height and width of a gradient that lies as far apart as its windows, with what the turned kernel reaches."""
    return sizes.height + reach(sizes), sizes.width + reach(sizes)


@_compiled
def convolve(
    out: int, z: int, facts: np.ndarray, first: int, low: float, high: float, weights: int, padded: int, sizes: Geometry
) -> None:
    """Batch norm, activation and depthwise convolution of a panel.

    Args:
        out: Panel of the result.
        z: Panel of what enters the batch norm.
        facts: Of the batch norm.
        first: The first of the channels.
        low: Lower bound of the activation.
        high: Upper bound of the activation.
        weights: Panel [side x side].
        padded: Room for `padded_size` values.
        sizes: Of the convolution.
    """
    height, width = padded_size(sizes)
    clear(padded, height * width)
    pixels, results = sizes.height * sizes.width, sizes.out_height * sizes.out_width
    for image in range(sizes.images):
        _pad(padded, width, z + image * pixels * BYTES, facts, first, low, high, sizes)
        place = out + image * results * BYTES
        _taps(
            place, padded, width, sizes.stride, sizes.dilation, weights, sizes.side, sizes.out_height, sizes.out_width
        )


@_compiled
def turn_back(
    of_z: int,
    g: int,
    of_g: int,
    g_slopes: int,
    z: int,
    facts: np.ndarray,
    first: int,
    low: float,
    high: float,
    turned: int,
    room: int,
    of_weights: int,
    sums: int,
    sizes: Geometry,
) -> None:
    """Gradients of `convolve`, of a panel: up to its batch norm, and of the weights.

    Args:
        of_z: Panel to write: the gradient behind the batch norm before the convolution.
        g: Panel: the gradient behind the batch norm after it.
        of_g: Panel: what entered that batch norm, the result of the convolution.
        g_slopes: float32 [4, 16] of that batch norm.
        z: Panel of what entered the batch norm before the convolution.
        facts: Of the latter.
        first: The first of the channels.
        low: Where the activation begins to let through.
        high: Where it ends.
        turned: Panel [side x side] of the weights, the last first.
        room: Room for `padded_size`, `spread_size` and side x side values.
        of_weights: Panel [side x side] to add to.
        sums: float64 [2, 16] to add to, as `panels.mask` does.
        sizes: Of the convolution.
    """
    height, width = padded_size(sizes)
    spread_height, spread_width = spread_size(sizes)
    padded, spread, side = room, room + height * width * BYTES, sizes.side
    of_image = spread + spread_height * spread_width * BYTES
    clear(room, height * width + spread_height * spread_width)
    pixels, results = sizes.height * sizes.width, sizes.out_height * sizes.out_width
    line, step = sizes.stride * spread_width * BYTES, sizes.stride * BYTES
    corner = spread + ((reach(sizes) - sizes.top) * spread_width + reach(sizes) - sizes.left) * BYTES
    for image in range(sizes.images):
        behind, before = image * results * BYTES, image * pixels * BYTES
        for y in range(sizes.out_height):
            start = behind + y * sizes.out_width * BYTES
            of_input(corner + y * line, step, g + start, of_g + start, sizes.out_width, g_slopes)
        _pad(padded, width, z + before, facts, first, low, high, sizes)
        clear(of_image, side * side)
        _weights(of_image, padded, width, corner, line, step, sizes)
        for tap in range(side * side):
            store(of_weights + tap * BYTES, plus(load(of_weights + tap * BYTES), load(of_image + tap * BYTES)))
        _taps(of_z + before, spread, spread_width, 1, sizes.dilation, turned, side, sizes.height, sizes.width)
        mask(of_z + before, z + before, pixels, facts, first, low, high, sums)


@_compiled
def _pad(
    padded: int, width: int, z: int, facts: np.ndarray, first: int, low: float, high: float, sizes: Geometry
) -> None:
    for y in range(sizes.height):
        place = padded + ((sizes.top + y) * width + sizes.left) * BYTES
        activate(place, BYTES, z + y * sizes.width * BYTES, sizes.width, facts, first, low, high)


@_compiled
def _taps(
    out: int, image: int, width: int, stride: int, dilation: int, weights: int, side: int, rows: int, columns: int
) -> None:
    step, row_step, tap_step = stride * BYTES, dilation * width * BYTES, dilation * BYTES
    for y in range(rows):
        line, place, x = image + y * stride * width * BYTES, out + y * columns * BYTES, 0
        while x + 7 <= columns:
            _taps7(place + x * BYTES, line + x * step, step, row_step, tap_step, weights, side)
            x += 7
        if x + 4 <= columns:
            _taps4(place + x * BYTES, line + x * step, step, row_step, tap_step, weights, side)
            x += 4
        if x + 2 <= columns:
            _taps2(place + x * BYTES, line + x * step, step, row_step, tap_step, weights, side)
            x += 2
        if x < columns:
            _taps1(place + x * BYTES, line + x * step, step, row_step, tap_step, weights, side)


@_compiled
def _weights(out: int, padded: int, width: int, g: int, g_line: int, g_step: int, sizes: Geometry) -> None:
    line, step, tap = sizes.stride * width * BYTES, sizes.stride * BYTES, sizes.dilation * BYTES
    height, columns = sizes.out_height, sizes.out_width
    for y in range(sizes.side):
        place, source = out + y * sizes.side * BYTES, padded + y * sizes.dilation * width * BYTES
        if sizes.side == 3:
            _weights3(place, source, line, step, tap, g, g_line, g_step, height, columns)
        elif sizes.side == 5:
            _weights5(place, source, line, step, tap, g, g_line, g_step, height, columns)
        else:
            _weights7(place, source, line, step, tap, g, g_line, g_step, height, columns)
