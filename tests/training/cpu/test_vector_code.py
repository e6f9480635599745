"""Loops over vectors, compiled while the tests run: every operation against torch's."""

import math

import pytest
import torch
from torch import Tensor

from lookalike.training.cpu import vector_code
from lookalike.training.cpu.vector_code import Code, lanes, registers

SPECIAL = [0.0, -0.0, 1.0, -1.0, 1 / 3, 65504.0, 3.4e38, -3.4e38, 1e-40, math.inf, -math.inf, math.nan]
HALFWAY = [1.00390625, 1.01171875, -1.00390625, 1.0039063, 0.99999994]  # between two bf16 values, and beside that


@pytest.fixture(params=[None, (8, 16), (4, 16)], ids=["own", "AVX2", "128 bits"])
def vectors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors of this processor, and of smaller ones."""
    if request.param:
        monkeypatch.setattr(vector_code, "_vectors", lambda: request.param)


def test_vectors_of_this_processor() -> None:
    assert (lanes(), registers()) in ((16, 32), (8, 16), (4, 16))


@pytest.mark.usefixtures("vectors")
@pytest.mark.parametrize("half", [False, True])
def test_values_are_copied_and_rounded_as_torch_does(half: bool) -> None:
    bits = torch.randint(-(2**31), 2**31 - 1, (5000,), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    values = torch.cat([torch.tensor(SPECIAL + HALFWAY), bits.view(torch.float32)])
    count = len(values)
    code = Code("given taken back", "count")
    with code.loop(code["count"], 0, code.lanes) as place:
        mark = code.below(code.subtract(code["count"], place))
        code.store(code.load(code["given"], place, mark), code["taken"], place, mark, half)
        code.store(code.load(code["taken"], place, mark, half), code["back"], place, mark)
    taken = torch.zeros(count + 1, dtype=torch.bfloat16 if half else torch.float32)
    back = torch.zeros(count + 1)
    code.compiled()(1, values.data_ptr(), taken.data_ptr(), back.data_ptr(), count)
    expected = values.to(taken.dtype)
    torch.testing.assert_close(taken[:-1], expected, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(back[:-1], expected.float(), rtol=0, atol=0, equal_nan=True)
    assert (taken[-1], back[-1]) == (0, 0), "nothing is written behind the end"


@pytest.mark.usefixtures("vectors")
def test_sums_bounds_and_numbers() -> None:
    code = Code("left right result", "rows")
    with code.loop(code["rows"]) as row, code.sums(2) as (products, plain):
        with code.loop(3) as place:
            at = code.mul(code.add(code.mul(row, 3), place), code.lanes)
            left, right = code.load(code["left"], at), code.load(code["right"], at)
            code.write(code.times_plus(left, right, code.read(products)), products)
            code.write(code.plus(code.passed(left, right, (0.0, 1.0)), code.read(plain)), plain)
        target = code.mul(code.mul(row, 2), code.lanes)
        code.store(code.clamped(code.read(products), (-1.0, None)), code["result"], target)
        code.increase(code["result"], code.add(target, code.lanes), code.read(plain))
    left, right = (torch.randint(-3, 4, (5, 3, lanes())).float() for _ in range(2))
    result = torch.zeros(5, 2, lanes())
    result[:, 1] = 10
    code.compiled()(1, left.data_ptr(), right.data_ptr(), result.data_ptr(), 5)
    assert torch.equal(result[:, 0], (left * right).sum(1).clamp(-1))
    assert torch.equal(result[:, 1], 10 + (left * ((right > 0) & (right < 1))).sum(1))


def _numbered(threads: int) -> Tensor:
    code = Code("result", "count")
    code.own_part("result", lanes())
    with code.loop(code.divide(code.add(code["count"], code.remainder(7, 4)), 4)):
        code.increase(code["result"], 0, code.constant(1.0))
    result = torch.zeros(threads, lanes())
    code.compiled()(threads, result.data_ptr(), 10)
    return result


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_thread_runs_it_on_its_own_part(threads: int) -> None:
    assert torch.equal(_numbered(threads), torch.full((threads, lanes()), 3.0))


def test_another_openmp_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        """A library without GOMP's functions."""

    vector_code._openmp.cache_clear()
    monkeypatch.setattr(vector_code.ctypes, "CDLL", lambda _: Other())
    with pytest.raises(AttributeError, match="GOMP_parallel"):
        _numbered(1)
    monkeypatch.undo()
    vector_code._openmp.cache_clear()
    assert _numbered(1).sum() == 3 * lanes()
