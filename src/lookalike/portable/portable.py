"""The folder that is written: the network in the wanted format, `model.json`, and the gallery where it is asked for.

model.onnx             for onnx and tensorrt
model.xml, model.bin   for openvino
trtexec.sh             for tensorrt: the line that builds its engine, which is not run here
model.json             see `contract`; also `check`, see `agreement`
gallery.json           label, path and embedding of every reference
"""

import base64
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lookalike.data.pixels import PixelSettings
from lookalike.devices import openvino_core
from lookalike.files import atomic_folder, write_bytes, write_json
from lookalike.inference.bundle import Bundle
from lookalike.inference.openvino_network import save_graph
from lookalike.portable.agreement import PortableAgreement, compare, in_onnxruntime, in_openvino, real_images
from lookalike.portable.contract import contract_of, texts_of
from lookalike.portable.onnx_draft import PortableError
from lookalike.portable.onnx_graph import INPUT, need_onnx, onnx_model

PortableFormat = Literal["onnx", "openvino", "tensorrt"]
_GALLERY_SCHEMA = 1
_LARGEST_BATCH = 32  # that the engine of TensorRT is built for


@dataclass(frozen=True)
class Portable:
    """What was written.

    Attributes:
        folder: It holds all files.
        format: Of the network.
        files: Their names, in the order in which they were written.
        bytes: Of all of them together.
        check: How the network compares with the bundle's.
        kept: What stood there before, under its new name; None where nothing did.
    """

    folder: Path
    format: PortableFormat
    files: list[str]
    bytes: int
    check: PortableAgreement
    kept: Path | None = None


def write_portable(
    bundle: Bundle, kind: PortableFormat, output: Path, images: Path | None = None, gallery: bool = False
) -> Portable:
    """Writes a bundle's network for other programs, whole or not at all, if it agrees with the bundle.

    Args:
        bundle: In float32, but for openvino, which takes int8, too.
        kind: The format.
        output: The new folder; what stands there is kept under a dated name.
        images: A folder of images to compare on; None for the bundle's references.
        gallery: Whether `gallery.json` is written.

    Raises:
        PortableError: The bundle cannot be written so, or the written network does not agree with it.
        DiskFullError: There is no room.
    """
    if kind != "openvino":
        need_onnx()
        if bundle.config.precision == "int8":
            raise PortableError(
                f"{bundle.path}: expected a float32 bundle for format={kind}, found int8: give the bundle that it was "
                "quantised from, or format=openvino, which keeps int8"
            )
    examples, files = real_images(bundle, images)
    contract, names = contract_of(bundle, kind), list[str]()
    kept: list[Path] = []
    with atomic_folder(output, kept=kept) as folder:
        if kind == "openvino":
            graph = folder / "model.xml"
            network = openvino_core().read_model(bundle.graph)
            save_graph(network, graph)
            check = compare(bundle, in_openvino(graph), examples, files)
            contract["check"] = asdict(check)
            for name, text in texts_of(contract).items():
                network.set_rt_info(text, name.split("."))
            save_graph(network, graph)
            names += [graph.name, "model.bin"]
        else:
            model = onnx_model(bundle.graph, {})
            check = compare(bundle, in_onnxruntime(model.SerializeToString()), examples, files)
            contract["check"] = asdict(check)
            for name, text in texts_of(contract).items():
                model.metadata_props.add(key=name, value=text)
            write_bytes(folder / "model.onnx", model.SerializeToString())
            names.append("model.onnx")
        if kind == "tensorrt":
            write_bytes(folder / "trtexec.sh", _trtexec(bundle.pixels).encode())
            names.append("trtexec.sh")
        write_json(folder / "model.json", contract)
        names.append("model.json")
        if gallery:
            write_json(folder / "gallery.json", _gallery(bundle))
            names.append("gallery.json")
        size = sum((folder / name).stat().st_size for name in names)
    return Portable(output, kind, names, size, check, kept[0] if kept else None)


def _gallery(bundle: Bundle) -> dict[str, Any]:
    """Labels and paths by row; embeddings as float32 [N, D], row by row, little-endian, in base64."""
    references = bundle.references
    count, size = references.embeddings.shape
    return {
        "schema": _GALLERY_SCHEMA,
        "fingerprint": references.fingerprint,
        "count": count,
        "size": size,
        "labels": references.labels,
        "paths": references.paths,
        "embeddings": base64.b64encode(references.embeddings.astype("<f4").tobytes()).decode(),
    }


def _trtexec(pixels: PixelSettings) -> str:
    shapes = {
        name: f"--{name}Shapes={INPUT}:{batch}x{pixels.height}x{pixels.width}x3"
        for name, batch in {"min": 1, "opt": 8, "max": _LARGEST_BATCH}.items()
    }
    return (
        "#!/bin/sh\n"
        "# Builds an engine for the graphics card of this machine. lookalike has not run this line: compare its\n"
        "# embeddings with those of model.onnx before you use it.\n"
        f"trtexec --onnx=model.onnx --saveEngine=model.plan {' '.join(shapes.values())}\n"
    )
