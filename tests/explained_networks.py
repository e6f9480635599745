"""Small networks of several heads, as graphs that embed."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from embedders import make
from lookalike.data.pixels import PixelSettings
from lookalike.export.graph import write_graph
from lookalike.inference.encoder import Encoder
from lookalike.inference.openvino_network import OpenVinoNetwork
from lookalike.models.embedder import Embedder

SIDE = 64


def network(backbone: str = "test_resnet", side: int = SIDE, **settings: Any) -> Embedder:
    """One whose head and batch norms do something, as if they had been trained."""
    embedder = make(backbone, size=(side, side), **settings)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in embedder.state_dict().items():
            if value.is_floating_point() and name.rpartition(".")[2] in ("bias", "running_mean"):
                value.copy_(0.3 * torch.randn(value.shape, generator=draw))
            elif name.rpartition(".")[2] == "running_var":
                value.copy_(0.5 + torch.rand(value.shape, generator=draw))
    return embedder.eval()


def encoder_of(embedder: Embedder, folder: Path, fingerprint: str = "f" * 64, side: int = SIDE) -> Encoder:
    """Its graph, ready to run in float32."""
    pixels = PixelSettings(side, side)
    folder.mkdir(exist_ok=True)
    write_graph(embedder, pixels, folder / "model.xml")
    run = OpenVinoNetwork(folder / "model.xml", "float32", pixels, embedder.embedding_size)
    return Encoder(run, pixels, fingerprint, embedder.embedding_size)


def noise(count: int, side: int = SIDE) -> np.ndarray:
    """uint8 [count, side, side, 3], smooth fields, so that positions differ."""
    draw = np.random.default_rng(0)
    small = draw.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return np.repeat(np.repeat(small, side // 8, axis=1), side // 8, axis=2)
