"""Images -> unit embeddings, through OpenVINO on a CPU or torch on a GPU.

Decoding threads work one batch ahead of the network. Every batch has the same shape (the last one is padded), so an
image's embedding does not depend on its neighbours or its place.

Letters in shapes: N images, B batch, H height, W width, D embedding.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from lookalike.bundle import Bundle
from lookalike.errors import LookalikeError
from lookalike.images import ImageError, PixelSettings, read_image

Device = Literal["cpu", "cuda"]
Network = Callable[[np.ndarray], np.ndarray]
_BATCH = 16
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Encoder:
    """What turns images into embeddings.

    Attributes:
        network: uint8 [B, H, W, 3] -> float32 unit embeddings [B, D].
        pixels: How images are read.
        fingerprint: Identifies weights and pixel settings.
        size: D.
    """

    network: Network
    pixels: PixelSettings
    fingerprint: str
    size: int

    @cached_property
    def _threads(self) -> int:
        return max(2, min(8, os.cpu_count() or 2))

    def embed(
        self,
        files: Sequence[Path],
        boxes: Sequence[Box | None] | None = None,
        *,
        errors: dict[int, str] | None = None,
        progress: Callable[[int], None] = lambda done: None,
    ) -> np.ndarray:
        """Embeds image files.

        Args:
            files: N files.
            boxes: N boxes (x1, y1, x2, y2 in pixels) or None for the whole image.
            errors: When given, an unusable image is noted here (index -> reason) and its row is zero.
            progress: Called with the number of images done since the last call.

        Returns:
            float32 [N, D], unit length.

        Raises:
            ImageError: An image cannot be used and `errors` is None.
        """
        cv2.setNumThreads(1)
        result = np.zeros((len(files), self.size), np.float32)
        batch = 1 if len(files) <= 4 else _BATCH
        blocks = [range(first, min(first + batch, len(files))) for first in range(0, len(files), batch)]
        with ThreadPoolExecutor(self._threads) as pool:
            waiting: list[list[Future[np.ndarray]]] = []

            def ask(block: range) -> None:
                waiting.append(
                    [pool.submit(read_image, files[i], self.pixels, boxes[i] if boxes else None) for i in block]
                )

            for block in blocks[:2]:
                ask(block)
            for place, block in enumerate(blocks):
                images = np.zeros((batch, self.pixels.height, self.pixels.width, 3), np.uint8)
                good = [
                    i
                    for i, future in zip(block, waiting.pop(0), strict=True)
                    if _take(future, images[i - block.start], i, errors)
                ]
                if place + 2 < len(blocks):
                    ask(blocks[place + 2])
                if good:
                    result[good] = self.network(images)[[i - block.start for i in good]]
                progress(len(block))
        return result

    def embed_arrays(self, images: np.ndarray) -> np.ndarray:
        """Embeds uint8 RGB [N, H, W, 3] that already has the model's size; returns float32 [N, D]."""
        expected = (self.pixels.height, self.pixels.width, 3)
        if images.dtype != np.uint8 or images.shape[1:] != expected:
            raise ImageError(
                f"expected uint8 images of shape {expected}, got {images.dtype} {images.shape[1:]}: "
                "use images.read_image or images.resize with the bundle's pixel settings"
            )
        result = np.zeros((len(images), self.size), np.float32)
        for first in range(0, len(images), _BATCH):
            part = images[first : first + _BATCH]
            padded = np.zeros((_BATCH, *expected), np.uint8)
            padded[: len(part)] = part
            result[first : first + len(part)] = self.network(padded)[: len(part)]
        return result


def _take(future: "Future[np.ndarray]", place: np.ndarray, index: int, errors: dict[int, str] | None) -> bool:
    try:
        place[...] = future.result()
    except ImageError as error:
        if errors is None:
            raise
        errors[index] = str(error)
        return False
    return True


def load_encoder(bundle: Bundle, device: Device | Literal["auto"] = "auto") -> Encoder:
    """Prepares a bundle's network.

    Args:
        bundle: A verified bundle.
        device: `cpu` (OpenVINO, float32), `cuda` (torch) or `auto`: always `cpu`, as it needs no torch.
    """
    network = _torch_network(bundle) if device == "cuda" else openvino_network(bundle.path / "model.xml")
    model = bundle.config["model"]  # without `dimensions` in bundles from before embedding_size could be null
    return Encoder(network, bundle.pixels, bundle.fingerprint, int(model.get("dimensions") or model["embedding_size"]))


def openvino_network(graph: Path) -> Network:
    """Compiles an exported graph for this processor, in float32 whatever the processor would prefer."""
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(core.read_model(graph), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    return lambda images: request.infer([images], share_inputs=True)[0].copy()


def _torch_network(bundle: Bundle) -> Network:
    try:
        import torch

        from lookalike.models.embedder import load_embedder
    except ImportError as error:
        raise LookalikeError(
            f"device=cuda needs torch ({error}): pip install 'lookalike[train]', or use device=cpu"
        ) from error
    if not torch.cuda.is_available():
        raise LookalikeError(
            "device=cuda: torch finds no CUDA device here: use device=cpu, or check the driver with nvidia-smi"
        )
    model = load_embedder(bundle.path / "model.safetensors", bundle.config["model"]).cuda().eval()

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model.embed(torch.from_numpy(images).cuda(non_blocking=True)).float().cpu().numpy()

    return run
