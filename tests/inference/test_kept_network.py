"""A network in a folder of its own embeds as the one it was made from, and damage is named."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from image_folders import files_of
from lookalike import Model
from lookalike.inference.kept_network import (
    KeptNetworkError,
    has_network,
    in_use,
    is_network_alone,
    keep_network,
    load_network,
    network_problems,
)


@pytest.fixture(scope="module")
def untrained() -> Model:
    return Model.pretrained(pixels={"height": 64, "width": 64})


@pytest.fixture
def kept(untrained: Model, tmp_path: Path) -> Path:
    assert untrained.keep_network(tmp_path / "model")
    return tmp_path / "model"


def test_it_embeds_the_same(untrained: Model, kept: Path, few_produce: Path) -> None:
    files = files_of(few_produce, "test/*/*.jpg")[:8]
    loaded = load_network(kept, workers=2)
    assert np.array_equal(loaded.embed(files), untrained.embed(files))
    assert (loaded.fingerprint, loaded.size, loaded.pixels, loaded.precision, loaded.workers) == (
        untrained.encoder.fingerprint,
        untrained.encoder.size,
        untrained.encoder.pixels,
        "float32",
        2,
    )
    assert has_network(kept)


def test_a_bundle_keeps_no_network_nor_does_one_without_a_graph(
    untrained: Model, bundle_path: Path, tmp_path: Path
) -> None:
    assert not Model.load(bundle_path).keep_network(tmp_path / "model")
    assert not keep_network(untrained.encoder, tmp_path, tmp_path / "model")
    assert not has_network(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_what_stood_there_is_kept_under_another_name(untrained: Model, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.txt").write_text("mine")
    assert untrained.keep_network(tmp_path / "model")
    (aside,) = [path for path in tmp_path.iterdir() if path.name != "model"]
    assert (aside / "mine.txt").read_text() == "mine"


def change_about(folder: Path, **values: object) -> None:
    about = json.loads((folder / "network.json").read_text())
    kept = {name: value for name, value in {**about, **values}.items() if value is not None}
    (folder / "network.json").write_text(json.dumps(kept))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("model.bin", b"x", r"model\.bin: its checksum is wrong"),
        ("model.xml", b"<net/>", r"model\.xml: its checksum is wrong"),
        ("network.json", b"{", r"Expecting property name.*"),
        ("network.json", b"[]", r".*"),
    ],
)
def test_a_changed_file_is_named(kept: Path, name: str, content: bytes, reason: str) -> None:
    (kept / name).write_bytes(content)
    with pytest.raises(
        KeptNetworkError, match=rf"model: not a readable network \({reason}\): bring back a copy of the"
    ):
        load_network(kept)


@pytest.mark.parametrize("name", ["model.bin", "model.xml", "network.json"])
def test_a_missing_file_is_named(kept: Path, name: str) -> None:
    (kept / name).unlink()
    with pytest.raises(KeptNetworkError, match=rf"not a readable network \(.*{name}.*\): bring back a copy"):
        load_network(kept)
    shutil.rmtree(kept)
    with pytest.raises(KeptNetworkError, match="not a readable network"):
        load_network(kept)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"schema": 2}, "of schema 2, this version reads 1"),
        ({"schema": None}, "'schema'"),
        ({"pixels": {"hight": 3}}, r".*hight.*"),
        ({"size": "large"}, r".*large.*"),
        ({"files": {}}, r"'model\.xml'"),
        ({"fingerprint": None}, "'fingerprint'"),
    ],
)
def test_what_it_says_of_itself_is_checked(kept: Path, values: dict[str, object], reason: str) -> None:
    change_about(kept, **values)
    with pytest.raises(KeptNetworkError, match=rf"not a readable network \({reason}\)"):
        load_network(kept)


def stored(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("model.xml", "model.bin"):
        (folder / name).write_bytes(name.encode())
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("model.xml", "model.bin")}
    (folder / "network.json").write_text(json.dumps({"files": digests}))
    return folder


def test_problems_of_a_kept_network_are_named(tmp_path: Path) -> None:
    folder = stored(tmp_path / "model")
    assert network_problems(folder) == network_problems(tmp_path / "none") == []
    (folder / "model.bin").write_bytes(b"junk")
    (folder / "model.xml").unlink()
    assert network_problems(folder) == ["model/model.xml: is missing", "model/model.bin: its checksum is wrong"]


def test_a_folder_with_anything_else_is_no_network_alone(tmp_path: Path) -> None:
    folder = stored(tmp_path / "model")
    assert is_network_alone(folder)
    (folder / "notes.txt").write_text("mine")
    assert not is_network_alone(folder)
    assert not is_network_alone(tmp_path / "none")


def test_whoever_needs_a_network_is_not_alone_with_it(tmp_path: Path) -> None:
    folder = stored(tmp_path / "model")
    with in_use(folder) as held, in_use(folder) as again, in_use(folder, alone=True) as alone:
        assert (held, again, alone) == (True, True, False)
    with in_use(folder, alone=True) as alone:
        assert alone
    with in_use(tmp_path / "none") as held:
        assert not held
