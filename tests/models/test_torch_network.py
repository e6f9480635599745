"""The same network in torch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lookalike.data.image_files import find_images
from lookalike.inference.bundle import load_bundle
from lookalike.inference.encoder import Encoder, openvino_encoder
from lookalike.model import Model
from lookalike.models.embedder import load_embedder
from lookalike.models.torch_network import TorchNetwork


def test_torch_and_bf16_agree_with_float32(bundle_path: Path, digits: Path) -> None:
    bundle, files = load_bundle(bundle_path), find_images(digits / "test")
    expected = openvino_encoder(bundle, precision="float32").embed(files)
    embedder = load_embedder(bundle_path / "model.safetensors", bundle.config.model)
    for precision, least in (("float32", 0.99999), ("bf16", 0.99)):
        network = TorchNetwork(embedder, "cpu", precision, batch=7)
        encoder = Encoder(network, bundle.pixels, bundle.fingerprint, 16, precision)
        found = encoder.embed(files)
        assert (found * expected).sum(1).min() > least
        assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
        assert np.array_equal(found[3:9], encoder.embed(files[3:9])), "padded to the same shape"


def test_cuda_without_a_device_says_so(bundle_path: Path) -> None:
    if torch.cuda.is_available():
        assert Model.load(bundle_path, device="cuda").encoder.size == 16
        return
    with pytest.raises(ValueError, match=r"device=cuda: torch finds no CUDA device here: use device=cpu"):
        Model.load(bundle_path, device="cuda")
