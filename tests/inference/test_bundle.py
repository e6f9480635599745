"""A bundle is verified when it is read: whatever changed since it was written is named."""

import json
import shutil
from pathlib import Path

import pytest

from lookalike.files import sha256_of
from lookalike.inference.bundle import BundleError, fingerprint_of, load_bundle


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
