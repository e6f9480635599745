"""Measures evaluation of references in shards: seconds, memory and bytes on disk, of made vectors.

    python benchmarks/scale.py <scratch folder> <queries> [references ...]     # 10000 100000 1000000 10000000

Each size is written as `lookalike embed` writes it, measured in a process of its own, and deleted.
"""

import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

DIMENSIONS, PER_SHARD, PER_LABEL = 128, 100_000, 50


def write(folder: Path, count: int, seed: int, labels: int) -> float:
    """Shards of made unit vectors; returns seconds."""
    import pyarrow as pa

    from lookalike.inference.shards import Plan, Rows, shard_bytes
    from lookalike.storage import storage_of

    begun, rng = time.monotonic(), np.random.default_rng(seed)
    storage = storage_of(folder)
    shards = max(1, count // PER_SHARD)
    plan = Plan("f" * 64, "float32", DIMENSIONS, "/made", count, shards, "0" * 64)
    storage.write("shards.json", plan.to_bytes())
    for shard in range(1, shards + 1):
        ids = np.arange(plan.ids(shard).start, plan.ids(shard).stop)
        made = rng.standard_normal((len(ids), DIMENSIONS), np.float32)
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        paths = pa.array([f"{seed}/{number:09}.jpg" for number in ids])
        names = pa.array([f"label {number}" for number in rng.integers(0, labels, len(ids))])
        rows = Rows(ids, paths, names, pa.nulls(len(ids), pa.int64()), pa.array(np.zeros(len(ids), bool)), made)
        storage.write(plan.name(shard), shard_bytes(plan, shard, rows, 0))
    return time.monotonic() - begun


def evaluated(queries: Path, references: Path) -> dict[str, float]:
    """Seconds and peak memory of one evaluation in this process."""
    from lookalike.evaluation.streaming import evaluate_stored

    evaluate_stored(queries, queries)  # compiled loops are loaded
    begun, used = time.monotonic(), time.process_time()
    result = evaluate_stored(queries, references).result
    return {
        "seconds": time.monotonic() - begun,
        "cpu_seconds": time.process_time() - used,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "map": result.metrics["map"],
    }


def main() -> None:
    """Every size in turn."""
    if sys.argv[1] == "--one":
        print(json.dumps(evaluated(Path(sys.argv[2]), Path(sys.argv[3]))))
        return
    scratch, asked = Path(sys.argv[1]), int(sys.argv[2])
    for count in map(int, sys.argv[3:] or ("100000", "1000000", "10000000")):
        labels = max(1, count // PER_LABEL)
        queries, references = scratch / "queries", scratch / "references"
        write(queries, asked, 1, labels)
        written = write(references, count, 2, labels)
        size = sum(file.stat().st_size for file in references.iterdir())
        command = [sys.executable, __file__, "--one", str(queries), str(references)]
        done = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rate = asked * count / done["cpu_seconds"] / 1e9
        print(
            f"{count} references: {done['seconds']:.1f} s, {done['cpu_seconds']:.1f} s of a core "
            f"({rate:.3f} G pairs/s), peak {done['peak_mib']:.0f} MiB, "
            f"{size / 2**20:.0f} MiB on disk, made in {written:.0f} s, mAP {done['map']:.6f}",
            flush=True,
        )
        for folder in (queries, references):
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
