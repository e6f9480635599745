"""A draft keeps constants by name, and writes those that are used."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from lookalike.portable.onnx_draft import Draft


def test_only_constants_that_are_used_are_written() -> None:
    draft = Draft()
    two, unused = draft.constant(np.array([2, 3], np.float32)), draft.constant(np.zeros(100, np.float32))
    draft.rename(draft.add("Mul", "x", two), "y")
    assert [tensor.name for tensor in draft.initializers()] == [two]
    assert draft.constant_bytes == 8
    assert draft.value(unused) is not None
    assert draft.value("x") is None


def test_what_is_drafted_runs() -> None:
    draft = Draft()
    first, second = draft.add_several("Split", 2, "x", draft.integers(1, 2), axis=1)
    draft.rename(draft.add("Concat", second, first, axis=1), "y")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in "xy")
    graph = helper.make_graph(draft.nodes, "draft", [x], [y], draft.initializers())
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    made = session.run(None, {"x": np.array([[1, 2, 3]], np.float32)})[0]
    assert made.tolist() == [[2, 3, 1]]
