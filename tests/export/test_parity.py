"""A graph is served in the precision in which it agrees with torch on real images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import TINY
from lookalike.cli.main import main
from lookalike.data.images import read_image
from lookalike.data.pixels import PixelSettings
from lookalike.export.graph import ExportError, write_graph
from lookalike.export.parity import PARITY_COSINE, agreeing_encoder, float32_encoder
from lookalike.inference.bundle import load_bundle
from lookalike.inference.encoder import openvino_encoder
from lookalike.inference.openvino_network import OpenVinoNetwork
from lookalike.models.embedder import Embedder

PIXELS = PixelSettings(64, 48)


def test_a_graph_that_is_too_far_off_in_bf16_is_served_in_float32(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shifted(graph: Path, precision: str = "float32") -> Any:
        network = OpenVinoNetwork(graph, "float32")
        if precision == "float32":
            return network

        def run(images: np.ndarray) -> np.ndarray:
            embeddings = network(images) + np.linspace(-0.1, 0.1, 16, dtype=np.float32)
            return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)

        run.batch = network.batch  # type: ignore[attr-defined]
        return run

    monkeypatch.setattr("lookalike.export.parity.openvino_has_bf16", lambda: True)
    monkeypatch.setattr("lookalike.export.parity.OpenVinoNetwork", shifted)
    folders = (f"models_dir={tmp_path / 'models'}", f"checkpoint_dir={tmp_path / 'checkpoint'}")
    assert main(["train", f"data.root={digits}", "run=r", *folders, *TINY, "trainer.max_epochs=1"]) == 0
    bundle = load_bundle(tmp_path / "models" / "r")
    assert bundle.config.precision == "float32"
    assert bundle.config.parity.bf16 is None
    assert openvino_encoder(bundle).precision == "float32"


@pytest.fixture(scope="module")
def network() -> Embedder:
    torch.manual_seed(0)
    return Embedder("test_resnet", 12).eval()


@pytest.fixture
def graph(network: Embedder, tmp_path: Path) -> Path:
    write_graph(network, PIXELS, tmp_path / "g.xml")
    return tmp_path / "g.xml"


@pytest.fixture(scope="module")
def photographs(few_produce: Path) -> np.ndarray:
    return np.stack([read_image(file, PIXELS) for file in sorted(few_produce.glob("validation/*/*.jpg"))[:13]])


def test_a_graph_agrees_with_torch_on_photographs(network: Embedder, graph: Path, photographs: np.ndarray) -> None:
    encoder, agreement = float32_encoder(graph, network, PIXELS, "f" * 64, photographs, ["x"] * 13)
    assert (encoder.precision, encoder.fingerprint, encoder.size, encoder.pixels) == ("float32", "f" * 64, 12, PIXELS)
    assert 1 - 1e-5 < agreement.min_cosine <= agreement.mean_cosine <= 1 + 1e-5
    with torch.inference_mode():
        expected = network.embed(torch.from_numpy(photographs)).numpy()
    assert np.abs(encoder.embed_arrays(photographs) - expected).max() < 1e-5


def test_the_precision_that_is_served_is_the_one_that_agreed(
    network: Embedder, graph: Path, photographs: np.ndarray
) -> None:
    encoder, parity = agreeing_encoder(graph, network, PIXELS, "f" * 64, photographs, ["x"] * 13)
    assert parity.images == 13
    if parity.bf16 is None:
        assert encoder.precision == "float32"
    else:
        assert encoder.precision == "bf16"
        assert PARITY_COSINE <= parity.bf16.min_cosine < parity.min_cosine


def test_the_image_they_disagree_on_is_named(graph: Path, photographs: np.ndarray) -> None:
    torch.manual_seed(1)
    other = Embedder("test_resnet", 12).eval()
    names = [f"{number}.jpg" for number in range(13)]
    with pytest.raises(
        ExportError, match=r"disagrees with torch: cosine -?0\.\d+ on \d+\.jpg, expected at least 0\.999"
    ):
        float32_encoder(graph, other, PIXELS, "f" * 64, photographs, names)


def test_weights_that_are_no_numbers_are_a_disagreement(photographs: np.ndarray, tmp_path: Path) -> None:
    torch.manual_seed(0)
    broken = Embedder("test_resnet", 12).eval()
    with torch.no_grad():
        broken.head.bias.fill_(float("nan"))
    write_graph(broken, PIXELS, tmp_path / "g.xml")
    with pytest.raises(ExportError, match=r"disagrees with torch: cosine nan on x,"):
        float32_encoder(tmp_path / "g.xml", broken, PIXELS, "f" * 64, photographs, ["x"] * 13)
