"""ONNX and OpenVINO graphs, which OpenVINO runs as they are: what they take and give is read from the graph.

How the pixels are scaled before they enter is in no graph: mean and std are asked for, unless it takes bytes.

Letters in shapes: B batch, H height, W width, D embedding.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.data.pixels import PixelSettings
from lookalike.devices import openvino_core
from lookalike.errors import CheckpointError, ModelError, one_line
from lookalike.files import sha256_of
from lookalike.inference.bundle import fingerprint_of
from lookalike.inference.encoder import Encoder
from lookalike.inference.openvino_network import OpenVinoNetwork, save_graph
from lookalike.recognition.facts import Blueprint, Fact, Recognised, Value
from lookalike.recognition.pixel_facts import pixels_of
from lookalike.recognition.refusals import refuse_given
from lookalike.settings.check import check
from lookalike.settings.checkpoints import CheckpointModel, CheckpointPixels

if TYPE_CHECKING:
    import openvino

_ENDINGS = (".onnx", ".xml")


@dataclass(frozen=True)
class Graph:
    """A graph, and what it takes and gives.

    Attributes:
        model: OpenVINO's.
        output: Index of the embedding among the outputs.
        channels_last: Whether it takes [B, H, W, 3] rather than [B, 3, H, W].
        height: H; None where any will do.
        width: W; None where any will do.
        takes_bytes: Whether it takes uint8, so that scaling is part of it.
        size: D.
    """

    model: "openvino.Model"
    output: int
    channels_last: bool
    height: int | None
    width: int | None
    takes_bytes: bool
    size: int


def is_graph(file: Path) -> bool:
    """Whether a file is one, by the end of its name.

    Args:
        file: Its path.
    """
    return file.suffix.lower() in _ENDINGS


def read_graph(file: Path, key: str | None = None) -> Graph:
    """Reads a graph.

    Args:
        file: `.onnx`, or OpenVINO's `.xml` with `.bin` beside it.
        key: Name of the output that is the embedding, where there are several.

    Raises:
        CheckpointError: It cannot be read.
        ModelError: It does not take images, or gives several vectors.
    """
    if not file.is_file():
        raise CheckpointError(f"{file}: no such file: give the path of an .onnx or .xml file")
    try:
        model = openvino_core().read_model(file)
    except Exception as error:  # whatever OpenVINO raises for a damaged file
        raise CheckpointError(
            f"{file}: not a graph that OpenVINO reads ({one_line(str(error).strip().splitlines()[-1])}): copy it again"
        ) from error
    shapes = [[side.get_length() if side.is_static else -1 for side in port.partial_shape] for port in model.inputs]
    images = [shape for shape in shapes if len(shape) == 4 and 3 in (shape[1], shape[3])]
    if len(shapes) != 1 or len(images) != 1:
        raise ModelError(f"{file}: expected a graph with one input [B, 3, H, W] or [B, H, W, 3], found {shapes}")
    last = images[0][1] != 3
    height, width = (side if side > 0 else None for side in (images[0][1:3] if last else images[0][2:]))
    output = _output(file, model, key)
    kind = model.inputs[0].element_type.get_type_name()
    size = model.outputs[output].partial_shape[1]
    if not size.is_static:
        raise ModelError(f"{file}: the length of its output is not fixed: export it with a fixed one")
    return Graph(model, output, last, height, width, kind == "u8", size.get_length())


def _output(file: Path, model: "openvino.Model", key: str | None) -> int:
    """Which output is a vector for each image."""
    names = [", ".join(sorted(port.names)) or str(place) for place, port in enumerate(model.outputs)]
    vectors = [place for place, port in enumerate(model.outputs) if len(port.partial_shape) == 2]
    if key is not None:
        vectors = [place for place in vectors if key in model.outputs[place].names or key == str(place)]
    if len(vectors) != 1:
        shown = ", ".join(f"{name} {model.outputs[place].partial_shape}" for place, name in enumerate(names))
        raise ModelError(f"{file}: expected one output [B, D], found {shown}: say which by ckpt_key=<its name>")
    return vectors[0]


def graph_facts(file: Path, graph: Graph, model: Mapping[str, Any], pixels: Mapping[str, Any]) -> Recognised:
    """What is known of a graph and of how its images are read.

    Args:
        file: Of the graph.
        graph: As it was read.
        model: Given mean and std.
        pixels: Given settings.

    Raises:
        ModelError: Something that no graph says was not given.
    """
    refuse_given(file, "a graph", model, ("embedding_size", "pooling", "bn_neck", "last_stride", "backbone"))
    facts = {"architecture": Fact(f"a graph of {len(graph.model.get_ops())} operations", "shapes", file.suffix)}
    for name, side in (("height", graph.height), ("width", graph.width)):
        given = pixels.get(name)
        if side is not None and given not in (None, side):
            raise ModelError(f"{file}: pixels.{name}={given}: its graph takes {side} pixels: leave it out")
        if side is None and given is None:
            raise ModelError(f"{file}: its graph takes images of any size: give pixels.height and pixels.width")
        facts[name] = Fact(side or given, "shapes" if side else "given", "its input" if side else f"pixels.{name}")
    usual: dict[str, Value] = {"resize": "stretch", "interpolation": "bilinear", "antialias": True, "channels": "RGB"}
    for name, value in usual.items():
        given = pixels.get(name)
        facts[name] = Fact(given if given is not None else value, "given" if given is not None else "convention", "")
    facts |= {
        name: Fact(pixels[name], "given", f"pixels.{name}")
        for name in ("shorter_side", "border")
        if pixels.get(name) is not None
    }
    for name, value in (("mean", [0.0] * 3), ("std", [1.0] * 3)):
        given = model.get(name)
        if given is None and not graph.takes_bytes:
            raise ModelError(
                f"{file}: no graph says how pixels are scaled before they enter: give model.mean and model.std, such "
                "as model.mean=[0.485,0.456,0.406] model.std=[0.229,0.224,0.225]; [0,0,0] and [1,1,1] for 0..1"
            )
        facts[name] = Fact(
            given or value, "given" if given else "shapes", f"model.{name}" if given else "it takes uint8"
        )
    return Recognised(str(file), facts, Blueprint("graph", {}))


def graph_encoder(file: Path, graph: Graph, recognised: Recognised, pixels: PixelSettings, folder: Path) -> Encoder:
    """What runs a graph on uint8 images and gives unit embeddings.

    Args:
        file: Of the graph.
        graph: As it was read.
        recognised: What is known of it.
        pixels: How images are read.
        folder: Where the graph is written with what is put around it; it must stay while the encoder is used.
    """
    import openvino
    from openvino import opset13 as operations
    from openvino.preprocess import PrePostProcessor

    model = graph.model
    shape = [-1, pixels.height, pixels.width, 3]
    model.reshape(shape if graph.channels_last else [-1, 3, pixels.height, pixels.width])
    around = PrePostProcessor(model)
    tensor = around.input().tensor()
    tensor.set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    around.input().model().set_layout(openvino.Layout("NHWC" if graph.channels_last else "NCHW"))
    if not graph.takes_bytes:
        scaled = {name: [float(part) * 255 for part in recognised.facts[name].value] for name in ("mean", "std")}  # type: ignore[union-attr]
        steps = around.input().preprocess().convert_element_type(openvino.Type.f32)
        steps.mean(scaled["mean"]).scale(scaled["std"])
    built = around.build()
    vector = operations.convert(built.outputs[graph.output].get_node().input_value(0), "f32")
    unit = operations.normalize_l2(vector, operations.constant([1]), 1e-12, "max")
    whole = openvino.Model([operations.result(unit)], built.get_parameters(), "embedding")
    folder.mkdir(parents=True, exist_ok=True)
    save_graph(whole, folder / "model.xml")
    whole_of_it = sha256_of(folder / "model.xml") + sha256_of(folder / "model.bin")
    fingerprint = fingerprint_of(whole_of_it, pixels)
    network = OpenVinoNetwork(folder / "model.xml", "float32", pixels, graph.size)
    return Encoder(network, pixels, fingerprint, graph.size)


def restore_graph(
    file: Path, model: Mapping[str, Any], pixels: Mapping[str, Any], key: str | None, folder: Path, device: str
) -> tuple[Encoder, dict[str, Any]]:
    """The encoder of a graph, and the settings of its model.

    Args:
        file: Of the graph.
        model: Given mean and std.
        pixels: Given settings.
        key: Name of the output that is the embedding, where there are several.
        folder: See `graph_encoder`.
        device: `cuda` is refused: OpenVINO runs it.

    Raises:
        LookalikeError: It cannot be read, does not take images, or something that no graph says was not given.
    """
    if device == "cuda":
        raise ModelError(f"{file}: device=cuda: a graph is run by OpenVINO on the processor: give device=cpu")
    said = check(CheckpointModel, dict(model)), check(CheckpointPixels, dict(pixels))
    graph = read_graph(file, key)
    recognised = graph_facts(file, graph, said[0].model_dump(), said[1].model_dump())
    encoder = graph_encoder(file, graph, recognised, pixels_of(recognised.facts), folder)
    return encoder, {f"model.{name}": recognised.facts[name].value for name in ("mean", "std")}
