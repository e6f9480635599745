"""Compares our metrics with the peers' on random problems; exit code 1 when a difference has no known reason.

python benchmarks/parity.py [--count 200] [--seed 0]

Every value is also compared with a slow writing below. Peers leave the order of equal similarities open and compute
them in float32, so a value may lie anywhere between the worst and the best order of what is closer than `NEAR`; where
no such pair matters the bounds meet and values must agree. Known differences, each asserted to be what is documented:

- OML divides map@k by the positives found, not by all; precision@k by min(k, positives); a query without a positive
  counts 0 in its means and makes precision@k NaN, or counts 1 when nothing at all is left to retrieve.
- PML has no camera rule and turns labels into float32: from 2^24 on neighbouring ids become one.
- fast-reid sums in float32, and its cmc@k is stale from an earlier query where fewer than k references are valid.
"""

import argparse
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from problems import NONE, PEERS_PYTHON, Problem, ask_peer, unit

from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.result import RetrievalResult

NEAR = 5e-6
KS = (1, 5, 10)
TOLERANCE = {"slow writing": 1e-9, "oml": 1e-6, "pml": 1e-6, "fastreid": 1e-5}
OUTCOMES = ("equal", "tie order", "documented", "skipped", "DIFFERENT")
PerQuery = dict[str, np.ndarray]


@dataclass(frozen=True)
class Truth:
    """What the slow writing says of every query.

    Attributes:
        worst: Metric -> float64 [Q], positives last among what is nearly equal; NaN without a positive.
        best: The same, positives first.
        exact: The same, in order of reference rows.
        valid: int64 [Q], valid references.
        positives: int64 [Q], valid positives.
    """

    worst: PerQuery
    best: PerQuery
    exact: PerQuery
    valid: np.ndarray
    positives: np.ndarray


class Tally:
    """Counts outcomes per peer and metric, and keeps what cannot be explained."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.reasons: Counter[str] = Counter()
        self.unexplained: list[str] = []

    def add(self, peer: str, metric: str, outcome: str, detail: str = "") -> None:
        """Counts one comparison.

        Args:
            peer: Whose value.
            metric: Which.
            outcome: One of `OUTCOMES`.
            detail: Reason of what was skipped, numbers of what differs.
        """
        self.counts[peer, metric][outcome] += 1
        if outcome in ("skipped", "documented") and detail:
            self.reasons[f"{peer} {metric}: {detail}"] += 1
        if outcome == "DIFFERENT":
            self.unexplained.append(f"{peer} {metric}: {detail}")

    def compare(self, peer: str, metric: str, ours: float, theirs: float, bounds: tuple[float, float]) -> None:
        """Equal, explained by the order of ties, or different.

        Args:
            peer: Whose value.
            metric: Which.
            ours: Our value.
            theirs: Theirs.
            bounds: Its worst and best value over the orders of ties.
        """
        tolerance = TOLERANCE[peer]
        if abs(ours - theirs) <= tolerance:
            self.add(peer, metric, "equal")
        elif bounds[1] - bounds[0] > 1e-12 and bounds[0] - tolerance <= theirs <= bounds[1] + tolerance:
            self.add(peer, metric, "tie order")
        else:
            self.add(peer, metric, "DIFFERENT", f"ours {ours:.9f}, theirs {theirs:.9f}, bounds {bounds}")

    def __str__(self) -> str:
        lines = [f"{'against':<14}{'metric':<16}" + "".join(f"{name:>12}" for name in OUTCOMES)]
        for (peer, metric), counts in self.counts.items():
            lines.append(f"{peer:<14}{metric:<16}" + "".join(f"{counts[name]:>12}" for name in OUTCOMES))
        lines += ["", *(f"{count:>5} x {reason}" for reason, count in self.reasons.items())]
        return "\n".join([*lines, *self.unexplained[:20]])


def make(seed: int) -> Problem:
    """A random problem; which awkwardness it has is drawn too.

    Args:
        seed: Of everything drawn; every fifth problem is a larger one.
    """
    rng = np.random.default_rng(seed)
    queries, references = (rng.integers(20, 61), rng.integers(60, 201)) if seed % 5 == 0 else rng.integers(3, [13, 27])
    same = bool(rng.random() < 0.25)
    references = queries if same else references
    labels = int(rng.integers(2, max(3, references // 4)))
    reference_labels = rng.integers(0, labels, references)
    query_labels = reference_labels if same else rng.integers(0, labels + 1, queries)  # label `labels` has no reference
    if rng.random() < 0.3:
        reference_labels = np.where(rng.random(references) < 0.3, labels + 7, reference_labels)  # distractors
        query_labels = reference_labels if same else query_labels
    if rng.random() < 0.25:
        reference_labels, query_labels = reference_labels + 2**24, query_labels + 2**24
    query, reference = _features(rng, int(queries), int(references), same)
    cameras = int(rng.choice([0, 1, 3], p=[0.45, 0.1, 0.45]))
    query_cameras = rng.integers(0, cameras, queries) if cameras else NONE
    reference_cameras = (query_cameras if same else rng.integers(0, cameras, references)) if cameras else NONE
    ignore = (rng.random(references) < 0.2) & bool(rng.random() < 0.4 and not same)
    ignore[0] = False
    return Problem(query, reference, query_labels, reference_labels, query_cameras, reference_cameras, ignore, same)


def _features(rng: np.random.Generator, queries: int, references: int, same: bool) -> tuple[np.ndarray, np.ndarray]:
    size = int(rng.integers(3, 17))
    query, reference = rng.normal(size=(queries, size)), rng.normal(size=(references, size))
    kind = rng.choice(["plain", "ties", "negative"], p=[0.5, 0.3, 0.2])
    if kind == "ties":
        reference = reference[rng.integers(0, max(2, references // 3), references)]
    if kind == "negative" and not same:
        query, reference = query + 4, reference - 4
    return (unit(reference), unit(reference)) if same else (unit(query), unit(reference))


def slow_ranks(problem: Problem, row: int, shift: float, cameras: bool) -> tuple[np.ndarray, int]:
    """Ranks of the valid positives of one query, and the number of valid references.

    Args:
        problem: Arrays.
        row: The query.
        shift: Added to the similarity of positives.
        cameras: Whether the camera rule is on.
    """
    same = problem.reference_labels == problem.query_labels[row]
    valid = ~problem.ignore
    if cameras and len(problem.query_cameras):
        valid = valid & ~(same & (problem.reference_cameras == problem.query_cameras[row]))
    if problem.exclude_self:
        valid = valid & (np.arange(len(same)) != row)
    score = (problem.reference.astype(np.float64) * problem.query[row].astype(np.float64)).sum(1) + shift * same
    order = np.lexsort((np.arange(len(same)), -score))
    return np.flatnonzero(same[order[valid[order]]]) + 1, int(valid.sum())


def slow_values(ranks: np.ndarray) -> dict[str, float]:
    """Every metric of one query from the ranks of its positives.

    Args:
        ranks: int64 [P], ascending; NaN everywhere when empty.
    """
    count = len(ranks)
    precision = [place / rank for place, rank in enumerate(ranks, 1)]
    values = {
        "map": sum(precision) / max(count, 1),
        "minp": count / ranks[-1] if count else 0.0,
        "mrr": 1 / ranks[0] if count else 0.0,
        "r_precision": sum(rank <= count for rank in ranks) / max(count, 1),
        "map_at_r": sum(p for p, rank in zip(precision, ranks, strict=True) if rank <= count) / max(count, 1),
    }
    for k in KS:
        hits = [p for p, rank in zip(precision, ranks, strict=True) if rank <= k]
        values |= {f"cmc@{k}": float(bool(hits)), f"precision@{k}": len(hits) / k}
        values |= {f"oml precision@{k}": len(hits) / min(k, max(count, 1))}
        values |= {f"oml map@{k}": sum(hits) / max(len(hits), 1)}
    return {name: float(value) if count else np.nan for name, value in values.items()}


def truth(problem: Problem, cameras: bool) -> Truth:
    """The slow writing over all queries.

    Args:
        problem: Arrays.
        cameras: Whether the camera rule is on.
    """
    columns: list[PerQuery] = []
    ranked: list[tuple[np.ndarray, int]] = []
    for shift in (-NEAR, NEAR, 0.0):
        ranked = [slow_ranks(problem, row, shift, cameras) for row in range(len(problem.query))]
        rows = [slow_values(ranks) for ranks, _ in ranked]
        columns.append({name: np.array([row[name] for row in rows]) for name in rows[0]})
    return Truth(*columns, np.array([valid for _, valid in ranked]), np.array([len(ranks) for ranks, _ in ranked]))


def bounds_of(expected: Truth, metric: str) -> tuple[float, float]:
    """Worst and best mean over the queries with a positive.

    Args:
        expected: The slow writing.
        metric: A metric of ours.
    """
    return float(np.nanmean(expected.worst[metric])), float(np.nanmean(expected.best[metric]))


def compare_means(
    tally: Tally, peer: str, ours: RetrievalResult, theirs: dict[str, float], expected: Truth, names: list[str]
) -> None:
    """Our means against theirs.

    Args:
        tally: Takes the outcomes.
        peer: Whose values.
        ours: Our result under the peer's protocol.
        theirs: Their means.
        expected: The slow writing under the same protocol.
        names: Metrics to compare.
    """
    for name in names:
        tally.compare(peer, name, ours.metrics[name], theirs[name], bounds_of(expected, name))


def check_slow(tally: Tally, ours: RetrievalResult, expected: Truth) -> None:
    """Our means against the slow writing.

    Args:
        tally: Takes the outcomes.
        ours: Our result.
        expected: The slow writing.
    """
    names = ["map", "minp", "mrr", "r_precision", "map_at_r"]
    names += [f"{name}@{k}" for name in ("cmc", "precision") for k in KS]
    for name in names:
        exact = float(np.nanmean(expected.exact[name]))
        tally.compare("slow writing", name, ours.metrics[name], exact, (exact, exact))  # our order of ties is fixed


def check_oml(tally: Tally, problem: Problem, line: dict[str, Any]) -> None:
    """OML, query by query, under the full protocol.

    Args:
        tally: Takes the outcomes.
        problem: Arrays.
        line: The worker's answer.
    """
    expected, ours = truth(problem, True), evaluate(**problem.arguments(), ks=KS).per_query
    for row in range(len(problem.query)):
        values = {name: column[row] for name, column in line["per_query"].items()}
        if not expected.positives[row]:
            _check_oml_lone(tally, values, bool(expected.valid[row] == 0))
            continue
        for name in ("map", *(f"cmc@{k}" for k in KS)):
            bounds = float(expected.worst[name][row]), float(expected.best[name][row])
            tally.compare("oml", name, float(ours[name].iloc[row]), values[name], bounds)
        for name in (f"{kind}@{k}" for kind in ("precision", "map") for k in KS):
            _check_oml_own(tally, expected, ours, row, name, values[name])


def _check_oml_lone(tally: Tally, values: dict[str, float], nothing_left: bool) -> None:
    """A query without a positive, which we leave out of the means."""
    wanted = {n: 1.0 if nothing_left else np.nan if n.startswith("precision") else 0.0 for n in values}
    fits = all(np.array_equal(values[name], wanted[name], equal_nan=True) for name in values)
    reason = "counts 1: nothing is left to retrieve" if nothing_left else "counts 0, and NaN in precision@k"
    tally.add("oml", "no positive", "documented" if fits else "DIFFERENT", reason if fits else str(values))


def _check_oml_own(tally: Tally, expected: Truth, ours: Any, row: int, name: str, theirs: float) -> None:
    """precision@k and map@k, which OML defines in its own way; precision@k follows from ours."""
    kind, _, k = name.partition("@")
    low, high, exact = (float(side[f"oml {name}"][row]) for side in (expected.worst, expected.best, expected.exact))
    if kind == "precision":
        scaled = float(ours[name].iloc[row]) * int(k) / min(int(k), int(expected.positives[row]))
        tally.compare("oml", f"{name} scaled", scaled, theirs, (low, high))
    elif expected.worst["map"][row] != expected.best["map"][row]:
        tally.add("oml", name, "skipped", "the order of ties matters, and it need not lie between the two extremes")
    elif abs(exact - theirs) <= TOLERANCE["oml"]:
        tally.add("oml", name, "documented", "precision averaged over the positives found, not over all")
    else:
        tally.add("oml", name, "DIFFERENT", f"expected {exact:.9f}, theirs {theirs:.9f}")


def check_pml(tally: Tally, problem: Problem, line: dict[str, Any]) -> None:
    """PML: no camera rule, labels as it sees them.

    Args:
        tally: Takes the outcomes.
        problem: Arrays.
        line: The worker's answer.
    """
    merged = [labels.astype(np.float32).astype(np.int64) for labels in (problem.query_labels, problem.reference_labels)]
    seen = replace(problem, query_labels=merged[0], reference_labels=merged[1])
    ours, expected = evaluate(**seen.arguments(camera_rule=False), ks=KS), truth(seen, False)
    names = ["cmc@1", "map", "mrr", "r_precision", "map_at_r"]
    if not expected.positives.any():
        for name in names:
            tally.add("pml", name, "skipped", "no query has a positive: NaN there, absent here")
        return
    compare_means(tally, "pml", ours, line["values"], expected, names)
    if not np.array_equal(merged[0], problem.query_labels):
        plain = evaluate(**problem.arguments(camera_rule=False), ks=KS).metrics.get("map", np.nan)
        differs = not abs(plain - line["values"]["map"]) <= TOLERANCE["pml"]
        reason = "differs from true labels, agrees with float32 ones" if differs else "same with true labels here"
        tally.add("pml", "ids from 2^24", "documented" if differs else "equal", reason)


def check_fastreid(tally: Tally, problem: Problem, line: dict[str, Any]) -> None:
    """fast-reid under the full protocol.

    Args:
        tally: Takes the outcomes.
        problem: Arrays.
        line: The worker's answer.
    """
    expected = truth(problem, True)
    names = ["map", "minp", *(f"cmc@{k}" for k in KS)]
    reason = "has no leave-one-out" if problem.exclude_self else "no query has a positive: it stops"
    if problem.exclude_self or not expected.positives.any():
        for name in names:
            tally.add("fastreid", name, "skipped", reason)
        return
    shortest = int(expected.valid[expected.positives > 0].min())
    for name in [name for name in names if "@" in name and int(name.partition("@")[2]) > shortest]:
        names.remove(name)
        tally.add("fastreid", name, "skipped", "fewer than k valid references: stale values there")
    compare_means(tally, "fastreid", evaluate(**problem.arguments(), ks=KS), line["values"], expected, names)


CHECKS = {"oml": check_oml, "pml": check_pml, "fastreid": check_fastreid}


def run(count: int, seed: int) -> Tally:
    """Makes the problems, asks every peer once and compares.

    Args:
        count: How many problems.
        seed: Of the first one.
    """
    tally = Tally()
    problems = [make(seed + number) for number in range(count)]
    for problem in problems:
        expected = truth(problem, True)
        if expected.positives.any():
            check_slow(tally, evaluate(**problem.arguments(), ks=KS), expected)
    if not PEERS_PYTHON.exists():
        print(f"peers skipped: no {PEERS_PYTHON}; see benchmarks/peers/requirements.txt")
        return tally
    with tempfile.TemporaryDirectory() as folder:
        files = [problem.save(Path(folder) / f"{number}.npz") for number, problem in enumerate(problems)]
        for peer, check in CHECKS.items():
            for number, (problem, line) in enumerate(zip(problems, ask_peer(peer, files), strict=True)):
                before = len(tally.unexplained)
                check(tally, problem, line)
                tally.unexplained[before:] = [f"problem {seed + number}: {t}" for t in tally.unexplained[before:]]
    return tally


def main() -> None:
    """Runs and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="problems (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first (default: %(default)s)")
    asked = parser.parse_args()
    tally = run(asked.count, asked.seed)
    print(tally)
    if tally.unexplained:
        sys.exit(f"{len(tally.unexplained)} difference(s) without a known reason")
    print(f"{asked.count} problems, no difference without a known reason")


if __name__ == "__main__":
    main()
