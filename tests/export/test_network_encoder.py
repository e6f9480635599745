"""The encoder of a network in memory, and of a checkpoint of any project."""

from pathlib import Path

import numpy as np
import pytest
import torch

from foreign_networks import vision
from lookalike.data.pixels import PixelSettings
from lookalike.errors import LookalikeError
from lookalike.export.network_encoder import Asked, encoder_of, encoder_of_checkpoint
from lookalike.models.embedder import Embedder


def test_the_graph_gives_what_torch_gives(tmp_path: Path) -> None:
    torch.manual_seed(0)
    embedder = Embedder("test_resnet", 16).eval()
    encoder = encoder_of(embedder, PixelSettings(32, 32), tmp_path / "new", "cpu")
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    with torch.no_grad():
        expected = embedder.embed(torch.from_numpy(images)).numpy()
    assert np.abs(encoder.embed_arrays(images) - expected).max() < 1e-5
    assert (encoder.size, encoder.precision) == (16, "float32")


def test_a_checkpoint_says_what_it_was_recognised_as(tmp_path: Path) -> None:
    torch.save(
        {"state_dict": {f"net.{name}": value for name, value in vision().state_dict().items()}}, tmp_path / "a.ckpt"
    )
    asked = Asked({"embedding_size": 128}, {"height": 64, "width": 64})
    encoder, about, held_out = encoder_of_checkpoint(tmp_path / "a.ckpt", asked, tmp_path / "graph", "cpu")
    assert (encoder.size, held_out.validation_share) == (128, 0)
    assert (about["model.backbone"], about["model.last_stride"], about["pixels.height"]) == ("resnet18", 2, 64)
    again, _, _ = encoder_of_checkpoint(
        tmp_path / "a.ckpt",
        Asked(
            {name.removeprefix("model."): value for name, value in about.items() if name.startswith("model.")},
            {name.removeprefix("pixels."): value for name, value in about.items() if name.startswith("pixels.")},
        ),
        tmp_path / "again",
        "cpu",
    )
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    assert np.abs(again.embed_arrays(images) - encoder.embed_arrays(images)).max() < 1e-6


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(LookalikeError, match=r"none\.ckpt: no such file"):
        encoder_of_checkpoint(tmp_path / "none.ckpt", Asked({}, {}), tmp_path, "cpu")
