"""The encoder of a network that is in memory: out of a checkpoint, or with nothing but its first weights.

Letters in shapes: B batch, H height, W width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lookalike.console import say
from lookalike.data.pixels import PixelSettings
from lookalike.devices import need_cuda
from lookalike.export.export import write_weights
from lookalike.export.graph import ExportError, write_graph
from lookalike.export.parity import float32_encoder, noise_images
from lookalike.inference.encoder import Encoder
from lookalike.models.image_network import ImageNetwork
from lookalike.models.torch_network import TorchNetwork
from lookalike.recognition.graphs import is_graph, restore_graph
from lookalike.recognition.ours import held_out_of
from lookalike.recognition.restore import restore
from lookalike.settings.check import flat
from lookalike.settings.data import HeldOut


@dataclass(frozen=True)
class Asked:
    """What a person says of a checkpoint.

    Attributes:
        model: Settings of its network, of another project's.
        pixels: How images are read, likewise.
        allow_partial: Also when not every tensor of the model is in the file.
        key: Which set of weights; None for the network's own.
    """

    model: Mapping[str, Any]
    pixels: Mapping[str, Any]
    allow_partial: bool = False
    key: str | None = None


def encoder_of_checkpoint(
    file: Path, asked: Asked, folder: Path, device: Literal["cpu", "cuda"]
) -> tuple[Encoder, dict[str, Any], HeldOut]:
    """What runs the network of a checkpoint, what is known of it, and what its training held out.

    Args:
        file: The checkpoint, or a graph.
        asked: What a person says of it.
        folder: See `encoder_of`.
        device: `cuda` runs it in torch.

    Raises:
        LookalikeError: See `restore` and `restore_graph`.
    """
    about: dict[str, Any] = {"ckpt_path": str(file), **({"ckpt_key": asked.key} if asked.key else {})}
    if is_graph(file):
        encoder, built = restore_graph(file, asked.model, asked.pixels, asked.key, folder, device)
        held_out = HeldOut()
    else:
        embedder, read_as, settings = restore(file, asked.model, asked.pixels, asked.allow_partial, asked.key)
        encoder, built = encoder_of(embedder, read_as, folder, device), flat(settings, "model.")
        held_out = held_out_of(file)
    about |= {"precision": encoder.precision, **built, **flat(encoder.pixels.to_dict(), "pixels.")}
    return encoder, about, held_out


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
