"""A bundle becomes a folder for other programs, whole or not at all."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest

from lookalike.inference.bundle import Bundle, load_bundle
from lookalike.inference.bundle_config import BundleConfig
from lookalike.portable import portable
from lookalike.portable.agreement import PortableAgreement
from lookalike.portable.onnx_draft import PortableError
from lookalike.portable.portable import write_portable


@pytest.fixture(scope="module")
def bundle(bundle_path: Path) -> Bundle:
    return load_bundle(bundle_path)


def contract_in(folder: Path) -> dict:
    return json.loads((folder / "model.json").read_text("utf-8"))


def test_onnx_carries_what_a_program_must_know(bundle: Bundle, tmp_path: Path) -> None:
    made = write_portable(bundle, "onnx", tmp_path / "out", gallery=True)
    assert made.files == ["model.onnx", "model.json", "gallery.json"]
    assert sorted(file.name for file in made.folder.iterdir()) == sorted(made.files)
    assert made.bytes == sum(file.stat().st_size for file in made.folder.iterdir())
    assert made.check.min_cosine >= 0.9999
    assert made.check.images == 16
    contract = contract_in(made.folder)
    assert contract["fingerprint"] == bundle.fingerprint
    assert contract["labels"] == bundle.config.labels
    assert contract["input"] == {"name": "images", "dtype": "uint8", "shape": ["batch", 32, 32, 3]}
    assert contract["pixels"]["colours"] == "RGB"
    assert {name: contract["pixels"][name] for name in bundle.pixels.to_dict()} == bundle.pixels.to_dict()
    assert contract["check"] == vars(made.check)
    model = onnx.load(made.folder / "model.onnx")
    carried = {entry.key.removeprefix("lookalike."): entry.value for entry in model.metadata_props}
    assert {name: value if name in TEXTS else json.loads(value) for name, value in carried.items()} == contract


TEXTS = ("lookalike", "format", "run", "fingerprint", "backbone")


def test_the_gallery_is_that_of_the_bundle(bundle: Bundle, tmp_path: Path) -> None:
    write_portable(bundle, "onnx", tmp_path / "out", gallery=True)
    gallery = json.loads((tmp_path / "out" / "gallery.json").read_text("utf-8"))
    embeddings = np.frombuffer(base64.b64decode(gallery["embeddings"]), "<f4").reshape(gallery["count"], -1)
    assert np.array_equal(embeddings, bundle.references.embeddings)
    assert gallery["labels"] == list(bundle.references.labels)
    assert gallery["paths"] == list(bundle.references.paths)


def test_openvino_carries_the_same(bundle: Bundle, tmp_path: Path) -> None:
    made = write_portable(bundle, "openvino", tmp_path / "out")
    assert made.files == ["model.xml", "model.bin", "model.json"]
    contract = contract_in(made.folder)
    network = openvino.Core().read_model(made.folder / "model.xml")
    assert network.get_rt_info(["lookalike", "fingerprint"]).value == bundle.fingerprint
    assert json.loads(network.get_rt_info(["lookalike", "labels"]).value) == contract["labels"]
    assert json.loads(network.get_rt_info(["lookalike", "check"]).value) == contract["check"]


def test_tensorrt_gets_the_line_that_builds_its_engine(bundle: Bundle, tmp_path: Path) -> None:
    made = write_portable(bundle, "tensorrt", tmp_path / "out")
    assert made.files == ["model.onnx", "trtexec.sh", "model.json"]
    text = (made.folder / "trtexec.sh").read_text("utf-8")
    assert "has not run this line" in text
    assert text.splitlines()[-1] == (
        "trtexec --onnx=model.onnx --saveEngine=model.plan --minShapes=images:1x32x32x3 "
        "--optShapes=images:8x32x32x3 --maxShapes=images:32x32x32x3"
    )


def test_what_stood_there_is_kept(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    write_portable(bundle, "openvino", tmp_path / "out")
    (aside,) = tmp_path.glob("out.*")
    assert (aside / "mine.txt").read_text() == "mine"
    assert not (tmp_path / "out" / "mine.txt").exists()


def as_int8(bundle: Bundle) -> Bundle:
    config: BundleConfig = bundle.config.model_copy(update={"precision": "int8"})
    return replace(bundle, config=config)


@pytest.mark.parametrize("kind", ["onnx", "tensorrt"])
def test_int8_stays_in_openvino(kind: portable.PortableFormat, bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(PortableError, match=rf"a float32 bundle for format={kind}, found int8: .*quantised from"):
        write_portable(as_int8(bundle), kind, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_disagrees_is_not_written(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")

    def disagreeing(*_: object) -> PortableAgreement:
        raise PortableError("the written network disagrees")

    monkeypatch.setattr(portable, "compare", disagreeing)
    with pytest.raises(PortableError, match="disagrees"):
        write_portable(bundle, "onnx", tmp_path / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine.txt"]
