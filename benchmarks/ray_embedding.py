"""Embedding by Ray beside one process, and what kills cost: figures for docs/scale.md.

python benchmarks/ray_embedding.py <bundle> <folder of images> [--pairs 5] [--kills 10]

Speed: one process and a cluster of this machine with one worker write the same shards in turn. Counted is the time from
the first whole shard to the last, so that neither pays for its start. Kills: workers and commands die by turns, until
all shards are whole; they are compared, byte for byte, with those of one process.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

SHARDS = 12
SECONDS = 600.0


def command(bundle: str, images: str, output: Path, *more: str) -> list[str]:
    """What a person types."""
    what = [f"bundle={bundle}", f"data.root={images}", f"output={output}", "precision=float32", f"shards={SHARDS}"]
    return [sys.executable, "-m", "lookalike", "embed", *what, *more]


def rate(typed: list[str], output: Path) -> float:
    """Images a second between the first whole shard and the last."""
    subprocess.run(typed, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rows = json.loads((output / "shards.json").read_text())["rows"]
    ends = sorted(file.stat().st_mtime for file in output.glob("shard-*.parquet"))
    return rows * (SHARDS - 1) / SHARDS / (ends[-1] - ends[0])


def workers() -> list[psutil.Process]:
    """The processes that embed."""
    running = psutil.process_iter(["cmdline"])
    return [process for process in running if "ray::_Embedder" in " ".join(process.info["cmdline"] or [])]


def whole(output: Path) -> int:
    """How many shards are there."""
    return len(list(output.glob("shard-*.parquet")))


def kill(bundle: str, images: str, output: Path, kills: int) -> tuple[int, int]:
    """Kills workers and commands by turns; returns how many of each died."""
    died = [0, 0]
    until = time.monotonic() + SECONDS
    while whole(output) < SHARDS or sum(died) < kills:
        if whole(output) == SHARDS:  # all is there before enough died: some of it is taken away again
            for file in sorted(output.glob("shard-*.parquet"))[: SHARDS // 2]:
                file.unlink()
        typed = command(bundle, images, output, "engine=ray")
        process = subprocess.Popen(typed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        turn = sum(died) % 2
        while process.poll() is None and sum(died) < kills:
            assert time.monotonic() < until
            time.sleep(random.uniform(0.05, 0.5))
            embedding = workers()
            if not embedding:
                continue
            if turn == 0:
                embedding[0].kill()
                died[0] += 1
                time.sleep(3)
                turn = 1
            else:
                process.kill()
                died[1] += 1
                turn = 0
        process.wait()
        psutil.wait_procs(workers(), timeout=60)
    return died[0], died[1]


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("images")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--kills", type=int, default=10)
    options = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    given = (options.bundle, options.images)
    with tempfile.TemporaryDirectory() as scratch:
        ratios, rates = [], []
        for pair in range(options.pairs):
            places = [Path(scratch, f"{pair}-{kind}") for kind in ("plain", "ray")]
            plain = rate(command(*given, places[0]), places[0])
            ray = rate(command(*given, places[1], "engine=ray"), places[1])
            rates.append((plain, ray))
            ratios.append(ray / plain)
            print(
                f"pair {pair + 1}: one process {plain:.0f} images/s, Ray {ray:.0f} images/s, {ratios[-1]:.2f}",
                flush=True,
            )
        if ratios:
            middle = statistics.median(ratios)
            print(f"median of {len(ratios)} pairs: {middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        if options.kills:
            output = Path(scratch, "killed")
            died = kill(*given, output, options.kills)
            plain_place = Path(scratch, "whole")
            subprocess.run(
                command(*given, plain_place), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            names = sorted(file.name for file in plain_place.iterdir())
            same = names == sorted(file.name for file in output.iterdir()) and all(
                (plain_place / name).read_bytes() == (output / name).read_bytes() for name in names
            )
            print(f"killed: {died[0]} workers, {died[1]} commands; all shards equal to those of one process: {same}")


if __name__ == "__main__":
    main()
