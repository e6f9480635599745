"""Bundles whose checksums are right and whose content is not: each is used, or refused in one line.

A few seconds of seeded changes; LOOKALIKE_FUZZ_MINUTES=10 goes on with further seeds for ten minutes.
"""

import json
import os
import random
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.errors import LookalikeError
from lookalike.files import sha256_of
from lookalike.inference.bundle import checksum_of, load_bundle
from lookalike.inference.encoder import openvino_encoder
from lookalike.inference.predict import predict

GIVEN = Path(__file__).parents[1] / "inference" / "data" / "bundle-0.1"
SECONDS = 60 * float(os.environ.get("LOOKALIKE_FUZZ_MINUTES", "0"))
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    1e308,
    2**70,
    "",
    "x",
    "../../x",
    "\x1b[2J",
    [],
    [[]],
    {},
    {"": None},
    "9" * 5000,
]
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GIVEN, tmp_path / "bundle"))


def sign(folder: Path, change: Callable[[dict[str, Any]], None] = lambda config: None, files: bool = True) -> None:
    """Changes the settings and makes all checksums right again."""
    config = json.loads((GIVEN / "config.json").read_text())
    del config["checksum"]
    if files:
        config["files"] = {name: sha256_of(folder / name) for name in config["files"]}
    change(config)
    config["checksum"] = checksum_of(config)
    (folder / "config.json").write_text(json.dumps(config))


def limited(cases: list[Any], count: int) -> Iterator[Any]:
    """Seeded cases: some of them, or as many as there is time for."""
    random.Random(0).shuffle(cases)
    end = time.monotonic() + SECONDS / 8
    for number, case in enumerate(cases):
        if number >= count and time.monotonic() > end:
            return
        yield case


def use(folder: Path, run: bool = True) -> str:
    """Everything that reads a bundle; returns what it was refused with, empty when it was used."""
    refused = ""
    try:
        bundle = load_bundle(folder)
        config = bundle.config
        assert config.training.held_out.seed >= 0
        assert config.model.size > 0
        assert isinstance(config.loss["name"], str)
        assert config.to_json()
        assert len(bundle.references) > 0
        if not run:
            return ""
        encoder = openvino_encoder(bundle)
        answer = predict(encoder, bundle.references, [IMAGE], 1, source="x", rejection=bundle.rejection())
        assert abs(answer[0].neighbours[0].similarity) <= 1.02
        assert "nan" not in json.dumps(answer.to_dict()).lower()
    except LookalikeError as error:
        refused = str(error)
    assert len(refused.splitlines()) <= 1, refused
    return refused


def test_the_bundle_itself_is_used(copy: Path) -> None:
    sign(copy)
    assert use(copy) == ""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in nested settings."""
    if path:
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


PLACES = [path for path in places(json.loads((GIVEN / "config.json").read_text())) if path[0] != "checksum"]


def put(config: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    inner: Any = config
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value


def test_settings_of_any_kind_are_used_or_refused(copy: Path) -> None:
    for path, value in limited([(path, value) for path in PLACES for value in ODD], 150):
        sign(copy, lambda config, path=path, value=value: put(config, path, value))
        use(copy, run=False)


def test_settings_that_pass_are_used_or_refused_by_what_runs_the_network(copy: Path) -> None:
    """Mean and names do not reach it; sizes do."""
    for side in (1, 2, 31, 33, 8192):
        sign(copy, lambda config, side=side: put(config, ("pixels", "height"), side))
        assert "model.xml: expected images uint8" in use(copy)


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (
            ("pixels", "height"),
            64,
            r"model\.xml: expected images uint8 \['B', 64, 32, 3\] and one output, found .* copy the",
        ),
        (("pixels", "height"), 0, r"pixels: .*expected height and width of 1 to 8192 pixels, found 0 x 32"),
        (("pixels", "width"), 10**9, r"pixels: .*expected height and width"),
        (("model", "dimensions"), 9, r"gallery: expected embeddings of 9 dimensions made by"),
        (("model", "std"), [1], r"model\.std: List should have at least 3 items"),
        (("loss",), {}, r"loss: .*expected the name of a loss, found None"),
        (("training", "history"), [{"epoch": 1}], r"training\.history: .*of every epoch, found one without train/loss"),
        (("training", "settings"), {"data": 3}, r"training\.settings: "),
        (("training", "settings"), {"data": {"seed": "x"}}, r"training\.settings: "),
        (
            ("fingerprint",),
            "f" * 64,
            r"gallery: expected embeddings of 8 dimensions made by ffffffffffff, found 8 made by",
        ),
        (("fingerprint",), "\x1b[2J", r"fingerprint: String should match"),
        (("files",), {}, r"files: expected the SHA-256 of model\.safetensors, found none"),
        (("files",), None, r"files: expected the SHA-256 of model\.safetensors, found none"),
        (("files", "../outside"), "0", r"files: expected names inside the bundle, found '\.\./outside': do not use it"),
        (("files", "/etc/passwd"), "0", r"files: expected names inside the bundle"),
        (("files", "a/..\\..\\x"), "0", r"files: expected names inside the bundle"),
        (("files", "C:/x"), "0", r"files: expected names inside the bundle"),
        (("schema",), True, r"bundle schema True, this version reads up to 2"),
        (("schema",), 0, r"bundle schema 0, this version reads up to 2"),
    ],
)
def test_settings_that_were_seen(copy: Path, path: tuple[Any, ...], value: Any, text: str) -> None:
    sign(copy, lambda config: put(config, path, value))
    assert re.search(text, use(copy)), use(copy)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"schema": 1, "a": ' + "[" * 100_000, '{"schema": NaN}', "9" * 10_000]
)
def test_files_of_settings_that_were_seen(copy: Path, text: str) -> None:
    (copy / "config.json").write_text(text)
    assert re.search(r"config\.json: not the settings of a bundle \(.*\): copy the bundle again", use(copy))


def npy(array: np.ndarray, shape: tuple[int, ...] | None = None) -> bytes:
    """The file of an array; its header may promise another shape."""
    import io

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    content = buffer.getvalue()
    if shape is None:
        return content
    old, new = str(array.shape).encode(), str(shape).encode()
    return content.replace(old, new, 1).replace(b" " * (len(new) - len(old)) + b"\n", b"\n", 1)


GALLERY = {
    "not a number": ("embeddings.npy", npy(np.full((3, 8), np.nan, np.float32)), "row 0 has length nan, expected 1"),
    "infinite": ("embeddings.npy", npy(np.full((3, 8), np.inf, np.float32)), "row 0 has length inf"),
    "not of length 1": ("embeddings.npy", npy(np.ones((3, 8), np.float32)), "row 0 has length 2.83"),
    "float64": ("embeddings.npy", npy(np.eye(3, 8)), "holds no float32"),
    "big endian": ("embeddings.npy", npy(np.eye(3, 8, dtype=">f4")), "holds no float32"),
    "objects": ("embeddings.npy", npy(np.array([[{}]])), "not a readable gallery"),
    "more than there is": ("embeddings.npy", npy(np.eye(3, 8, dtype=np.float32), (30000, 8)), "not a readable gallery"),
    "more than memory": ("embeddings.npy", npy(np.eye(3, 8, dtype=np.float32), (2**50, 8)), "not a readable gallery"),
    "negative": ("embeddings.npy", npy(np.eye(3, 8, dtype=np.float32), (-3, 8)), "not a readable gallery"),
    "other size": (
        "embeddings.npy",
        npy(np.tile(np.eye(9, dtype=np.float32), (2, 1))),
        "expected embeddings of 8 dimensions",
    ),
    "no rows": ("embeddings.npy", npy(np.zeros((0, 8), np.float32)), "one label and one path per embedding"),
    "short rows": ("rows.csv", b"label,path\na\nb\nc\n", "not a readable gallery"),
    "a long cell": ("rows.csv", b"label,path\n" + b"a" * 200_000 + b",b\n", "not a readable gallery"),
    "a list for a root": ("gallery.json", b'{"schema":1,"root":[],"fingerprint":"f"}', "root: expected text"),
    "a number made it": ("gallery.json", b'{"schema":1,"root":"","fingerprint":7}', "fingerprint: expected text"),
    "no precision": (
        "gallery.json",
        b'{"schema":1,"root":"","fingerprint":"","precision":[]}',
        "precision: expected text",
    ),
    "nested": ("gallery.json", b"[" * 100_000, "not a readable gallery"),
}


@pytest.mark.parametrize("kind", GALLERY)
def test_galleries_that_were_seen(copy: Path, kind: str) -> None:
    name, content, text = GALLERY[kind]
    (copy / "gallery" / name).write_bytes(content)
    sign(copy)
    assert text in use(copy)


GRAPH = {
    "no graph": (b"", "not a graph that OpenVINO runs"),
    "text": (b"hello", "not a graph that OpenVINO runs"),
    "another page": (b"<html></html>", "not a graph that OpenVINO runs"),
    "nothing in it": (b'<net name="x" version="11"><layers/><edges/></net>', "model.xml: "),
}


@pytest.mark.parametrize("kind", GRAPH)
def test_graphs_that_were_seen(copy: Path, kind: str) -> None:
    content, text = GRAPH[kind]
    (copy / "model.xml").write_bytes(content)
    sign(copy)
    assert text in use(copy)


def test_weights_that_are_too_few_are_told(copy: Path) -> None:
    (copy / "model.bin").write_bytes((GIVEN / "model.bin").read_bytes()[:100])
    sign(copy)
    assert "model.xml: not a graph that OpenVINO runs" in use(copy)


def test_weights_that_are_no_numbers_are_told(copy: Path) -> None:
    content = (GIVEN / "model.bin").read_bytes()
    (copy / "model.bin").write_bytes(content[:20_000] + b"\xff" * 40_000 + content[60_000:])
    sign(copy)
    assert "of length 1, found" in use(copy)


def mutated(content: bytes, chance: random.Random) -> bytes:
    """One seeded change: a number, a tag, a run of bytes, an end that is missing."""
    numbers = list(re.finditer(rb"\d+", content))
    kind = chance.randrange(5)
    if kind == 0 and numbers:
        spot = chance.choice(numbers)
        new = chance.choice([b"0", b"-1", b"1", b"4294967296", b"99999999999999999999", b"x", b"", b"7"])
        return content[: spot.start()] + new + content[spot.end() :]
    place = chance.randrange(len(content))
    if kind == 1:
        return content[:place]
    if kind == 2:
        return content[:place] + chance.randbytes(chance.randrange(1, 9)) + content[place + chance.randrange(9) :]
    length = chance.randrange(1, 400)
    if kind == 3:
        return content[:place] + content[place + length :]
    return content[:place] + content[place : place + length] + content[place:]


FILES = ["model.xml", "model.bin", "gallery/embeddings.npy", "gallery/rows.csv", "gallery/gallery.json"]


@pytest.mark.parametrize("name", FILES)
def test_files_that_were_changed_anywhere_are_used_or_refused(copy: Path, name: str) -> None:
    content = (GIVEN / name).read_bytes()
    for seed in limited(list(range(100_000)), 12):
        (copy / name).write_bytes(mutated(content, random.Random(f"{name} {seed}")))
        sign(copy)
        use(copy, run=name.startswith("model") or seed % 4 == 0)
