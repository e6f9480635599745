"""The examples: what export wrote is read and searched without lookalike, in Python and in a browser."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
import pytest
from PIL import ExifTags, Image
from playwright.sync_api import expect

from browser import needs_browser
from lookalike import Model
from lookalike.data.images import read_image
from lookalike.data.pixels import PixelSettings
from lookalike.inference.bundle import load_bundle
from lookalike.portable.portable import write_portable
from opened_page import one_browser

Resize = Literal["stretch", "crop", "pad"]
EXAMPLES = Path(__file__).parents[1] / "examples"
PAGE = EXAMPLES / "browser"
RUNTIME = "node_modules/onnxruntime-web/dist"
needs_runtime = pytest.mark.skipif(
    not (PAGE / RUNTIME).is_dir() and not os.environ.get("CI"), reason="make example fetches what the page needs"
)
_SPEC = importlib.util.spec_from_file_location("onnx_search", EXAMPLES / "onnx_search.py")
assert _SPEC
assert _SPEC.loader
onnx_search = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(onnx_search)


@pytest.fixture(scope="module")
def exported(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_portable(
        load_bundle(bundle_path), "onnx", tmp_path_factory.mktemp("out") / "onnx", gallery=True
    ).folder


@pytest.fixture(scope="module")
def photographs(digits: Path) -> list[Path]:
    return sorted(path for path in (digits / "test").rglob("*") if path.is_file())[::9][:4]


def test_the_reader_gives_the_bundles_embeddings(exported: Path, bundle_path: Path, photographs: list[Path]) -> None:
    pixels = json.loads((exported / "model.json").read_text("utf-8"))["pixels"]
    images = np.stack([onnx_search.read(file, pixels) for file in photographs])
    made = onnxruntime.InferenceSession(exported / "model.onnx").run(None, {"images": images})[0]
    expected = Model.load(bundle_path, device="cpu", precision="float32").embed(photographs)
    assert (made * expected).sum(1).min() >= 0.999


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("shape", [(100, 60), (30, 90), (20, 25)])
def test_the_reader_reads_as_the_product(resize: Resize, shape: tuple[int, int], tmp_path: Path) -> None:
    file, settings = tmp_path / "image.png", PixelSettings(48, 40, resize)
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    Image.fromarray(noise).save(file)
    pixels = {"height": 48, "width": 40, "resize": resize, "interpolation": "area", "border": 128}
    difference = onnx_search.read(file, pixels).astype(int) - read_image(file, settings)
    assert abs(difference).max() <= 1


@pytest.mark.parametrize("turned", [1, 6])
def test_the_reader_decodes_large_jpegs_as_the_product(turned: int, tmp_path: Path) -> None:
    file, exif = tmp_path / "image.jpg", Image.Exif()
    exif[ExifTags.Base.Orientation] = turned
    coarse = np.random.default_rng(0).integers(0, 256, (13, 17, 3), np.uint8)
    Image.fromarray(coarse).resize((340, 260)).save(file, exif=exif)
    pixels = {"height": 60, "width": 40, "resize": "crop", "interpolation": "area", "border": 128}
    difference = onnx_search.read(file, pixels).astype(int) - read_image(file, PixelSettings(60, 40, "crop"))
    assert abs(difference).max() <= 1


def test_the_reader_names_what_the_bundle_names(exported: Path, bundle_path: Path, photographs: list[Path]) -> None:
    command = [sys.executable, "-I", EXAMPLES / "onnx_search.py", exported, *photographs]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    answers = [line.split("\t") for line in done.stdout.splitlines()]
    assert [answer[0] for answer in answers] == list(map(str, photographs))
    expected = Model.load(bundle_path, device="cpu", precision="float32").predict(photographs, k=1)
    for answer, item in zip(answers, expected.items, strict=True):
        label, similarity = answer[1].rsplit(" ", 1)
        assert label == item.neighbours[0].label
        assert float(similarity) == pytest.approx(item.neighbours[0].similarity, abs=0.01)


def test_the_reader_takes_nothing_of_lookalike() -> None:
    assert "import lookalike" not in (EXAMPLES / "onnx_search.py").read_text("utf-8")
    lock = (PAGE / "package-lock.json").read_text("utf-8")
    assert "resolved" not in lock
    assert "://" not in lock


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A copy of the page, without a model and without ONNX Runtime, and its address."""
    for name in ("index.html", "page.js"):
        shutil.copyfile(PAGE / name, tmp_path / name)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=tmp_path))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield tmp_path, f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@needs_browser
@needs_runtime
def test_the_page_names_a_photograph(
    served: tuple[Path, str], exported: Path, bundle_path: Path, photographs: list[Path]
) -> None:
    folder, address = served
    with one_browser() as browser:
        page = browser.new_page()
        page.goto(address)
        body, status = page.locator("body"), page.get_by_role("status")
        expect(body).to_have_attribute("data-state", "failed")
        expect(status).to_contain_text("model/model.json is not there (404): put a model beside this page")
        expect(status).to_contain_text("lookalike export bundle=models/mine gallery=true output=examples/browser/model")
        shutil.copytree(exported, folder / "model")
        page.goto(address)
        expect(status).to_have_text("onnxruntime-web is not there: type make example, then load this page again")
        (folder / RUNTIME).mkdir(parents=True)
        for name in ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"):
            shutil.copyfile(PAGE / RUNTIME / name, folder / RUNTIME / name)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        expect(body).to_have_attribute("data-state", "ready", timeout=60_000)
        model = Model.load(bundle_path, device="cpu", precision="float32")
        for file, embedding, item in zip(
            photographs, model.embed(photographs), model.predict(photographs, k=1).items, strict=True
        ):
            page.locator("input").set_input_files(file)
            expect(status).to_contain_text(", among ")
            expect(body).to_have_attribute("data-state", "ready", timeout=60_000)
            made = np.array(json.loads(body.get_attribute("data-embedding") or "[]"))
            assert made @ embedding >= 0.999
            expect(page.locator("tbody td").first).to_have_text(item.neighbours[0].label)
        page.locator("input").set_input_files(folder / "page.js")
        expect(body).to_have_attribute("data-state", "failed")
        expect(status).to_contain_text("This photograph cannot be used")
        assert all(url.startswith((address, "blob:", "data:")) for url in asked)
