"""What this machine can do: its processor and GPU, who multiplies bf16 in it, and OpenVINO's one engine."""

import platform
import threading
from pathlib import Path
from typing import Any, Literal

from lookalike.errors import LookalikeError, install

_engine: list[Any] = []
_engine_lock = threading.Lock()


def processor_name() -> str:
    """As the system calls it, empty where it does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def openvino_core() -> Any:
    """OpenVINO's engine, one for the whole process and never taken down.

    On processors with AMX every engine gives the thread that makes it another signal stack, and puts the former one
    back when it is taken down, also if that has been freed by then: after two of them the next signal ends the process.
    """
    import openvino

    with _engine_lock:
        if not _engine:
            _engine.append(openvino.Core())
        return _engine[0]


def openvino_has_bf16() -> bool:
    """Whether OpenVINO finds units for bf16 in this processor, so that it is quicker than float32."""
    return "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def torch_has_bf16(device: str) -> bool:
    """Whether `cpu` or `cuda` has matrix units for bf16 that torch uses, so that a forward pass is quicker in it."""
    import torch

    if device != "cpu":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())


def torch_runs_bf16() -> bool:
    """Whether torch has kernels for bf16 on this processor; without them a step takes many times that of float32."""
    import torch

    return bool(getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)())


def need_cuda(setting: str = "device") -> None:
    """Refuses `cuda` where it cannot be had.

    Args:
        setting: What asked for it, to be named in the error.

    Raises:
        LookalikeError: No torch, or no GPU that it finds.
    """
    try:
        import torch
    except ImportError as error:
        raise LookalikeError(
            f"{setting}=cuda needs torch ({error}): {install('train')}, or use {setting}=cpu"
        ) from error
    if not torch.cuda.is_available():
        raise LookalikeError(
            f"{setting}=cuda: torch finds no CUDA device here: use {setting}=cpu, or check the driver with nvidia-smi"
        )


def torch_device(device: Literal["auto", "cpu", "cuda"]) -> Literal["cpu", "cuda"]:
    """The device that is meant for torch: `auto` is a GPU where there is one."""
    import torch

    return "cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu"
