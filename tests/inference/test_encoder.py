"""An image has one embedding, wherever it stands and whatever stands beside it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lookalike.data.image_files import find_images
from lookalike.data.images import ImageError, read_image
from lookalike.errors import LookalikeError
from lookalike.inference.bundle import Bundle, load_bundle
from lookalike.inference.encoder import encoder_of_bundle, openvino_encoder, refuse_int8
from lookalike.inference.openvino_network import OpenVinoNetwork
from lookalike.models.embedder import load_embedder


def test_the_graph_and_the_weights_agree(bundle_path: Path, digits: Path) -> None:
    bundle = load_bundle(bundle_path)
    encoder = openvino_encoder(bundle, precision="float32")
    images = np.stack([read_image(file, bundle.pixels) for file in find_images(digits / "test")])
    with torch.inference_mode():
        expected = (
            load_embedder(bundle_path / "model.safetensors", bundle.config.model, bundle.pixels)
            .eval()
            .embed(torch.from_numpy(images))
        )
    assert np.abs(encoder.embed_arrays(images) - expected.numpy()).max() < 1e-5


def test_precision_is_what_was_asked_for_or_what_the_bundle_was_checked_in(bundle_path: Path) -> None:
    bundle = load_bundle(bundle_path)
    assert openvino_encoder(bundle, precision="float32").precision == "float32"
    checked = bundle.config.parity.bf16 is not None
    assert openvino_encoder(bundle).precision == ("bf16" if checked else "float32") == bundle.config.precision
    parity = bundle.config.parity.model_copy(update={"bf16": None})
    unchecked = Bundle(bundle.path, bundle.config.model_copy(update={"parity": parity}))
    assert openvino_encoder(unchecked).precision == "float32"


def test_another_precision_than_the_gallery_has_is_told(bundle_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = load_bundle(bundle_path)
    other = Bundle(bundle.path, bundle.config.model_copy(update={"precision": "bf16"}))
    openvino_encoder(other, precision="float32")
    said = " ".join(capsys.readouterr().err.split())
    assert "gallery and thresholds were made in bf16, the network runs in float32" in said
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


def test_the_first_unusable_image_stops_all_threads(bundle_path: Path, digits: Path, tmp_path: Path) -> None:
    encoder, good = openvino_encoder(load_bundle(bundle_path)), find_images(digits / "test")
    (tmp_path / "bad.png").write_bytes(b"text")
    seen: list[int] = []
    many = [*good, tmp_path / "bad.png", *good * 200]
    with pytest.raises(ImageError, match=r"bad\.png: not an image"):
        encoder.embed(many, progress=seen.append)
    assert sum(seen) < len(many) / 2, "the rest was not embedded"
    errors: dict[int, str] = {}
    embeddings = encoder.embed([*[tmp_path / "bad.png"] * 50, good[0]], errors=errors)
    assert list(errors) == list(range(50)), "in the order of the files"
    errors = {}
    embeddings = encoder.embed([good[0], tmp_path / "bad.png", good[1]], errors=errors)
    assert list(errors) == [1]
    assert not embeddings[1].any()
    assert np.array_equal(embeddings[[0, 2]], encoder.embed(good[:2]))


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


def test_an_image_without_a_path_is_named_by_its_place(bundle_path: Path, digits: Path) -> None:
    encoder, good = openvino_encoder(load_bundle(bundle_path)), find_images(digits / "test")
    images = [*good[:5], np.zeros((8, 8)), b"text", *good[5:]]
    noted: dict[int, str] = {}
    encoder.embed(images, errors=noted)
    assert list(noted) == [5, 6]
    assert noted[5].startswith("image 6: expected uint8 [H, W, 3]")
    assert noted[6].startswith("image 7: not an image")
    with pytest.raises(ImageError, match=r"^image 6: expected uint8"):
        encoder.embed(images[:6])


def test_a_box_is_embedded_as_the_part_it_cuts(bundle_path: Path, digits: Path, tmp_path: Path) -> None:
    encoder, good = openvino_encoder(load_bundle(bundle_path)), find_images(digits / "test")
    sheet = np.concatenate([read_image(file) for file in good[:3]], axis=1)
    Image.fromarray(sheet).save(tmp_path / "sheet.png")
    boxes = [(0.0, 0.0, 32.0, 32.0), None, (64.0, 0.0, 96.0, 32.0)]
    embeddings = encoder.embed([tmp_path / "sheet.png"] * 3, boxes)
    assert np.array_equal(embeddings[[0, 2]], encoder.embed([good[0], good[2]]))
    assert np.array_equal(embeddings[1:2], encoder.embed([sheet]))
    noted: dict[int, str] = {}
    encoder.embed([tmp_path / "sheet.png"] * 2, [(0.0, 0.0, 1.0, 1.0), None], errors=noted)
    assert list(noted) == [0]
    assert "sheet.png: box 0,0,1,1 leaves less than 4 pixels" in noted[0]


def test_progress_counts_every_image_once(bundle_path: Path, digits: Path) -> None:
    encoder, good = openvino_encoder(load_bundle(bundle_path)), find_images(digits / "train")
    done: list[int] = []
    encoder.embed(good[:49], progress=done.append)
    assert sum(done) == 49
    assert len(done) == 25, "batches of two, the last one smaller"
    assert encoder.embed([]).shape == (0, 16)


def test_an_int8_bundle_runs_as_it_is_or_not_at_all(bundle_path: Path) -> None:
    bundle = load_bundle(bundle_path)
    quantized = Bundle(bundle.path, bundle.config.model_copy(update={"precision": "int8"}))
    assert encoder_of_bundle(quantized, OpenVinoNetwork(bundle.graph), "float32").precision == "int8"
    with pytest.raises(
        LookalikeError, match=r"^precision=bf16: .* is an int8 bundle, whose gallery only its own graph"
    ):
        openvino_encoder(quantized, precision="bf16")
    with pytest.raises(
        LookalikeError, match=r"^device=cuda: .*use device=cpu precision=auto, or the bundle that it was"
    ):
        refuse_int8(quantized, "device=cuda")
    refuse_int8(bundle, "device=cuda")
