"""Each operation of OpenVINO as operations of ONNX (opset 17).

A rule takes the draft, OpenVINO's node and the names of its inputs, and gives the names of its outputs. What the rules
mean is in OpenVINO's and ONNX's lists of operations.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from lookalike.portable.onnx_draft import Draft, PortableError

if TYPE_CHECKING:
    import openvino

OPSET = 17
_TYPES = {"f32": "FLOAT", "i64": "INT64", "i32": "INT32", "u8": "UINT8", "boolean": "BOOL"}  # of what is computed
_SAME = {  # OpenVINO's name -> ONNX's, with the same inputs and no attributes
    **{name: name for name in ("Relu", "Sigmoid", "Tanh", "Erf", "Exp", "Log", "Floor", "Sqrt", "Abs", "PRelu")},
    **{"Add": "Add", "Subtract": "Sub", "Multiply": "Mul", "Divide": "Div", "Power": "Pow", "Negative": "Neg"},
    **{"Maximum": "Max", "Minimum": "Min", "Ceiling": "Ceil", "HSwish": "HardSwish", "SoftPlus": "Softplus"},
    **{"Select": "Where", "Equal": "Equal", "Greater": "Greater", "Less": "Less"},
}
_REDUCTIONS = ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceL1", "ReduceProd")

Rule = Callable[[Draft, "openvino.Node", list[str]], list[str]]


def write_operation(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    """Writes one operation; returns the names of its outputs.

    Raises:
        PortableError: No rule knows it, or it is used in a way that none knows.
    """
    kind = node.get_type_name()
    if kind in _SAME:
        return [draft.add(_SAME[kind], *inputs)]
    if kind in _REDUCTIONS:
        axes = _constant(draft, node, inputs[1]).ravel().tolist()
        return [draft.add(kind, inputs[0], axes=axes, keepdims=int(node.get_attributes()["keep_dims"]))]
    if kind not in _RULES:
        raise _unknown(node, "no rule for it")
    return _RULES[kind](draft, node, inputs)


def _unknown(node: "openvino.Node", why: str) -> PortableError:
    return PortableError(
        f"operation {node.get_type_name()} ({node.get_friendly_name()}): {why} in ONNX here: "
        "format=openvino writes this network as it is"
    )


def _constant(draft: Draft, node: "openvino.Node", name: str) -> np.ndarray:
    value = draft.value(name)
    if value is None:
        raise _unknown(node, "its settings depend on the images, which has no rule")
    return value


def _rank(node: "openvino.Node", place: int = 0) -> int:
    rank: int = node.get_input_partial_shape(place).rank.get_length()
    return rank


def _scalar(draft: Draft, value: float) -> str:
    return draft.constant(np.array(value, np.float32))


def _as_integers(draft: Draft, name: str) -> str:
    """Shapes, axes and places are int64 in ONNX, and may be int32 in OpenVINO."""
    value = draft.value(name)
    if value is not None:
        return draft.constant(value.astype(np.int64).ravel())
    from onnx import TensorProto

    return draft.add("Cast", name, to=TensorProto.INT64)


def _convert(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    from onnx import TensorProto

    kind = node.get_output_element_type(0).get_type_name()
    if kind not in _TYPES:
        raise _unknown(node, f"numbers of type {kind} have no rule")
    value = draft.value(inputs[0])
    if value is not None:  # weights that are kept in fewer bits become float32
        return [draft.constant(value.astype(node.get_output_element_type(0).to_dtype()))]
    return [draft.add("Cast", inputs[0], to=getattr(TensorProto, _TYPES[kind]))]


def _window(node: "openvino.Node", spatial: int) -> dict[str, Any]:
    """Strides and borders of a convolution or a pooling."""
    about = node.get_attributes()
    automatic = about.get("auto_pad", "explicit")
    if automatic not in ("explicit", "valid", "same_upper", "same_lower", "notset"):
        raise _unknown(node, f"auto_pad={automatic} has no rule")
    window: dict[str, Any] = {"strides": list(about["strides"])}
    if automatic in ("same_upper", "same_lower"):
        window["auto_pad"] = automatic.upper()
    else:
        none = [0] * spatial if automatic == "valid" else None
        window["pads"] = [*(none or about["pads_begin"]), *(none or about["pads_end"])]
    if "dilations" in about:
        window["dilations"] = list(about["dilations"])
    return window


def _convolution(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    return [draft.add("Conv", *inputs[:2], **_window(node, _rank(node) - 2))]


def _group_convolution(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    """OpenVINO has the groups as the first axis of the weights, ONNX as a number."""
    weights = _constant(draft, node, inputs[1])
    groups = weights.shape[0]
    flat = draft.constant(weights.reshape(-1, *weights.shape[2:]))
    return [draft.add("Conv", inputs[0], flat, group=groups, **_window(node, _rank(node) - 2))]


def _pool(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    about = node.get_attributes()
    window = _window(node, _rank(node) - 2) | {"kernel_shape": list(about["kernel"])}
    rounding, padded = about.get("rounding_type", "floor"), about.get("exclude-pad") is False
    if rounding == "ceil_torch":
        if _divides(node, window):
            rounding = "floor"
        elif any(window.get("pads", [1])):
            raise _unknown(node, "rounding_type=ceil_torch with borders has no rule")
        else:  # windows that reach beyond the image are means of what they cover
            rounding, padded = "ceil", False
    window["ceil_mode"] = int(rounding == "ceil")
    if node.get_type_name() == "MaxPool":
        return [draft.add("MaxPool", inputs[0], **window)]
    window.pop("dilations", None)
    return [draft.add("AveragePool", inputs[0], count_include_pad=int(padded), **window)]


def _divides(node: "openvino.Node", window: dict[str, Any]) -> bool:
    """Whether windows fill the padded image, so that nothing is rounded."""
    sides, count = list(node.get_input_partial_shape(0))[2:], len(window["strides"])
    pads = window.get("pads", [0] * 2 * count)
    return all(side.is_static for side in sides) and all(
        (side.get_length() + pads[axis] + pads[count + axis] - window["kernel_shape"][axis]) % stride == 0
        for axis, (side, stride) in enumerate(zip(sides, window["strides"], strict=True))
    )


def _matmul(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    about, names = node.get_attributes(), list[str]()
    for place, (name, side) in enumerate(zip(inputs, ("transpose_a", "transpose_b"), strict=True)):
        names.append(_swapped(draft, name, _rank(node, place)) if about[side] else name)
    return [draft.add("MatMul", *names)]


def _swapped(draft: Draft, name: str, rank: int) -> str:
    """With its last two axes exchanged."""
    value = draft.value(name)
    if rank < 2:
        return name
    if value is not None:
        return draft.constant(np.ascontiguousarray(value.swapaxes(-1, -2)))
    return draft.add("Transpose", name, perm=[*range(rank - 2), rank - 1, rank - 2])


def _attention(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    """softmax(query key^T * scale + mask) value; Vaswani et al. 2017, arXiv:1706.03762."""
    if node.get_attributes()["causal"]:
        raise _unknown(node, "causal attention has no rule")
    query, key, value, *more = inputs
    if len(more) > 1:
        scale = more[1]
    else:
        width = node.get_input_partial_shape(0)[_rank(node) - 1].get_length()
        scale = _scalar(draft, width**-0.5)
    scores = draft.add("MatMul", draft.add("Mul", query, scale), _swapped(draft, key, _rank(node, 1)))
    if more and node.get_input_partial_shape(3).rank.get_length() != 0:
        if node.get_input_element_type(3).get_type_name() == "boolean":
            raise _unknown(node, "a mask of true and false has no rule")
        scores = draft.add("Add", scores, more[0])
    return [draft.add("MatMul", draft.add("Softmax", scores, axis=-1), value)]


def _normalised(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    """Mean 0 and variance 1 over some axes."""
    about, rank = node.get_attributes(), _rank(node)
    axes = sorted(int(axis) % rank for axis in _constant(draft, node, inputs[1]).ravel())
    data, epsilon, inside = inputs[0], float(about["eps"]), about["eps_mode"].lower() == "inside_sqrt"
    width = node.get_input_partial_shape(0)[rank - 1]
    if axes == [rank - 1] and inside and about["normalize_variance"] and width.is_static:
        ones = draft.constant(np.ones(width.get_length(), np.float32))
        return [draft.add("LayerNormalization", data, ones, axis=-1, epsilon=epsilon)]
    centred = draft.add("Sub", data, draft.add("ReduceMean", data, axes=axes, keepdims=1))
    if not about["normalize_variance"]:
        return [centred]
    variance = draft.add("ReduceMean", draft.add("Mul", centred, centred), axes=axes, keepdims=1)
    if inside:
        deviation = draft.add("Sqrt", draft.add("Add", variance, _scalar(draft, epsilon)))
    else:
        deviation = draft.add("Add", draft.add("Sqrt", variance), _scalar(draft, epsilon))
    return [draft.add("Div", centred, deviation)]


def _gelu(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    """Hendrycks and Gimpel 2016, arXiv:1606.08415."""
    data = inputs[0]
    if node.get_attributes().get("approximation_mode", "ERF").upper() == "TANH":
        cube = draft.add("Mul", draft.add("Mul", data, data), data)
        inner = draft.add("Add", data, draft.add("Mul", cube, _scalar(draft, 0.044715)))
        bent = draft.add("Tanh", draft.add("Mul", inner, _scalar(draft, (2 / np.pi) ** 0.5)))
    else:
        bent = draft.add("Erf", draft.add("Mul", data, _scalar(draft, 0.5**0.5)))
    half = draft.add("Mul", data, _scalar(draft, 0.5))
    return [draft.add("Mul", half, draft.add("Add", bent, _scalar(draft, 1.0)))]


def _swish(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    inner = draft.add("Mul", inputs[0], inputs[1]) if len(inputs) > 1 else inputs[0]
    return [draft.add("Mul", inputs[0], draft.add("Sigmoid", inner))]


def _hard_sigmoid(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    return [draft.add("HardSigmoid", inputs[0], alpha=1 / 6, beta=0.5)]


def _clamp(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    about = node.get_attributes()
    return [draft.add("Clip", inputs[0], _scalar(draft, about["min"]), _scalar(draft, about["max"]))]


def _softmax(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    return [draft.add("Softmax", inputs[0], axis=int(node.get_attributes()["axis"]))]


def _reduce_sum(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    keep = int(node.get_attributes()["keep_dims"])
    return [draft.add("ReduceSum", inputs[0], _as_integers(draft, inputs[1]), keepdims=keep)]


def _shape(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    from onnx import TensorProto

    shape = draft.add("Shape", inputs[0])
    narrow = node.get_output_element_type(0).get_type_name() == "i32"
    return [draft.add("Cast", shape, to=TensorProto.INT32) if narrow else shape]


def _reshape(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    zero = int(not node.get_attributes()["special_zero"])
    return [draft.add("Reshape", inputs[0], _as_integers(draft, inputs[1]), allowzero=zero)]


def _transpose(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    return [draft.add("Transpose", inputs[0], perm=_constant(draft, node, inputs[1]).ravel().tolist())]


def _squeeze(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    return [draft.add(node.get_type_name(), inputs[0], *(_as_integers(draft, name) for name in inputs[1:]))]


def _expand(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    mode = node.get_attributes()["mode"]
    if mode not in ("numpy", "bidirectional"):
        raise _unknown(node, f"mode={mode} has no rule")
    return [draft.add("Expand", inputs[0], _as_integers(draft, inputs[1]))]


def _tile(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    return [draft.add("Tile", inputs[0], _as_integers(draft, inputs[1]))]


def _concat(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    return [draft.add("Concat", *inputs, axis=int(node.get_attributes()["axis"]))]


def _gather(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    if node.get_attributes().get("batch_dims", 0):
        raise _unknown(node, "batch_dims has no rule")
    return [draft.add("Gather", *inputs[:2], axis=int(_constant(draft, node, inputs[2])))]


def _slice(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    data, start, stop, step, *axes = (inputs[0], *(_as_integers(draft, name) for name in inputs[1:]))
    places = axes or [draft.integers(*range(_rank(node)))]
    return [draft.add("Slice", data, start, stop, *places, step)]


def _split(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    axis = int(_constant(draft, node, inputs[1]))
    lengths = [_as_integers(draft, name) for name in inputs[2:]]
    return draft.add_several("Split", node.get_output_size(), inputs[0], *lengths, axis=axis)


def _pad(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    mode = node.get_attributes()["pad_mode"]
    if mode not in ("constant", "reflect", "edge"):
        raise _unknown(node, f"pad_mode={mode} has no rule")
    pads = draft.add("Concat", *(_as_integers(draft, name) for name in inputs[1:3]), axis=0)
    return [draft.add("Pad", inputs[0], pads, *inputs[3:], mode=mode)]


def _roll(draft: Draft, node: "openvino.Node", inputs: list[str]) -> list[str]:
    name = inputs[0]
    shifts, axes = (_constant(draft, node, put).ravel().tolist() for put in inputs[1:3])
    for shift, axis in zip(shifts, axes, strict=True):
        if shift:
            place, along, end = (draft.integers(value) for value in (-shift, axis, np.iinfo(np.int64).max))
            tail = draft.add("Slice", name, place, end, along)
            name = draft.add("Concat", tail, draft.add("Slice", name, draft.integers(0), place, along), axis=axis)
    return [name]


_RULES: dict[str, Rule] = {
    "Convert": _convert,
    "Convolution": _convolution,
    "GroupConvolution": _group_convolution,
    "AvgPool": _pool,
    "MaxPool": _pool,
    "MatMul": _matmul,
    "ScaledDotProductAttention": _attention,
    "MVN": _normalised,
    "Gelu": _gelu,
    "Swish": _swish,
    "HSigmoid": _hard_sigmoid,
    "Clamp": _clamp,
    "Softmax": _softmax,
    "ReduceSum": _reduce_sum,
    "ShapeOf": _shape,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _squeeze,
    "Broadcast": _expand,
    "Tile": _tile,
    "Concat": _concat,
    "Gather": _gather,
    "Slice": _slice,
    "Split": _split,
    "VariadicSplit": _split,
    "Pad": _pad,
    "Roll": _roll,
}
