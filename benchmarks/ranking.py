"""Measures retrieval evaluation, ours, the bare score product and the peers, and writes benchmarks/RANKING.md.

python benchmarks/ranking.py [--quick] [--skip-peers] [--only NAME ...]

The peers' environment is optional: benchmarks/peers/requirements.txt says how it is made.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from peers.worker import PEERS, measured
from problems import PEERS_PYTHON, Problem, ask_peer, large_gallery, leave_one_out, market_like

ROUNDS = 5
PEER_ROUNDS = 2
ONCE_FROM = 20.0  # seconds: a peer this slow runs once
TARGET = Path(__file__).parent / "RANKING.md"
MAKERS: dict[str, tuple[str, Callable[[], Problem], Callable[[], Problem]]] = {
    "market": (
        "Market-1501's shape, clustered features",
        lambda: market_like(0),
        lambda: market_like(0, 300, 1500),
    ),
    "market-random": (
        "Market-1501's shape, random features",
        lambda: market_like(1, clustered=False),
        lambda: market_like(1, 300, 1500, clustered=False),
    ),
    "leave-one-out": (
        "Stanford Online Products' shape, leave one out",
        lambda: leave_one_out(2),
        lambda: leave_one_out(2, 1500, 280),
    ),
    "large-gallery": ("a large gallery", lambda: large_gallery(3), lambda: large_gallery(3, 100, 20_000)),
}
WITH_PEERS = ("market", "market-random")
COLUMNS = ("cmc@1", "cmc@5", "cmc@10", "map", "minp", "mrr", "r_precision", "map_at_r")
HOW = {
    "product": "`lookalike.metrics.ranking.bare_product`: all scores, in the tiles of our ranking, and nothing else.",
    "lookalike": "`lookalike.evaluate(...)`, features and string labels in, metrics and intervals out.",
    "lookalike, no camera rule": "the same without cameras: the protocol that PML knows.",
    "fastreid": '`build_dist(query, gallery, "cosine")`, then `evaluate_rank(..., max_rank=50, use_cython=True)`, '
    "compiled by its own helper; junk dropped beforehand, as its loader does.",
    "torchreid": '`compute_distance_matrix(query, gallery, "cosine")`, then `evaluate_rank(..., max_rank=50, '
    "use_cython=True)`; the registry's package lacks `rank_cy.pyx`, so it falls back to its Python.",
    "oml": "`RetrievalResults.from_embeddings(..., n_items=<gallery>)` with `<label>_<camera>` as sequence, then "
    "`calc_retrieval_metrics`; junk dropped. Queries without a positive count as 0 in its means "
    "(precision@k becomes NaN), and map@k is over the positives found.",
    "pml": "`AccuracyCalculator(k=None)`, the whole ranking, which map needs; no camera rule, junk dropped.",
    "pml_at_r": '`AccuracyCalculator(k="max_bin_count")`, the R metrics only; no camera rule, junk dropped.',
}


@dataclass
class Row:
    """One tool on one problem.

    Attributes:
        tool: A key of `HOW`.
        seconds: Median of its runs.
        extra_mib: Peak memory above what was resident before the call.
        values: Metric -> value.
    """

    tool: str
    seconds: float
    extra_mib: float
    values: dict[str, float] = field(default_factory=dict)


def product(problem: Problem) -> None:
    """The scores of all pairs, tile by tile, and nothing else.

    Args:
        problem: Gives queries and references.
    """
    from lookalike.metrics.ranking import bare_product

    bare_product(problem.query, problem.reference, os.cpu_count() or 1)


def child(mode: str, file: Path, camera_rule: bool) -> dict[str, Any]:
    """What a fresh process measures.

    Args:
        mode: time (product and ours in turn), or memory of either: product | lookalike.
        file: The saved problem.
        camera_rule: Whether cameras are used.
    """
    from lookalike.metrics.evaluate import evaluate

    small = market_like(9, 40, 200)
    evaluate(**small.arguments())
    product(small)
    problem = Problem.read(file)
    arguments = problem.arguments(camera_rule)
    works = {"product": lambda: product(problem), "lookalike": lambda: evaluate(**arguments)}
    if mode != "time":
        return {"extra_mib": measured(works[mode])[2]}
    seconds: dict[str, list[float]] = {name: [] for name in works}
    metrics: dict[str, float] = {}
    for turn in range(ROUNDS + 1):
        for name, work in works.items():
            result, took, _ = measured(work)
            if turn:
                seconds[name].append(took)
            metrics = result.metrics if name == "lookalike" else metrics
    return {"seconds": {name: statistics.median(took) for name, took in seconds.items()}, "values": metrics}


def ask_child(mode: str, file: Path, camera_rule: bool = True) -> dict[str, Any]:
    """Runs `child` in a fresh process.

    Args:
        mode: As in `child`.
        file: As in `child`.
        camera_rule: As in `child`.
    """
    command = [sys.executable, __file__, "--child", mode, "--file", str(file)]
    done = subprocess.run(command + ["--no-cameras"] * (not camera_rule), stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def measure_ours(file: Path, cameras: bool) -> list[Row]:
    """Rows of the product and of lookalike, with and without cameras where there are any.

    Args:
        file: The saved problem.
        cameras: Whether the problem has cameras.
    """
    timed = ask_child("time", file)
    memory = {mode: ask_child(mode, file)["extra_mib"] for mode in ("product", "lookalike")}
    rows = [
        Row("product", timed["seconds"]["product"], memory["product"]),
        Row("lookalike", timed["seconds"]["lookalike"], memory["lookalike"], timed["values"]),
    ]
    if cameras:
        plain = ask_child("time", file, camera_rule=False)
        extra = ask_child("lookalike", file, camera_rule=False)["extra_mib"]
        rows.append(Row("lookalike, no camera rule", plain["seconds"]["lookalike"], extra, plain["values"]))
    return rows


def measure_peer(peer: str, file: Path, versions: dict[str, str]) -> Row | None:
    """A peer's row, or None with a printed line where it could not run.

    Args:
        peer: A name in the worker's table.
        file: The saved problem.
        versions: Takes the peer's version.
    """
    try:
        answers = [ask_peer(peer, [file])[0]]
        while len(answers) < PEER_ROUNDS and answers[0].get("seconds", ONCE_FROM) < ONCE_FROM:
            answers += [ask_peer(peer, [file])[0]]
    except RuntimeError as problem:
        print(f"  skipped: {problem}")
        return None
    versions[peer] = answers[0]["version"]
    if "error" in answers[0]:
        print(f"  {peer} skipped: {answers[0]['error']}")
        return None
    seconds = statistics.median(answer["seconds"] for answer in answers)
    return Row(peer, seconds, max(answer["extra_mib"] for answer in answers), answers[0]["values"])


def peers_wanted(only: list[str], skip: bool) -> list[str]:
    """The peers to run; says why where there are none.

    Args:
        only: Names asked for; empty: all.
        skip: Whether peers were declined.
    """
    if skip:
        return []
    if not PEERS_PYTHON.exists():
        print(f"peers skipped: no {PEERS_PYTHON}; see benchmarks/peers/requirements.txt")
        return []
    chosen = [name for name in PEERS if name in only]
    return chosen or list(PEERS)


def table(title: str, problem_size: str, rows: list[Row]) -> list[str]:
    """One problem's table in Markdown.

    Args:
        title: The problem in words.
        problem_size: Its shape.
        rows: Product first, then lookalike, then the peers.
    """
    by_tool = {row.tool: row for row in rows}
    lines = [
        f"## {title}: {problem_size}",
        "",
        f"| tool | seconds | extra memory, MiB | / product | / lookalike | {' | '.join(COLUMNS)} |",
        "|---|" + "--:|" * (4 + len(COLUMNS)),
    ]
    for row in rows:
        cells = [f"{row.seconds:.3f}", f"{row.extra_mib:.0f}"]
        for base in ("product", "lookalike"):
            cells.append(f"{row.seconds / by_tool[base].seconds:.2f}")
        cells += [f"{row.values[name]:.4f}" if name in row.values else "" for name in COLUMNS]
        lines.append(f"| {row.tool} | {' | '.join(cells)} |")
    return [*lines, ""]


def heading(versions: dict[str, str], quick: bool) -> list[str]:
    """Machine, versions and how things were measured.

    Args:
        versions: Package -> version of the peers that ran.
        quick: Whether the small sizes were used.
    """
    from lookalike import __version__

    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    machine = f"{os.cpu_count()} cores of {models[0].partition(':')[2].strip() if models else platform.processor()}"
    ours = f"lookalike {__version__}, Python {platform.python_version()}, NumPy {np.__version__}"
    made = f"`benchmarks/ranking.py{' --quick' if quick else ''}` on {time.strftime('%Y-%m-%d')}"
    others = ", ".join(f"{name} {version}" for name, version in versions.items() if name != "pml_at_r")
    return [
        "# Retrieval evaluation, measured",
        "",
        f"Written by {made}: {machine}; {ours}{'; peers: ' + others if others else ''}.",
        *(["**Small sizes, for a test of the harness: these figures say nothing about speed.**"] if quick else []),
        f"Product and lookalike in turn, medians of {ROUNDS} after one warm-up of the same size; each peer in "
        f"{PEER_ROUNDS} fresh processes, there the median of 2 after one warm-up of the same size (from "
        f"{ONCE_FROM:.0f} s on a single run after a call on a few rows).",
        "From features in memory to metrics; imports and files are outside the clock. "
        "Memory: peak above what was resident before the call, in a process of its own.",
        "",
    ]


def calls(tools: list[str]) -> list[str]:
    """A line for every tool on how it was called.

    Args:
        tools: Keys of `HOW`.
    """
    return ["## How each was called", "", *(f"- {tool}: {HOW[tool]}" for tool in tools), ""]


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, for a test of this harness")
    parser.add_argument("--skip-peers", action="store_true", help="only the product and lookalike")
    parser.add_argument("--only", nargs="+", default=[], choices=[*MAKERS, *PEERS], help="these problems or peers only")
    parser.add_argument("--output", type=Path, default=TARGET, help="the table (default: %(default)s)")
    parser.add_argument("--child", choices=("time", "product", "lookalike"), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--no-cameras", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Runs what was asked for and writes the table."""
    asked = options()
    if asked.child:
        print(json.dumps(child(asked.child, asked.file, not asked.no_cameras)))
        return
    peers, versions, tools = peers_wanted(asked.only, asked.skip_peers), dict[str, str](), dict[str, None]()
    wanted = [name for name in MAKERS if name in asked.only] or list(MAKERS)
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted:
            title, whole, small = MAKERS[name]
            problem = small() if asked.quick else whole()
            print(f"{name}: {problem.size} ...", flush=True)
            file, size, cameras = problem.save(Path(folder) / "problem.npz"), problem.size, len(problem.query_cameras)
            del problem
            rows = measure_ours(file, bool(cameras))
            answers = [measure_peer(peer, file, versions) for peer in peers if name in WITH_PEERS]
            rows += [row for row in answers if row is not None]
            tools |= dict.fromkeys(row.tool for row in rows)
            lines += table(title, size, rows)
    asked.output.write_text("\n".join([*heading(versions, asked.quick), *lines, *calls(list(tools))]))
    print(asked.output.read_text())


if __name__ == "__main__":
    main()
