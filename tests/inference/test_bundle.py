import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import TINY
from lookalike.cli.main import main
from lookalike.data.image_files import find_images
from lookalike.data.images import ImageError, read_image
from lookalike.devices import openvino_core
from lookalike.files import sha256_of
from lookalike.inference.bundle import Bundle, BundleError, fingerprint_of, load_bundle
from lookalike.inference.encoder import Encoder, openvino_encoder
from lookalike.inference.openvino_network import OpenVinoNetwork
from lookalike.model import Model
from lookalike.models.embedder import load_embedder
from lookalike.models.torch_network import TorchNetwork


@pytest.fixture
def copy(bundle_path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle_path, tmp_path / "bundle"))


def test_a_bundle_says_what_it_is(bundle_path: Path) -> None:
    bundle = load_bundle(bundle_path)
    config = bundle.config
    assert config.labels == [f"digit {n}" for n in range(5)]
    assert bundle.fingerprint == fingerprint_of(sha256_of(bundle_path / "model.safetensors"), bundle.pixels)
    assert config.parity.min_cosine >= 0.999
    assert config.parity.images == 20
    assert config.training.best_epoch in (1, 2)
    assert len(config.training.history) == 2
    assert len(bundle.references) == 50
    assert bundle.references.fingerprint == bundle.fingerprint
    card = (bundle_path / "README.md").read_text()
    assert "test_resnet" in card
    assert "accuracy@1" in card


FILES = [
    "config.json",
    "model.safetensors",
    "model.xml",
    "model.bin",
    "README.md",
    "gallery/embeddings.npy",
    "gallery/rows.csv",
]


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_is_noticed(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    place = data.index(b"digit 3") + 6 if name in ("config.json", "gallery/rows.csv") else len(data) // 2
    data[place] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(BundleError, match=r"changed since the bundle was written .*copy the bundle again"):
        load_bundle(copy)


def test_a_missing_file_is_noticed(copy: Path) -> None:
    (copy / "model.bin").unlink()
    with pytest.raises(BundleError, match=r"model\.bin: missing from the bundle: copy the bundle again"):
        load_bundle(copy)


def test_a_newer_schema_is_refused(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "schema": 2}))
    with pytest.raises(BundleError, match=r"bundle schema 2, this version reads up to 1: pip install -U lookalike"):
        load_bundle(copy)


@pytest.mark.parametrize("text", ["", "[]", "{}", '"x"', "{not json"])
def test_settings_that_are_none_are_refused(copy: Path, text: str) -> None:
    (copy / "config.json").write_text(text)
    with pytest.raises(BundleError, match=r"config\.json: not the settings of a bundle .*copy the bundle again"):
        load_bundle(copy)


def test_no_bundle_there_names_those_beside_it(bundle_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no bundle here .*: bundles in .*: tiny"):
        load_bundle(bundle_path.parent / "tinny")
    with pytest.raises(BundleError, match=r"no bundle here .*train one with lookalike train"):
        load_bundle(bundle_path / "gallery" / "nothing")


def test_the_graph_and_the_weights_agree(bundle_path: Path, digits: Path) -> None:
    bundle = load_bundle(bundle_path)
    encoder = openvino_encoder(bundle, precision="float32")
    images = np.stack([read_image(file, bundle.pixels) for file in find_images(digits / "test")])
    with torch.inference_mode():
        expected = (
            load_embedder(bundle_path / "model.safetensors", bundle.config.model).eval().embed(torch.from_numpy(images))
        )
    assert np.abs(encoder.embed_arrays(images) - expected.numpy()).max() < 1e-5


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


def test_precision_is_what_was_asked_for_or_what_the_bundle_was_checked_in(bundle_path: Path) -> None:
    bundle = load_bundle(bundle_path)
    assert openvino_encoder(bundle, precision="float32").precision == "float32"
    checked = bundle.config.parity.bf16 is not None
    assert openvino_encoder(bundle).precision == ("bf16" if checked else "float32") == bundle.config.precision
    parity = bundle.config.parity.model_copy(update={"bf16": None})
    unchecked = Bundle(bundle.path, bundle.config.model_copy(update={"parity": parity}))
    assert openvino_encoder(unchecked).precision == "float32"


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


def test_another_precision_than_the_gallery_has_is_told(bundle_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = load_bundle(bundle_path)
    other = Bundle(bundle.path, bundle.config.model_copy(update={"precision": "bf16"}))
    openvino_encoder(other, precision="float32")
    told = " ".join(capsys.readouterr().err.split())
    assert "gallery and thresholds were made in bf16, the network runs in float32" in told
    openvino_encoder(bundle)
    assert "gallery and thresholds" not in capsys.readouterr().err


def test_bf16_is_refused_where_the_processor_has_none(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.inference.encoder.openvino_has_bf16", lambda: False)
    assert openvino_encoder(load_bundle(bundle_path)).precision == "float32"
    with pytest.raises(ValueError, match=r"precision=bf16: this processor has no bf16 units: use precision=auto"):
        openvino_encoder(load_bundle(bundle_path), precision="bf16")


def test_a_large_photograph_has_one_embedding_alone_and_among_many(bundle_path: Path, tmp_path: Path) -> None:
    encoder = openvino_encoder(load_bundle(bundle_path))
    files = [tmp_path / f"{number}.png" for number in range(6)]
    random = np.random.default_rng(0)
    for file in files:
        Image.fromarray(random.integers(0, 256, (160, 120, 3), dtype=np.uint8)).save(file)
    alone = np.concatenate([encoder.embed([file]) for file in files])
    assert np.array_equal(encoder.embed(files * 100)[: len(files)], alone)
    assert np.array_equal(encoder.embed(files), alone)


def test_one_engine_however_many_threads_ask(bundle_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len({id(engine) for engine in pool.map(lambda _: openvino_core(), range(64))}) == 1


def test_the_first_unusable_image_stops_all_threads(bundle_path: Path, digits: Path, tmp_path: Path) -> None:
    encoder, good = openvino_encoder(load_bundle(bundle_path)), find_images(digits / "test")
    (tmp_path / "bad.png").write_bytes(b"text")
    seen: list[int] = []
    many = [*good, tmp_path / "bad.png", *good * 200]
    with pytest.raises(ImageError, match=r"bad\.png: not an image"):
        encoder.embed(many, progress=seen.append)
    assert sum(seen) < len(many) / 2, "the rest was not embedded"
    errors: dict[int, str] = {}
    found = encoder.embed([*[tmp_path / "bad.png"] * 50, good[0]], errors=errors)
    assert list(errors) == list(range(50)), "in the order of the files"
    errors = {}
    found = encoder.embed([good[0], tmp_path / "bad.png", good[1]], errors=errors)
    assert list(errors) == [1]
    assert not found[1].any()
    assert np.array_equal(found[[0, 2]], encoder.embed(good[:2]))


def test_an_embedding_does_not_depend_on_its_neighbours(bundle_path: Path, digits: Path) -> None:
    encoder = openvino_encoder(load_bundle(bundle_path))
    files = find_images(digits / "train")
    whole = encoder.embed(files)
    assert np.array_equal(whole[::-1], encoder.embed(files[::-1]))
    assert np.array_equal(whole[7:30], encoder.embed(files[7:30]))
    assert np.array_equal(whole[:1], encoder.embed(files[:1]))
    assert np.allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-5)


def test_arrays_of_another_size_are_refused(bundle_path: Path) -> None:
    encoder = openvino_encoder(load_bundle(bundle_path))
    with pytest.raises(ImageError, match=r"expected uint8 images of shape \(32, 32, 3\), got float32 \(8, 8, 3\)"):
        encoder.embed_arrays(np.zeros((1, 8, 8, 3), np.float32))


def test_cuda_without_a_device_says_so(bundle_path: Path) -> None:
    if torch.cuda.is_available():
        assert Model.load(bundle_path, device="cuda").encoder.size == 16
        return
    with pytest.raises(ValueError, match=r"device=cuda: torch finds no CUDA device here: use device=cpu"):
        Model.load(bundle_path, device="cuda")


def test_the_first_inference_is_made_by_one_thread(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that come first at once lock each other out for ever inside OpenVINO's Python part."""
    import threading

    from openvino import InferRequest

    from lookalike.inference.openvino_network import OpenVinoNetwork

    seen: list[str] = []
    inner = InferRequest.infer

    def infer(self: InferRequest, *given: object, **options: object) -> object:
        seen.append(threading.current_thread().name)
        return inner(self, *given, **options)

    monkeypatch.setattr(InferRequest, "infer", infer)
    OpenVinoNetwork(bundle_path / "model.xml")
    assert seen == [threading.current_thread().name]
