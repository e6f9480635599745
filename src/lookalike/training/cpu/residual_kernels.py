"""An inverted residual in few passes over memory; compiled by numba.

Wide layers are worked on panel by panel: product, batch norm, depthwise convolution and their gradients of sixteen
channels follow each other while these are in a cache, and every sum over rows is of one thread, in one order. What
sums over channels (the projection, the gradient of the input) is worked on in blocks of rows. So results depend neither
on the number of threads nor on who did which part.

Letters in shapes: R rows (positions of all images), C channels in, K wide channels, O channels out; panels hold sixteen
channels each, those beyond the last are 0.
"""

from typing import NamedTuple

import numpy as np

from lookalike.jit import jit
from lookalike.training.cpu.depthwise import Geometry, convolve, padded_size, spread_size, turn_back
from lookalike.training.cpu.expansion_kernels import Expansion, Norm, behind, expand, expand_back, write
from lookalike.training.cpu.lanes import BYTES, LANES, load, store, take
from lookalike.training.cpu.panels import (
    BLOCK,
    ROWS,
    activate,
    add_turned_product,
    clear,
    columns_from_panel,
    mask,
    normalise,
    of_input,
    panel_of_columns,
    panel_of_rows,
    product,
    rows_from_panel,
    slopes,
)

_compiled = jit(error_model="numpy")


class Middle(NamedTuple):
    """A depthwise convolution with its batch norm; all arrays float32.

    Attributes:
        weight: [K, side x side].
        z: [panels, R behind it, 16].
        norm: Of K channels.
        sizes: Of the convolution.
    """

    weight: np.ndarray
    z: np.ndarray
    norm: Norm
    sizes: Geometry


class Projection(NamedTuple):
    """A 1 x 1 convolution with its batch norm, and what is added behind it; all arrays float32.

    Attributes:
        weight: [O, K].
        packed: [panels of O, K up to whole panels, 16]: room for the weights turned.
        z: [panels of O, R, 16].
        norm: Of O channels.
        out: [R, O].
        skip: Whether x is added.
    """

    weight: np.ndarray
    packed: np.ndarray
    z: np.ndarray
    norm: Norm
    out: np.ndarray
    skip: bool


class Residual(NamedTuple):
    """An inverted residual, forward."""

    expansion: Expansion
    middle: Middle
    projection: Projection


class Wanted(NamedTuple):
    """Gradients of an inverted residual to write; all arrays float32.

    Attributes:
        g: [R, O], of the output.
        of_z3: [R, O up to whole panels], room.
        of_z1: [panels, R, 16], room.
        packed: [panels of C, K up to whole panels, 16], room.
        of_x: [R, C].
        expand: [K, C].
        depthwise: [K, side x side].
        project: [O, K].
        of_input: Whether that of x is.
    """

    g: np.ndarray
    of_z3: np.ndarray
    of_z1: np.ndarray
    packed: np.ndarray
    of_x: np.ndarray
    expand: np.ndarray
    depthwise: np.ndarray
    project: np.ndarray
    of_input: bool


@_compiled
def widen(work: Residual, counter: np.ndarray, parts: int, scratch: np.ndarray) -> None:
    """From x to what enters the second batch norm, and that; a part is a panel."""
    while True:
        panel = take(counter.ctypes.data)
        if panel >= parts:
            break
        expand(work.expansion, panel, scratch)
        _convolve(work, panel, scratch)


@_compiled
def _convolve(work: Residual, panel: int, scratch: np.ndarray) -> None:
    middle, first, norm = work.middle, panel * LANES, work.expansion.norm
    taps, rows = middle.weight.shape[1], middle.z.shape[1]
    weight = scratch.ctypes.data
    z1 = work.expansion.z.ctypes.data + panel * work.expansion.z.shape[1] * BYTES
    z2 = middle.z.ctypes.data + panel * rows * BYTES
    panel_of_rows(weight, middle.weight, first, 0, taps)
    convolve(z2, z1, norm.facts, first, norm.low, norm.high, weight, weight + taps * BYTES, middle.sizes)
    normalise(z2, BYTES, rows, middle.norm.facts, first, middle.norm.epsilon, middle.norm.batch)
    packed = work.projection.packed
    for panel_out in range(packed.shape[0]):
        place = packed.ctypes.data + panel_out * packed.shape[1] * BYTES
        panel_of_rows(place, work.projection.weight, panel_out * LANES, first, first + LANES)


@_compiled
def narrow(work: Residual, counter: np.ndarray, parts: int, scratch: np.ndarray) -> None:
    """From what enters the second batch norm to what enters the third; a part is a block of rows."""
    z, packed, norm, out = work.middle.z, work.projection.packed, work.middle.norm, work.projection.z
    panels, rows = z.shape[0], z.shape[1]
    width, block = 4 * packed.shape[1], scratch.ctypes.data
    while True:
        part = take(counter.ctypes.data)
        if part >= parts:
            break
        start = part * ROWS
        many = min(ROWS, rows - start)
        for panel in range(panels):
            source = z.ctypes.data + (panel * rows + start) * BYTES
            activate(block + panel * BYTES, width, source, many, norm.facts, panel * LANES, norm.low, norm.high)
        for panel in range(packed.shape[0]):
            place = out.ctypes.data + (panel * rows + start) * BYTES
            weight = packed.ctypes.data + panel * packed.shape[1] * BYTES
            product(place, BYTES, block, width, weight, packed.shape[1], many, 0)


@_compiled
def finish(work: Residual, counter: np.ndarray, parts: int, scratch: np.ndarray) -> None:
    """The third batch norm and the addition; a part is a panel of the output."""
    projection = work.projection
    rows = projection.z.shape[1]
    while True:
        panel = take(counter.ctypes.data)
        if panel >= parts:
            break
        z = projection.z.ctypes.data + panel * rows * BYTES
        norm = projection.norm
        normalise(z, BYTES, rows, norm.facts, panel * LANES, norm.epsilon, norm.batch)
        write(projection.out, work.expansion.x, z, norm, panel, projection.skip, scratch)


@_compiled
def back_through_projection(
    work: tuple[Residual, Wanted], counter: np.ndarray, parts: int, scratch: np.ndarray
) -> None:
    """Gradient of what enters the third batch norm; a part is a panel of the output."""
    residual, wanted = work
    z, step = residual.projection.z, 4 * wanted.of_z3.shape[1]
    while True:
        panel = take(counter.ctypes.data)
        if panel >= parts:
            break
        source, out = z.ctypes.data + panel * z.shape[1] * BYTES, wanted.of_z3.ctypes.data + panel * BYTES
        room = scratch.ctypes.data
        behind(wanted.g, source, residual.projection.norm, panel, room + 4 * BYTES, room, out, step)


@_compiled
def back_through_panels(work: tuple[Residual, Wanted], counter: np.ndarray, parts: int, scratch: np.ndarray) -> None:
    """Gradients of all weights, and of what enters the first batch norm; a part is a panel."""
    residual, wanted = work
    while True:
        panel = take(counter.ctypes.data)
        if panel >= parts:
            break
        _project_back(residual, wanted, panel, scratch)
        _convolve_back(residual, wanted, panel, scratch)
        of_z1 = wanted.of_z1.ctypes.data + panel * wanted.of_z1.shape[1] * BYTES
        expand_back(residual.expansion, of_z1, wanted.expand, wanted.packed, panel, scratch)


@_compiled
def _project_back(work: Residual, wanted: Wanted, panel: int, scratch: np.ndarray) -> None:
    """Gradient behind the second batch norm, at the start of `scratch`, its slopes behind that; of the projection."""
    middle, weight, first = work.middle, work.projection.weight, panel * LANES
    rows, outputs, step = middle.z.shape[1], weight.shape[0], 4 * wanted.of_z3.shape[1]
    z, facts = middle.z.ctypes.data + panel * rows * BYTES, middle.norm.facts
    low, high = middle.norm.low, middle.norm.high
    g = scratch.ctypes.data
    turn = g + rows * BYTES + 4 * BYTES
    of_weight = turn + outputs * BYTES
    active = of_weight + outputs * BYTES
    sums = np.zeros((2, LANES))
    panel_of_columns(turn, weight, first, 0, outputs)
    clear(of_weight, outputs)
    for start in range(0, rows, BLOCK):
        many, of_z3 = min(BLOCK, rows - start), wanted.of_z3.ctypes.data + start * step
        here = start * BYTES
        product(g + here, BYTES, of_z3, step, turn, outputs, many, 0)
        mask(g + here, z + here, many, facts, first, low, high, sums.ctypes.data)
        activate(active, BYTES, z + here, many, facts, first, low, high)
        add_turned_product(of_weight, of_z3, step, active, many, outputs)
    columns_from_panel(wanted.project, first, of_weight)
    slopes(sums, rows, facts, first, middle.norm.batch, g + rows * BYTES)


@_compiled
def _convolve_back(work: Residual, wanted: Wanted, panel: int, scratch: np.ndarray) -> None:
    """Gradient of what enters the first batch norm; of the depthwise weights."""
    middle, expansion, first = work.middle, work.expansion, panel * LANES
    rows, taps, rows_before = middle.z.shape[1], middle.weight.shape[1], expansion.z.shape[1]
    g, norm = scratch.ctypes.data, expansion.norm
    of_g = g + rows * BYTES
    weight = of_g + 4 * BYTES
    turned, of_weight = weight + taps * BYTES, weight + 2 * taps * BYTES
    room = of_weight + taps * BYTES
    sums = np.zeros((2, LANES))
    panel_of_rows(weight, middle.weight, first, 0, taps)
    for tap in range(taps):
        store(turned + tap * BYTES, load(weight + (taps - 1 - tap) * BYTES))
    clear(of_weight, taps)
    z1, z2 = expansion.z.ctypes.data + panel * rows_before * BYTES, middle.z.ctypes.data + panel * rows * BYTES
    of_z1 = wanted.of_z1.ctypes.data + panel * rows_before * BYTES
    sizes, where = middle.sizes, sums.ctypes.data
    turn_back(of_z1, g, z2, of_g, z1, norm.facts, first, norm.low, norm.high, turned, room, of_weight, where, sizes)
    rows_from_panel(wanted.depthwise, first, of_weight)
    slopes(sums, rows_before, norm.facts, first, norm.batch, of_g)
    of_input(of_z1, BYTES, of_z1, z1, rows_before, of_g)


def room_of(work: Residual) -> int:
    """How many float32 a thread needs for any of the kernels of an inverted residual."""
    sizes, taps = work.middle.sizes, work.middle.weight.shape[1]
    padded, spread = (size[0] * size[1] for size in (padded_size(sizes), spread_size(sizes)))
    channels, outputs = work.expansion.x.shape[1], work.projection.weight.shape[0]
    width = max(work.projection.packed.shape[1], channels, outputs)
    panels = work.middle.z.shape[1] + 2 * outputs + BLOCK + 4 * taps + padded + spread + 8
    return LANES * max(panels, channels) + ROWS * (width + LANES)
