"""A graph is served in the precision in which it agrees with torch on real images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import TINY
from lookalike.cli.main import main
from lookalike.inference.bundle import load_bundle
from lookalike.inference.encoder import openvino_encoder
from lookalike.inference.openvino_network import OpenVinoNetwork


def test_a_graph_that_is_too_far_off_in_bf16_is_served_in_float32(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shifted(graph: Path, precision: str = "float32") -> Any:
        network = OpenVinoNetwork(graph, "float32")
        if precision == "float32":
            return network

        def run(images: np.ndarray) -> np.ndarray:
            found = network(images) + np.linspace(-0.1, 0.1, 16, dtype=np.float32)
            return found / np.linalg.norm(found, axis=1, keepdims=True)

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
