"""A depthwise convolution between two activations, and all its gradients, as machine code for one shape of maps.

A vector holds neighbouring channels of one pixel. A thread takes some vectors of channels of all images: it copies what
it needs of an image, with zeros around, to where the cache of its core keeps it, then multiplies and adds in registers.
Sums over images and pixels of a channel are made by one thread in one order, so they repeat bit for bit, whatever the
number of threads.

Letters in shapes: N images, C channels, H height, W width, h and w those of the result, T taps (kernel height x kernel
width), P C rounded up to whole vectors.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property

from llvmlite import ir

from lookalike.training.cpu.vector_code import Bounds, Code, Index, Kernel, lanes, registers

_GROUP, _GROUP_VALUES = 4, 1 << 16  # vectors of channels copied at a time, and values that their copies may take
_AHEAD = 16  # pixels from the one that is copied to the one that is fetched from memory
_AT_ONCE = 8  # neighbouring results computed at once


@dataclass(frozen=True)
class Shape:
    """What a kernel is made for.

    Attributes:
        channels: C.
        size: H and W.
        result: h and w.
        kernel: Its height and width.
        stride: Vertical and horizontal.
        padding: Rows of zeros above and columns of them to the left; below and to the right what `result` needs.
        before: Bounds of the activation before the convolution.
        after: Bounds of the one behind it.
        half: Whether the maps and their gradients are in bf16; weights, sums and all else are float32.
    """

    channels: int
    size: tuple[int, int]
    result: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    before: Bounds
    after: Bounds
    half: bool = False

    @cached_property
    def vectors(self) -> int:
        """P / lanes."""
        return -(-self.channels // lanes())

    @cached_property
    def taps(self) -> list[tuple[int, int]]:
        """Row and column of each tap."""
        return [(row, column) for row in range(self.kernel[0]) for column in range(self.kernel[1])]

    @cached_property
    def padded(self) -> tuple[int, int]:
        """Height and width of a copied map."""
        whole = zip(self.size, self.result, self.kernel, self.stride, self.padding, strict=True)
        high, wide = (max(pad + side, step * (end - 1) + taps) for side, end, taps, step, pad in whole)
        return high, wide

    @cached_property
    def phases(self) -> list["_Phase"]:
        """Of which taps the gradients of the images are made, by the place of a pixel between two strides."""
        return [_phase(self, row, column) for row in range(self.stride[0]) for column in range(self.stride[1])]

    @cached_property
    def gradient_margin(self) -> tuple[int, int]:
        """Rows of zeros above a copied gradient, and columns to the left of it."""
        shifts = [shift for phase in self.phases for _, shift in phase.taps] or [(0, 0)]
        return max(0, -min(row for row, _ in shifts)), max(0, -min(column for _, column in shifts))

    @cached_property
    def gradient_padded(self) -> tuple[int, int]:
        """Height and width of a copied gradient."""
        margin, sides = self.gradient_margin, list(self.result)
        for phase in self.phases:
            for _, shift in phase.taps:
                sides = [max(side, count + more) for side, count, more in zip(sides, phase.count, shift, strict=True)]
        return margin[0] + sides[0], margin[1] + sides[1]

    @cached_property
    def copied(self) -> int:
        """Values of one vector of channels of an image and its gradient, copied."""
        (high, wide), (gradient_high, gradient_wide) = self.padded, self.gradient_padded
        return lanes() * (high * wide + gradient_high * gradient_wide)

    @cached_property
    def group(self) -> int:
        """Vectors of channels that are copied at a time."""
        return max(1, min(_GROUP, self.vectors, _GROUP_VALUES // self.copied))


@dataclass(frozen=True)
class _Phase:
    """Pixels whose gradient is made of the same taps.

    Attributes:
        start: The first pixel, row and column.
        count: How many rows and columns of them there are, each a stride from the next.
        taps: Number of a tap, and from the number of a pixel to that of the result: rows and columns.
    """

    start: tuple[int, int]
    count: tuple[int, int]
    taps: list[tuple[int, tuple[int, int]]]


def _phase(shape: Shape, row: int, column: int) -> _Phase:
    start = (row, column)
    sides = zip(shape.size, start, shape.stride, strict=True)
    high, wide = (max(0, -(-(side - first) // step)) for side, first, step in sides)
    taps = []
    for number, tap in enumerate(shape.taps):
        whole = zip(start, shape.padding, tap, shape.stride, strict=True)
        (down, rest_down), (right, rest_right) = (divmod(first + pad - own, step) for first, pad, own, step in whole)
        if not rest_down and not rest_right:
            taps.append((number, (down, right)))
    return _Phase(start, (high, wide), taps)


def forward_kernel(shape: Shape) -> Kernel:
    """Machine code of the convolution.

    It takes addresses of: what enters [N, H, W, C], what is added to it before the first activation [P], weights
    [T, P], what is added to the sums before the second [P], the result [N, h, w, C], and zeros for copies
    [threads, group x copied]; then N.
    """
    code = Code("images shift weights bias result copy", "count")
    code.own_part("copy", shape.group * shape.copied)
    for groups, members in _shared(code, shape):
        with groups as group, code.loop(code["count"]) as image:
            _copy_images(code, shape, image, group, members)
            with code.loop(members) as member:
                _write_result(code, shape, image, member, code.mul(code.add(group, member), code.lanes))
    return code.compiled()


def backward_kernel(shape: Shape) -> Kernel:
    """Machine code of all gradients.

    It takes addresses of: what entered, what was added to it, weights, the result and the gradient of it, zeros for
    copies; then those of the gradients: of what entered [N, H, W, C], of what was added to it [P], of the
    weights [T, P] and of what was added to the sums [P], zero at first all three; then N.
    """
    inputs = "images shift weights result gradient copy"
    code = Code(f"{inputs} of_images of_shift of_weights of_bias", "count")
    code.own_part("copy", shape.group * shape.copied)
    for groups, members in _shared(code, shape):
        with groups as group, code.loop(code["count"]) as image:
            _copy_images(code, shape, image, group, members)
            _copy_gradient(code, shape, image, group, members)
            with code.loop(members) as member:
                own = code.mul(code.add(group, member), code.lanes)
                _add_gradient_of_weights(code, shape, member, own)
                for phase in shape.phases:
                    _write_gradient_of_images(code, shape, phase, image, member, own)
    return code.compiled()


def _shared(code: Code, shape: Shape) -> Iterator[tuple[AbstractContextManager[ir.Value], int]]:
    """Loops over a thread's vectors of channels: some at a time, then the rest, each with how many at a time."""
    begin, end = (
        code.divide(code.mul(shape.vectors, code.add(code["thread"], more)), code["threads"]) for more in (0, 1)
    )
    rest = code.subtract(end, code.remainder(code.subtract(end, begin), shape.group))
    yield code.loop(rest, begin, shape.group), shape.group
    if shape.group > 1:
        yield code.loop(end, rest), 1


def _mark(code: Code, shape: Shape, own: Index) -> ir.Value | None:
    """The lanes of a vector that are channels, where not all are."""
    if shape.channels % code.lanes == 0:
        return None
    return code.below(code.subtract(shape.channels, own))


def _pixel(code: Code, size: tuple[int, int], channels: int, image: Index, row: Index, column: Index) -> Index:
    """Where a pixel begins in [N, H, W, C]."""
    line = code.add(code.mul(image, size[0]), row)
    return code.mul(code.add(code.mul(line, size[1]), column), channels)


def _gradient_start(shape: Shape) -> int:
    """Where the copied gradients begin, behind the copied images."""
    return shape.group * shape.padded[0] * shape.padded[1] * lanes()


def _copy_images(code: Code, shape: Shape, image: Index, group: Index, members: int) -> None:
    """Shifts, bounds and copies some vectors of channels of an image."""
    high, wide = shape.padded
    top, left = shape.padding
    with code.loop(shape.size[0]) as row, code.loop(shape.size[1]) as column:
        source = _pixel(code, shape.size, shape.channels, image, row, column)
        target = code.mul(code.add(code.mul(code.add(row, top), wide), column, left), code.lanes)
        for member in range(members):
            own = code.mul(code.add(group, member), code.lanes)
            code.fetch(code["images"], code.add(source, own, _AHEAD * shape.channels), shape.half)
            value = code.load(code["images"], code.add(source, own), _mark(code, shape, own), shape.half)
            value = code.clamped(code.plus(value, code.load(code["shift"], own)), shape.before)
            code.store(value, code["copy"], code.add(target, code.mul(member, high * wide * code.lanes)))


def _copy_gradient(code: Code, shape: Shape, image: Index, group: Index, members: int) -> None:
    """Copies some vectors of channels of the gradient as it is before the activation behind the convolution."""
    high, wide = shape.gradient_padded
    top, left = shape.gradient_margin
    start = _gradient_start(shape)
    with code.loop(shape.result[0]) as row, code.loop(shape.result[1]) as column:
        source = _pixel(code, shape.result, shape.channels, image, row, column)
        target = code.mul(code.add(code.mul(code.add(row, top), wide), column, left), code.lanes)
        for member in range(members):
            own = code.mul(code.add(group, member), code.lanes)
            mark = _mark(code, shape, own)
            code.fetch(code["gradient"], code.add(source, own, _AHEAD * shape.channels), shape.half)
            value = code.load(code["gradient"], code.add(source, own), mark, shape.half)
            if shape.after != (None, None):
                code.fetch(code["result"], code.add(source, own, _AHEAD * shape.channels), shape.half)
                result = code.load(code["result"], code.add(source, own), mark, shape.half)
                value = code.passed(value, result, shape.after)
            place = code.add(start, target, code.mul(member, high * wide * code.lanes))
            code.store(value, code["copy"], place)


def _write_result(code: Code, shape: Shape, image: Index, member: Index, own: Index) -> None:
    """The convolution of one vector of channels of an image."""
    values = shape.padded[1] * code.lanes
    mark, taps = _mark(code, shape, own), list(enumerate(shape.taps))
    bias = code.load(code["bias"], own)
    with code.loop(shape.result[0]) as row:
        line = code.add(code.mul(member, shape.padded[0] * values), code.mul(row, shape.stride[0] * values))
        for tile, start, size in _tiles(code, shape.result[1]):
            with tile as number:
                column = code.add(start, code.mul(number, size))
                at = code.add(line, code.mul(column, shape.stride[1] * code.lanes))
                sums = [bias] * size
                _correlate(code, shape, sums, at, values, taps, own, shape.stride[1])
                for place, value in enumerate(sums):
                    pixel = _pixel(code, shape.result, shape.channels, image, row, code.add(column, place))
                    value = code.clamped(value, shape.after)
                    code.store(value, code["result"], code.add(pixel, own), mark, shape.half)


def _add_gradient_of_weights(code: Code, shape: Shape, member: Index, own: Index) -> None:
    """Adds what one image gives to the gradients of the weights and of the bias, for one vector of channels."""
    high, wide = shape.padded
    gradient_high, gradient_wide = shape.gradient_padded
    top, left = shape.gradient_margin
    lines = max(1, (registers() - 4) // shape.kernel[1])
    for first in range(0, shape.kernel[0], lines):
        taps = [(number, tap) for number, tap in enumerate(shape.taps) if first <= tap[0] < first + lines]
        with code.sums(len(taps) + (first == 0)) as sums:
            with code.loop(shape.result[0]) as row, code.loop(shape.result[1]) as column:
                line = code.add(code.mul(member, gradient_high), row, top)
                place = code.mul(code.add(code.mul(line, gradient_wide), column, left), code.lanes)
                gradient = code.load(code["copy"], code.add(_gradient_start(shape), place))
                line = code.add(code.mul(member, high), code.mul(row, shape.stride[0]))
                place = code.mul(code.add(code.mul(line, wide), code.mul(column, shape.stride[1])), code.lanes)
                for total, (_, (down, right)) in zip(sums, taps, strict=False):
                    pixel = code.load(code["copy"], code.add(place, (down * wide + right) * code.lanes))
                    code.write(code.times_plus(gradient, pixel, code.read(total)), total)
                if first == 0:
                    code.write(code.plus(gradient, code.read(sums[-1])), sums[-1])
            for total, (number, _) in zip(sums, taps, strict=False):
                code.increase(code["of_weights"], code.add(number * shape.vectors * code.lanes, own), code.read(total))
            if first == 0:
                code.increase(code["of_bias"], own, code.read(sums[-1]))


def _write_gradient_of_images(code: Code, shape: Shape, phase: _Phase, image: Index, member: Index, own: Index) -> None:
    """The gradient of what entered, before it was shifted and bounded, at the pixels of a phase."""
    high, wide = shape.padded
    values = shape.gradient_padded[1] * code.lanes
    top, left = shape.gradient_margin
    mark, (steps_down, steps_right) = _mark(code, shape, own), shape.stride
    start = code.add(_gradient_start(shape), code.mul(member, shape.gradient_padded[0] * values))
    with code.sums(1) as (whole,):
        with code.loop(phase.count[0]) as row:
            line = code.add(start, code.mul(code.add(row, top), values))
            down = code.add(code.mul(row, steps_down), phase.start[0])
            for tile, first, size in _tiles(code, phase.count[1]):
                with tile as number:
                    column = code.add(first, code.mul(number, size))
                    sums = [code.constant(0.0)] * size
                    at = code.add(line, code.mul(code.add(column, left), code.lanes))
                    _correlate(code, shape, sums, at, values, phase.taps, own, 1)
                    for place, value in enumerate(sums):
                        right = code.add(code.mul(code.add(column, place), steps_right), phase.start[1])
                        line_of_copy = code.add(code.mul(member, high), down, shape.padding[0])
                        copied = code.add(code.mul(line_of_copy, wide), right, shape.padding[1])
                        entered = code.load(code["copy"], code.mul(copied, code.lanes))
                        value = code.passed(value, entered, shape.before)
                        code.write(code.plus(value, code.read(whole)), whole)
                        pixel = _pixel(code, shape.size, shape.channels, image, down, right)
                        code.store(value, code["of_images"], code.add(pixel, own), mark, shape.half)
        code.increase(code["of_shift"], own, code.read(whole))


def _correlate(
    code: Code,
    shape: Shape,
    sums: list[ir.Value],
    at: Index,
    line: int,
    taps: list[tuple[int, tuple[int, int]]],
    own: Index,
    step: int,
) -> None:
    """Adds to `sums`, results beside each other, what each tap sees; a pixel is loaded once for a line of taps.

    Args:
        code: The function being made.
        shape: Of its weights.
        sums: Vectors, changed in place.
        at: Where the pixel that the tap (0, 0) sees first lies among the copies.
        line: Values from one row of copied pixels to the next.
        taps: Number, and row and column from `at`.
        own: The first of its channels.
        step: Pixels from one result to the next.
    """
    for row in sorted({row for _, (row, _) in taps}):
        columns = {column: number for number, (own_row, column) in taps if own_row == row}
        weights = {
            column: code.load(code["weights"], code.add(number * shape.vectors * code.lanes, own))
            for column, number in columns.items()
        }
        for pixel in sorted({place * step + column for place in range(len(sums)) for column in columns}):
            value = code.load(code["copy"], code.add(at, row * line + pixel * code.lanes))
            for column, weight in weights.items():
                place, rest = divmod(pixel - column, step)
                if not rest and 0 <= place < len(sums):
                    sums[place] = code.times_plus(value, weight, sums[place])


def _tiles(code: Code, wide: int) -> list[tuple[AbstractContextManager[ir.Value], int, int]]:
    """Loops over results beside each other, with the first of them and how many are computed at once."""
    if not wide:
        return []
    size = -(-wide // -(-wide // (_AT_ONCE if registers() > 2 * _AT_ONCE else _AT_ONCE - 2)))
    whole, rest = divmod(wide, size)
    tiles: list[tuple[AbstractContextManager[ir.Value], int, int]] = [(code.loop(whole), 0, size)]
    return [*tiles, (code.loop(1), whole * size, rest)] if rest else tiles
