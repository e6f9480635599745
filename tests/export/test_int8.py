"""int8 bundles: what is written and what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.cli.arguments import read_settings
from lookalike.data.image_files import find_images
from lookalike.data.images import ImageError
from lookalike.data.manifest import Manifest
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from lookalike.devices import openvino_core
from lookalike.evaluation.embed import embed_protocol
from lookalike.evaluation.identify import evaluate_rows
from lookalike.export import int8 as quantizing
from lookalike.export.int8 import Comparison, quantize
from lookalike.export.nncf_int8 import QuantizeError
from lookalike.files import sha256_of
from lookalike.inference.bundle import Bundle, fingerprint_of, load_bundle
from lookalike.inference.bundle_config import IncludedConfig
from lookalike.inference.bundle_writer import BundleParts, write_bundle
from lookalike.inference.encoder import openvino_encoder
from lookalike.inference.predict import predict
from lookalike.training.run import train

pytest.importorskip("nncf", reason="pip install 'lookalike[int8]'")


@pytest.fixture(scope="session")
def manifest(digits: Path) -> Manifest:
    return read_manifest(digits)


@pytest.fixture(scope="session")
def made(
    bundle_path: Path, manifest: Manifest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Bundle, Bundle, Comparison]:
    """A bundle, its int8 form (20 validation images: one is five points, so more may be lost here), their figures."""
    bundle = load_bundle(bundle_path)
    output = tmp_path_factory.mktemp("int8") / "models" / "tiny-int8"
    return bundle, *quantize(bundle, manifest, output, images=20, max_loss=0.2)


def test_an_int8_bundle_says_what_it_is(made: tuple[Bundle, Bundle, Comparison], manifest: Manifest) -> None:
    before, after, comparison = made
    config = after.config
    assert config.precision == "int8"
    about = {**comparison.to_dict(), "from": before.fingerprint, "images": 20, "seed": 0}
    assert config.quantized is not None
    assert config.quantized.model_dump(by_alias=True) == about
    assert after.fingerprint == fingerprint_of(sha256_of(after.path / "model.bin"), after.pixels) != before.fingerprint
    same = {"model", "loss", "labels", "training", "pixels", "run"}
    assert config.model_dump(include=same) == before.config.model_dump(include=same)
    assert (after.path / "model.bin").stat().st_size < 0.5 * (before.path / "model.bin").stat().st_size
    assert sha256_of(after.path / "model.safetensors") == sha256_of(before.path / "model.safetensors")
    assert {"nncf", "openvino", "lookalike"} <= set(config.versions)
    assert config.parity.bf16 is None  # the rest of an int8 graph runs in float32
    assert len(config.open_set.thresholds) == len(before.config.open_set.thresholds) > 0


def test_the_graph_multiplies_integers_and_ends_in_float32(made: tuple[Bundle, Bundle, Comparison]) -> None:

    model = openvino_core().read_model(made[1].path / "model.xml")
    weights = [op for op in model.get_ops() if op.get_type_name() == "Convolution"]
    assert weights
    quantized = {op.get_friendly_name() for op in model.get_ops() if op.get_type_name() == "FakeQuantize"}
    for op in weights:  # NNCF may leave a ReLU or a pooling between the two
        node = op.input_value(0).get_node()
        while node.get_type_name() in ("Relu", "MaxPool", "AvgPool", "Pad"):
            node = node.input_value(0).get_node()
        assert node.get_type_name() == "FakeQuantize", op.get_friendly_name()
    tail = (".head", "global_pool", "vector_norm", "clamp_min")
    assert not [name for name in quantized for part in tail if part in name]
    assert model.inputs[0].get_element_type().get_type_name() == "u8"


def test_the_gallery_belongs_to_the_int8_graph(made: tuple[Bundle, Bundle, Comparison], manifest: Manifest) -> None:
    before, after, _ = made
    gallery, encoder = after.references, openvino_encoder(after)
    assert gallery.fingerprint == after.fingerprint == encoder.fingerprint
    assert (gallery.labels, gallery.paths) == (before.references.labels, before.references.paths)
    assert gallery.root == manifest.root.resolve()
    fresh = encoder.embed([gallery.file(row) for row in range(len(gallery))])
    assert np.array_equal(fresh, gallery.embeddings)
    assert np.allclose(np.linalg.norm(fresh, axis=1), 1, atol=1e-5)
    assert 0.8 < (fresh * before.references.embeddings).sum(1).min() < 1


def test_its_figures_are_those_of_a_fresh_evaluation(
    made: tuple[Bundle, Bundle, Comparison], manifest: Manifest
) -> None:
    before, after, comparison = made
    protocol = manifest.protocol("validation")
    measured = {}
    encoders = {"before": openvino_encoder(before, "float32"), "after": openvino_encoder(after)}
    for name, encoder in encoders.items():
        queries, references = embed_protocol(encoder, manifest, protocol)
        measured[name] = queries, evaluate_rows(queries, references, protocol)
    for name, figures in (("before", comparison.before), ("after", comparison.after)):
        result = measured[name][1]
        assert result.metrics == figures.metrics
        assert getattr(after.config.quantized, name) == {key: result.metrics[key] for key in ("accuracy@1", "map")}
    assert after.config.metrics["validation"].model_dump(mode="json") == json.loads(
        json.dumps(measured["after"][1].to_dict())
    )
    cosine = (measured["before"][0] * measured["after"][0]).sum(1)
    assert cosine.min() == pytest.approx(comparison.min_cosine, abs=1e-6)
    assert cosine.mean() == pytest.approx(comparison.mean_cosine, abs=1e-6)
    assert 0.8 < comparison.min_cosine <= comparison.mean_cosine <= 1 + 1e-6


def test_its_card_tells_of_it(made: tuple[Bundle, Bundle, Comparison]) -> None:
    before, after, comparison = made
    old, new = ((bundle.path / "README.md").read_text() for bundle in (before, after))
    added = [line for line in new.splitlines() if line not in old.splitlines()]
    assert f"```\n{comparison.after}\n```" in new
    assert added[0] == "# tiny-int8"
    assert added[1] == f"| arithmetic | {before.config.training.arithmetic} in training; int8 in the bundle |"
    assert added[2].startswith("| float32 graph against torch | cosine >= ")
    assert added[3].startswith(f"| int8 | from {before.fingerprint[:12]} ({comparison.preset}): accuracy@1 ")
    assert "bf16" not in new
    assert new.count("```") == old.count("```")
    assert len(new.splitlines()) == len(old.splitlines()) + 1


def test_predict_works_with_it(made: tuple[Bundle, Bundle, Comparison], digits: Path) -> None:
    files = find_images(digits / "test")
    prediction = predict(openvino_encoder(made[1]), made[1].references, files, 3, source="int8")
    assert not prediction.failed
    assert len(prediction.items) == len(files)
    assert all(len(item.neighbours) == 3 for item in prediction.items)


def test_the_same_seed_gives_the_same_bundle(
    made: tuple[Bundle, Bundle, Comparison], manifest: Manifest, tmp_path: Path
) -> None:
    output = tmp_path / "again"
    output.mkdir()
    (output / "mine.txt").write_text("kept")
    again, _ = quantize(made[0], manifest, output, images=20, max_loss=0.2)
    assert again.fingerprint == made[1].fingerprint
    assert np.array_equal(again.references.embeddings, made[1].references.embeddings)
    assert [file.name for file in tmp_path.glob("again.*/mine.txt")] == ["mine.txt"]


def test_examples_are_spread_over_the_labels_and_drawn_by_the_seed(
    bundle_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, read = load_bundle(bundle_path), []
    original = quantizing.read_image
    monkeypatch.setattr(quantizing, "read_image", lambda file, *rest: read.append(file) or original(file, *rest))
    examples = quantizing._examples(manifest, bundle, 12, 0)
    assert {(example.shape, example.dtype) for example in examples} == {((1, 32, 32, 3), np.dtype(np.uint8))}
    assert {file.parts[-3] for file in read} == {"train"}
    assert sorted([file.parent.name for file in read].count(f"digit {n}") for n in range(5)) == [2, 2, 2, 3, 3]
    first = list(read)
    read.clear()
    quantizing._examples(manifest, bundle, 12, 1)
    assert read != first
    assert len(quantizing._examples(manifest, bundle, 1000, 0)) == 50


def test_what_loses_too_much_leaves_nothing_behind(
    bundle_path: Path, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The int8 graphs answer noise here."""
    real = quantizing.OpenVinoNetwork

    class Noise(real):
        def __init__(self, graph: Path, *rest: Any) -> None:
            super().__init__(graph, *rest)
            self.noisy = graph.name != "model.xml"

        def __call__(self, images: np.ndarray) -> np.ndarray:
            embeddings = super().__call__(images)
            noise = np.random.default_rng(int(images.sum())).normal(size=embeddings.shape).astype(np.float32)
            return noise / np.linalg.norm(noise, axis=1, keepdims=True) if self.noisy else embeddings

    monkeypatch.setattr(quantizing, "OpenVinoNetwork", Noise)
    text = (
        r"int8 loses too much: expected accuracy@1 and mAP to fall by at most 0\.002, found accuracy@1 0\.\d{4} -> "
        r"0\.\d{4}, mAP 0\.\d{4} -> 0\.\d{4} \(.*, the best of 3 ways\): keep the float32 bundle, .*max_loss=0\.\d+$"
    )
    with pytest.raises(QuantizeError, match=text) as caught:
        quantize(load_bundle(bundle_path), manifest, tmp_path / "models" / "refused", images=10)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_use_is_refused_at_once(
    made: tuple[Bundle, Bundle, Comparison], manifest: Manifest, tmp_path: Path
) -> None:
    before, after, _ = made
    with pytest.raises(QuantizeError, match=r"not quantised yet, found int8: give the one it was made from"):
        quantize(after, manifest, tmp_path / "twice")
    for settings in ({"max_loss": -0.1}, {"max_loss": float("nan")}, {"max_loss": 2.0}, {"images": 0}):
        with pytest.raises(
            QuantizeError, match=r"images of 1 or more and max_loss from 0 to 1, found images=\d+, max_"
        ):
            quantize(before, manifest, tmp_path / "wrong", **settings)  # type: ignore[arg-type]
    table = manifest.table[manifest.table["split"] == "train"]
    with pytest.raises(ManifestError, match=r"split validation has no query: expected images in validation/<class>/"):
        quantize(before, replace(manifest, table=table), tmp_path / "none")
    roles = manifest.table[manifest.table["split"] == "validation"].assign(role="both")
    with pytest.raises(QuantizeError, match=r"expected training images to see the range of every layer, found none"):
        quantize(before, replace(manifest, table=roles), tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_a_gallery_whose_images_are_gone_or_others_is_refused(bundle_path: Path, digits: Path, tmp_path: Path) -> None:
    bundle, root = load_bundle(bundle_path), Path(shutil.copytree(digits, tmp_path / "moved"))
    first, last = (root / bundle.references.paths[row] for row in (0, -1))
    manifest = read_manifest(root)
    content = first.read_bytes()
    first.unlink()
    with pytest.raises(
        QuantizeError, match=r"its 50 images below .*moved, found 1 that cannot be read \(first: .*no su"
    ):
        quantize(bundle, manifest, tmp_path / "out")
    first.write_bytes(content[:40])
    with pytest.raises(
        QuantizeError, match=r"found 1 that cannot be read \(first: .*put them back, or give data\.root="
    ):
        quantize(bundle, manifest, tmp_path / "out")
    shutil.copyfile(last, first)
    with pytest.raises(
        QuantizeError, match=r"not the image that is in the bundle's gallery: expected it to be nearest to its own"
    ):
        quantize(bundle, manifest, tmp_path / "out")
    first.write_bytes(content)
    query = next((root / "validation").rglob("*.png"))
    query.write_bytes(b"\x89PNG")
    with pytest.raises(ImageError, match=query.name):
        quantize(bundle, read_manifest(root), tmp_path / "out", images=5)
    assert [entry.name for entry in tmp_path.iterdir()] == ["moved"]


def test_a_gallery_of_other_images_is_embedded_from_its_own_files(
    bundle_path: Path, manifest: Manifest, tmp_path: Path
) -> None:
    """Without one label the training images are not the gallery's: the files are taken from where the gallery says."""
    table = manifest.table[manifest.table["label"] != "digit 4"].reset_index(drop=True)
    fewer = replace(manifest, table=table)
    made, _ = quantize(load_bundle(bundle_path), fewer, tmp_path / "out", images=5, max_loss=1.0)
    assert len(made.references) == 50
    assert np.linalg.norm(made.references.embeddings, axis=1).min() > 0.99
    entries = made.config.open_set.thresholds
    assert entries
    assert made.config.metrics["validation"].counts["references"] == 40


@pytest.mark.slow
def test_photographs_keep_their_figures(few_produce: Path, tmp_path: Path) -> None:
    """A depthwise network, the harder kind to quantise; the default settings but for what 60 queries can tell."""
    folders = (f"models_dir={tmp_path / 'models'}", f"checkpoint_dir={tmp_path / 'checkpoint'}")
    size = ("pixels.height=96", "pixels.width=96", "online=none", "trainer.max_epochs=1", "trainer.workers=0")
    size += ("trainer.precision=32-true",)  # what is quickest takes longer to find out than the training
    chosen = ("model=efficientnet_lite0", "trainer.threads=1", "trainer.device=cpu", "logger=none", "run=photographs")
    bundle, _ = train(read_settings("train", [f"data.root={few_produce}", *folders, *size, *chosen]))
    made, comparison = quantize(bundle, read_manifest(few_produce), tmp_path / "int8", max_loss=0.05)
    assert comparison.loss <= 0.05
    assert comparison.before.metrics["accuracy@1"] > 0.4
    assert comparison.min_cosine > 0.85
    assert comparison.mean_cosine > 0.97
    assert made.config.quantized.images == len(bundle.references) < 300
    assert np.allclose(np.linalg.norm(made.references.embeddings, axis=1), 1, atol=1e-5)


def test_images_of_validation_that_joined_stay_in_and_change_no_figure(
    made: tuple[Bundle, Bundle, Comparison], manifest: Manifest, tmp_path: Path
) -> None:
    before, after, _ = made
    rows = manifest.joining_rows
    queries, _ = embed_protocol(openvino_encoder(before, "float32"), manifest, manifest.protocol("validation"))
    known = before.references.followed_by(queries, rows["label"].tolist(), rows["path"].tolist())
    told = before.config.model_copy(update={"included": IncludedConfig(images=20, labels=5)})
    whole = write_bundle(tmp_path / "tiny", told, BundleParts(before.weights, before.graph, known, "card"))
    again, _ = quantize(whole, manifest, tmp_path / "tiny-int8", images=20, max_loss=0.2)
    assert again.config.model_copy(update={"included": None}) == after.config
    assert again.config.included == told.included
    assert np.array_equal(again.references.embeddings[:50], after.references.embeddings)
    assert again.references.paths == known.paths
    fresh = openvino_encoder(again).embed([known.file(row) for row in range(50, 70)])
    assert np.array_equal(again.references.embeddings[50:], fresh)
    assert f"Gallery: {told.included}." in (again.path / "README.md").read_text(encoding="utf-8")
