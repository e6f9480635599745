"""Whether a written network gives the bundle's embeddings, on real images.

Letters in shapes: N images, B batch, H height, W width, D embedding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.data.image_files import find_images
from lookalike.data.images import ImageError, read_image
from lookalike.devices import openvino_core
from lookalike.inference.bundle import Bundle
from lookalike.inference.openvino_network import OpenVinoNetwork
from lookalike.metrics.evenly import evenly
from lookalike.portable.onnx_draft import PortableError
from lookalike.portable.onnx_graph import INPUT

LEAST_COSINE = 0.9999
_IMAGES = 16  # that are compared
_BATCH = 3  # of the written network; the bundle's own has another

Written = Callable[[np.ndarray], np.ndarray]  # uint8 [B, H, W, 3] -> float32 [B, D], for any B


@dataclass(frozen=True)
class PortableAgreement:
    """How a written network compares with the bundle's graph in float32.

    Attributes:
        images: How many were compared.
        min_cosine: The least cosine between both embeddings of an image.
        mean_cosine: The mean of them.
        max_difference: The largest difference of two numbers.
    """

    images: int
    min_cosine: float
    mean_cosine: float
    max_difference: float


def real_images(bundle: Bundle, folder: Path | None) -> tuple[np.ndarray, list[Path]]:
    """Images to compare on: those of a folder, or the files of the bundle's references that are still there.

    Args:
        bundle: Says how they are read.
        folder: Of images; None for the references.

    Returns:
        uint8 [N, H, W, 3], and N files.

    Raises:
        PortableError: There are none.
    """
    if folder is not None:
        files = find_images(folder)
    else:
        references = bundle.references
        files = [file for file in map(references.file, range(len(references))) if file.is_file()]
    pictures, read = list[np.ndarray](), list[Path]()
    for row in evenly(len(files), _IMAGES).tolist() if files else []:
        try:
            pictures.append(read_image(files[row], bundle.pixels))
            read.append(files[row])
        except ImageError:
            continue
    if not pictures:
        where = f"in {folder}" if folder else f"where the references of {bundle.path} say"
        raise PortableError(
            f"expected images to compare the written network on, found none {where}: "
            "give images=<folder> with some photographs"
        )
    return np.stack(pictures), read


def compare(bundle: Bundle, written: Written, images: np.ndarray, files: Sequence[Path]) -> PortableAgreement:
    """Compares embeddings image by image.

    Args:
        bundle: Its graph runs in float32 (an int8 graph in what it is).
        written: The network as another program runs it.
        images: uint8 [N, H, W, 3].
        files: N of them, for the error.

    Raises:
        PortableError: They disagree on an image.
    """
    network = OpenVinoNetwork(bundle.graph)
    padded = np.concatenate([images, np.zeros([-len(images) % network.batch, *images.shape[1:]], np.uint8)])
    batches = [network(padded[row : row + network.batch]) for row in range(0, len(padded), network.batch)]
    expected = np.concatenate(batches)[: len(images)].astype(np.float64)
    made = np.concatenate([written(images[row : row + _BATCH]) for row in range(0, len(images), _BATCH)])
    if made.dtype != np.float32 or made.shape != expected.shape:
        raise PortableError(
            f"the written network disagrees with {bundle.path}: expected float32 {list(expected.shape)}, found "
            f"{made.dtype} {list(made.shape)}: please report this with model.backbone"
        )
    made = made.astype(np.float64)
    lengths = np.linalg.norm(made, axis=1) * np.linalg.norm(expected, axis=1)
    cosine = (made * expected).sum(1) / lengths
    if not cosine.min() >= LEAST_COSINE:
        raise PortableError(
            f"the written network disagrees with {bundle.path}: expected a cosine of at least {LEAST_COSINE}, found "
            f"{cosine.min():.6f} on {files[int(cosine.argmin())]}: please report this with model.backbone"
        )
    difference = float(abs(made - expected).max())
    return PortableAgreement(len(images), float(cosine.min()), float(cosine.mean()), difference)


def in_onnxruntime(model: bytes) -> Written:
    """The network as ONNX Runtime runs it on the processor.

    Args:
        model: The file's content.

    Raises:
        PortableError: ONNX Runtime cannot run it.
    """
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as error:  # it has a class of its own for every reason
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise PortableError(f"ONNX Runtime cannot run the written network ({reason}): please report this") from error
    return lambda images: np.asarray(session.run(None, {INPUT: images})[0])


def in_openvino(graph: Path) -> Written:
    """The network as OpenVINO runs it on the processor.

    Args:
        graph: `model.xml`, its weights beside it.
    """
    core = openvino_core()
    compiled = core.compile_model(core.read_model(graph), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda images: np.array(compiled([images])[0])
