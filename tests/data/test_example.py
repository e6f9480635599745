"""The demo's data: a real server on this machine for the download, digits when there is none."""

import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

from lookalike.cli.main import main
from lookalike.data import example as demo
from lookalike.data.example import DemoError, fetch_grocery, find_example, write_digits
from lookalike.data.reading import read_manifest


def archive(classes: int = 50, comment: str = demo.COMMIT) -> bytes:
    """An archive laid out like the real one, with random pictures so that it is large enough to be cut."""
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.comment = comment.encode()
        for number in range(classes):
            group = "Fruit/Apple" if number % 2 else "Vegetables"
            for split in ("train", "val", "test"):
                picture = io.BytesIO()
                Image.fromarray(rng.integers(0, 255, (48, 48, 3), np.uint8)).save(picture, "JPEG")
                target.writestr(f"G-1/dataset/{split}/{group}/class-{number}/{number}.jpg", picture.getvalue())
        target.writestr("G-1/dataset/train/Packages/Milk/Arla/Arla_001.jpg", b"left out")
        target.writestr("G-1/dataset/train/Fruit/../../../evil.jpg", b"left out")
    return buffer.getvalue()


class Server(ThreadingHTTPServer):
    content = b""
    cut_after: int | None = None
    asked: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        first = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        body = self.server.content[first:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut, self.server.cut_after = self.server.cut_after, None
        self.wfile.write(body[:cut])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.asked, running.content = [], archive()
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/grocery.zip"


def test_photographs_are_fetched_once_and_laid_out(server: Server, tmp_path: Path) -> None:
    cache = tmp_path / "some" / "where" / "deep"
    folder = fetch_grocery(cache, url(server))
    manifest = read_manifest(folder)
    assert len(manifest.labels) == 50
    assert manifest.counts()[["train", "validation", "test"]].to_numpy().tolist() == [[1, 1, 1]] * 50
    assert fetch_grocery(cache, url(server)) == folder
    assert server.asked == [None]
    assert sorted(path.name for path in cache.iterdir()) == [".lock", "grocery-produce"], "the archive is not kept"
    assert not list(tmp_path.rglob("evil.jpg"))


def test_a_cut_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.cut_after = 70_000
    with pytest.raises(requests.RequestException):
        fetch_grocery(tmp_path, url(server))
    (part,) = tmp_path.glob("*.part")
    arrived = part.stat().st_size
    assert 0 < arrived <= 70_000
    fetch_grocery(tmp_path, url(server))
    assert server.asked == [None, f"bytes={arrived}-"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (archive()[:-5000], r"the archive is damaged .*the download was deleted: run again"),
        (archive(comment="0" * 40), r"not the pinned commit b545e4c5db0a; the download was deleted: run again"),
        (archive(classes=7), r"7 fruit and vegetable classes, expected 50"),
        (archive().replace(b"JFIF", b"JFIX"), r"damaged \(Bad CRC-32"),
    ],
)
def test_a_wrong_archive_is_deleted(server: Server, tmp_path: Path, content: bytes, text: str) -> None:
    server.content = content
    with pytest.raises(DemoError, match=text):
        fetch_grocery(tmp_path, url(server))
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_the_users_photographs_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_DATA", str(tmp_path / "mine"))
    assert find_example(None).root == tmp_path / "mine"
    assert find_example(str(tmp_path / "given")).root == tmp_path / "given"


def test_digits_without_a_network(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LOOKALIKE_DATA", raising=False)
    server.server_close()
    monkeypatch.setattr(demo, "fetch_grocery", lambda cache: fetch_grocery(cache, url(server)))
    example = find_example(None, tmp_path)
    error = capsys.readouterr().err
    assert "so scikit-learn's digits are used: 0 to 6 are learnt, 7 to 9 are unseen" in error
    assert "set LOOKALIKE_DATA=<folder" in error
    assert example.split == "test"
    manifest = read_manifest(example.root)
    assert manifest.labels == [str(n) for n in range(7)]
    protocol = manifest.protocol("test")
    assert set(protocol.queries["label"]) == {"7", "8", "9"} == set(protocol.references["label"])
    assert len(manifest.table) == 1797


@pytest.mark.slow
def test_the_whole_demo_on_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_digits(tmp_path / "cache" / "digits")
    monkeypatch.chdir(tmp_path)
    quick = (
        "model=timm",
        "model.backbone=test_resnet",
        "model.weights=none",
        "pixels.height=32",
        "pixels.width=32",
        "trainer.workers=0",
        "trainer.precision=32-true",
        "logger=none",
    )
    monkeypatch.setattr(
        demo, "find_example", lambda root: demo.Example(table, "digits", (*quick, "trainer.max_epochs=1"), "test")
    )
    assert main(["demo"]) == 0
    printed = capsys.readouterr().out
    assert "1. train on" in printed
    assert "2. evaluate on test" in printed
    assert "3. predict" in printed
    assert "Next: lookalike predict bundle=models/demo-digits image=<your photograph>" in printed
    assert Path("reports/demo-digits-test.json").is_file()
    assert len(list(Path("predictions").iterdir())) == 2
