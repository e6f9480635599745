"""A bundle's network, ready to run: OpenVINO on a CPU, torch on a GPU, in float32 or bf16.

A network takes batches of one fixed size, so an image's embedding never depends on which others are embedded with it,
and may be called by many threads at once.

Letters in shapes: B batch, H height, W width, D embedding.
"""

import threading
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from lookalike.devices import openvino_core

Precision = Literal["float32", "bf16"]
ServedPrecision = Literal["float32", "bf16", "int8"]  # an int8 graph is what it is, whatever it runs in
_HINTS = {"float32": "f32", "bf16": "bf16"}


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
