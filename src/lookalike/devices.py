"""What this machine can do: OpenVINO's engine and processors that multiply bf16."""

import threading
from typing import Any

_engine: list[Any] = []
_engine_lock = threading.Lock()


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


def multiplies_bf16() -> bool:
    """Whether this processor has units for bf16, so that it is quicker than float32."""
    return "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
