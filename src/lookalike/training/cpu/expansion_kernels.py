"""A 1 x 1 convolution, its batch norm and activation, forward and backward; compiled by numba.

A part is a panel of the wide side, or a block of rows where sums run over the wide channels: every sum is of one
thread, in one order, so results depend neither on the number of threads nor on who did which part.

Letters in shapes: R rows (positions of all images), C channels in, K channels out; panels hold sixteen channels each,
those beyond the last are 0.
"""

from typing import NamedTuple

import numpy as np

from lookalike.jit import jit
from lookalike.training.cpu.lanes import BYTES, LANES, load, plus, store, take
from lookalike.training.cpu.panels import (
    BLOCK,
    ROWS,
    activate,
    add_turned_product,
    clear,
    load_some,
    mask,
    normalise,
    of_input,
    panel_of_columns,
    panel_of_rows,
    product,
    rows_from_panel,
    slopes,
    store_some,
)

_compiled = jit(error_model="numpy")


class Norm(NamedTuple):
    """A batch norm and its activation.

    Attributes:
        facts: float32 [9, channels], see `panels`.
        epsilon: Added to the variance.
        batch: Whether mean and variance are those of the rows.
        low: Lower bound of the activation.
        high: Upper bound of the activation.
    """

    facts: np.ndarray
    epsilon: float
    batch: bool
    low: float
    high: float


class Expansion(NamedTuple):
    """A 1 x 1 convolution with its batch norm; all arrays float32.

    Attributes:
        x: [R, C].
        weight: [K, C].
        z: [panels, R, 16], what enters the batch norm.
        norm: Of K channels.
    """

    x: np.ndarray
    weight: np.ndarray
    z: np.ndarray
    norm: Norm


@_compiled
def expand(work: Expansion, panel: int, scratch: np.ndarray) -> None:
    """What enters the batch norm, of a panel, and its facts."""
    rows, channels = work.x.shape
    weight, z = scratch.ctypes.data, work.z.ctypes.data + panel * rows * BYTES
    panel_of_rows(weight, work.weight, panel * LANES, 0, channels)
    product(z, BYTES, work.x.ctypes.data, 4 * channels, weight, channels, rows, 0)
    normalise(z, BYTES, rows, work.norm.facts, panel * LANES, work.norm.epsilon, work.norm.batch)


@_compiled
def write(out: np.ndarray, x: np.ndarray, z: int, norm: Norm, panel: int, skip: bool, scratch: np.ndarray) -> None:
    """Batch norm and activation of a panel into float32 [R, channels], and x of that shape added if `skip`."""
    rows, channels = out.shape
    first, value, other = panel * LANES, scratch.ctypes.data, scratch.ctypes.data + BYTES
    lanes = min(LANES, channels - first)
    place, given, step = out.ctypes.data + 4 * first, x.ctypes.data + 4 * first, 4 * channels
    if lanes == LANES:
        activate(place, step, z, rows, norm.facts, first, norm.low, norm.high)
        if skip:
            for row in range(rows):
                store(place + row * step, plus(load(place + row * step), load(given + row * step)))
        return
    for row in range(rows):
        activate(value, BYTES, z + row * BYTES, 1, norm.facts, first, norm.low, norm.high)
        if skip:
            load_some(given + row * step, other, lanes)
            store(value, plus(load(value), load(other)))
        store_some(value, place + row * step, lanes)


@_compiled
def expand_alone(work: tuple[Expansion, np.ndarray], counter: np.ndarray, parts: int, scratch: np.ndarray) -> None:
    """A 1 x 1 convolution, its batch norm and activation, written to float32 [R, K]; a part is a panel."""
    expansion, out = work
    rows = expansion.z.shape[1]
    while True:
        panel = take(counter.ctypes.data)
        if panel >= parts:
            break
        expand(expansion, panel, scratch)
        z = expansion.z.ctypes.data + panel * rows * BYTES
        write(out, out, z, expansion.norm, panel, False, scratch)


@_compiled
def behind(g: np.ndarray, z: int, norm: Norm, panel: int, place: int, scratch: int, out: int, out_step: int) -> None:
    """Gradient of what enters a batch norm, of float32 [R, channels] behind it; `place` has room for a panel."""
    rows, channels = g.shape
    lanes, first = min(LANES, channels - panel * LANES), panel * LANES
    source, sums = g.ctypes.data + 4 * first, np.zeros((2, LANES))
    for row in range(rows):
        load_some(source + 4 * row * channels, place + row * BYTES, lanes)
    mask(place, z, rows, norm.facts, first, norm.low, norm.high, sums.ctypes.data)
    slopes(sums, rows, norm.facts, first, norm.batch, scratch)
    of_input(out, out_step, place, z, rows, scratch)


@_compiled
def expand_back(
    work: Expansion, of_z: int, of_weight: np.ndarray, packed: np.ndarray, panel: int, scratch: np.ndarray
) -> None:
    """Gradient of the weights of a 1 x 1 convolution; packs them for that of its input."""
    rows, channels = work.x.shape
    first, room, step = panel * LANES, scratch.ctypes.data, 4 * channels
    clear(room, channels)
    for start in range(0, rows, BLOCK):
        many = min(BLOCK, rows - start)
        add_turned_product(room, work.x.ctypes.data + start * step, step, of_z + start * BYTES, many, channels)
    rows_from_panel(of_weight, first, room)
    for panel_in in range(packed.shape[0]):
        place = packed.ctypes.data + panel_in * packed.shape[1] * BYTES
        panel_of_columns(place, work.weight, panel_in * LANES, first, first + LANES)


@_compiled
def back_to_input(
    work: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool],
    counter: np.ndarray,
    parts: int,
    scratch: np.ndarray,
) -> None:
    """Gradient of x, of (of_z [panels, R, 16], packed, of_x [R, C], g, whether to add g); a part is a block of rows."""
    of_z, packed, of_x, g, skip = work
    panels, rows = of_z.shape[0], of_z.shape[1]
    channels, width = of_x.shape[1], 4 * packed.shape[1]
    block = scratch.ctypes.data
    tile = block + ROWS * width
    while True:
        part = take(counter.ctypes.data)
        if part >= parts:
            break
        start = part * ROWS
        many = min(ROWS, rows - start)
        for panel in range(panels):
            source = of_z.ctypes.data + (panel * rows + start) * BYTES
            for row in range(many):
                store(block + row * width + panel * BYTES, load(source + row * BYTES))
        for panel in range(packed.shape[0]):
            first, weight = panel * LANES, packed.ctypes.data + panel * packed.shape[1] * BYTES
            lanes, offset = min(LANES, channels - first), 4 * (start * channels + first)
            if skip:
                for row in range(many):
                    load_some(g.ctypes.data + offset + 4 * row * channels, tile + row * BYTES, lanes)
            product(tile, BYTES, block, width, weight, packed.shape[1], many, skip)
            for row in range(many):
                store_some(tile + row * BYTES, of_x.ctypes.data + offset + 4 * row * channels, lanes)


@_compiled
def back_alone(
    work: tuple[Expansion, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    counter: np.ndarray,
    parts: int,
    scratch: np.ndarray,
) -> None:
    """Gradients of `expand_alone`: of (it, g [R, K], of_z [panels, R, 16], of_weight [K, C], packed)."""
    expansion, g, of_z, of_weight, packed = work
    rows = expansion.z.shape[1]
    while True:
        panel = take(counter.ctypes.data)
        if panel >= parts:
            break
        z, place = expansion.z.ctypes.data + panel * rows * BYTES, of_z.ctypes.data + panel * rows * BYTES
        behind(g, z, expansion.norm, panel, place, scratch.ctypes.data, place, BYTES)
        expand_back(expansion, place, of_weight, packed, panel, scratch)


def room_alone(work: Expansion) -> int:
    """The same for a 1 x 1 convolution."""
    return LANES * (work.x.shape[1] + 8) + ROWS * (work.z.shape[0] * LANES + LANES)
