"""Reads tables of very many images of an object store, as `embed` does before it embeds: seconds, memory, disk.

python benchmarks/tables.py <scratch folder> [rows ...]     # 1000000 3000000 10000000

Each size is read in a process of its own. No image is fetched.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

PER_LABEL = 50


def write(file: Path, count: int) -> None:
    """A table of made paths and labels."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels = np.arange(count) // PER_LABEL
    paths = pa.array([f"{label:07}/{row:09}.jpg" for row, label in enumerate(labels)])
    names = pa.array([f"label {label}" for label in labels])
    pq.write_table(pa.table({"path": paths, "label": names}), file)


def read(file: Path) -> dict[str, float]:
    """Seconds of a core and peak memory of reading it in this process, and of the digest that shards are bound to."""
    from lookalike.data.remote_images import read_remote
    from lookalike.evaluation.sharded import digest_of

    begun, used = time.monotonic(), time.process_time()
    rows, _, _ = read_remote({"root": str(file), "images": "s3://bucket/images"})
    table = time.process_time() - used
    digest_of(rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu = time.process_time() - used
    return {"rows": len(rows), "seconds": time.monotonic() - begun, "cpu": cpu, "table": table, "peak_mib": peak}


def main() -> None:
    """Every size in turn."""
    if sys.argv[1] == "--read":
        print(json.dumps(read(Path(sys.argv[2]))))
        return
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for count in map(int, sys.argv[2:] or ["1000000", "3000000"]):
        file = folder / f"{count}.parquet"
        write(file, count)
        reading = [sys.executable, __file__, "--read", str(file)]
        done = subprocess.run(reading, capture_output=True, text=True, check=True)
        size = file.stat().st_size / 2**20
        file.unlink()
        figures = json.loads(done.stdout)
        print(
            f"{count} rows: {figures['cpu']:.1f} s of a core ({figures['table']:.1f} s the table), peak "
            f"{figures['peak_mib']:.0f} MiB, {size:.0f} MiB on disk",
            flush=True,
        )


if __name__ == "__main__":
    main()
