"""The same network in torch."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from lookalike.data.image_files import find_images
from lookalike.errors import LookalikeError
from lookalike.inference.bundle import Bundle, load_bundle
from lookalike.inference.encoder import Encoder, openvino_encoder
from lookalike.inference.openvino_network import Precision
from lookalike.model import Model
from lookalike.models.embedder import load_embedder
from lookalike.models.torch_network import TorchNetwork, gpu_encoder


def test_torch_and_bf16_agree_with_float32(bundle_path: Path, digits: Path) -> None:
    bundle, files = load_bundle(bundle_path), find_images(digits / "test")
    expected = openvino_encoder(bundle, precision="float32").embed(files)
    embedder = load_embedder(bundle_path / "model.safetensors", bundle.config.model, bundle.pixels)
    for precision, least in (("float32", 0.99999), ("bf16", 0.99)):
        network = TorchNetwork(embedder, "cpu", precision, batch=7)
        encoder = Encoder(network, bundle.pixels, bundle.fingerprint, 16, precision)
        embeddings = encoder.embed(files)
        assert (embeddings * expected).sum(1).min() > least
        assert np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
        assert np.array_equal(embeddings[3:9], encoder.embed(files[3:9])), "padded to the same shape"


def test_cuda_without_a_device_says_so(bundle_path: Path) -> None:
    if torch.cuda.is_available():
        assert Model.load(bundle_path, device="cuda").encoder.size == 16
        return
    with pytest.raises(ValueError, match=r"device=cuda: torch finds no CUDA device here: use device=cpu"):
        Model.load(bundle_path, device="cuda")


def test_an_int8_bundle_is_not_for_torch(bundle_path: Path) -> None:
    bundle = load_bundle(bundle_path)
    quantized = Bundle(bundle.path, bundle.config.model_copy(update={"precision": "int8"}))
    with pytest.raises(LookalikeError, match=r"^device=cuda: .* is an int8 bundle, whose gallery only its own"):
        gpu_encoder(quantized)
    if not torch.cuda.is_available():
        with pytest.raises(LookalikeError, match=r"^device=cuda: torch finds no CUDA device here"):
            gpu_encoder(bundle)


@pytest.mark.parametrize("backbone", ["hf-hub:attacker/x", "local-dir:/tmp/x"])
def test_a_bundle_does_not_choose_what_is_fetched(
    backbone: str, bundle_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(*arguments: object, **options: object) -> None:
        raise AssertionError(f"made of {arguments}")

    monkeypatch.setattr("timm.create_model", made)
    bundle = load_bundle(bundle_path)
    model = bundle.config.model.model_copy(update={"backbone": backbone})
    elsewhere = Bundle(bundle.path, bundle.config.model_copy(update={"model": model}))
    with pytest.raises(
        LookalikeError, match=rf"its network is made from elsewhere \(model\.backbone={backbone}\), and no"
    ):
        gpu_encoder(elsewhere)


def test_threads_take_turns(bundle_path: Path) -> None:
    bundle = load_bundle(bundle_path)
    network = TorchNetwork(load_embedder(bundle.weights, bundle.config.model, bundle.pixels), "cpu", batch=4)
    random = np.random.default_rng(0)
    batches = [random.integers(0, 256, (4, 32, 32, 3), np.uint8) for _ in range(12)]
    expected = [network(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for embeddings, alone in zip(pool.map(network, batches), expected, strict=True):
            assert np.array_equal(embeddings, alone)
    assert (network.batch, network.device) == (4, "cpu")


def test_what_cannot_be_compiled_runs_uncompiled(
    bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine without a C compiler: the compiler torch looks for is not there."""
    monkeypatch.setenv("CXX", "/no/such/compiler")
    monkeypatch.setenv("PATH", "/no/where")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    bundle = load_bundle(bundle_path)
    plain, compiled = (
        TorchNetwork(
            load_embedder(bundle.weights, bundle.config.model, bundle.pixels), "cpu", batch=4, compiled=compiled
        )
        for compiled in (False, True)
    )
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    assert np.array_equal(compiled(images), plain(images))
    assert "torch cannot compile the network here" in " ".join(capsys.readouterr().err.split())
    compiled(images)
    assert capsys.readouterr().err == "", "said once"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_gpu_gives_what_the_processor_gives(bundle_path: Path, digits: Path, precision: Precision) -> None:
    files = find_images(digits / "test")
    expected = Model.load(bundle_path, precision="float32").embed(files)
    on_gpu = Model.load(bundle_path, device="cuda", precision=precision)
    assert on_gpu.encoder.precision == precision
    assert (on_gpu.embed(files) * expected).sum(1).min() > (0.99999 if precision == "float32" else 0.99)
    assert on_gpu.evaluate(digits).identification.result.counts["queries"] == 20
