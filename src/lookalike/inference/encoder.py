"""Images -> unit embeddings.

Each worker thread reads a batch of images and runs the network on it, so reading and arithmetic overlap without a
queue between them. Every batch has the same shape (the last one is padded), so an image's embedding does not depend
on its neighbours or its place.

Letters in shapes: N images, B batch, H height, W width, D embedding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Literal

import cv2
import numpy as np

from lookalike.console import say
from lookalike.data.any_image import AnyImage, name_of, read_any
from lookalike.data.images import ImageError
from lookalike.data.pixels import PixelSettings
from lookalike.devices import openvino_has_bf16
from lookalike.errors import LookalikeError
from lookalike.inference.bundle import Bundle
from lookalike.inference.openvino_network import Network, OpenVinoNetwork, Precision, ServedPrecision
from lookalike.parallel import side_by_side

Device = Literal["cpu", "cuda"]
WantedPrecision = Literal["auto", "float32", "bf16"]
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
        workers: Threads that read images and run the network; None = two per core, up to 16. No process is started.
    """

    network: Network
    pixels: PixelSettings
    fingerprint: str
    size: int
    precision: ServedPrecision = "float32"
    workers: int | None = None

    def embed(
        self,
        images: Sequence[AnyImage],
        boxes: Sequence[Box | None] | None = None,
        *,
        names: Sequence[str] | None = None,
        errors: dict[int, str] | None = None,
        progress: Callable[[int], None] = lambda done: None,
    ) -> np.ndarray:
        """Embeds images.

        Args:
            images: N files, arrays or pictures, see `data.any_image`.
            boxes: N boxes (x1, y1, x2, y2 in pixels) or None for the whole image.
            names: N, what images without a path are called in errors; None for `image 1` and so on.
            errors: When given, an unusable image is noted here (index -> reason) and its row is zero.
            progress: Called with the number of images done since the last call, by one thread at a time.

        Returns:
            float32 [N, D], unit length.

        Raises:
            ImageError: An image cannot be used and `errors` is None.
        """
        cv2.setNumThreads(1)
        embeddings = np.zeros((len(images), self.size), np.float32)
        batch, advancing, unusable = self.network.batch, Lock(), dict[int, str]()

        def work(first: int) -> None:
            pixels = np.zeros((batch, self.pixels.height, self.pixels.width, 3), np.uint8)
            usable = []
            for i in range(first, min(first + batch, len(images))):
                try:
                    box = boxes[i] if boxes else None
                    name = name_of(images[i], i) if names is None else names[i]
                    pixels[i - first] = read_any(images[i], self.pixels, box, name)
                    usable.append(i)
                except ImageError as error:
                    if errors is None:
                        raise
                    unusable[i] = str(error)
            if usable:
                embeddings[usable] = self.network(pixels)[[i - first for i in usable]]
            with advancing:
                progress(min(first + batch, len(images)) - first)

        side_by_side(work, range(0, len(images), batch), self.workers)
        if errors is not None:
            errors.update(sorted(unusable.items()))
        return embeddings

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

        side_by_side(work, range(0, len(images), batch), self.workers)
        return result


def openvino_encoder(bundle: Bundle, precision: WantedPrecision = "auto") -> Encoder:
    """A bundle's graph on this processor; needs no torch.

    Args:
        bundle: A verified bundle.
        precision: `auto` is bf16 where the processor has it and the bundle's parity check was passed in it.

    Raises:
        LookalikeError: bf16 for a processor that has none, or for an int8 bundle.
    """
    if precision == "bf16":
        refuse_int8(bundle, "precision=bf16")
        if not openvino_has_bf16():
            raise LookalikeError("precision=bf16: this processor has no bf16 units: use precision=auto or float32")
    if precision == "auto":
        precision = "bf16" if bundle.config.parity.bf16 and openvino_has_bf16() else "float32"
    return encoder_of_bundle(
        bundle, OpenVinoNetwork(bundle.graph, precision, bundle.pixels, bundle.config.model.size), precision
    )


def encoder_of_bundle(bundle: Bundle, network: Network, precision: Precision) -> Encoder:
    """The encoder of a bundle whose network is ready; says when its references were made in another precision."""
    made = bundle.config.precision
    runs: ServedPrecision = "int8" if made == "int8" else precision
    if runs != made:
        say(
            f"{bundle.path}: gallery and thresholds were made in {made}, the network runs in {runs}: "
            "similarities differ a little"
        )
    return Encoder(network, bundle.pixels, bundle.fingerprint, bundle.config.model.size, runs)


def refuse_int8(bundle: Bundle, asked: str) -> None:
    """Refuses what an int8 bundle cannot do.

    Args:
        bundle: The bundle.
        asked: What was asked for, such as `device=cuda`.

    Raises:
        LookalikeError: It is one.
    """
    if bundle.config.precision == "int8":
        raise LookalikeError(
            f"{asked}: {bundle.path} is an int8 bundle, whose gallery only its own graph fits: "
            "use device=cpu precision=auto, or the bundle that it was made from"
        )


def need_workers(workers: int | None) -> None:
    """Refuses what is no number of threads that read images.

    Raises:
        LookalikeError: It is none.
    """
    if workers is not None and not (isinstance(workers, int) and workers >= 0):
        raise LookalikeError(
            f"workers={workers!r}: expected the number of threads that read images, 0 or more, or None"
        )
