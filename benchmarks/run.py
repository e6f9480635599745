"""Measures this machine, ours and the usual way in turn, and writes benchmarks/RESULTS.md. Nothing there is typed.

make bench                                   photographs of the demo (or digits without a network)
LOOKALIKE_DATA=<folder> make bench           your own
"""

import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lookalike import __version__
from lookalike.bundle import Bundle
from lookalike.demo import find_example
from lookalike.embed import load_encoder
from lookalike.export import export
from lookalike.images import PixelSettings, read_image
from lookalike.manifest import Manifest, read_manifest
from lookalike.models.embedder import Embedder
from lookalike.progress import say

ROUNDS = 5
IMAGES = 192
MODELS = {"resnet18": None, "tf_efficientnet_lite0": [0.5, 0.5, 0.5]}


def alternating(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float]:
    """Median seconds of each, measured in turn after one unmeasured round."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(ROUNDS + 1):
        for times, work in zip(seconds, (ours, theirs), strict=True):
            start = time.perf_counter()
            work()
            if turn:
                times.append(time.perf_counter() - start)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def pillow(file: Path, side: int) -> np.ndarray:
    """The usual way: full decode and bilinear resize."""
    return np.asarray(Image.open(file).convert("RGB").resize((side, side), Image.Resampling.BILINEAR))


def make_bundle(name: str, manifest: Manifest, folder: Path) -> tuple[Embedder, Bundle]:
    """A bundle of random weights: speed does not depend on them."""
    embedder = Embedder(name, mean=MODELS[name], std=MODELS[name])
    model = {"backbone": name, "weights_source": "random", "trainable": ["all"], "embedding_size": 128}
    settings = {"data": {"validation_share": 0.0, "seed": 0}}
    training = {"best_epoch": 0, "epochs": 0, "seed": 0, "settings": settings}
    config = {"model": model, "loss": {"name": "none"}, "labels": manifest.labels, "training": training}
    return embedder, export(folder / name, embedder, manifest, PixelSettings(), config)[0]


def torch_pillow(embedder: Embedder, files: list[Path]) -> None:
    """Torch eager float32 over Pillow images, batches of 16."""
    with torch.inference_mode():
        for first in range(0, len(files), 16):
            images = np.stack([pillow(file, 224) for file in files[first : first + 16]])
            embedder.embed(torch.from_numpy(images))


def main() -> None:
    """Runs everything and writes the table."""
    torch.set_num_threads(os.cpu_count() or 1)
    example = find_example(None)
    manifest = read_manifest(example.root)
    files = [manifest.file(path) for path in manifest.original["path"]][:IMAGES]
    count = len(files)
    rows = []
    ours, theirs = alternating(
        lambda: [read_image(file, PixelSettings()) for file in files], lambda: [pillow(file, 224) for file in files]
    )
    rows.append(
        (
            "read and resize to 224, one thread",
            "Pillow",
            f"{count / ours:.0f} images/s",
            f"{count / theirs:.0f} images/s",
            theirs / ours,
        )
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in MODELS:
            say(f"{name} ...")
            embedder, bundle = make_bundle(name, manifest, Path(folder))
            encoder = load_encoder(bundle)
            ours, theirs = alternating(lambda e=encoder: e.embed(files), lambda e=embedder: torch_pillow(e, files))
            rows.append(
                (
                    f"files to embeddings, {name}",
                    "torch eager fp32 + Pillow",
                    f"{count / ours:.0f} images/s",
                    f"{count / theirs:.0f} images/s",
                    theirs / ours,
                )
            )
        command = [
            sys.executable,
            "-m",
            "lookalike",
            "predict",
            f"bundle={bundle.path}",
            f"image={files[0]}",
            "k=5",
            f"output={folder}/p",
        ]
        seconds = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds.append(time.perf_counter() - start)
        rows.append(
            (f"predict one image, process start to end, {name}", "", f"{statistics.median(seconds):.2f} s", "", None)
        )
    write(rows, example.name, count)


def write(rows: list[tuple[str, str, str, str, float | None]], data: str, count: int) -> None:
    """Writes the table and the machine it was measured on."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    machine = f"{os.cpu_count()} cores of {models[0].partition(':')[2].strip() if models else platform.processor()}"
    versions = f"lookalike {__version__}, Python {platform.python_version()}, torch {torch.__version__}"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lines = [
        "# Benchmarks",
        "",
        f"Written by `make bench` on {time.strftime('%Y-%m-%d')}: {machine}; {versions}.",
        f"{count} images of {data}, medians of {ROUNDS} alternating runs; peak memory {peak:.0f} MiB.",
        "",
        "| work | compared with | lookalike | the other | ratio |",
        "|---|---|---|---|---|",
    ]
    for work, other, ours, theirs, ratio in rows:
        lines.append(f"| {work} | {other} | {ours} | {theirs} | {'' if ratio is None else f'{ratio:.1f}x'} |")
    target = Path(__file__).parent / "RESULTS.md"
    target.write_text("\n".join(lines) + "\n")
    print(target.read_text())


if __name__ == "__main__":
    main()
