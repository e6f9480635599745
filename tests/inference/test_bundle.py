"""A bundle is verified when it is read: whatever changed since it was written is named."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.data.pixels import PixelSettings
from lookalike.files import sha256_of
from lookalike.inference.bundle import Bundle, BundleError, checksum_of, fingerprint_of, load_bundle
from lookalike.inference.bundle_config import IncludedConfig, OpenSet
from lookalike.inference.rejection import RejectionError


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
    (copy / "config.json").write_text(json.dumps({**config, "schema": 3}))
    with pytest.raises(BundleError, match=r"bundle schema 3, this version reads up to 2: pip install -U lookalike"):
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


def test_a_threshold_belongs_to_a_rate_that_was_chosen(bundle_path: Path) -> None:
    bundle = load_bundle(bundle_path)
    entries = {entry.false_accept_rate: entry.similarity for entry in bundle.config.open_set.thresholds}
    assert sorted(entries) == [0.01, 0.02, 0.05, 0.1, 0.2]
    assert {rate: bundle.threshold(rate) for rate in entries} == entries
    assert bundle.threshold() is None, "it was trained without one"
    open_set = bundle.config.open_set.model_copy(update={"false_accept_rate": 0.1})
    asked = Bundle(bundle.path, bundle.config.model_copy(update={"open_set": open_set}))
    assert asked.threshold() == entries[0.1]
    assert asked.threshold("off") is None
    none = Bundle(bundle.path, bundle.config.model_copy(update={"open_set": OpenSet()}))
    with pytest.raises(RejectionError, match=r"^false_accept_rate=0\.1: .*tiny was made by an earlier .* none: give"):
        none.threshold(0.1)


def test_a_fingerprint_is_of_weights_and_pixels() -> None:
    pixels = PixelSettings(32, 32)
    first = fingerprint_of("a" * 64, pixels)
    assert len(first) == 64
    others = [
        fingerprint_of("b" * 64, pixels),
        *(fingerprint_of("a" * 64, PixelSettings(*size)) for size in [(32, 33), (33, 32), (32, 32, "crop")]),
    ]
    assert len({first, *others}) == 5
    assert fingerprint_of("a" * 64, PixelSettings(32, 32, "stretch")) == first


def test_a_checksum_is_of_the_content_and_not_of_its_order() -> None:
    assert (
        checksum_of({"a": 1, "b": [1, 2]}) == checksum_of({"b": [1, 2], "a": 1}) != checksum_of({"b": [2, 1], "a": 1})
    )


def test_its_files_have_their_places(bundle_path: Path) -> None:
    bundle = load_bundle(bundle_path)
    assert (bundle.weights, bundle.graph) == (bundle_path / "model.safetensors", bundle_path / "model.xml")
    assert bundle.references is bundle.references, "read once"
    assert bundle.references.labels == sorted(bundle.references.labels)


def test_images_that_joined_are_known_and_not_trained_on(bundle_path: Path) -> None:
    usual = load_bundle(bundle_path)
    assert usual.training_references is usual.references
    files = [usual.references.file(row) for row in range(50)]
    assert usual.trained_on(files) == 50
    more = replace(usual, config=usual.config.model_copy(update={"included": IncludedConfig(images=8)}))
    assert len(more.references) == 50
    assert more.training_references.paths == usual.references.paths[:42]
    assert more.trained_on([*files, Path("elsewhere.jpg")]) == 42


def test_more_images_than_there_are_cannot_have_joined(bundle_path: Path) -> None:
    usual = load_bundle(bundle_path)
    wrong = replace(usual, config=usual.config.model_copy(update={"included": IncludedConfig(images=51)}))
    with pytest.raises(
        BundleError, match=r"config\.json: included: expected at most the 50 images of the gallery, found 51: copy"
    ):
        _ = wrong.references


def test_a_bundle_is_a_line(bundle_path: Path) -> None:
    bundle = load_bundle(bundle_path)
    facts = f"test_resnet, 16 dimensions, 5 labels, {bundle.fingerprint[:12]}"
    assert repr(bundle) == f"Bundle({str(bundle_path)!r}: {facts})"
