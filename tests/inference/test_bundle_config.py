"""The typed settings of bundles, those of earlier versions included."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lookalike.inference.bundle import BundleError, checksum_of, load_bundle
from lookalike.inference.bundle_config import SCHEMA, BundleConfig, IncludedConfig
from lookalike.inference.encoder import openvino_encoder
from lookalike.inference.predict import predict

OLD = Path(__file__).parent / "data" / "bundle-0.1"  # written by version 0.1.0, before its settings were typed


def test_a_bundle_of_version_0_1_loads_and_knows_its_images(digits: Path) -> None:
    bundle = load_bundle(OLD)
    config = bundle.config
    assert (config.schema_version, config.run, config.model.backbone) == (1, "bundle-0.1", "test_efficientnet")
    assert config.labels == ["digit 0", "digit 1", "digit 2"]
    assert config.training.held_out.validation_share == 0
    assert [line["epoch"] for line in config.training.history] == [1.0]
    assert len(config.open_set.thresholds) == 5
    encoder = openvino_encoder(bundle)
    files = [digits / path for path in bundle.references.paths]
    embeddings = encoder.embed(files)
    assert (embeddings * bundle.references.embeddings).sum(1).min() > 0.999, "the same images, embedded by that version"
    predictions = predict(encoder, bundle.references, files, 1, source=str(OLD))
    assert [item.neighbours[0].label for item in predictions] == bundle.references.labels


def test_the_settings_of_version_0_1_are_written_as_they_were() -> None:
    content = json.loads((OLD / "config.json").read_text())
    again = BundleConfig.model_validate({key: content[key] for key in content if key not in ("files", "checksum")})
    assert again.to_json() == {key: content[key] for key in content if key not in ("files", "checksum")}


def test_earlier_bundles_lack_what_came_later() -> None:
    content = json.loads((OLD / "config.json").read_text())
    for key in ("files", "checksum", "open_set", "precision", "versions", "metrics"):
        del content[key]
    for key in ("dimensions", "weights_source"):
        del content["model"][key]
    for key in ("arithmetic", "seconds", "parameters", "trained_parameters", "settings", "history"):
        del content["training"][key]
    config = BundleConfig.model_validate(content)
    assert (config.precision, config.open_set.thresholds, config.quantized) == ("float32", [], None)
    assert (config.model.size, config.training.arithmetic, config.training.seconds) == (8, "32-true", None)
    assert (config.training.held_out.validation_share, config.training.held_out.seed) == (0.0, 0)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"labels": "kiwi"}, r"config\.json: labels: Input should be a valid list"),
        ({"model": {}}, r"config\.json: model\.backbone: Field required"),
        ({"precision": "int4"}, r"config\.json: precision: Input should be"),
    ],
)
def test_other_settings_are_refused_by_name(tmp_path: Path, change: dict[str, object], text: str) -> None:
    folder = Path(shutil.copytree(OLD, tmp_path / "bundle"))
    content = {**json.loads((folder / "config.json").read_text()), **change}
    del content["checksum"]
    content["checksum"] = checksum_of(content)
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match=text):
        load_bundle(folder)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(OLD, tmp_path / "bundle"))
    content = {**json.loads((folder / "config.json").read_text()), "schema": SCHEMA + 1}
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match=rf"bundle schema {SCHEMA + 1}, this version reads up to {SCHEMA}: pip"):
        load_bundle(folder)


def test_what_a_later_version_adds_is_kept() -> None:
    content = {**json.loads((OLD / "config.json").read_text()), "colour": "blue"}
    del content["files"], content["checksum"]
    config = BundleConfig.model_validate(content)
    assert config.model_copy(update={"run": "other"}).to_json()["colour"] == "blue"
    assert np.isfinite(config.parity.min_cosine)


def test_how_images_are_scaled_is_written_where_it_is_not_the_usual_way() -> None:
    """Earlier versions would scale by area averaging and say nothing, so they are told that they cannot read it."""
    content = json.loads((OLD / "config.json").read_text())
    del content["files"], content["checksum"]
    usual = BundleConfig.model_validate(content).to_json()
    assert (usual["schema"], usual["pixels"]) == (1, content["pixels"])
    content["pixels"] = {**content["pixels"], "interpolation": "bicubic", "antialias": False}
    config = BundleConfig.model_validate(content)
    assert (config.pixels.interpolation, config.pixels.antialias) == ("bicubic", False)
    assert (config.to_json()["schema"], config.to_json()["pixels"]) == (SCHEMA, content["pixels"])


@pytest.mark.parametrize("pixels", [{"interpolation": "nearest"}, {"antialias": False}, {"interpolation": None}])
def test_a_way_to_scale_that_does_not_exist_is_refused(tmp_path: Path, pixels: dict[str, object]) -> None:
    folder = Path(shutil.copytree(OLD, tmp_path / "bundle"))
    content = json.loads((folder / "config.json").read_text())
    del content["checksum"]
    content["pixels"] |= pixels
    content["checksum"] = checksum_of(content)
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match=r"config\.json: pixels.*area.*: written by a program"):
        load_bundle(folder)


def test_validation_images_in_a_gallery_are_told_where_there_are_some() -> None:
    content = json.loads((OLD / "config.json").read_text())
    del content["files"], content["checksum"]
    earlier = BundleConfig.model_validate(content)
    assert earlier.included is None
    assert "included" not in earlier.to_json()
    joined = {"images": 9, "labels": 4, "untrained_labels": 1, "copies": 2}
    later = BundleConfig.model_validate({**content, "included": joined})
    assert later.to_json()["included"] == joined
    assert str(later.included) == (
        "9 validation images of 4 labels (1 of them not trained on) joined the gallery after all was measured: no "
        "figure, threshold or vote is of the gallery that holds them; 2 more are copies of images in it"
    )
    assert str(IncludedConfig(images=0, copies=2)) == (
        "no validation image joined the gallery: all of them are copies of images in it"
    )
