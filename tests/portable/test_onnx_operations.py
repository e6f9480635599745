"""Single operations give in ONNX Runtime what they give in OpenVINO."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import openvino
import pytest
from openvino import opset13 as ops

from lookalike.portable.onnx_draft import PortableError
from lookalike.portable.onnx_graph import onnx_model

Made = Callable[[openvino.Node], openvino.Node]  # float32 [B, 3, 9, 8] -> anything of B rows
RANDOM = np.random.default_rng(0)


def numbers(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def attention(x: openvino.Node, mask: bool, causal: bool = False) -> openvino.Node:
    more = [ops.constant(numbers(9, 9)), ops.constant(np.float32(0.3))] if mask else []
    return ops.scaled_dot_product_attention(x, x, x, *more, causal=causal)


def average(x: openvino.Node, kernel: int, pads: int, rounding: str, exclude: bool, by: int = 2) -> openvino.Node:
    both = [pads, pads]
    return openvino.opset14.avg_pool(x, [by, by], both, both, [kernel, kernel], exclude, rounding)


def largest(x: openvino.Node, automatic: str) -> openvino.Node:
    none = [0, 0]
    return ops.max_pool(x, [2, 2], [1, 1], none, none, [3, 3], "floor", automatic).output(0)


def halves(x: openvino.Node) -> openvino.Node:
    weights = ops.convert(ops.constant(numbers(5, 3, 3, 3).astype(np.float16)), "f32")
    return ops.convolution(x, weights, [2, 1], [1, 0], [0, 1], [1, 2])


def grouped(x: openvino.Node) -> openvino.Node:
    return ops.group_convolution(x, ops.constant(numbers(3, 2, 1, 3, 3)), [1, 1], [1, 1], [1, 1], [1, 1])


OPERATIONS: dict[str, Made] = {
    "attention": lambda x: attention(x, mask=False),
    "attention with a mask": lambda x: attention(x, mask=True),
    "average, rounded up, even": lambda x: average(x, 3, 1, "ceil_torch", exclude=False, by=1),
    "average, rounded up": lambda x: average(x, 2, 0, "ceil_torch", exclude=True),
    "average with borders": lambda x: average(x, 3, 1, "floor", exclude=False),
    "largest": lambda x: largest(x, "explicit"),
    "largest, same": lambda x: largest(x, "same_upper"),
    "convolution of half precision": halves,
    "grouped": grouped,
    "mean and variance over all": lambda x: ops.mvn(x, np.array([1, 2, 3]), True, 1e-3, "INSIDE_SQRT"),
    "mean and variance, outside": lambda x: ops.mvn(x, np.array([3]), True, 1e-1, "OUTSIDE_SQRT"),
    "mean": lambda x: ops.mvn(x, np.array([-1]), False, 1e-3, "INSIDE_SQRT"),
    "mean and variance": lambda x: ops.mvn(x, np.array([-1]), True, 1e-3, "INSIDE_SQRT"),
    "gelu": lambda x: ops.gelu(x, "erf"),
    "gelu by tanh": lambda x: ops.gelu(x, "tanh"),
    "swish": lambda x: ops.swish(x, ops.constant(np.float32(1.7))),
    "hard sigmoid": ops.hsigmoid,
    "hard swish": ops.hswish,
    "clamp": lambda x: ops.clamp(x, -0.2, 0.4),
    "softmax": lambda x: ops.softmax(x, 2),
    "sum": lambda x: ops.reduce_sum(x, ops.constant([1, 2]), False),
    "length": lambda x: ops.reduce_l2(x, ops.constant([1, -1]), True),
    "roll": lambda x: ops.roll(x, ops.constant([3, -2]), ops.constant([2, 3])),
    "transposed product": lambda x: ops.matmul(x, ops.constant(numbers(7, 9)), True, True),
    "product with itself": lambda x: ops.matmul(x, x, False, True),
    "borders": lambda x: ops.pad(x, ops.constant([0, 0, 1, 2]), ops.constant([0, 0, 0, 1]), "reflect"),
    "slice": lambda x: ops.slice(x, *map(ops.constant, ([1], [9], [3], [2]))),
    "slice of all": lambda x: ops.slice(x, *map(ops.constant, ([0, 0, 1, 0], [9, 2, 9, 5], [1, 1, 2, 1]))),
    "unequal split": lambda x: ops.variadic_split(x, ops.constant(2), ops.constant([4, 5])).output(1),
    "gather": lambda x: ops.gather(x, ops.constant([2, 0]), ops.constant(1)),
    "shape": lambda x: ops.reshape(x, ops.concat([ops.gather(ops.shape_of(x), [0], 0), ops.constant([-1])], 0), False),
}


def graph_of(made: Made, folder: Path) -> Path:
    images = ops.parameter(openvino.PartialShape([-1, 9, 8, 3]), np.uint8)
    scaled = ops.divide(ops.convert(images, "f32"), ops.constant(np.float32(64)))
    centred = ops.subtract(ops.transpose(scaled, ops.constant([0, 3, 1, 2])), ops.constant(np.float32(1.5)))
    flat = ops.reshape(made(centred), ops.constant([0, -1]), True)
    openvino.save_model(openvino.Model([flat], [images]), folder / "model.xml", compress_to_fp16=False)
    return folder / "model.xml"


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_the_same_in_onnx(name: str, tmp_path: Path) -> None:
    graph = graph_of(OPERATIONS[name], tmp_path)
    images = RANDOM.integers(0, 256, (2, 9, 8, 3), np.uint8)
    (expected,) = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([images]).values()
    session = onnxruntime.InferenceSession(onnx_model(graph, {}).SerializeToString())
    np.testing.assert_allclose(session.run(None, {"images": images})[0], expected, rtol=1e-4, atol=1e-5)


REFUSED: dict[str, tuple[Made, str]] = {
    "an operation": (lambda x: ops.cum_sum(x, ops.constant(1)), r"operation CumSum \(CumSum_\d+\): no rule for it"),
    "causal": (lambda x: attention(x, mask=False, causal=True), "ScaledDotProductAttention .*causal attention"),
    "rounding": (lambda x: average(x, 4, 1, "ceil_torch", exclude=False), "AvgPool .*rounding_type=ceil_torch"),
    "borders": (
        lambda x: ops.pad(x, ops.constant([0, 0, 1, 2]), ops.constant([0, 0, 0, 1]), "symmetric"),
        "Pad .*pad_mode=symmetric",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_rule_is_named(name: str, tmp_path: Path) -> None:
    made, text = REFUSED[name]
    with pytest.raises(PortableError, match=rf"{text}.*: format=openvino writes this network as it is$"):
        onnx_model(graph_of(made, tmp_path), {})
