"""What this machine can do, and what is said where it cannot."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lookalike.devices import (
    need_cuda,
    openvino_core,
    openvino_has_bf16,
    processor_name,
    torch_has_bf16,
    torch_runs_bf16,
)
from lookalike.errors import LookalikeError, install


def test_the_processor_has_a_name_where_the_system_tells_it() -> None:
    listed = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    assert processor_name() in listed or not listed
    assert processor_name() or "model name" not in listed


def test_threads_share_one_engine() -> None:
    with ThreadPoolExecutor(8) as pool:
        engines = list(pool.map(lambda _: openvino_core(), range(32)))
    assert len({id(engine) for engine in engines}) == 1


def test_engine_and_torch_agree_on_bf16_units() -> None:
    """Both ask the processor: an AMX that one of them misses costs a factor of three."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    if "amx_bf16" in flags:
        assert openvino_has_bf16()
        assert torch_has_bf16("cpu")
    else:
        assert not torch_has_bf16("cpu")


def test_whoever_has_units_for_bf16_has_kernels_for_it() -> None:
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    assert torch_runs_bf16() or not torch_has_bf16("cpu")
    if "flags" in flags:  # of x86
        assert torch_runs_bf16() == ("avx512bw" in flags)


def test_cuda_is_refused_where_torch_finds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(LookalikeError, match=r"^trainer\.device=cuda: torch finds no CUDA device here: use .*=cpu"):
        need_cuda("trainer.device")


def test_cuda_is_refused_where_there_is_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from lookalike.devices import need_cuda\nfrom lookalike.errors import LookalikeError\n"
        "try:\n    need_cuda()\nexcept LookalikeError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("device=cuda needs torch (")
    assert f"{install('train')}, or use device=cpu" in done.stdout


def test_torch_runs_where_it_is_told_and_on_a_gpu_where_there_is_one() -> None:
    import torch

    from lookalike.devices import torch_device

    assert (torch_device("cpu"), torch_device("cuda")) == ("cpu", "cuda")
    assert torch_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
