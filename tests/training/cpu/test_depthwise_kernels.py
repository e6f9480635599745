"""Kernels of depthwise convolutions for processors of other widths, and the numbers that they are made of."""

import itertools
from dataclasses import replace

import pytest
import torch

from lookalike.training.cpu import depthwise, depthwise_kernels, vector_code
from lookalike.training.cpu.depthwise_kernels import Shape, backward_kernel, forward_kernel

PLAIN = Shape(20, (9, 11), (9, 11), (5, 5), (1, 1), (2, 2), (0.0, 6.0), (0.0, 6.0))
SHAPES = [
    PLAIN,
    replace(PLAIN, result=(5, 6), stride=(2, 2)),
    replace(PLAIN, channels=130, size=(1, 2), result=(1, 2)),
    replace(PLAIN, kernel=(7, 3), padding=(3, 1), before=(None, None)),
    replace(PLAIN, result=(2, 3), stride=(4, 4), padding=(0, 1)),  # pixels that nothing is made of
    replace(PLAIN, half=True),
]


@pytest.mark.parametrize("vectors", [(16, 32), (8, 16), (4, 16)], ids=["AVX-512", "AVX2", "128 bits"])
@pytest.mark.parametrize("shape", SHAPES)
def test_code_for_every_width_gives_torchs_numbers(
    monkeypatch: pytest.MonkeyPatch, vectors: tuple[int, int], shape: Shape
) -> None:
    monkeypatch.setattr(vector_code, "_vectors", lambda: vectors)
    shape = replace(shape)  # what it has worked out is of another width
    assert depthwise._agrees(shape, forward_kernel(shape), backward_kernel(shape))


@pytest.mark.parametrize(("group", "values"), [(1, 1 << 16), (3, 1 << 16), (8, 1 << 20), (4, 1)])
def test_vectors_may_be_copied_in_groups_of_any_number(
    monkeypatch: pytest.MonkeyPatch, group: int, values: int
) -> None:
    monkeypatch.setattr(depthwise_kernels, "_GROUP", group)
    monkeypatch.setattr(depthwise_kernels, "_GROUP_VALUES", values)
    shape = replace(PLAIN, channels=170)
    assert 1 <= shape.group <= group
    assert depthwise._agrees(shape, forward_kernel(shape), backward_kernel(shape))


def test_a_wrong_tap_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One tap that no gradient is made of: numbers that are nearly right."""
    made = depthwise_kernels._phase

    def lacking(shape: Shape, row: int, column: int) -> depthwise_kernels._Phase:
        phase = made(shape, row, column)
        return replace(phase, taps=phase.taps[:-1])

    forward = forward_kernel(PLAIN)
    monkeypatch.setattr(depthwise_kernels, "_phase", lacking)
    shape = replace(PLAIN)
    assert not depthwise._agrees(shape, forward, backward_kernel(shape))


def test_every_tap_serves_every_pixel_once() -> None:
    """Phases: which result a pixel enters by which tap, against a plain loop."""
    for stride, padding in itertools.product((1, 2, 3), (0, 1, 2)):
        shape = Shape(4, (7, 6), (9, 9), (5, 3), (stride, stride), (padding, padding), (None, None), (None, None))
        expected = {
            (down, right, number, down_out, right_out)
            for (number, (row, column)), down_out, right_out in itertools.product(
                enumerate(shape.taps), range(-9, 20), range(-9, 20)
            )
            for down, right in [(down_out * stride + row - padding, right_out * stride + column - padding)]
            if 0 <= down < 7 and 0 <= right < 6
        }
        made = {
            (phase.start[0] + stride * row, phase.start[1] + stride * column, number, row + shift[0], column + shift[1])
            for phase in shape.phases
            for row, column in itertools.product(*map(range, phase.count))
            for number, shift in phase.taps
        }
        assert made == expected


def test_threads_share_vectors_whatever_their_number() -> None:
    shape = replace(PLAIN, channels=16 * 7 + 3)
    kernels = forward_kernel(shape), backward_kernel(shape)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3, 11):  # more threads than vectors, too
            torch.set_num_threads(threads)
            assert depthwise._agrees(shape, *kernels)
    finally:
        torch.set_num_threads(before)
