"""Whether an exported graph agrees with torch, image by image, and in which precision it may run.

Letters in shapes: N images, H height, W width.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from lookalike.data.pixels import PixelSettings
from lookalike.devices import openvino_has_bf16
from lookalike.export.graph import ExportError
from lookalike.inference.bundle_config import Agreement, Parity
from lookalike.inference.encoder import Encoder
from lookalike.inference.openvino_network import OpenVinoNetwork, Precision
from lookalike.models.image_network import ImageNetwork

PARITY_COSINE = 0.999
_EXAMPLES = 4  # images of noise


def noise_images(pixels: PixelSettings) -> np.ndarray:
    """Some images for a comparison where no photographs are at hand: uint8 [N, H, W, 3], the same ones each time."""
    return np.random.default_rng(0).integers(0, 256, (_EXAMPLES, pixels.height, pixels.width, 3), np.uint8)


def float32_encoder(
    graph: Path,
    embedder: ImageNetwork,
    pixels: PixelSettings,
    fingerprint: str,
    images: np.ndarray,
    names: Sequence[str],
) -> tuple[Encoder, Agreement]:
    """The encoder of a float32 graph, and how it compares with torch.

    Args:
        graph: Written from the embedder.
        embedder: On the CPU, in eval mode.
        pixels: How images are read.
        fingerprint: Of weights and pixel settings.
        images: uint8 [N, H, W, 3], compared one by one.
        names: N names of them, for the error.

    Raises:
        ExportError: The graph and torch disagree on an image.
    """
    encoder, cosine = _compared(graph, embedder, pixels, fingerprint, images, "float32")
    if not cosine.min() >= PARITY_COSINE:
        raise ExportError(
            f"the exported graph disagrees with torch: cosine {cosine.min():.6f} on {names[int(cosine.argmin())]}, "
            f"expected at least {PARITY_COSINE}: please report this with model.backbone and the versions of torch and "
            "openvino"
        )
    return encoder, _agreement(cosine)


def agreeing_encoder(
    graph: Path,
    embedder: ImageNetwork,
    pixels: PixelSettings,
    fingerprint: str,
    images: np.ndarray,
    names: Sequence[str],
) -> tuple[Encoder, Parity]:
    """The encoder that a bundle of this graph gets here, in bf16 where that agrees, too.

    Args:
        graph: Written from the embedder.
        embedder: On the CPU, in eval mode.
        pixels: How images are read.
        fingerprint: Of weights and pixel settings.
        images: uint8 [N, H, W, 3], compared one by one.
        names: N names of them, for the error.

    Raises:
        ExportError: The float32 graph and torch disagree on an image.
    """
    encoder, float32 = float32_encoder(graph, embedder, pixels, fingerprint, images, names)
    bf16 = None
    if openvino_has_bf16():
        in_bf16, cosine = _compared(graph, embedder, pixels, fingerprint, images, "bf16")
        if cosine.min() >= PARITY_COSINE:  # else the bundle is served in float32
            encoder, bf16 = in_bf16, _agreement(cosine)
    return encoder, Parity(images=len(images), **float32.model_dump(), bf16=bf16)


def _compared(
    graph: Path,
    embedder: ImageNetwork,
    pixels: PixelSettings,
    fingerprint: str,
    images: np.ndarray,
    precision: Precision,
) -> tuple[Encoder, np.ndarray]:
    """The encoder, and the cosine of every image's two embeddings, float32 [N]."""
    with torch.inference_mode():
        expected = embedder.embed(torch.from_numpy(images)).numpy()
    encoder = Encoder(OpenVinoNetwork(graph, precision), pixels, fingerprint, embedder.embedding_size, precision)
    return encoder, (expected * encoder.embed_arrays(images)).sum(1)


def _agreement(cosine: np.ndarray) -> Agreement:
    return Agreement(min_cosine=float(cosine.min()), mean_cosine=float(cosine.mean()))
