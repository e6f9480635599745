"""Graphs of whole networks and of frozen trunks, run by OpenVINO and compared with torch on photographs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lookalike.data.images import read_image
from lookalike.data.pixels import PixelSettings
from lookalike.export.graph import ExportError, write_graph, write_trunk_graph
from lookalike.inference.openvino_network import OpenVinoNetwork
from lookalike.models.embedder import Embedder

PIXELS = PixelSettings(96, 96)


@pytest.fixture
def embedder() -> Embedder:
    torch.manual_seed(0)
    return Embedder("test_efficientnet", 16, trainable=["blocks.2", "head"])


@pytest.fixture(scope="module")
def images(produce: Path) -> np.ndarray:
    files = sorted((produce / "validation").rglob("*.jpg"))[::49]
    return np.stack([read_image(file, PIXELS) for file in files[:2]])


def test_the_graph_of_a_network_gives_its_unit_embeddings(
    embedder: Embedder, images: np.ndarray, tmp_path: Path
) -> None:
    write_graph(embedder, PIXELS, tmp_path / "model.xml")
    with torch.no_grad():
        expected = embedder.eval().embed(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(OpenVinoNetwork(tmp_path / "model.xml")(images), expected, atol=1e-5)


@pytest.mark.parametrize("channels_last", [False, True])
def test_the_graph_of_a_trunk_gives_what_the_first_trained_stage_gets(
    embedder: Embedder, images: np.ndarray, channels_last: bool, tmp_path: Path
) -> None:
    modes = [part.training for part in embedder.modules()]
    write_trunk_graph(embedder, PIXELS, channels_last, tmp_path / "trunk.xml")
    assert [part.training for part in embedder.modules()] == modes
    with torch.no_grad():
        expected = embedder.trunk(torch.from_numpy(images))
    expected = expected.permute(0, 2, 3, 1) if channels_last else expected
    np.testing.assert_allclose(OpenVinoNetwork(tmp_path / "trunk.xml")(images), expected.numpy(), rtol=1e-3, atol=1e-4)


class Unknown(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(images)


def trunk_graph(embedder: Embedder, pixels: PixelSettings, file: Path) -> None:
    write_trunk_graph(embedder, pixels, True, file)


@pytest.mark.parametrize("write", [write_graph, trunk_graph])
def test_an_operation_that_openvino_does_not_know_is_named(
    embedder: Embedder, write: Callable[[Embedder, PixelSettings, Path], None], tmp_path: Path
) -> None:
    embedder.backbone.bn1 = nn.Sequential(embedder.backbone.bn1, Unknown())
    with pytest.raises(ExportError, match=r"OpenVINO cannot take the network over \(.*\)"):
        write(embedder, PIXELS, tmp_path / "model.xml")
    assert not list(tmp_path.iterdir())
