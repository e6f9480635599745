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


class ExportError(LookalikeError):
    """A network cannot be exported, or its graph does not agree with torch."""


class _UnitEmbeddings(nn.Module):
    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self.embedder = embedder

    def forward(self, images: Tensor) -> Tensor:
        """uint8 [B, H, W, 3] -> unit embedding [B, D]."""
        return self.embedder.embed(images)


def write_graph(embedder: Embedder, pixels: PixelSettings, file: Path) -> None:
    """Writes uint8 [B, H, W, 3] -> unit embeddings [B, D] as an OpenVINO graph: `file` (.xml), and .bin beside it.

    Raises:
        DiskFullError: There is no room.
        ExportError: OpenVINO does not know an operation of the network.
    """
    shape = [-1, pixels.height, pixels.width, 3]
    example = torch.zeros(2, *shape[1:], dtype=torch.uint8)
    logging.getLogger("openvino").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # tracing warns about shapes that are fixed here on purpose
        try:
            # Tracing a second time to compare would take as long again; what is exported is compared with torch anyway.
            network = _UnitEmbeddings(embedder).eval()
            traced = torch.jit.trace(network, example, strict=False, check_trace=False)  # type: ignore[no-untyped-call]
            graph = openvino.convert_model(traced, example_input=example, input=[(shape, openvino.Type.u8)])
        except Exception as error:  # what it raises for a network that it does not know is its own affair
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ExportError(f"OpenVINO cannot take the network over ({reason})") from error
    save_graph(graph, file)
