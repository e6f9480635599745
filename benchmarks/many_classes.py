"""A step of ArcFace with very many labels: time and memory with all class weights and with samples of them.

    python benchmarks/many_classes.py                    # 1,000,000 labels x 128, all, a tenth, a hundredth
    python benchmarks/many_classes.py --labels 100000

Every way runs in a process of its own, so that the memory is its own: forward and backward of the loss alone, and the
step of the class weights, on one core, in seconds of that core: what else the machine does adds little. Prints a table.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

BATCH, SIZE, STEPS = 64, 128, 6


def measure(labels: int, share: float | None) -> dict[str, float]:
    """Median milliseconds of a step, and MiB that the process grew to since its imports."""
    import math
    import statistics

    import torch

    from lookalike.models.losses import MetricLoss
    from lookalike.training.cpu.adamw import FlatAdamW

    torch.set_num_threads(1)
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sampled = None if share is None else max(BATCH, math.ceil(share * labels))
    loss = MetricLoss("arcface", {"margin_degrees": 28.6, "scale": 30.0}, labels, SIZE, sampled)
    built = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    whole = loss.trained_whole()
    optimizer = FlatAdamW([{"params": whole, "lr": 0.01}], 0.0) if whole else None
    generator = torch.Generator().manual_seed(0)
    seconds = []
    for step in range(STEPS):
        embeddings = torch.randn(BATCH, SIZE, generator=generator, requires_grad=True)
        ids = torch.randint(0, labels, (BATCH,), generator=generator)
        begun = time.process_time()
        loss(embeddings, ids, step).backward()
        if optimizer:
            optimizer.step()
            optimizer.zero_grad()
        loss.step_of_sample(0.01)
        seconds.append(time.process_time() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    moments = loss.sample.rows_with_moments if loss.sample else labels
    return {
        "milliseconds": 1000 * statistics.median(seconds[1:]),
        "building_mib": (built - start) / 1024,
        "peak_mib": (peak - start) / 1024,
        "rows_with_moments": moments,
    }


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--shares", default="none,0.1,0.01")
    parser.add_argument("--one", default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        print(json.dumps(measure(given.labels, None if given.one == "none" else float(given.one))))
        return
    print(f"{given.labels:,} labels x {SIZE}, batches of {BATCH}, {STEPS} steps, one core\n", flush=True)
    print("| `loss.sample_classes` | a step | most memory while building | most memory | rows with moments |")
    print("|---|--:|--:|--:|--:|")
    for share in given.shares.split(","):
        command = [sys.executable, __file__, "--labels", str(given.labels), "--one", share]
        figures = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(
            f"| {'null' if share == 'none' else share} | {figures['milliseconds']:.0f} ms | "
            f"{figures['building_mib']:.0f} MiB | {figures['peak_mib']:.0f} MiB | {figures['rows_with_moments']:,} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
