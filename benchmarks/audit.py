"""Measures `lookalike audit`: seconds and memory at 10,000 photographs, and the search for hashes as it grows.

LOOKALIKE_DATA=<folder with train, validation> python benchmarks/audit.py [--images 10000]

Writes benchmarks/AUDIT.md. Nothing there is typed.
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from harness import HERE, machine

from lookalike.auditing.candidate_pairs import hash_pairs
from lookalike.data.example import find_example
from lookalike.data.images import read_image
from lookalike.data.manifest import Manifest
from lookalike.data.reading import read_data

HASHES = (1_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)


def many(manifest: Manifest, root: Path, count: int) -> None:
    """Writes `count` different photographs: parts of those that there are, in other light."""
    rng = np.random.default_rng(0)
    rows = manifest.original
    for number in range(count):
        row = rows.iloc[number % len(rows)]
        target = root / row["split"] / row["label"] / f"{number}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        if number < len(rows):
            shutil.copyfile(manifest.file(row["path"]), target)
            continue
        image = read_image(manifest.file(row["path"]))
        high, wide = (round(side * rng.uniform(0.5, 0.75)) for side in image.shape[:2])
        top, left = rng.integers(0, image.shape[0] - high), rng.integers(0, image.shape[1] - wide)
        part = image[top : top + high, left : left + wide].astype(np.float32) * rng.uniform(0.7, 1.2, 3)
        part = cv2.resize(part.clip(0, 255).astype(np.uint8), (image.shape[1], image.shape[0]))
        cv2.imwrite(str(target), part[:, :, ::-1])


def audited(root: Path, output: Path) -> tuple[float, float, str]:
    """Seconds, peak memory in MiB and the first line of one audit in a process of its own."""
    command = [sys.executable, "-m", "lookalike", "audit", f"data.root={root}", f"output={output}"]
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # of the largest child so far
    return time.perf_counter() - start, peak, done.stdout.splitlines()[0]


def hashes(count: int) -> tuple[float, int]:
    """Seconds of the search among random hashes, one in ten a near copy of another, and the pairs found."""
    rng = np.random.default_rng(0)
    made = rng.integers(-(2**63), 2**63, count, dtype=np.int64)
    copies = made[: count // 10].copy()
    for bit in rng.integers(0, 63, (3, len(copies))):
        copies ^= np.left_shift(np.int64(1), bit)
    made[-len(copies) :] = copies
    mirrored = rng.integers(-(2**63), 2**63, count, dtype=np.int64)
    start = time.perf_counter()
    pairs = hash_pairs(made, mirrored)
    return time.perf_counter() - start, len(pairs)


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    count = parser.parse_args().images
    example = find_example(None)
    lines = [
        "# Audit",
        "",
        f"Written by `benchmarks/audit.py` on {time.strftime('%Y-%m-%d')}: {machine()}.",
        f"Photographs: {example.name}, and parts of them in other light.",
        "",
        "| `lookalike audit`, process start to end | seconds | peak memory, MiB | its first line |",
        "|---|--:|--:|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        root, output = Path(folder, "data"), Path(folder, "audit")
        many(read_data(str(example.root)), root, count)
        for what in ("cold", "warm"):
            seconds, peak, first_line = audited(root, output)
            lines.append(f"| {count:,} images, {what} | {seconds:.0f} | {peak:.0f} | {first_line} |")
            print(lines[-1], flush=True)
    lines += ["", "| hashes | seconds | microseconds per hash | pairs within 3 bits |", "|--:|--:|--:|--:|"]
    for size in HASHES:
        seconds, pairs = hashes(size)
        lines.append(f"| {size:,} | {seconds:.2f} | {1e6 * seconds / size:.0f} | {pairs:,} |")
        print(lines[-1], flush=True)
    HERE.joinpath("AUDIT.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
