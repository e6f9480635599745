"""The encoder of a network that is in memory: out of a checkpoint, or with nothing but its first weights.

Letters in shapes: B batch, H height, W width.
"""

from pathlib import Path
from typing import Literal

from lookalike.console import say
from lookalike.data.pixels import PixelSettings
from lookalike.devices import need_cuda
from lookalike.export.export import write_weights
from lookalike.export.graph import ExportError, write_graph
from lookalike.export.parity import float32_encoder, noise_images
from lookalike.inference.encoder import Encoder
from lookalike.models.image_network import ImageNetwork
from lookalike.models.torch_network import TorchNetwork


def encoder_of(embedder: ImageNetwork, pixels: PixelSettings, folder: Path, device: Literal["cpu", "cuda"]) -> Encoder:
    """What runs a network in float32: on a processor the same graph that its bundle would have.

    So a checkpoint and the bundle made of it give the same embeddings and have the same fingerprint. Where OpenVINO
    cannot take the network over, torch runs it.

    Args:
        embedder: The network; it belongs to the encoder from now on.
        pixels: How images are read.
        folder: Where weights and graph are written; they must stay while the encoder is used.
        device: `cuda` runs it in torch.

    Raises:
        LookalikeError: `cuda` without a GPU.
    """
    embedder = embedder.cpu().eval()
    folder.mkdir(parents=True, exist_ok=True)
    fingerprint = write_weights(embedder, pixels, folder / "model.safetensors")
    if device == "cuda":
        need_cuda()
        return Encoder(TorchNetwork(embedder, "cuda"), pixels, fingerprint, embedder.embedding_size)
    noise = noise_images(pixels)
    graph = folder / "model.xml"
    try:
        write_graph(embedder, pixels, graph)
        return float32_encoder(graph, embedder, pixels, fingerprint, noise, ["noise"] * len(noise))[0]
    except ExportError as error:
        say(f"{error}; torch runs it here")
        return Encoder(TorchNetwork(embedder, "cpu", batch=8), pixels, fingerprint, embedder.embedding_size)
