import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

from lookalike.errors import LookalikeError
from lookalike.metrics.kernels import ranks_torch as rank_torch
from lookalike.metrics.kernels.search_torch import Sizes
from lookalike.metrics.ranking import rank
from lookalike.metrics.ranks import Ranks
from metrics.random_problems import numbered, unit

Change = Callable[..., None]
SMALL = [
    Sizes(3, 7, 20, 5, 2, True),
    Sizes(5, 16, 4, 1, 1, False),
    Sizes(1, 1, 1, 3, 1, True),
    Sizes(4, 300, 2000, 50, 3, True),
]
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> Change:
    """device="cuda" works on torch's CPU; to be called with sizes, or without for its own."""
    monkeypatch.setattr(rank_torch, "cuda", lambda: torch.device("cpu"))
    return lambda sizes=None: sizes and monkeypatch.setattr(rank_torch, "sizes_for", lambda *_: sizes)


HOW = ("top", "similarity", "threads")


def same(query: np.ndarray, reference: np.ndarray, ids: np.ndarray, others: np.ndarray, **rules) -> Ranks:
    """Compares every field with the numba path, bit for bit."""
    how = {"ks": (1, 3, 10, 100), **{name: rules.pop(name) for name in HOW if name in rules}}
    problem = numbered(ids, others, **rules)
    expected, on_device = (rank(query, reference, problem, device=device, **how) for device in ("cpu", "cuda"))
    for name, values in vars(expected).items():
        other = getattr(on_device, name)
        assert (other.dtype, other.shape) == (values.dtype, values.shape), name
        np.testing.assert_array_equal(other, values, err_msg=name)
    return on_device


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize("seed", range(24))
def test_random_problems(on_cpu: Change, seed: int, similarity: str) -> None:
    rng = np.random.default_rng(seed)
    on_cpu(SMALL[seed % len(SMALL)])
    queries, references, top = (int(rng.integers(1, high)) for high in (12, 60, 45))
    query, reference = unit(rng, queries, 6), unit(rng, max(1, references // 3), 6)
    reference = reference[rng.integers(0, len(reference), references)]
    if similarity == "euclidean":
        query, reference = query * 3, reference * rng.choice([0.0, 1.0, 20.0], (references, 1)).astype(np.float32)
    rules = {}
    if seed % 3:
        rules = {"query_cameras": rng.integers(0, 2, queries), "reference_cameras": rng.integers(0, 2, references)}
    if seed % 5:
        rules |= {"ignore": rng.random(references) < 0.2, "own_row": rng.integers(-1, references, queries)}
    ids, other = rng.integers(0, 5, queries), rng.integers(0, 4, references)  # label 4 has no reference
    same(query, reference, ids, other, top=top, similarity=similarity, **rules)


@pytest.mark.parametrize("sizes", [None, Sizes(4, 500, 5000, 100, 2, True), Sizes(3, 333, 700, 17, 2, False)])
@pytest.mark.parametrize("labels", [2, 40, 400])
def test_several_tiles_many_positives_and_near_ties(on_cpu: Change, labels: int, sizes: Sizes | None) -> None:
    """With two labels a query has some 600 positives, more than a table may hold for two queries."""
    on_cpu(sizes)
    rng = np.random.default_rng(labels)
    query, reference = unit(rng, 9, 24), unit(rng, 1300, 24)
    near = rng.integers(0, 1300, 400)
    reference[near] = reference[rng.integers(0, 1300, 400)]  # exact ties
    reference[near[:200]] += rng.normal(0, 3e-8, (200, 24)).astype(np.float32)  # closer than float32 can tell
    query[:4] = reference[near[:4]]
    ids, other = rng.integers(0, labels, 9), rng.integers(0, labels, 1300)
    rules = {"query_cameras": rng.integers(0, 3, 9), "reference_cameras": rng.integers(0, 3, 1300)}
    same(query, reference, ids, other, ignore=rng.random(1300) < 0.1, **rules)
    same(query, reference, ids, other, similarity="euclidean", top=40)
    same(query, reference, ids, other, top=1)


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize("spread", [0, 3e-8])
@pytest.mark.parametrize("labels", [3, 700])
def test_collapsed_embeddings(on_cpu: Change, labels: int, spread: float, similarity: str) -> None:
    """Everything ties, or nearly: far more references than `topk` takes are as near as float32 can tell."""
    on_cpu(Sizes(3, 400, 2000, 1000, 2, True))
    rng = np.random.default_rng(1)
    query, reference = np.repeat(unit(rng, 1, 16), 5, 0), np.repeat(unit(rng, 1, 16), 1100, 0)
    reference = (reference + rng.normal(0, spread, reference.shape)).astype(np.float32)
    ids, other = rng.integers(0, labels, 5), rng.integers(0, labels, 1100)
    same(query, reference, ids, other, own_row=np.arange(5), similarity=similarity)


def test_a_close_crowd_beyond_the_margin_of_topk(on_cpu: Change) -> None:
    """The nearest hundred differ by less than float32 tells, and stand last: only some rows are sorted exactly."""
    on_cpu(Sizes(50, 350, 9000, 1000, 4, True))
    rng = np.random.default_rng(2)
    query, reference = unit(rng, 20, 32), unit(rng, 700, 32)
    query[7] = query[11] = query[12]
    reference[600:] = query[7] + rng.normal(0, 2e-8, (100, 32))
    same(query, reference, rng.integers(0, 900, 20), rng.integers(0, 900, 700), top=20)


def test_thousands_of_positives_with_the_sizes_of_the_device(on_cpu: Change) -> None:
    on_cpu()
    rng = np.random.default_rng(3)
    query, reference = unit(rng, 40, 8), unit(rng, 9000, 8)
    ranks = same(query, reference, rng.integers(0, 2, 40), np.minimum(np.arange(9000) % 7, 1), threads=2)
    assert ranks.positives.max() > 7000


def test_a_single_reference_no_queries_and_no_match(on_cpu: Change) -> None:
    on_cpu()
    reference = np.eye(3, dtype=np.float32)
    same(reference[:2], reference[:1], np.array([0, 5]), np.array([0]))
    same(reference[:2], reference[:1], np.array([0, 0]), np.array([0]), own_row=np.array([0, -1]))
    same(reference[:0], reference, np.zeros(0, np.int64), np.arange(3))
    same(reference[:2], reference, np.array([7, 8]), np.arange(3), ignore=np.ones(3, bool))
    same(reference, reference, np.array([7, 8, 9]), np.arange(3), similarity="euclidean")


def precision() -> list[str]:
    libraries = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)
    newer = [getattr(library, "fp32_precision", "") for library in libraries]
    try:
        return [torch.get_float32_matmul_precision(), *newer]
    except RuntimeError:
        return ["mixed", *newer]


@pytest.mark.parametrize("setting", ["highest", "medium", "newer", "autocast"])
def test_products_are_float32_whatever_the_caller_set(on_cpu: Change, setting: str) -> None:
    """On processors with bfloat16 `medium` would round to it; the settings are as before afterwards, errors or not."""
    on_cpu(Sizes(8, 64, 9000, 100, 2, True))
    rng = np.random.default_rng(4)
    problem = unit(rng, 20, 256), unit(rng, 200, 256), rng.integers(0, 9, 20), rng.integers(0, 9, 200)
    before = precision()
    try:
        torch.set_float32_matmul_precision("medium" if setting == "medium" else "highest")
        if setting == "newer":
            if not hasattr(torch.backends.cuda.matmul, "fp32_precision"):
                pytest.skip(f"torch {torch.__version__} has only the older setting")
            torch.backends.cuda.matmul.fp32_precision = "tf32"
        during = precision()
        with torch.autocast("cpu", torch.bfloat16, enabled=setting == "autocast"):
            same(*problem)
            assert precision() == during
            assert torch.is_autocast_enabled("cpu") == (setting == "autocast")
    finally:
        torch.set_float32_matmul_precision("highest")
        for library, value in zip((torch.backends.cuda.matmul, torch.backends.mkldnn.matmul), before[1:], strict=True):
            if value:
                library.fp32_precision = value


def test_a_device_that_rounds_more_coarsely_is_refused(on_cpu: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    on_cpu()
    monkeypatch.setattr(torch.Tensor, "__matmul__", coarse)
    rng = np.random.default_rng(5)
    with pytest.raises(LookalikeError, match="multiplies more coarsely than float32: unset NVIDIA_TF32_OVERRIDE"):
        rank(unit(rng, 4, 64), unit(rng, 40, 64), numbered(np.arange(4), np.arange(40)), device="cuda")


def coarse(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """As TF32: float32 operands are cut to ten bits before they are multiplied."""
    if left.dtype == torch.float64:
        return torch.matmul(left, right)
    return torch.matmul(left.half().float(), right.half().float())


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_without_a_cuda_device_the_error_says_so() -> None:
    rows = np.eye(2, dtype=np.float32)
    with pytest.raises(
        LookalikeError, match=r"^device=cuda: torch finds no CUDA device here: use device=cpu, or check"
    ):
        rank(rows, rows, numbered(np.arange(2), np.arange(2)), device="cuda")


def test_without_torch_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("lookalike.metrics.kernels.ranks_torch")
    monkeypatch.setitem(sys.modules, "lookalike.metrics.kernels.ranks_torch", None)
    rows = np.eye(2, dtype=np.float32)
    with pytest.raises(LookalikeError, match=r"^device=cuda needs torch \(.*\): pip install '[^']*\[train\]', or"):
        rank(rows, rows, numbered(np.arange(2), np.arange(2)), device="cuda")


def test_ranking_alone_loads_no_torch() -> None:
    code = (
        "import sys, numpy as np; from lookalike.metrics.evaluate import evaluate; rows = np.eye(2, dtype=np.float32);"
        "evaluate(rows, rows, [0, 1], [0, 1]); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@gpu
@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize("labels", [2, 50, 3000])
def test_on_a_gpu(labels: int, similarity: str) -> None:
    rng = np.random.default_rng(labels)
    query, reference = unit(rng, 300, 128), unit(rng, 20_000, 128)
    near = rng.integers(0, 20_000, 6000)
    reference[near] = reference[rng.integers(0, 20_000, 6000)]
    reference[near[:3000]] += rng.normal(0, 3e-8, (3000, 128)).astype(np.float32)
    reference[-200:] = query[0]
    ids, other = rng.integers(0, labels, 300), rng.integers(0, labels, 20_000)
    same(query, reference, ids, other, similarity=similarity, ignore=rng.random(20_000) < 0.1)
    collapsed = np.repeat(reference[:1], 20_000, 0)
    same(query[:20], collapsed, ids[:20], other, similarity=similarity, own_row=np.arange(20))
