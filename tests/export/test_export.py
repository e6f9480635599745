"""A network becomes a bundle: the same weights, a graph that agrees, references and figures made by that graph."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lookalike.data.manifest import Manifest
from lookalike.data.pixels import PixelSettings
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from lookalike.evaluation.embed import embed_protocol
from lookalike.evaluation.identify import evaluate_rows
from lookalike.export.export import Trained, export, write_weights
from lookalike.export.graph import ExportError, write_graph
from lookalike.files import sha256_of
from lookalike.inference.bundle import Bundle, fingerprint_of, load_bundle
from lookalike.inference.bundle_config import IncludedConfig, NetworkConfig, TrainingSummary
from lookalike.inference.encoder import openvino_encoder
from lookalike.metrics.result import RetrievalResult
from lookalike.models.embedder import Embedder, load_embedder

PIXELS = PixelSettings(32, 40, "pad")


def trained(embedder: Embedder | None = None) -> Trained:
    torch.manual_seed(0)
    embedder = embedder or Embedder("test_resnet", 12, bn_neck=True)
    model = NetworkConfig(backbone="test_resnet", embedding_size=12, bn_neck=True, weights_source="random")
    summary = TrainingSummary(best_epoch=1, epochs=1, seed=0, images=50)
    return Trained(embedder, model, PIXELS, {"name": "arcface", "scale": 10.0}, summary)


@pytest.fixture(scope="module")
def manifest(digits: Path) -> Manifest:
    return read_manifest(digits)


@pytest.fixture(scope="module")
def exported(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, RetrievalResult]:
    return export(tmp_path_factory.mktemp("models") / "mine", trained(), manifest, 0.1)


def test_the_settings_of_a_bundle_rebuild_its_network(
    exported: tuple[Bundle, RetrievalResult], manifest: Manifest
) -> None:
    bundle, _ = exported
    config = bundle.config
    assert (config.run, config.model.dimensions, config.pixels, config.loss["scale"]) == ("mine", 12, PIXELS, 10.0)
    assert config.labels == manifest.labels
    assert {"lookalike", "torch", "openvino"} <= set(config.versions)
    original, rebuilt = trained().embedder.eval(), load_embedder(bundle.weights, config.model, config.pixels).eval()
    images = torch.randint(0, 256, (3, 32, 40, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(original.embed(images), rebuilt.embed(images))
    assert bundle.fingerprint == fingerprint_of(sha256_of(bundle.weights), PIXELS)


def test_figures_and_references_are_made_by_its_own_graph(
    exported: tuple[Bundle, RetrievalResult], manifest: Manifest
) -> None:
    bundle, result = exported
    encoder = openvino_encoder(load_bundle(bundle.path))
    protocol = manifest.protocol("validation")
    queries, references = embed_protocol(encoder, manifest, protocol)
    assert evaluate_rows(queries, references, protocol).to_dict() == result.to_dict()
    assert bundle.config.metrics["validation"].metrics == result.metrics
    gallery = bundle.references
    assert np.array_equal(gallery.embeddings, references)
    assert gallery.paths == manifest.gallery_rows["path"].tolist()
    assert (gallery.root, gallery.precision) == (manifest.root.resolve(), bundle.config.precision)
    assert gallery.fingerprint == bundle.fingerprint
    assert bundle.config.open_set.false_accept_rate == 0.1
    assert bundle.threshold() == bundle.threshold(0.1)


def test_its_graph_was_compared_with_torch_on_every_validation_image(
    exported: tuple[Bundle, RetrievalResult],
) -> None:
    parity = exported[0].config.parity
    assert parity.images == 20, "all of them, as they are fewer than 64"
    assert 0.999 <= parity.min_cosine <= parity.mean_cosine <= 1 + 1e-6


def test_its_card_tells_what_it_is(exported: tuple[Bundle, RetrievalResult]) -> None:
    bundle, result = exported
    card = (bundle.path / "README.md").read_text(encoding="utf-8")
    assert card.startswith("# mine\n")
    assert str(result) in card
    for part in ("test_resnet", "random", "12 dimensions", "32 x 40 pixels, pad", "arcface", "| labels | 5 |"):
        assert part in card


def test_references_of_another_split_are_embedded_besides(manifest: Manifest, tmp_path: Path) -> None:
    """With roles the references of validation are its own: the gallery still holds the training images."""
    table = manifest.table.copy()
    asking = table["split"] == "validation"
    table.loc[asking, "role"] = ["query", "reference"] * 10
    bundle, result = export(tmp_path / "r", trained(), replace(manifest, table=table))
    assert (result.counts["queries"], result.counts["references"]) == (10, 10)
    gallery = bundle.references
    assert len(gallery) == 50
    fresh = openvino_encoder(bundle).embed([gallery.file(row) for row in range(50)])
    assert np.array_equal(gallery.embeddings, fresh)


def test_weights_are_read_by_everybody_and_named_by_their_content(tmp_path: Path) -> None:
    embedder = trained().embedder.to(memory_format=torch.channels_last)
    first = write_weights(embedder, PIXELS, tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o044 == 0o044
    loaded = load_file(tmp_path / "a.safetensors")
    assert loaded.keys() == embedder.state_dict().keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in embedder.state_dict().items())
    assert write_weights(embedder, PIXELS, tmp_path / "b.safetensors") == first
    assert write_weights(embedder, PixelSettings(32, 40), tmp_path / "b.safetensors") != first
    with torch.no_grad():
        embedder.head.bias[0] += 1e-6
    assert write_weights(embedder, PIXELS, tmp_path / "b.safetensors") != first


class Unknown(Embedder):
    """A network whose last step OpenVINO does not know."""

    def embed(self, images: Tensor) -> Tensor:
        return torch.linalg.eigvals(torch.diag_embed(super().embed(images))).real


class Shifted(Embedder):
    """A network that is another one in a graph than in torch."""

    def embed(self, images: Tensor) -> Tensor:
        unit = super().embed(images)
        return unit if not torch.jit.is_tracing() else torch.nn.functional.normalize(unit + 0.5, dim=1)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Unknown, r"^OpenVINO cannot take the network over \(.*\)$"),
        (
            Shifted,
            r"^the exported graph disagrees with torch: cosine 0\.\d+ on .*\.png, expected at least 0\.999",
        ),
    ],
)
def test_a_network_without_a_true_graph_is_not_exported(
    kind: type[Embedder], text: str, manifest: Manifest, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    with pytest.raises(ExportError, match=text):
        export(tmp_path / "models" / "r", trained(kind("test_resnet", 12, bn_neck=True)), manifest)
    assert list(tmp_path.iterdir()) == []


def test_without_validation_images_nothing_is_exported(manifest: Manifest, tmp_path: Path) -> None:
    table = manifest.table[manifest.table["split"] == "train"]
    with pytest.raises(ManifestError, match=r"split validation has no query"):
        export(tmp_path / "r", trained(), replace(manifest, table=table))
    assert list(tmp_path.iterdir()) == []


def test_a_graph_takes_any_number_of_images_of_its_size(tmp_path: Path) -> None:
    from lookalike.devices import openvino_core

    write_graph(trained().embedder.eval(), PIXELS, tmp_path / "g.xml")
    graph = openvino_core().read_model(tmp_path / "g.xml")
    assert str(graph.inputs[0].partial_shape) == "[?,32,40,3]"
    assert graph.inputs[0].get_element_type().get_type_name() == "u8"
    assert graph.outputs[0].get_element_type().get_type_name() == "f32"


def test_validation_images_join_once_all_is_measured(
    exported: tuple[Bundle, RetrievalResult], manifest: Manifest, tmp_path: Path
) -> None:
    usual, result = exported
    bundle, again = export(tmp_path / "mine", trained(), manifest, 0.1, include_validation=True)
    assert again.to_dict() == result.to_dict()
    assert bundle.config.model_copy(update={"included": None}) == usual.config
    assert len(bundle.references) == 70
    fresh = openvino_encoder(bundle).embed([bundle.references.file(row) for row in range(70)])
    assert np.array_equal(bundle.references.embeddings, fresh)
    card = (bundle.path / "README.md").read_text(encoding="utf-8")
    assert f"\n\nGallery: {bundle.config.included}.\nA validation image finds itself now" in card


def test_with_roles_all_of_validation_joins(manifest: Manifest, tmp_path: Path) -> None:
    """Those that answer, too, and those that neither ask nor answer."""
    table = manifest.table.copy()
    asking = table["split"] == "validation"
    table.loc[asking, "role"] = ["query", "reference", "both", ""] * 5
    bundle, result = export(tmp_path / "r", trained(), replace(manifest, table=table), include_validation=True)
    assert (result.counts["queries"], result.counts["references"]) == (10, 10)
    assert bundle.references.paths == [*manifest.gallery_rows["path"], *table.loc[asking, "path"]]
    fresh = openvino_encoder(bundle).embed([bundle.references.file(row) for row in range(70)])
    assert np.array_equal(bundle.references.embeddings, fresh)


def test_where_all_are_copies_none_joins_and_that_is_told(digits: Path, tmp_path: Path) -> None:
    root = tmp_path / "d"
    for split in ("train", "validation"):
        shutil.copytree(digits / "train", root / split)
    bundle, _ = export(tmp_path / "r", trained(), read_manifest(root), include_validation=True)
    assert len(bundle.references) == 50
    assert bundle.config.included == IncludedConfig(images=0, copies=50)
    card = (bundle.path / "README.md").read_text(encoding="utf-8")
    assert "Gallery: no validation image joined the gallery: all of them are copies of images in it.\n" in card
    assert "image finds itself now" not in card
