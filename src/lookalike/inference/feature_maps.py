"""What every position of a network's last feature map adds to the embedding, from the graph that embeds.

Average pooling is a sum over positions, and what stands behind it in most networks (a linear layer, a batch norm) is
linear but for a constant. So the embedding before its length is made 1 is that constant and one vector per position,
and a cosine is a sum over pairs of positions (Stylianou, Souvenir and Pless, "Visualizing Deep Similarity Networks",
WACV 2019). Whether a graph is of this kind is looked up in it, and checked again for every image.

Letters in shapes: H and W rows and columns of the map, C its channels, D embedding.
"""

from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from lookalike.data.pixels import PixelSettings
from lookalike.devices import openvino_core
from lookalike.errors import LookalikeError

if TYPE_CHECKING:
    import openvino

_TOLERANCE = 1e-4  # of the embedding's length, by which the sum over positions may miss it
_NOT_FROM_VALUES = ("ShapeOf", "Constant")
_FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1}


class NotASumError(LookalikeError):
    """An embedding is no sum over the positions of a map; the text says why."""


@dataclass(frozen=True)
class Parts:
    """The embedding of an image before its length is made 1: `constant` and the sum of `positions`.

    Attributes:
        positions: float64 [H, W, D], what each position of the last feature map adds.
        constant: float64 [D], the same for every image: biases, and the shift of a batch norm.
    """

    positions: np.ndarray
    constant: np.ndarray

    @property
    def length(self) -> float:
        """Of the whole sum."""
        return float(np.linalg.norm(self.constant + self.positions.sum((0, 1))))


def pairs_of(image: Parts, other: Parts) -> tuple[np.ndarray, float]:
    """What each pair of positions adds to the cosine of two images, float64 [Ha, Wa, Hb, Wb], and what none adds.

    Args:
        image: The first.
        other: The second.
    """
    lengths = image.length * other.length or 1.0  # an embedding of zeros is like nothing
    sums = image.positions.sum((0, 1)), other.positions.sum((0, 1))
    constant = image.constant @ sums[1] + sums[0] @ other.constant + image.constant @ other.constant
    return np.tensordot(image.positions, other.positions, axes=(2, 2)) / lengths, float(constant / lengths)


class FeatureMaps:
    """A graph that is cut at its last feature map; it runs in float32, and may be called by many threads.

    Args:
        graph: `model.xml` of an embedder, its weights beside it.
        pixels: How images are read; an attribute, too.

    Raises:
        NotASumError: It does not pool a feature map by its mean, or cannot be cut.
    """

    def __init__(self, graph: Path, pixels: PixelSettings) -> None:
        self.pixels = pixels
        try:
            self._cut(graph, pixels)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:  # whatever OpenVINO raises
            if isinstance(error, LookalikeError):
                raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise NotASumError(f"its graph cannot be cut at a feature map ({reason})") from error
        self._lock = Lock()

    def _cut(self, graph: Path, pixels: PixelSettings) -> None:
        import openvino

        core = openvino_core()
        model = core.read_model(graph)
        model.reshape([1, pixels.height, pixels.width, 3])
        embedding = _before_its_length(model)
        pooling = _pooling_of(embedding, _from_values(model))
        self._axes = tuple(int(axis) % 4 for axis in np.ravel(pooling.input_value(1).get_node().data))
        maps = pooling.input_value(0)
        shape = tuple(maps.get_shape())
        self._grid = shape[self._axes[0]], shape[self._axes[1]]
        if self._grid[0] * self._grid[1] == 1:
            raise NotASumError("its last feature map is of one position, which tells no regions apart")
        front = openvino.Model([maps, embedding], model.get_parameters(), "maps")
        self._front = core.compile_model(front, "CPU", _FLOAT32).create_infer_request()
        # The layers behind the pooling, for every position alone and for nothing at all, side by side in one batch.
        pooled = pooling.output(0)
        shape_behind = [self._grid[0] * self._grid[1] + 1, *tuple(pooled.get_shape())[1:]]
        entry = openvino.opset13.parameter(shape_behind, pooled.get_element_type())
        for reader in pooled.get_target_inputs():
            reader.replace_source_output(entry.output(0))
        behind = openvino.Model([embedding], [entry], "behind")
        behind.validate_nodes_and_infer_types()
        self._shape_behind = shape_behind
        self._behind = core.compile_model(behind, "CPU", _FLOAT32).create_infer_request()

    def parts(self, image: np.ndarray) -> Parts:
        """What the embedding of an image is the sum of.

        Args:
            image: uint8 [height, width, 3], of the model's size.

        Raises:
            NotASumError: What stands behind the pooling is not linear.
        """
        high, wide = self._grid
        with self._lock:
            made = self._front.infer([image[None]], share_inputs=True)
            maps, whole = np.array(made[0]), np.array(made[1], np.float64).reshape(-1)
            alone = np.moveaxis(maps, self._axes, (1, 2)).reshape(high * wide, -1)
            pooled = np.concatenate([alone, np.zeros_like(alone[:1])]).reshape(self._shape_behind)
            behind = np.array(self._behind.infer([pooled])[0], np.float64).reshape(high * wide + 1, -1)
        constant = behind[-1]
        positions = (behind[:-1] - constant) / (high * wide)
        missed = float(np.linalg.norm(constant + positions.sum(0) - whole))
        if not missed <= _TOLERANCE * float(np.linalg.norm(whole)):
            raise NotASumError("what stands behind its pooling is not linear")
        return Parts(positions.reshape(high, wide, -1), constant)


def _before_its_length(model: "openvino.Model") -> "openvino.Output":
    """The embedding before its length is made 1."""
    last = model.outputs[0].get_node().input_value(0).get_node()
    if last.get_type_name() not in ("Divide", "NormalizeL2"):
        raise NotASumError(f"its graph ends in {last.get_type_name()}, not in a division by the length")
    return last.input_value(0)


def _from_values(model: "openvino.Model") -> set[str]:
    """Names of the operations that depend on the pixels, and not only on how many there are."""
    names = {parameter.get_friendly_name() for parameter in model.get_parameters()}
    for operation in model.get_ordered_ops():
        sources = (put.get_node().get_friendly_name() for put in operation.input_values())
        if operation.get_type_name() not in _NOT_FROM_VALUES and not names.isdisjoint(sources):
            names.add(operation.get_friendly_name())
    return names


def _pooling_of(embedding: "openvino.Output", from_values: set[str]) -> Any:
    """The mean over rows and columns that the embedding is made of alone."""
    node = embedding.get_node()
    while True:
        if node.get_type_name() == "ReduceMean" and len(node.get_input_shape(0)) == 4:
            axes = {int(axis) % 4 for axis in np.ravel(node.input_value(1).get_node().data)}
            if axes in ({2, 3}, {1, 2}):
                return node
        sources = [put.get_node() for put in node.input_values()]
        inner = {source.get_friendly_name(): source for source in sources}
        inner = {name: source for name, source in inner.items() if name in from_values}
        if len(inner) != 1:
            raise NotASumError("it does not pool a feature map by its mean alone")
        node = next(iter(inner.values()))
        if node.get_type_name() == "Parameter":
            raise NotASumError("it does not pool a feature map by its mean")
