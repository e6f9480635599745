"""An ONNX graph while it is written: nodes, constants and names."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lookalike.errors import LookalikeError

if TYPE_CHECKING:
    import onnx


Attribute = int | float | str | Sequence[int]


class PortableError(LookalikeError):
    """A bundle cannot be written for other programs, or what was written does not agree with it."""


class Draft:
    """Nodes in their order, and constants by name; a constant that nothing uses is not written."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, np.ndarray] = {}
        self._count = 0

    def constant(self, value: np.ndarray) -> str:
        """The name of a constant, of the array's own dtype and shape."""
        name = self._new_name("constant")
        self._constants[name] = np.asarray(value)
        return name

    def integers(self, *values: int) -> str:
        """The name of a constant int64 vector."""
        return self.constant(np.array(values, np.int64))

    def value(self, name: str) -> np.ndarray | None:
        """The array of a constant; None for what depends on the images."""
        return self._constants.get(name)

    def add(self, operation: str, *inputs: str, **attributes: Attribute) -> str:
        """A node of one output; returns its name."""
        return self.add_several(operation, 1, *inputs, **attributes)[0]

    def add_several(self, operation: str, outputs: int, *inputs: str, **attributes: Attribute) -> list[str]:
        """A node of several outputs; returns their names.

        Args:
            operation: Of ONNX.
            outputs: How many.
            inputs: Names; an empty one stands for an optional input that is left out.
            attributes: By name.
        """
        from onnx import helper

        names = [self._new_name(operation) for _ in range(outputs)]
        node = helper.make_node(operation, inputs, names)
        node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
        self.nodes.append(node)
        return names

    def rename(self, name: str, to: str) -> None:
        """Gives what a node or the graph puts out another name."""
        self.nodes.append(self._identity(name, to))

    def initializers(self) -> "list[onnx.TensorProto]":
        """The constants that are used."""
        from onnx import numpy_helper

        used = {name for node in self.nodes for name in node.input}
        return [numpy_helper.from_array(value, name) for name, value in self._constants.items() if name in used]

    @property
    def constant_bytes(self) -> int:
        """Of the constants that are used."""
        used = {name for node in self.nodes for name in node.input}
        return sum(value.nbytes for name, value in self._constants.items() if name in used)

    def _identity(self, name: str, to: str) -> "onnx.NodeProto":
        from onnx import helper

        return helper.make_node("Identity", [name], [to])

    def _new_name(self, what: str) -> str:
        self._count += 1
        return f"{what}_{self._count}"
