"""Measures `lookalike serve`: one client, 32 clients, and `lookalike embed` beside it. Writes SERVING.md.

python benchmarks/serving.py --photographs <folder> [--models efficientnet_lite2@320 ...] [--images 10000]

`@320` is the size that images are read at: that of `quality=standard`, what is trained by default.

The service is a process of its own, and so are its clients: 32 connections of one event loop that does nothing else.
Photographs are real ones: as they are (about 350 pixels), and enlarged to the 12 megapixels of a phone. Beside the
gallery's own images there are as many made-up embeddings as make it as large as was asked. Nothing there is typed.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
from harness import HERE, machine

from lookalike import Gallery, Model
from lookalike.files import write_bytes
from lookalike.terminal import show

PAGE = HERE / "SERVING.md"
CLIENTS, ROUNDS = 32, 3
PHONE = (4032, 3024)
MARK = "serving at "


def photographs(root: Path, count: int) -> list[bytes]:
    """The same ones every time."""
    files = sorted(root.glob("*/*.jpg"))
    chosen = files[:: max(1, len(files) // count)][:count]
    return [file.read_bytes() for file in chosen]


def as_phone(photograph: bytes) -> bytes:
    """The same picture with 12 megapixels."""
    pixels = cv2.imdecode(np.frombuffer(photograph, np.uint8), cv2.IMREAD_COLOR)
    large = cv2.resize(pixels, PHONE, interpolation=cv2.INTER_CUBIC)
    return bytes(cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, 90])[1])


def make_gallery(folder: Path, model: Model, root: Path, images: int) -> None:
    """Real photographs, and made-up embeddings beside them."""
    with Gallery.create(folder, model) as gallery:
        for place in sorted(root.iterdir()):
            gallery.add(sorted(place.glob("*.jpg"))[:6], place.name)
        rows = np.random.default_rng(0).standard_normal((images - len(gallery), model.encoder.size), np.float32)
        gallery.add_embeddings(rows, [f"label {row // 100}" for row in range(len(rows))])


def request_of(address: str, photograph: bytes) -> bytes:
    """All of it, as it is sent."""
    host = urlsplit(address).netloc
    head = (
        f"POST /v1/predict?k=5 HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/jpeg\r\n"
        f"Content-Length: {len(photograph)}\r\n\r\n"
    )
    return head.encode() + photograph


async def client(address: str, requests: list[bytes], seconds: list[float]) -> None:
    """Sends requests one after the other over one connection."""
    place = urlsplit(address)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    for request in requests:
        start = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = re.search(rb"content-length: (\d+)", head)
        assert length
        await reader.readexactly(int(length[1]))
        seconds.append(time.perf_counter() - start)
    writer.close()


async def clients(address: str, requests: list[bytes], count: int) -> tuple[list[float], float]:
    """Seconds of each request, and of all."""
    seconds: list[float] = []
    start = time.perf_counter()
    await asyncio.gather(*(client(address, requests[first::count], seconds) for first in range(count)))
    return seconds, time.perf_counter() - start


def started(folder: Path) -> tuple["subprocess.Popen[str]", str]:
    """A service, and its address when it is ready."""
    command = [sys.executable, "-m", "lookalike", "serve", f"gallery={folder}", "port=0", "waiting=256"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout
    address = next(line.split()[2] for line in process.stdout if line.startswith(MARK))
    host = urlsplit(address)
    for _ in range(600):
        done = subprocess.run(["curl", "-s", f"http://{host.netloc}/readyz"], capture_output=True, text=True)
        if '"ready"' in done.stdout:
            return process, address
        time.sleep(0.1)
    raise RuntimeError("the service did not become ready")


def resident(process: "subprocess.Popen[str]") -> float:
    """MiB."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024  # type: ignore[index]


def measure(name: str, root: Path, images: int) -> dict[str, float | str]:
    """Every figure of a network."""
    backbone, _, side = name.partition("@")
    model = Model.pretrained(backbone, pixels={"height": int(side), "width": int(side)} if side else None)
    small = photographs(root, 192)
    large = [as_phone(photograph) for photograph in small[:48]]
    figures: dict[str, float | str] = {"network": name}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "shop"
        make_gallery(folder, model, root, images)
        for kind, given in (("small", small), ("phone", large)):
            files = []
            for number, photograph in enumerate(given):
                files.append(Path(scratch) / f"{kind}-{number}.jpg")
                write_bytes(files[-1], photograph)
            model.embed(files)
            rates = []
            for _ in range(ROUNDS):
                start = time.perf_counter()
                model.embed(files)
                rates.append(len(files) / (time.perf_counter() - start))
            figures[f"{kind}_embed"] = max(rates)
        process, address = started(folder)
        try:
            for kind, given in (("small", small), ("phone", large)):
                requests = [request_of(address, photograph) for photograph in given]
                alone, _ = asyncio.run(clients(address, requests, 1))
                figures[f"{kind}_p50"] = 1000 * statistics.median(alone)
                rates, tails = [], []
                for _ in range(ROUNDS):
                    seconds, total = asyncio.run(clients(address, requests * 3, CLIENTS))
                    rates.append(len(seconds) / total)
                    tails.append(1000 * float(np.quantile(seconds, 0.99)))
                figures[f"{kind}_rate"], figures[f"{kind}_p99"] = max(rates), min(tails)
            figures["memory"] = resident(process)
        finally:
            process.terminate()
            process.wait()
    return figures


def page(measured: list[dict[str, float | str]], images: int) -> str:
    """The table."""
    lines = [
        "# The service: figures of `benchmarks/serving.py`",
        "",
        f"One image in each request of `/v1/predict`, over {images:,} enrolled images. Clients and service share the "
        f"processor. {machine()}",
        "",
        "| network | photograph | one client, median | 32 clients | of `embed` on the same files | 32 clients, p99 |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for figures in measured:
        for kind, text in (("small", "350 pixels"), ("phone", "12 megapixels")):
            share = float(figures[f"{kind}_rate"]) / float(figures[f"{kind}_embed"])
            lines.append(
                f"| {figures['network']} | {text} | {figures[f'{kind}_p50']:.1f} ms | "
                f"{figures[f'{kind}_rate']:.0f} images/s | {share:.0%} of {figures[f'{kind}_embed']:.0f} | "
                f"{figures[f'{kind}_p99']:.0f} ms |"
            )
    memory = max(float(figures["memory"]) for figures in measured)
    return "\n".join([*lines, "", f"Memory of the service behind all that: at most {memory:.0f} MiB.", ""])


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["efficientnet_lite2@320", "efficientnet_lite0"])
    parser.add_argument("--images", type=int, default=10_000)
    given = parser.parse_args()
    measured = [measure(name, given.photographs, given.images) for name in given.models]
    show(json.dumps(measured))
    write_bytes(PAGE, page(measured, given.images).encode())
    show(f"written: {os.path.relpath(PAGE)}")


if __name__ == "__main__":
    main()
