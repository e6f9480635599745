"""A bundle's network, ready to run: OpenVINO on a CPU, torch on a GPU, in float32 or bf16.

A network takes batches of one fixed size, so an image's embedding never depends on which others are embedded with it,
and may be called by many threads at once.

Letters in shapes: B batch, H height, W width, D embedding.
"""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from lookalike.progress import say

if TYPE_CHECKING:
    from lookalike.models.embedder import Embedder

Precision = Literal["float32", "bf16"]
_HINTS = {"float32": "f32", "bf16": "bf16"}
_GPU_BATCH = 64
_engine: list[Any] = []
_engine_lock = threading.Lock()


class Network(Protocol):
    """uint8 [B, H, W, 3] -> float32 unit embeddings [B, D], for one value of B, its `batch`."""

    batch: int

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """One batch."""
        ...


class OpenVinoNetwork:
    """An exported graph on this processor.

    Args:
        graph: `model.xml`, its weights beside it.
        precision: Of the arithmetic, whatever the processor would prefer. The normalisation stays in float32.
    """

    batch = 4  # a tenth quicker than single images, no slower than more

    def __init__(self, graph: Path, precision: Precision = "float32") -> None:
        core = openvino_core()
        model = core.read_model(graph)
        model.reshape([self.batch, *(size.get_length() for size in list(model.inputs[0].partial_shape)[1:])])
        # One thread and one request per core: images then run side by side, each without waiting for others.
        settings = {"INFERENCE_PRECISION_HINT": _HINTS[precision], "PERFORMANCE_HINT": "THROUGHPUT"}
        self._compiled = core.compile_model(model, "CPU", settings)
        self._own = threading.local()
        # OpenVINO's Python part makes its tables at the first inference. Two threads that come first at once would wait
        # for each other for ever: one holds the lock of a table and wants the interpreter's, the other the reverse.
        blank = np.zeros([dimension.get_length() for dimension in model.inputs[0].partial_shape], np.uint8)
        self._compiled.create_infer_request().infer([blank], share_inputs=True)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """One batch; the calling thread waits, others run meanwhile."""
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        embedding: np.ndarray = self._own.request.infer([images], share_inputs=True)[0].copy()
        return embedding


class TorchNetwork:
    """The embedder itself, in torch.

    Args:
        embedder: The network.
        device: `cuda` or `cpu`.
        precision: `bf16` runs the network under autocast; the last normalisation is float32.
        batch: B.
        compiled: Let torch compile it; needs a compiler on the machine, and pays for thousands of images.
    """

    def __init__(
        self,
        embedder: "Embedder",
        device: str,
        precision: Precision = "float32",
        batch: int = _GPU_BATCH,
        compiled: bool = False,
    ) -> None:
        import torch

        self.batch = batch
        self._torch, self._device, self._bf16 = torch, device, precision == "bf16"
        self._embedder = embedder.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._forward: Any = torch.compile(self._embedder) if compiled else self._embedder
        self._lock = threading.Lock()

    def _run(self, images: Any) -> Any:
        with self._torch.autocast(self._device, self._torch.bfloat16, enabled=self._bf16):
            if self._forward is self._embedder:
                return self._embedder(images)
            try:
                return self._forward(images)
            except Exception as error:  # no compiler, or one that fails: whatever it raises
                say(f"torch cannot compile the network here ({type(error).__name__}): it runs uncompiled")
                self._forward = self._embedder
                return self._embedder(images)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """One batch; the copy to the device runs from pinned memory, beside the work of other threads."""
        torch = self._torch
        given = torch.from_numpy(images)
        if self._device != "cpu":
            given = given.pin_memory()
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=self._bf16)  # float32 means float32
        with self._lock, exact, torch.inference_mode():
            embedding = self._run(given.to(self._device, non_blocking=True))
        unit: np.ndarray = torch.nn.functional.normalize(embedding.float(), dim=1).cpu().numpy()
        return unit


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
