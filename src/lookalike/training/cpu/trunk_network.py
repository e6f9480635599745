"""What runs a frozen trunk over many images once: OpenVINO on a processor, several times quicker than torch.

OpenVINO joins each convolution with the batch norm and the activation behind it. Where it cannot take the trunk over,
or gives something else than torch, torch runs it.

Letters in shapes: B batch, C channels, H height, W width, F features of any number of dimensions.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lookalike.console import say
from lookalike.data.pixels import PixelSettings
from lookalike.export.graph import ExportError, write_trunk_graph
from lookalike.export.parity import PARITY_COSINE, noise_images
from lookalike.inference.openvino_network import NetworkError, OpenVinoNetwork
from lookalike.models.embedder import Embedder

_MAPS = 4  # dimensions of a batch of maps
_TORCH_BATCH = 8


class TrunkNetwork:
    """uint8 [B, H, W, 3] -> bf16 [B, F], in the order the outputs have in memory; many threads may call it at once.

    Args:
        embedder: Its trunk is frozen; on `device`.
        bf16: Run it in bf16.
        device: `cpu` or `cuda`.
        openvino: Runs it instead of torch.
    """

    def __init__(self, embedder: Embedder, bf16: bool, device: str, openvino: OpenVinoNetwork | None = None) -> None:
        self._embedder, self._bf16, self._device, self._openvino = embedder, bf16, device, openvino
        self.batch = _TORCH_BATCH if openvino is None else openvino.batch

    def __call__(self, images: Tensor) -> Tensor:
        """One batch of at most `batch` images."""
        if self._openvino is None:
            return outputs_by_torch(self._embedder, images, self._bf16, self._device)[0]
        # Every batch has the same size, so that an image's features do not depend on how many there are.
        padded = np.zeros((self.batch, *images.shape[1:]), np.uint8)
        padded[: len(images)] = images.numpy()
        return torch.from_numpy(self._openvino(padded)[: len(images)]).to(torch.bfloat16)


def outputs_by_torch(embedder: Embedder, images: Tensor, bf16: bool, device: str) -> tuple[Tensor, bool]:
    """uint8 [B, H, W, 3] -> bf16 [B, F] in the order they have in memory, and whether that is [B, H, W, C] of maps."""
    with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=bf16):
        features = embedder.trunk(images.to(device))
    return in_memory_order(features.to(torch.bfloat16).cpu())


def in_memory_order(features: Tensor) -> tuple[Tensor, bool]:
    """[B, F] as they lie in memory, and whether that is [B, H, W, C] of maps [B, C, H, W]."""
    last = features.dim() == _MAPS and features.is_contiguous(memory_format=torch.channels_last)
    last = last and not features.is_contiguous()
    return (features.permute(0, 2, 3, 1) if last else features).contiguous(), last


def trunk_network(
    embedder: Embedder, pixels: PixelSettings, bf16: bool, device: str, channels_last: bool
) -> TrunkNetwork:
    """What runs the trunk quickest here.

    Args:
        embedder: Its trunk is frozen; on `device`.
        pixels: How images are read.
        bf16: Run it in bf16.
        device: `cpu` or `cuda`.
        channels_last: Whether its maps are kept as [B, H, W, C].
    """
    by_torch = TrunkNetwork(embedder, bf16, device)
    if device != "cpu":
        return by_torch
    try:
        with tempfile.TemporaryDirectory(prefix="lookalike-") as folder:
            graph = Path(folder) / "trunk.xml"
            write_trunk_graph(embedder, pixels, channels_last, graph)
            by_openvino = TrunkNetwork(
                embedder, bf16, device, OpenVinoNetwork(graph, "bf16" if bf16 else "float32", pixels)
            )
    except (ExportError, NetworkError) as error:
        say(f"trunk: {error}; torch runs it, which takes longer")
        return by_torch
    cosine = _agreement(by_torch, by_openvino, pixels)
    if not cosine >= PARITY_COSINE:
        say(f"trunk: OpenVINO disagrees with torch (cosine {cosine:.6f}); torch runs it, which takes longer")
        return by_torch
    return by_openvino


def _agreement(by_torch: TrunkNetwork, by_openvino: TrunkNetwork, pixels: PixelSettings) -> float:
    """The smallest cosine of an image's features by both."""
    noise = torch.from_numpy(noise_images(pixels))
    parts = [noise[first : first + by_openvino.batch] for first in range(0, len(noise), by_openvino.batch)]
    first, second = (
        torch.cat([network(part).flatten(1) for part in parts]).double() for network in (by_torch, by_openvino)
    )
    if first.shape != second.shape:
        return -1.0
    return float(torch.nn.functional.cosine_similarity(first, second).min())
