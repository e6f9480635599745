"""Measures galleries: enrolling, searching, forgetting, opening; and FAISS beside the search. Writes GALLERY.md.

python benchmarks/gallery.py [--folder <scratch>] [--most 1000000]

Embeddings are random unit vectors of 128 dimensions, pictures are 5,000 random bytes. Every figure of a process that is
running already is the median of many calls; those of a start are processes of their own. Nothing there is typed.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from harness import HERE, machine

from lookalike import Gallery
from lookalike.data.pixels import PixelSettings
from lookalike.files import write_bytes
from lookalike.inference.encoder import Encoder
from lookalike.parallel import one_blas_thread
from lookalike.terminal import show

PAGE = HERE / "GALLERY.md"
SIZE, BATCH, NEIGHBOURS = 128, 100_000, 10


def stand_in() -> SimpleNamespace:
    """A model of which only the fingerprint is asked."""
    return SimpleNamespace(encoder=Encoder(None, PixelSettings(224, 224, "stretch"), "f" * 64, SIZE))  # type: ignore[arg-type]


def unit(rng: np.random.Generator, count: int) -> np.ndarray:
    """float32 [count, SIZE]."""
    rows = rng.standard_normal((count, SIZE), np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def make(folder: Path, count: int) -> list[float]:
    """Enrols `count` embeddings, 100 of each label, 100,000 at a time; seconds of each time."""
    rng = np.random.default_rng(0)
    seconds = []
    with Gallery.create(folder, stand_in()) as gallery:
        for first in range(0, count, BATCH):
            numbers = range(first, min(first + BATCH, count))
            labels = [f"label {number // 100}" for number in numbers]
            sources = [f"/photographs/shop/{number:07d}.jpg" for number in numbers]
            rows = unit(rng, len(numbers))
            seconds.append(
                timed(
                    lambda rows=rows, labels=labels, sources=sources: gallery.add_embeddings(
                        rows, labels, sources=sources
                    )
                )
            )
        len(gallery)  # the flat file of embeddings is written by the first that reads them
    return seconds


def opened(folder: Path) -> dict[str, float]:
    """Seconds until a gallery can be searched, and the memory of the process then, in a process of its own."""
    start = time.perf_counter()
    gallery = Gallery.open(folder, stand_in())
    len(gallery)
    seconds = time.perf_counter() - start
    # Not `ru_maxrss`, which a new process has from the one that started it.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {"seconds": seconds, "mib": int(status["VmHWM"].split()[0]) / 1024}


def in_a_process(folder: Path) -> dict[str, float]:
    """`opened`, in a new process."""
    command = [sys.executable, __file__, "--opened", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def faiss_seconds(references: np.ndarray, queries: np.ndarray) -> float:
    """Of one query by FAISS's flat index, one thread: median."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(SIZE)
    index.add(references)
    return float(np.median([timed(lambda query=query: index.search(query[None], NEIGHBOURS)) for query in queries]))


def searched(folder: Path) -> dict[str, float]:
    """Seconds of searches in a gallery."""
    rng = np.random.default_rng(1)
    queries = unit(rng, 1000)
    with Gallery.open(folder, stand_in()) as gallery:
        gallery.search(queries[:1], NEIGHBOURS)
        with one_blas_thread():
            alone = [timed(lambda query=query: gallery.search(query[None], NEIGHBOURS)) for query in queries[:40]]
        many = timed(lambda: gallery.search(queries, NEIGHBOURS))
        flat = faiss_seconds(gallery.references.embeddings, queries[:40])
    return {"one": float(np.median(alone)), "thousand": many, "faiss": flat}


def changed(folder: Path) -> dict[str, float]:
    """Seconds of changes in a gallery that is open and was read."""
    rng = np.random.default_rng(2)
    rows = unit(rng, 80)
    with Gallery.open(folder, stand_in()) as gallery:
        gallery.search(rows[:1], NEIGHBOURS)
        ones = [
            timed(
                lambda row=row: gallery.add_embeddings(
                    rows[row : row + 1], "new", sources=[f"{row}.jpg"], thumbnails=[rng.bytes(5000)]
                )
            )
            for row in range(40)
        ]
        seen = [
            timed(
                lambda row=row: (
                    gallery.add_embeddings(rows[row : row + 1], "new", sources=[f"{row}.jpg"]),
                    gallery.search(rows[:1], 1),
                )
            )
            for row in range(40, 50)
        ]
        for label in range(10, 20):
            gallery.rename(f"label {label}", f"gone {label}") if label == 10 else gallery.merge(
                f"label {label}", "gone 10"
            )
        forgotten = timed(lambda: gallery.forget(label="gone 10"))
        verified = timed(gallery.verify)
    return {"one": float(np.median(ones)), "seen": float(np.median(seen)), "forget": forgotten, "verify": verified}


def main() -> None:
    """Measures and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "lookalike-gallery-benchmark")
    parser.add_argument("--most", type=int, default=1_000_000)
    parser.add_argument("--opened", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.opened:
        print(json.dumps(opened(options.opened)))
        return
    lines = ["| work | " + " | ".join(f"{count:,} images" for count in (BATCH, options.most)) + " |", "|---|--:|--:|"]
    columns: dict[str, list[str]] = {}
    for count in (BATCH, options.most):
        place = options.folder / str(count)
        shutil.rmtree(place, ignore_errors=True)
        enrolled = make(place, count)
        first = in_a_process(place)
        searches = searched(place)
        after = changed(place)
        figures = {
            "enrol 100,000 embeddings (the slowest time)": f"{max(enrolled):.1f} s",
            "open, in a new process, until it can be searched": f"{first['seconds']:.2f} s",
            "memory of that process": f"{first['mib']:.0f} MiB",
            "one exact query, one thread": f"{1000 * searches['one']:.1f} ms",
            "the same by FAISS, flat": f"{1000 * searches['faiss']:.1f} ms",
            "1,000 exact queries": f"{searches['thousand']:.2f} s",
            "enrol one image with its picture, on the disk": f"{1000 * after['one']:.1f} ms",
            "enrol one, and find it": f"{1000 * after['seen']:.1f} ms",
            "forget a label of 1,000 images for good": f"{1000 * after['forget']:.0f} ms",
            "verify": f"{after['verify']:.1f} s",
        }
        for name, figure in figures.items():
            columns.setdefault(name, []).append(figure)
        shutil.rmtree(place)
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in columns.items()]
    text = "\n".join(
        [
            "# Galleries in a folder: figures of `benchmarks/gallery.py`",
            "",
            f"Random unit vectors of {SIZE} dimensions, 100 of each label. Measured on {machine()}.",
            "",
            *lines,
            "",
        ]
    )
    write_bytes(PAGE, text.encode())
    for line in lines:
        show(line)


if __name__ == "__main__":
    main()
