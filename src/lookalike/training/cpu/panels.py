"""Steps on panels: sixteen channels of all positions, position by position, which a cache can hold.

Compiled by numba. Addresses and steps are whole numbers of bytes unless said otherwise.

Letters in shapes: R rows (positions of all images), K wide channels, N narrow channels.
"""

import numpy as np

from lookalike.jit import jit
from lookalike.training.cpu.lanes import (
    BYTES,
    LANES,
    TILE,
    add_to_doubles,
    clamped,
    get,
    load,
    minus,
    plus,
    product_tile,
    put,
    splat,
    store,
    times_plus,
    where_within,
)

ROWS = 48  # rows that a thread multiplies at once: with 1,152 channels they stay in a second-level cache
DEPTH = 512  # of one pass over the operands: a panel of it stays in a first-level cache
BLOCK = 128  # rows whose sums are float32; beyond, float64

# Rows of the facts of a batch norm, float32 [9, channels].
GAMMA, BETA, MEAN, VARIANCE, SCALE, SHIFT, INVERSE, OF_GAMMA, OF_BETA = range(9)

_compiled = jit(error_model="numpy")

_across, _across4, _across1 = (product_tile(rows, turned=False) for rows in (TILE, 4, 1))
_turned, _turned4, _turned1 = (product_tile(rows, turned=True) for rows in (TILE, 4, 1))


@_compiled
def product(c: int, c_step: int, a: int, a_step: int, b: int, depth: int, rows: int, add: int) -> None:
    """A panel [rows] = (itself if `add` else 0) + float32 [rows, depth] x a panel [depth]."""
    for first in range(0, depth, DEPTH):
        part, left, right = min(DEPTH, depth - first), a + 4 * first, b + BYTES * first
        going_on = add + first
        row = 0
        while row + TILE <= rows:
            _across(c + row * c_step, c_step, left + row * a_step, a_step, right, part, going_on)
            row += TILE
        while row + 4 <= rows:
            _across4(c + row * c_step, c_step, left + row * a_step, a_step, right, part, going_on)
            row += 4
        while row < rows:
            _across1(c + row * c_step, c_step, left + row * a_step, a_step, right, part, going_on)
            row += 1


@_compiled
def add_turned_product(c: int, a: int, a_step: int, b: int, rows: int, columns: int) -> None:
    """A panel [columns] += float32 [rows, columns] turned x a panel [rows]."""
    column = 0
    while column + TILE <= columns:
        _turned(c + column * BYTES, BYTES, a + 4 * column, a_step, b, rows, 1)
        column += TILE
    while column + 4 <= columns:
        _turned4(c + column * BYTES, BYTES, a + 4 * column, a_step, b, rows, 1)
        column += 4
    while column < columns:
        _turned1(c + column * BYTES, BYTES, a + 4 * column, a_step, b, rows, 1)
        column += 1


@_compiled
def clear(address: int, values: int) -> None:
    """Sets so many values of sixteen lanes to 0."""
    zero = splat(np.float32(0))
    for i in range(values):
        store(address + i * BYTES, zero)


@_compiled
def load_some(source: int, place: int, lanes: int) -> None:
    """Copies so many single float32 from an address to a value of sixteen lanes, the others are 0."""
    if lanes == LANES:
        store(place, load(source))
        return
    store(place, splat(np.float32(0)))
    for lane in range(lanes):
        put(place + 4 * lane, get(source + 4 * lane))


@_compiled
def store_some(source: int, place: int, lanes: int) -> None:
    """Copies so many single float32 of a value of sixteen lanes to an address."""
    if lanes == LANES:
        store(place, load(source))
        return
    for lane in range(lanes):
        put(place + 4 * lane, get(source + 4 * lane))


@_compiled
def panel_of_columns(panel: int, matrix: np.ndarray, first: int, start: int, stop: int) -> None:
    """Columns of float32 [K, N] from `first` on as rows `start` to `stop` of a panel [K]; beyond the last column 0."""
    height, width = matrix.shape
    lanes = min(LANES, width - first)
    source = matrix.ctypes.data + 4 * first
    for row in range(start, min(stop, height)):
        load_some(source + 4 * row * width, panel + row * BYTES, lanes)


@_compiled
def panel_of_rows(panel: int, matrix: np.ndarray, first: int, start: int, stop: int) -> None:
    """Rows of float32 [K, N] from `first` on, turned, as `start` to `stop` of a panel [N]; beyond the last row 0."""
    height, width = matrix.shape
    lanes = min(LANES, height - first)
    stop = min(stop, width)
    if lanes < LANES:
        clear(panel + start * BYTES, stop - start)
    source = matrix.ctypes.data + 4 * first * width
    for column in range(start, stop):
        for lane in range(lanes):
            put(panel + column * BYTES + 4 * lane, get(source + 4 * (lane * width + column)))


@_compiled
def rows_from_panel(matrix: np.ndarray, first: int, panel: int) -> None:
    """Writes a panel [N] into the rows of float32 [K, N] from `first` on, turned; what is beyond the last is left."""
    height, width = matrix.shape
    lanes = min(LANES, height - first)
    place = matrix.ctypes.data + 4 * first * width
    for lane in range(lanes):
        for column in range(width):
            put(place + 4 * (lane * width + column), get(panel + column * BYTES + 4 * lane))


@_compiled
def columns_from_panel(matrix: np.ndarray, first: int, panel: int) -> None:
    """Writes a panel [K] into the columns of float32 [K, N] from `first` on; what is beyond the last is left."""
    height, width = matrix.shape
    lanes = min(LANES, width - first)
    place = matrix.ctypes.data + 4 * first
    for row in range(height):
        store_some(panel + row * BYTES, place + 4 * row * width, lanes)


@_compiled
def normalise(z: int, step: int, rows: int, facts: np.ndarray, first: int, epsilon: float, batch: bool) -> None:
    """Fills scale and shift of sixteen channels in the facts of a batch norm.

    Args:
        z: The panel, a value every `step` bytes.
        step: Of it.
        rows: Of it.
        facts: float32 [9, channels], gamma and beta given, mean and variance, too, unless `batch`.
        first: The first of the channels.
        epsilon: Of the batch norm.
        batch: Take mean and variance of the rows, both by float64 sums of float32 sums of 128 rows.
    """
    if batch:
        sums = np.zeros(LANES, np.float64)
        base = facts.ctypes.data + 4 * first
        mean_at = base + 4 * MEAN * facts.shape[1]
        for turn in range(2):
            sums[:] = 0
            for start in range(0, rows, BLOCK):
                _add_block(sums.ctypes.data, z + start * step, step, min(BLOCK, rows - start), turn, mean_at)
            for lane in range(LANES):
                facts[MEAN if turn == 0 else VARIANCE, first + lane] = sums[lane] / rows
    for lane in range(first, first + LANES):
        inverse = 1 / np.sqrt(np.float64(facts[VARIANCE, lane]) + epsilon)
        scale = facts[GAMMA, lane] * inverse
        facts[INVERSE, lane] = inverse
        facts[SCALE, lane] = scale
        facts[SHIFT, lane] = facts[BETA, lane] - facts[MEAN, lane] * scale


@_compiled
def _add_block(sums: int, z: int, step: int, rows: int, squares: int, mean_at: int) -> None:
    zero = splat(np.float32(0))
    even, odd = zero, zero
    mean = load(mean_at) if squares else zero
    for row in range(0, rows - 1, 2):
        this, other = load(z + row * step), load(z + (row + 1) * step)
        if squares:
            this, other = minus(this, mean), minus(other, mean)
            even, odd = times_plus(this, this, even), times_plus(other, other, odd)
        else:
            even, odd = plus(even, this), plus(odd, other)
    if rows % 2:
        this = load(z + (rows - 1) * step)
        if squares:
            this = minus(this, mean)
            even = times_plus(this, this, even)
        else:
            even = plus(even, this)
    add_to_doubles(sums, plus(even, odd))


@_compiled
def activate(
    out: int, out_step: int, z: int, rows: int, facts: np.ndarray, first: int, low: float, high: float
) -> None:
    """Writes a panel after its batch norm and its activation, a value every `out_step` bytes."""
    base = facts.ctypes.data + 4 * first
    scale, shift = load(base + 4 * SCALE * facts.shape[1]), load(base + 4 * SHIFT * facts.shape[1])
    least, most = splat(np.float32(low)), splat(np.float32(high))
    for row in range(rows):
        value = times_plus(load(z + row * BYTES), scale, shift)
        store(out + row * out_step, clamped(value, least, most))


@_compiled
def mask(g: int, z: int, rows: int, facts: np.ndarray, first: int, low: float, high: float, sums: int) -> None:
    """A panel of gradients, through the activation; adds to sums float64 [2, 16] what the batch norm needs.

    Args:
        g: The panel, changed.
        z: What entered the batch norm.
        rows: Of both.
        facts: Of the batch norm.
        first: The first of the channels.
        low: Where the activation begins to let through.
        high: Where it ends.
        sums: Of the gradients, and of their products with z less its mean.
    """
    base, width = facts.ctypes.data + 4 * first, 4 * facts.shape[1]
    scale, shift, mean = load(base + SCALE * width), load(base + SHIFT * width), load(base + MEAN * width)
    least, most = splat(np.float32(low)), splat(np.float32(high))
    for start in range(0, rows, BLOCK):
        plain, weighted = splat(np.float32(0)), splat(np.float32(0))
        for row in range(start, min(rows, start + BLOCK)):
            value = load(z + row * BYTES)
            gradient = where_within(load(g + row * BYTES), times_plus(value, scale, shift), least, most)
            store(g + row * BYTES, gradient)
            plain = plus(plain, gradient)
            weighted = times_plus(gradient, minus(value, mean), weighted)
        add_to_doubles(sums, plain)
        add_to_doubles(sums + 8 * LANES, weighted)


@_compiled
def slopes(sums: np.ndarray, rows: int, facts: np.ndarray, first: int, batch: bool, out: int) -> None:
    """Gradients of gamma and beta, and what makes z's of the output's: out[0] * g + out[1] * (z - mean) + out[2].

    Args:
        sums: float64 [2, 16], as `mask` leaves them.
        rows: Of the panel.
        facts: Of the batch norm; the two gradients are written into it.
        first: The first of the channels.
        batch: Whether mean and variance are those of the rows.
        out: Four values to write; the last is the mean.
    """
    for lane in range(LANES):
        channel = first + lane
        inverse, scale = np.float64(facts[INVERSE, channel]), np.float64(facts[SCALE, channel])
        of_gamma = sums[1, lane] * inverse
        facts[OF_GAMMA, channel], facts[OF_BETA, channel] = of_gamma, sums[0, lane]
        bend, offset = (-scale * inverse * of_gamma / rows, -scale * sums[0, lane] / rows) if batch else (0.0, 0.0)
        place = out + 4 * lane
        put(place, facts[SCALE, channel])
        put(place + BYTES, np.float32(bend))
        put(place + 2 * BYTES, np.float32(offset))
        put(place + 3 * BYTES, facts[MEAN, channel])


@_compiled
def of_input(out: int, out_step: int, g: int, z: int, rows: int, slopes: int) -> None:
    """The gradient of what entered a batch norm, from a panel behind it; `out` may be `g`.

    Args:
        out: A value every `out_step` bytes.
        out_step: Of it.
        g: The gradient behind the batch norm.
        z: What entered it.
        rows: Of all three.
        slopes: Four values, as `slopes` leaves them.
    """
    scale, bend = load(slopes), load(slopes + BYTES)
    offset, mean = load(slopes + 2 * BYTES), load(slopes + 3 * BYTES)
    for row in range(rows):
        value = times_plus(minus(load(z + row * BYTES), mean), bend, offset)
        store(out + row * out_step, times_plus(load(g + row * BYTES), scale, value))
