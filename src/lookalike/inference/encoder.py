"""Images -> unit embeddings, through OpenVINO on a CPU or torch on a GPU.

Each worker thread reads a batch of images and runs the network on it, so reading and arithmetic overlap without a
queue between them. Every batch has the same shape (the last one is padded), so an image's embedding does not depend
on its neighbours or its place.

Letters in shapes: N images, B batch, H height, W width, D embedding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Literal

import cv2
import numpy as np

from lookalike.console import say
from lookalike.data.images import ImageError, read_image
from lookalike.data.pixels import PixelSettings
from lookalike.devices import multiplies_bf16
from lookalike.errors import LookalikeError
from lookalike.inference.bundle import Bundle
from lookalike.inference.openvino_network import Network, OpenVinoNetwork, Precision
from lookalike.models.torch_network import TorchNetwork
from lookalike.parallel import side_by_side

Device = Literal["cpu", "cuda"]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Encoder:
    """What turns images into embeddings.

    Attributes:
        network: uint8 [B, H, W, 3] -> float32 unit embeddings [B, D].
        pixels: How images are read.
        fingerprint: Identifies weights and pixel settings.
        size: D.
        precision: Of the network's arithmetic.
    """

    network: Network
    pixels: PixelSettings
    fingerprint: str
    size: int
    precision: str = "float32"

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
            progress: Called with the number of images done since the last call, by one thread at a time.

        Returns:
            float32 [N, D], unit length.

        Raises:
            ImageError: An image cannot be used and `errors` is None.
        """
        cv2.setNumThreads(1)
        result = np.zeros((len(files), self.size), np.float32)
        batch, told, found = self.network.batch, Lock(), {}

        def work(first: int) -> None:
            images = np.zeros((batch, self.pixels.height, self.pixels.width, 3), np.uint8)
            good = []
            for i in range(first, min(first + batch, len(files))):
                try:
                    images[i - first] = read_image(files[i], self.pixels, boxes[i] if boxes else None)
                    good.append(i)
                except ImageError as error:
                    if errors is None:
                        raise
                    found[i] = str(error)
            if good:
                result[good] = self.network(images)[[i - first for i in good]]
            with told:
                progress(min(first + batch, len(files)) - first)

        side_by_side(work, range(0, len(files), batch))
        if errors is not None:
            errors.update(sorted(found.items()))
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
        batch = self.network.batch

        def work(first: int) -> None:
            part = images[first : first + batch]
            padded = np.zeros((batch, *expected), np.uint8)
            padded[: len(part)] = part
            result[first : first + len(part)] = self.network(padded)[: len(part)]

        side_by_side(work, range(0, len(images), batch))
        return result


def load_encoder(
    bundle: Bundle,
    device: Device | Literal["auto"] = "auto",
    precision: Precision | Literal["auto"] = "auto",
    compiled: bool = False,
) -> Encoder:
    """Prepares a bundle's network.

    Args:
        bundle: A verified bundle.
        device: `cpu` (OpenVINO), `cuda` (torch) or `auto`: always `cpu`, as it needs no torch.
        precision: `auto` is bf16 where the processor or GPU has it and the bundle's parity check was passed in it.
        compiled: On a GPU, let torch compile the network; pays for thousands of images.

    Raises:
        LookalikeError: No torch or no GPU for `cuda`; bf16 for a processor that has none.
    """
    if bundle.config.get("precision") == "int8" and (device == "cuda" or precision == "bf16"):
        what = "device=cuda" if device == "cuda" else "precision=bf16"
        raise LookalikeError(
            f"{what}: {bundle.path} is an int8 bundle, whose gallery only its own graph fits: "
            "use device=cpu precision=auto, or the bundle that it was made from"
        )
    model = bundle.config["model"]  # without `dimensions` in bundles from before embedding_size could be null
    size = int(model.get("dimensions") or model["embedding_size"])
    if device == "cuda":
        network, used = _on_gpu(bundle, precision, compiled)
    else:
        used = _precision_here(bundle, precision)
        network = OpenVinoNetwork(bundle.path / "model.xml", used)
    made = bundle.config.get("precision", "float32")
    told = "int8" if made == "int8" else used
    if told != made:
        say(
            f"{bundle.path}: gallery and thresholds were made in {made}, the network runs in {told}: "
            "similarities differ a little"
        )
    return Encoder(network, bundle.pixels, bundle.fingerprint, size, told)


def _precision_here(bundle: Bundle, precision: Precision | Literal["auto"]) -> Precision:
    if precision == "auto":
        return "bf16" if "bf16" in bundle.config["parity"] and multiplies_bf16() else "float32"
    if precision == "bf16" and not multiplies_bf16():
        raise LookalikeError("precision=bf16: this processor has no bf16 units: use precision=auto or float32")
    return precision


def _on_gpu(bundle: Bundle, precision: Precision | Literal["auto"], compiled: bool) -> tuple[Network, Precision]:
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
    embedder = load_embedder(bundle.path / "model.safetensors", bundle.config["model"])
    used: Precision = "float32" if precision == "auto" else precision
    if precision == "auto" and "bf16" in bundle.config["parity"]:
        used = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return TorchNetwork(embedder, "cuda", used, compiled=compiled), used
