"""An OpenVINO graph as an ONNX model: uint8 [B, H, W, 3] -> float32 unit embeddings [B, D], for any B.

It is written from OpenVINO's operations, one by one, so no torch is needed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lookalike.devices import openvino_core
from lookalike.errors import install
from lookalike.portable.onnx_draft import Draft, PortableError
from lookalike.portable.onnx_operations import OPSET, write_operation

if TYPE_CHECKING:
    import onnx
    import openvino

INPUT, OUTPUT = "images", "embeddings"
_FORMAT = 8  # of the file (IR version): what ONNX 1.13 of the opset and all later versions read
_LARGEST = 2_000_000_000  # bytes: a file of protobuf holds less than 2 GiB


def need_onnx() -> None:
    """Sees that ONNX and ONNX Runtime are there, before any work is done.

    Raises:
        PortableError: They are not.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise PortableError(f"ONNX needs onnx and onnxruntime ({error}): {install('onnx')}") from error


def onnx_model(graph: Path, metadata: Mapping[str, str]) -> "onnx.ModelProto":
    """Writes a graph's operations as ONNX.

    Args:
        graph: `model.xml`, its weights beside it.
        metadata: Texts that the model carries.

    Raises:
        PortableError: An operation has no rule, or the network is too large for one file.
    """
    from onnx import TensorProto, checker, helper

    network = openvino_core().read_model(graph)
    _fold(network)
    draft = _drafted(network)
    if draft.constant_bytes > _LARGEST:
        raise PortableError(
            f"{graph}: weights of {draft.constant_bytes} bytes: expected at most {_LARGEST} for one file of ONNX: "
            "format=openvino writes this network"
        )
    height, width = (network.input(0).get_partial_shape()[axis].get_length() for axis in (1, 2))
    width_of = network.output(0).get_partial_shape()[1]
    size = width_of.get_length() if width_of.is_static else "size"
    images = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["batch", height, width, 3])
    embeddings = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", size])
    made = helper.make_graph(draft.nodes, "lookalike", [images], [embeddings], draft.initializers())
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(made, producer_name="lookalike", opset_imports=[opset], ir_version=_FORMAT)
    helper.set_model_props(model, dict(metadata))
    checker.check_model(model)
    return model


def _fold(network: "openvino.Model") -> None:
    """What the fixed height and width decide becomes constant."""
    from openvino.passes import ConstantFolding, Manager

    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(network)


def _drafted(network: "openvino.Model") -> Draft:
    draft, names = Draft(), dict[tuple[str, int], str]()
    for node in network.get_ordered_ops():
        kind, own = node.get_type_name(), node.get_name()
        sources = [value.get_source_output() for value in node.inputs()]
        inputs = [names[source.get_node().get_name(), source.get_index()] for source in sources]
        if kind == "Parameter":
            outputs = [INPUT]
        elif kind == "Constant":
            outputs = [draft.constant(_array(node))]
        elif kind == "Result":
            draft.rename(inputs[0], OUTPUT)
            continue
        else:
            outputs = write_operation(draft, node, inputs)
        names |= {(own, place): name for place, name in enumerate(outputs)}
    return draft


def _array(node: "openvino.Node") -> np.ndarray:
    """A constant's numbers; those of fewer bits than float32 have are widened by the rule of Convert."""
    kind = node.get_output_element_type(0).get_type_name()
    array: np.ndarray = node.get_data(dtype=np.float32) if kind == "bf16" else node.data
    return np.array(array)
