"""NNCF without its telemetry and its chatter, and the int8 form of one graph."""

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from lookalike.devices import openvino_core
from lookalike.errors import LookalikeError, install
from lookalike.inference.openvino_network import save_graph

if TYPE_CHECKING:
    import openvino

ATTEMPTS = {  # the fastest first: preset, and whether biases are corrected by the fast approximation
    "performance": ("performance", True),
    "mixed": ("mixed", True),
    "mixed, exact bias correction": ("mixed", False),
}


class QuantizeError(LookalikeError):
    """A bundle cannot be quantised, or loses too much by it."""


@contextmanager
def _unheard() -> Iterator[None]:
    """In here `openvino_telemetry` cannot be imported: what is imported here takes its own silent stand-in.

    Otherwise importing NNCF writes an identity into ~/intel, and each call of it reports to Google Analytics.
    """
    loaded = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "openvino_telemetry"}
    for name in loaded:
        del sys.modules[name]
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # the import system's way to say: absent
    try:
        yield
    finally:
        del sys.modules["openvino_telemetry"]
        sys.modules.update(loaded)


def import_nncf() -> ModuleType:
    """NNCF without its telemetry and its chatter."""
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # NNCF loads torch where there is one
    try:
        with _unheard():
            import nncf
            from nncf.telemetry import decorator, wrapper
    except ImportError as error:
        raise QuantizeError(f"int8 needs nncf ({error}): {install('int8')}") from error
    decorator.telemetry = wrapper.NNCFTelemetryStub()  # also where somebody else imported NNCF before
    nncf.set_log_level(logging.ERROR)
    module: ModuleType = nncf
    return module


def quantize_graph(nncf: ModuleType, graph: Path, examples: list[np.ndarray], preset: str, file: Path) -> None:
    """Writes the int8 form of a graph to `file` (.xml, and .bin beside it)."""
    model = openvino_core().read_model(graph)
    kind, fast = ATTEMPTS[preset]
    attention = any(op.get_type_name() in ("Softmax", "ScaledDotProductAttention") for op in model.get_ops())
    try:
        with redirect_stdout(io.StringIO()):  # its progress bars
            quantized = nncf.quantize(
                model,
                nncf.Dataset(examples),
                preset=nncf.QuantizationPreset(kind),
                target_device=nncf.TargetDevice.CPU,
                subset_size=len(examples),
                fast_bias_correction=fast,
                model_type=nncf.ModelType.TRANSFORMER if attention else None,
                ignored_scope=nncf.IgnoredScope(names=_tail(model), validate=False),
            )
    except Exception as error:  # what it raises for a graph that it does not know is its own affair
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise QuantizeError(f"{graph}: NNCF cannot quantise it ({reason}): keep the float32 bundle") from error
    save_graph(quantized, file)


def _tail(model: "openvino.Model") -> list[str]:
    """Names of the operations behind the trunk: from the result back through everything that has no places any more."""
    tail: set[str] = set()
    waiting = [result.input_value(0).get_node() for result in model.get_results()]
    while waiting:
        node = waiting.pop()
        name = node.get_friendly_name()
        behind = node.get_output_partial_shape(0).rank.get_length() <= 2 or ".global_pool" in name
        if name not in tail and behind and node.get_type_name() not in ("Constant", "Parameter"):
            tail.add(name)
            waiting += [source.get_source_output().get_node() for source in node.inputs()]
    return sorted(tail)
