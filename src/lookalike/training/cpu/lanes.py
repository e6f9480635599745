"""Sixteen float32 side by side as one value of compiled code: what a loop over channels is written in.

Numba has no vectors, and whether LLVM makes some out of a loop is luck: here they are LLVM's own, so the same lines
use whatever the processor has (one register of AVX-512, two of AVX2, four of NEON). Addresses are whole numbers of
bytes, as `array.ctypes.data` gives them; nothing is checked here, so callers keep within their arrays.
"""

from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

LANES = 16
BYTES = 4 * LANES  # of one value

_FLOAT, _INDEX = ir.FloatType(), ir.IntType(64)
_VECTOR, _DOUBLES = ir.VectorType(_FLOAT, LANES), ir.VectorType(ir.DoubleType(), LANES)


def _rows_of_a_tile() -> int:
    """As many as leave registers for the two operands: 32 registers of 16 with AVX-512, else 16 of 8."""
    features: dict[str, bool] = llvmlite.binding.get_host_cpu_features()
    return 12 if features.get("avx512f") else 6


TILE = _rows_of_a_tile()


class Lanes(types.Type):
    """Numba's type of sixteen float32."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


_LANES = Lanes()


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


def _pointer(builder: Any, address: Any, kind: Any = _VECTOR) -> Any:
    # Loops over values are vectors as they are. LLVM 22, told to make vectors of loops around them, got sums wrong: the
    # first tap's gradient was 0 where maps are three pixels wide or less. This attribute keeps it from trying.
    builder.function.attributes.add("noimplicitfloat")
    return builder.inttoptr(address, kind.as_pointer())


def _load(builder: Any, address: Any, kind: Any = _VECTOR) -> Any:
    value = builder.load(_pointer(builder, address, kind))
    value.align = 4
    return value


def _store(builder: Any, value: Any, address: Any) -> None:
    builder.store(value, _pointer(builder, address, value.type)).align = 4


def _splat(builder: Any, value: Any) -> Any:
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    places = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(_VECTOR, ir.Undefined), places)


def _fused(builder: Any, *values: Any) -> Any:
    """`a * b + c`, rounded once where the processor does that."""
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{LANES}f32"), values)


def _at(builder: Any, address: Any, *steps: Any) -> Any:
    """An address plus products of (a step, a whole number)."""
    for step, times in steps:
        address = builder.add(address, builder.mul(step, times if isinstance(times, ir.Value) else _whole(times)))
    return address


def _whole(number: int) -> Any:
    return ir.Constant(_INDEX, number)


@intrinsic
def load(typing: Any, address: Any) -> Any:
    """Sixteen float32 from an address."""
    return _LANES(types.intp), lambda context, builder, signature, values: _load(builder, values[0])


@intrinsic
def splat(typing: Any, number: Any) -> Any:
    """The same float32 sixteen times."""
    return _LANES(types.float32), lambda context, builder, signature, values: _splat(builder, values[0])


@intrinsic
def store(typing: Any, address: Any, lanes: Any) -> Any:
    """Writes sixteen float32."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _store(builder, values[1], values[0])
        return context.get_dummy_value()

    return types.void(types.intp, _LANES), generate


@intrinsic
def get(typing: Any, address: Any) -> Any:
    """A single float32 from an address."""
    return types.float32(types.intp), lambda context, builder, signature, values: _load(builder, values[0], _FLOAT)


@intrinsic
def put(typing: Any, address: Any, number: Any) -> Any:
    """Writes a single float32."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _store(builder, values[1], values[0])
        return context.get_dummy_value()

    return types.void(types.intp, types.float32), generate


@intrinsic
def add_to_doubles(typing: Any, address: Any, lanes: Any) -> Any:
    """Adds to sixteen float64."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        wide = builder.fpext(values[1], _DOUBLES)
        _store(builder, builder.fadd(_load(builder, values[0], _DOUBLES), wide), values[0])
        return context.get_dummy_value()

    return types.void(types.intp, _LANES), generate


@intrinsic
def plus(typing: Any, a: Any, b: Any) -> Any:
    """The sum."""
    return _LANES(_LANES, _LANES), lambda context, builder, signature, values: builder.fadd(*values)


@intrinsic
def minus(typing: Any, a: Any, b: Any) -> Any:
    """The difference."""
    return _LANES(_LANES, _LANES), lambda context, builder, signature, values: builder.fsub(*values)


@intrinsic
def times_plus(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """`a * b + c`."""
    return _LANES(_LANES, _LANES, _LANES), lambda context, builder, signature, values: _fused(builder, *values)


@intrinsic
def clamped(typing: Any, value: Any, low: Any, high: Any) -> Any:
    """Values kept within two bounds; what is no number stays so."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        value, low, high = values
        value = builder.select(builder.fcmp_ordered("<", value, low), low, value)
        return builder.select(builder.fcmp_ordered(">", value, high), high, value)

    return _LANES(_LANES, _LANES, _LANES), generate


@intrinsic
def where_within(typing: Any, gradient: Any, value: Any, low: Any, high: Any) -> Any:
    """A gradient where the value it belongs to lies between two bounds, else 0."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        gradient, value, low, high = values
        above, below = builder.fcmp_ordered(">", value, low), builder.fcmp_ordered("<", value, high)
        return builder.select(builder.and_(above, below), gradient, ir.Constant(_VECTOR, [0.0] * LANES))

    return _LANES(_LANES, _LANES, _LANES, _LANES), generate


@intrinsic
def take(typing: Any, address: Any) -> Any:
    """The int64 at an address, which is one more afterwards; no other thread gets the same."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.atomic_rmw("add", _pointer(builder, values[0], _INDEX), _whole(1), "monotonic")

    return types.int64(types.intp), generate


def product_tile(rows: int, turned: bool) -> Any:
    """Makes `tile(c, c_step, a, a_step, b, depth, add)`: c[i] = (c[i] if add else 0) + sum over k of a[i, k] * b[k].

    c [rows] and b [depth] are values of sixteen lanes, `a` single float32; b lies without gaps. Sums run over k in
    order. a[i, k] lies at a + i * a_step + 4 k, turned at a + k * a_step + 4 i.

    Args:
        rows: How many.
        turned: Which way `a` lies.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        c, c_step, a, a_step, b, depth, add = values
        sums = _sums(builder, [_at(builder, c, (c_step, row)) for row in range(rows)], add)
        starts = [_at(builder, a, (a_step, 0 if turned else row)) for row in range(rows)]
        with cgutils.for_range(builder, depth) as loop:
            right = _load(builder, _at(builder, b, (_whole(BYTES), loop.index)))
            for row, (_, held) in enumerate(sums):
                steps = [(a_step, loop.index), (_whole(4), row)] if turned else [(_whole(4), loop.index)]
                left = _splat(builder, _load(builder, _at(builder, starts[row], *steps), _FLOAT))
                builder.store(_fused(builder, left, right, builder.load(held)), held)
        return _written(context, builder, sums)

    @intrinsic
    def tile(typing: Any, c: Any, c_step: Any, a: Any, a_step: Any, b: Any, depth: Any, add: Any) -> Any:
        return types.void(*[types.intp] * 7), generate

    return tile


def tap_tile(pixels: int) -> Any:
    """Makes `tile(c, a, a_step, row_step, tap_step, weights, side)`: c[i] = sum over taps of weight * a.

    The tap (y, x) of the i-th of `pixels` values lies at a + i * a_step + y * row_step + x * tap_step; the weights
    [side, side] of sixteen lanes and c [pixels] lie without gaps.

    Args:
        pixels: How many.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        c, a, a_step, row_step, tap_step, weights, side = values
        sums = _sums(builder, [_at(builder, c, (_whole(BYTES), i)) for i in range(pixels)], _whole(0))
        with cgutils.for_range(builder, side) as rows:
            line = _at(builder, a, (row_step, rows.index))
            of_line = _at(builder, weights, (builder.mul(side, _whole(BYTES)), rows.index))
            with cgutils.for_range(builder, side) as taps:
                place = _at(builder, line, (tap_step, taps.index))
                weight = _load(builder, _at(builder, of_line, (_whole(BYTES), taps.index)))
                for i, (_, held) in enumerate(sums):
                    value = _load(builder, _at(builder, place, (a_step, i)))
                    builder.store(_fused(builder, value, weight, builder.load(held)), held)
        return _written(context, builder, sums)

    @intrinsic
    def tile(typing: Any, c: Any, a: Any, a_step: Any, row_step: Any, tap_step: Any, weights: Any, side: Any) -> Any:
        return types.void(*[types.intp] * 7), generate

    return tile


def weight_tile(side: int) -> Any:
    """Makes `tile(c, a, a_line, a_step, tap_step, g, g_line, g_step, height, width)`: c[x] += sum over pixels of g * a.

    One row of the taps of a depthwise convolution: c [side] lies without gaps; the pixel (i, j) of `g` meets that of
    `a` at i * a_line + j * a_step + x * tap_step.

    Args:
        side: How many taps.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        c, a, a_line, a_step, tap_step, g, g_line, g_step, height, width = values
        sums = _sums(builder, [_at(builder, c, (_whole(BYTES), x)) for x in range(side)], _whole(1))
        with cgutils.for_range(builder, height) as lines:
            of_a, of_g = _at(builder, a, (a_line, lines.index)), _at(builder, g, (g_line, lines.index))
            with cgutils.for_range(builder, width) as pixels:
                gradient = _load(builder, _at(builder, of_g, (g_step, pixels.index)))
                place = _at(builder, of_a, (a_step, pixels.index))
                for x, (_, held) in enumerate(sums):
                    value = _load(builder, _at(builder, place, (tap_step, x)))
                    builder.store(_fused(builder, gradient, value, builder.load(held)), held)
        return _written(context, builder, sums)

    @intrinsic
    def tile(
        typing: Any,
        c: Any,
        a: Any,
        a_line: Any,
        a_step: Any,
        tap_step: Any,
        g: Any,
        g_line: Any,
        g_step: Any,
        height: Any,
        width: Any,
    ) -> Any:
        return types.void(*[types.intp] * 10), generate

    return tile


def _sums(builder: Any, places: list[Any], add: Any) -> list[tuple[Any, Any]]:
    """Of every place in memory a register that starts with what is there, if it is to be added to, else with 0.

    The function around it stays a function: copied into each of its callers it took LLVM minutes.
    """
    builder.function.attributes.add("noinline")
    sums = [(place, cgutils.alloca_once(builder, _VECTOR)) for place in places]
    with builder.if_else(builder.icmp_signed("!=", add, _whole(0))) as (going_on, anew):
        with going_on:
            for place, held in sums:
                builder.store(_load(builder, place), held)
        with anew:
            for _, held in sums:
                builder.store(ir.Constant(_VECTOR, [0.0] * LANES), held)
    return sums


def _written(context: Any, builder: Any, sums: list[tuple[Any, Any]]) -> Any:
    for place, held in sums:
        _store(builder, builder.load(held), place)
    return context.get_dummy_value()
