"""What is asked of this machine: packages, processor, GPU, places, fonts, network. Each answer is a `Check`."""

import os
import platform
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path

from lookalike.errors import install, one_line

SECONDS = 2.0  # that a server may take to answer
_IMPORTED = (
    "numpy",
    "pandas",
    "cv2",
    "PIL",
    "openvino",
    "numba",
    "pyarrow",
    "pydantic",
    "yaml",
    "safetensors",
)
_FLAGS = {
    "AVX2": "avx2",
    "AVX-512": "avx512f",
    "AVX-512 VNNI": "avx512_vnni",
    "AMX": "amx_tile",
    "AMX bf16": "amx_bf16",
}
_ADDS = {
    "train": "train, compare, eval ckpt_path=..., networks without training",
    "audit": "audit",
    "hub": "push, pull",
    "heic": "photographs of telephones (HEIC, HEIF)",
    "index": "index=ivf, approximate search in galleries",
    "int8": "quantize",
    "milvus": "galleries on Milvus",
    "onnx": "export format=onnx",
    "postgres": "galleries on a PostgreSQL server",
    "serve": "serve",
    "ray": "embed engine=ray",
    "report": "report",
    "tune": "tune",
    "loggers": "logger=tensorboard, logger=wandb",
    "docs": "make docs",
    "dev": "the tests",
}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        topic: Of the check, such as `packages`.
        name: Of what was looked at.
        right: Whether it is as it should be; None where either is fine.
        value: What is there, in a few words.
        advice: What to do; empty where nothing is to be done.
    """

    topic: str
    name: str
    right: bool | None
    value: str
    advice: str = ""


def packages() -> Iterator[Check]:
    """What everything needs: whether it is there and can be loaded."""
    yield Check("versions", "lookalike", None, version("lookalike"))
    yield Check("versions", "python", None, platform.python_version())
    for module in _IMPORTED:
        try:
            loaded = import_module(module)
        except (ImportError, OSError) as error:
            yield Check(
                "versions", module, False, one_line(error, 120), "install lookalike again: pip install -U lookalike"
            )
        else:
            yield Check("versions", module, True, str(getattr(loaded, "__version__", "there")))


def extras() -> Iterator[Check]:
    """What each extra would add, and which of its packages are missing."""
    wanted: dict[str, list[str]] = {}
    for line in metadata("lookalike").get_all("Requires-Dist") or []:
        if parts := re.match(r"([\w.-]+).*extra == ['\"]([\w-]+)['\"]", line):
            wanted.setdefault(parts[2], []).append(parts[1])
    for extra, names in wanted.items():
        missing = [name for name in names if name != "lookalike" and not _installed(name)]
        value = "missing: " + ", ".join(missing) if missing else "there"
        advice = f"for {_ADDS.get(extra, extra)}: {install(extra)}" if missing else ""
        yield Check("extras", extra, None, value, advice)


def processor() -> Iterator[Check]:
    """Cores, units, memory, and how many threads were asked for."""
    from lookalike.devices import openvino_has_bf16, processor_name

    yield Check("processor", "name", None, processor_name() or "not said by the system")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Check("processor", "cores", None, f"{usable} usable of {os.cpu_count()}")
    try:
        flags = set(Path("/proc/cpuinfo").read_text().partition("\nflags")[2].partition("\n")[0].split())
    except OSError:
        flags = set()
    if flags:
        there = ", ".join(name for name, flag in _FLAGS.items() if flag in flags)
        yield Check("processor", "units", None, there or "none beyond SSE")
    try:
        yield Check("processor", "bf16", None, "yes" if openvino_has_bf16() else "no: float32 or int8 are quicker")
    except (ImportError, OSError, RuntimeError) as error:
        yield Check("processor", "bf16", False, one_line(error, 120), "pip install --force-reinstall openvino")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "CUDA_VISIBLE_DEVICES"):
        if name in os.environ:
            yield Check("processor", name, None, os.environ[name], "" if usable == 1 else "limits what is used")


def gpu() -> Iterator[Check]:
    """The GPU that torch finds."""
    if not _installed("torch"):
        yield Check("gpu", "CUDA", None, "not looked for: torch is not installed")
        return
    try:
        import torch

        there = torch.cuda.is_available()
        name = torch.cuda.get_device_name(0) if there else "none: everything runs on the processor"
    except (ImportError, OSError, RuntimeError) as error:
        yield Check("gpu", "torch", False, one_line(error, 120), "pip install --force-reinstall torch")
        return
    yield Check("gpu", f"torch {torch.__version__}", None, name)
    if not there and shutil.which("nvidia-smi"):
        yield Check(
            "gpu",
            "driver",
            None,
            "nvidia-smi is here, and torch finds no GPU",
            "compare nvidia-smi with torch.version.cuda",
        )


def places(named: dict[str, Path]) -> Iterator[Check]:
    """Whether each folder can be written to or be made, and the room on its disk.

    Args:
        named: Setting or use -> folder.
    """
    from lookalike.errors import LookalikeError
    from lookalike.files import need_place

    for name, folder in named.items():
        try:
            need_place(folder)
        except LookalikeError as error:
            yield Check("places", name, False, str(error), f"give {name}=<a folder that can be written to>")
            continue
        there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
        yield Check("places", name, True, f"{folder}: {shutil.disk_usage(there).free / 2**30:.1f} GiB free")


def fonts() -> Iterator[Check]:
    """Which scripts names in pictures are drawn in; letters of others are spelt out."""
    from lookalike.inference.fonts import families_for, first_font

    path = first_font(12).path
    yield Check("fonts", "first", None, Path(path).name if isinstance(path, str) else "Pillow's own")
    samples = {"Chinese": "猫", "Japanese": "ね", "Korean": "가", "Arabic": "ق", "Hindi": "ब", "Cyrillic": "ж"}
    for script, letter in samples.items():
        drawn = bool(families_for(letter)) or _in_first(letter)
        advice = "" if drawn else "install a font that has it (Debian: fonts-noto-core, fonts-noto-cjk)"
        yield Check("fonts", script, None, "drawn" if drawn else "spelt out", advice)


def network(tracker: str | None) -> Iterator[Check]:
    """Whether the hub of first weights and the trackers answer in time; none of them is needed.

    Args:
        tracker: Address of an MLflow server, None for none.
    """
    addresses = {"hub": os.environ.get("HF_ENDPOINT", "https://huggingface.co")}
    if _installed("wandb"):
        addresses["wandb"] = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    if tracker:
        addresses["tracker"] = tracker
    for name, address in addresses.items():
        yield _asked(name, address)


def _asked(name: str, address: str) -> Check:
    import requests

    try:
        requests.head(address, timeout=SECONDS)
    except requests.RequestException as error:
        advice = {"hub": "first weights of packages need none: model=efficientnet_lite0", "wandb": "WANDB_MODE=offline"}
        return Check(
            "network", name, None, f"{address}: no answer ({type(error).__name__})", advice.get(name, "start it")
        )
    return Check("network", name, None, f"{address}: answers")


def _in_first(letter: str) -> bool:
    from lookalike.inference.fonts import spelt

    return spelt(letter) == letter


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
