"""An embedder as an OpenVINO graph.

Letters in shapes: B batch, H height, W width, D embedding.
"""

import logging
import warnings
from pathlib import Path

import openvino
import torch
from torch import Tensor, nn

from lookalike.data.pixels import PixelSettings
from lookalike.errors import LookalikeError
from lookalike.inference.openvino_network import save_graph
from lookalike.models.embedder import Embedder
from lookalike.models.image_network import ImageNetwork
from lookalike.models.trunk import in_eval_mode


class ExportError(LookalikeError):
    """A network cannot be exported, or its graph does not agree with torch."""


class _UnitEmbeddings(nn.Module):
    def __init__(self, embedder: ImageNetwork) -> None:
        super().__init__()
        self.embedder = embedder

    def forward(self, images: Tensor) -> Tensor:
        """uint8 [B, H, W, 3] -> unit embedding [B, D]."""
        return self.embedder.embed(images)


class _Trunk(nn.Module):
    def __init__(self, embedder: Embedder, channels_last: bool) -> None:
        super().__init__()
        self.embedder, self.channels_last = embedder, channels_last

    def forward(self, images: Tensor) -> Tensor:
        """uint8 [B, H, W, 3] -> what enters the first trained stage, maps as [B, H, W, C] where asked for."""
        features = self.embedder.trunk(images)
        return features.permute(0, 2, 3, 1) if self.channels_last else features


def write_graph(embedder: ImageNetwork, pixels: PixelSettings, file: Path) -> None:
    """Writes uint8 [B, H, W, 3] -> unit embeddings [B, D] as an OpenVINO graph: `file` (.xml), and .bin beside it.

    Raises:
        DiskFullError: There is no room.
        ExportError: OpenVINO does not know an operation of the network.
    """
    _write(_UnitEmbeddings(embedder).eval(), pixels, file)


def write_trunk_graph(embedder: Embedder, pixels: PixelSettings, channels_last: bool, file: Path) -> None:
    """The same of a frozen trunk: uint8 [B, H, W, 3] -> what enters the first trained stage.

    Args:
        embedder: On the CPU; its trunk is frozen.
        pixels: How images are read.
        channels_last: Give maps as [B, H, W, C], not as [B, C, H, W].
        file: Of the graph.

    Raises:
        DiskFullError: There is no room.
        ExportError: OpenVINO does not know an operation of the network.
    """
    network = _Trunk(embedder, channels_last)
    with in_eval_mode(network):
        _write(network, pixels, file)


def _write(network: nn.Module, pixels: PixelSettings, file: Path) -> None:
    shape = [-1, pixels.height, pixels.width, 3]
    example = torch.zeros(2, *shape[1:], dtype=torch.uint8)
    logging.getLogger("openvino").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # tracing warns about shapes that are fixed here on purpose
        try:
            # Tracing a second time to compare would take as long again; what is exported is compared with torch anyway.
            traced = torch.jit.trace(network, example, strict=False, check_trace=False)  # type: ignore[no-untyped-call]
            graph = openvino.convert_model(traced, example_input=example, input=[(shape, openvino.Type.u8)])
        except Exception as error:  # what it raises for a network that it does not know is its own affair
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ExportError(f"OpenVINO cannot take the network over ({reason})") from error
    save_graph(graph, file)
