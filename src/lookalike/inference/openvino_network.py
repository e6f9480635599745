"""A bundle's network, ready to run: OpenVINO on a CPU, torch on a GPU, in float32 or bf16.

A network takes batches of one fixed size, so an image's embedding never depends on which others are embedded with it,
and may be called by many threads at once.

Letters in shapes: B batch, H height, W width, D embedding.
"""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from lookalike.data.pixels import PixelSettings
from lookalike.devices import openvino_core
from lookalike.errors import LookalikeError
from lookalike.files import no_room

if TYPE_CHECKING:
    import openvino

Precision = Literal["float32", "bf16"]
ServedPrecision = Literal["float32", "bf16", "int8"]  # an int8 graph is what it is, whatever it runs in
_COPY = "copy the bundle again, or train again"
_LENGTH_TOLERANCE = 0.01  # of embeddings, which are of length 1
_HINTS = {"float32": "f32", "bf16": "bf16"}


class NetworkError(LookalikeError):
    """A graph cannot be run, or is not what its bundle says."""


class Network(Protocol):
    """uint8 [B, H, W, 3] -> float32 unit embeddings [B, D], for one value of B, its `batch`."""

    batch: int

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """One batch."""
        ...


def save_graph(graph: "openvino.Model", file: Path) -> None:
    """Writes an OpenVINO graph to `file` (.xml), and .bin beside it.

    Raises:
        DiskFullError: There is no room.
        NetworkError: It cannot be written for another reason.
    """
    import openvino

    try:
        openvino.save_model(graph, file, compress_to_fp16=False)
    except RuntimeError as error:
        reason = (str(error).splitlines() or [type(error).__name__])[-1]
        if "ios" in reason:  # what its streams say of a write that failed
            raise no_room(file, reason) from error
        raise NetworkError(f"{file}: OpenVINO cannot write the graph ({reason}): check the path") from error


class OpenVinoNetwork:
    """An exported graph on this processor.

    Args:
        graph: `model.xml`, its weights beside it; an attribute, too.
        precision: Of the arithmetic, whatever the processor would prefer. The normalisation stays in float32.
        pixels: How images will be read, to be compared with the graph; None where it was made for them just now.
        size: D that is expected, likewise.
        batch: B. Measured from 1 to 8 (docs/decisions.md): 2 is quickest or near it for networks of every size.

    Raises:
        NetworkError: It is damaged, or takes or gives something else.
    """

    def __init__(
        self,
        graph: Path,
        precision: Precision = "float32",
        pixels: PixelSettings | None = None,
        size: int | None = None,
        batch: int = 2,
    ) -> None:
        self.batch, self.graph, self._precision = batch, graph, precision
        try:
            made = self._open(graph, precision, pixels)
        except (RuntimeError, ValueError, TypeError, OverflowError, MemoryError) as error:  # whatever OpenVINO raises
            if isinstance(error, LookalikeError):
                raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise NetworkError(f"{graph}: not a graph that OpenVINO runs ({reason}): {_COPY}") from error
        if size is None:
            return
        lengths = np.linalg.norm(made, axis=-1)
        unit = (abs(lengths - 1) <= _LENGTH_TOLERANCE) | (lengths == 0)
        if made.dtype != np.float32 or made.shape != (self.batch, size) or not unit.all():
            raise NetworkError(
                f"{graph}: expected float32 embeddings [{self.batch}, {size}] of length 1, found {made.dtype} "
                f"{list(made.shape)} of lengths {np.min(lengths):.3g} to {np.max(lengths):.3g}: {_COPY}"
            )

    def in_batches_of(self, batch: int) -> "OpenVinoNetwork":
        """The same network for another B; one image alone is answered soonest with 1.

        Args:
            batch: B.
        """
        return OpenVinoNetwork(self.graph, self._precision, batch=batch)

    def _open(self, graph: Path, precision: Precision, pixels: PixelSettings | None) -> np.ndarray:
        """Compiles it; returns what it makes of empty images."""
        core = openvino_core()
        model = core.read_model(graph)
        shapes = [[part.get_length() if part.is_static else -1 for part in put.partial_shape] for put in model.inputs]
        kinds = [put.element_type.get_type_name() for put in model.inputs]
        wanted = [pixels.height, pixels.width, 3] if pixels else [*shapes[0][1:3], 3]
        if len(shapes) != 1 or shapes[0][1:] != wanted or kinds != ["u8"] or len(model.outputs) != 1:
            raise NetworkError(
                f"{graph}: expected images uint8 {['B', *wanted]} and one output, found {kinds} {shapes} and "
                f"{len(model.outputs)} outputs: {_COPY}"
            )
        model.reshape([self.batch, *wanted])
        # One thread and one request per core: images then run side by side, each without waiting for others.
        settings = {"INFERENCE_PRECISION_HINT": _HINTS[precision], "PERFORMANCE_HINT": "THROUGHPUT"}
        self._compiled = core.compile_model(model, "CPU", settings)
        self._own = threading.local()
        # OpenVINO's Python part makes its tables at the first inference. Two threads that come first at once would wait
        # for each other for ever: one holds the lock of a table and wants the interpreter's, the other the reverse.
        blank = np.zeros([self.batch, *wanted], np.uint8)
        made: np.ndarray = self._compiled.create_infer_request().infer([blank], share_inputs=True)[0].copy()
        return made

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """One batch; the calling thread waits, others run meanwhile."""
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        embedding: np.ndarray = self._own.request.infer([images], share_inputs=True)[0].copy()
        return embedding
