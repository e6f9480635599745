"""Runs one peer's retrieval evaluation on saved problems and prints one JSON line per problem.

Runs in the peers' environment (see requirements.txt beside this file): worker.py PEER FILE.npz [FILE.npz ...]

A problem holds float32 unit vectors `query` [Q, D] and `reference` [R, D], int64 `query_labels`, `reference_labels`,
`query_cameras`, `reference_cameras` (empty: no camera rule), bool `ignore` [R] and the flag `exclude_self`.
Only the evaluation of each package is imported: their top packages pull in training code that needs torch 1.13,
torchvision or Python 3.9. Junk is dropped and arrays become tensors before the clock starts, as their loaders do.
"""

import contextlib
import importlib
import importlib.util
import io
import json
import os
import resource
import statistics
import sys
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
Values = dict[str, float]
Answer = tuple[Values, dict[str, list[float]]]
KS = (1, 5, 10)


ROUNDS = 2
ONCE_FROM = 20.0  # seconds: a peer this slow runs once in a process


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def measured(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What `work` returns, its seconds, and the MiB its peak lies above what was resident before.

    Args:
        work: The call to measure.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")  # brings the high-water mark down to what is resident now
        before, peak = _status("VmRSS"), lambda: _status("VmHWM")
    except OSError:
        before, peak = _highest(), _highest
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    return result, seconds, max(0.0, peak() - before)


def _highest() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _load(name: str) -> types.ModuleType:
    """Imports one module of a package without running the `__init__` files above it."""
    names = name.split(".")
    root = _folder(names[0])
    for depth in range(1, len(names)):
        package = ".".join(names[:depth])
        if package not in sys.modules:
            sys.modules[package] = types.ModuleType(package)
            sys.modules[package].__path__ = [str(root.joinpath(*names[1:depth]))]
    return importlib.import_module(name)


def _folder(package: str) -> Path:
    if package in sys.modules:
        return Path(sys.modules[package].__path__[0])
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not installed in {sys.prefix}")
    return Path(spec.submodule_search_locations[0])


def _tensors(problem: Arrays) -> tuple[Any, Any]:
    torch = importlib.import_module("torch")
    return torch.from_numpy(problem["query"]), torch.from_numpy(problem["reference"])


def _cameras(problem: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """Cameras, or none that agree where there is no camera rule."""
    if problem["exclude_self"]:
        raise NotImplementedError("no leave-one-out evaluation")
    if len(problem["query_cameras"]):
        return problem["query_cameras"], problem["reference_cameras"]
    return np.zeros(len(problem["query"]), np.int64), np.ones(len(problem["reference"]), np.int64)


def fastreid(problem: Arrays) -> Callable[[], Answer]:
    """fast-reid: `build_dist(..., "cosine")`, then `evaluate_rank` in Cython, compiled by its own helper if need be."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    helper = _load("fastreid.evaluation.rank_cylib.__init__").compile_helper
    try:
        _load("fastreid.evaluation.rank_cylib.rank_cy")
    except ImportError:
        with contextlib.redirect_stdout(sys.stderr):
            helper()
    rank, distance = _load("fastreid.evaluation.rank"), _load("fastreid.utils.compute_dist")
    if not rank.IS_CYTHON_AVAI:
        raise RuntimeError("fast-reid's Cython evaluator was not built")
    query, reference = _tensors(problem)
    cameras = _cameras(problem)

    def run() -> Answer:
        matrix = distance.build_dist(query, reference, "cosine")
        cmc, precisions, inverse = rank.evaluate_rank(
            matrix, problem["query_labels"], problem["reference_labels"], *cameras, max_rank=50, use_cython=True
        )
        values = {f"cmc@{k}": float(cmc[k - 1]) for k in KS if k <= len(cmc)}
        return values | {"map": float(np.mean(precisions)), "minp": float(np.mean(inverse))}, {}

    return run


def torchreid(problem: Arrays) -> Callable[[], Answer]:
    """torchreid: `compute_distance_matrix(..., "cosine")`, then `evaluate_rank`; PyPI's lacks the Cython source."""
    rank, distance = _load("torchreid.reid.metrics.rank"), _load("torchreid.reid.metrics.distance")
    query, reference = _tensors(problem)
    cameras = _cameras(problem)

    def run() -> Answer:
        matrix = distance.compute_distance_matrix(query, reference, "cosine").numpy()
        cmc, mean = rank.evaluate_rank(
            matrix, problem["query_labels"], problem["reference_labels"], *cameras, max_rank=50, use_cython=True
        )
        return {f"cmc@{k}": float(cmc[k - 1]) for k in KS if k <= len(cmc)} | {"map": float(mean)}, {}

    return run


def oml(problem: Arrays) -> Callable[[], Answer]:
    """OML: `RetrievalResults.from_embeddings` over the whole gallery, label and camera as sequence; its metrics."""
    torch = importlib.import_module("torch")
    interfaces = _load("oml.interfaces.datasets")
    results = _load("oml.retrieval.retrieval_results").RetrievalResults
    calculate = _load("oml.functional.metrics").calc_retrieval_metrics
    queries, references = len(problem["query"]), len(problem["reference"])
    leave_one_out = bool(problem["exclude_self"])
    names = ("query",) if leave_one_out else ("query", "reference")

    class Rows(interfaces.IQueryGalleryLabeledDataset):
        """Labels and sequences of the query rows, then of the reference rows."""

        extra_data = _sequences(problem)

        def __len__(self) -> int:
            return queries if leave_one_out else queries + references

        def __getitem__(self, item: int) -> dict[str, Any]:
            raise NotImplementedError(item)

        def get_labels(self) -> np.ndarray:
            return np.concatenate([problem[f"{name}_labels"] for name in names])

        def get_query_ids(self) -> Any:
            return torch.arange(queries)

        def get_gallery_ids(self) -> Any:
            return torch.arange(queries) if leave_one_out else torch.arange(queries, queries + references)

    embeddings = torch.from_numpy(np.concatenate([problem[name] for name in names]))
    depth = (*KS, references)

    def run() -> Answer:
        result = results.from_embeddings(embeddings, Rows(), n_items=references)
        metrics = calculate(
            result.retrieved_ids,
            result.gt_ids,
            cmc_top_k=KS,
            precision_top_k=KS,
            map_top_k=depth,
            reduce=False,
            verbose=False,
        )
        each = {f"{name}@{k}": values.numpy() for name, some in metrics.items() for k, values in some.items()}
        each["map"] = each.pop(f"map@{references}") if references not in KS else each[f"map@{references}"]
        return {name: float(values.mean()) for name, values in each.items()}, {k: v.tolist() for k, v in each.items()}

    return run


def _sequences(problem: Arrays) -> dict[str, list[str]]:
    if not len(problem["query_cameras"]):
        return {}
    names = ("query",) if problem["exclude_self"] else ("query", "reference")
    labels, cameras = (np.concatenate([problem[f"{name}_{of}"] for name in names]) for of in ("labels", "cameras"))
    return {"sequence": [f"{label}_{camera}" for label, camera in zip(labels, cameras, strict=True)]}


_PML_FULL = ("mean_average_precision", "mean_reciprocal_rank")
_PML_AT_R = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
_PML_NAMES = {
    "mean_average_precision": "map",
    "mean_reciprocal_rank": "mrr",
    "precision_at_1": "cmc@1",
    "r_precision": "r_precision",
    "mean_average_precision_at_r": "map_at_r",
}


def pml(problem: Arrays) -> Callable[[], Answer]:
    """PML: `AccuracyCalculator(k=None)`, the whole ranking, as mean average precision needs; no camera rule."""
    return _pml(problem, (*_PML_FULL, *_PML_AT_R), None)


def pml_at_r(problem: Arrays) -> Callable[[], Answer]:
    """PML: `AccuracyCalculator(k="max_bin_count")`, as its documentation advises for the R metrics; no camera rule."""
    return _pml(problem, _PML_AT_R, "max_bin_count")


def _pml(problem: Arrays, include: tuple[str, ...], k: str | None) -> Callable[[], Answer]:
    torch = importlib.import_module("torch")
    module = importlib.import_module("pytorch_metric_learning.utils.accuracy_calculator")
    calculator = module.AccuracyCalculator(include=include, k=k, device=torch.device("cpu"))
    given = [torch.from_numpy(problem[name]) for name in ("query", "query_labels")]
    if not problem["exclude_self"]:
        given += [torch.from_numpy(problem[name]) for name in ("reference", "reference_labels")]

    def run() -> Answer:
        result = calculator.get_accuracy(*given)
        return {_PML_NAMES[name]: float(value) for name, value in result.items()}, {}

    return run


PEERS: dict[str, Callable[[Arrays], Callable[[], Answer]]] = {
    "fastreid": fastreid,
    "torchreid": torchreid,
    "oml": oml,
    "pml": pml,
    "pml_at_r": pml_at_r,
}
PACKAGES = {
    "fastreid": "fastreid",
    "torchreid": "torchreid",
    "oml": "open-metric-learning",
    "pml": "pytorch-metric-learning",
    "pml_at_r": "pytorch-metric-learning",
}


def read(file: Path) -> Arrays:
    """A problem without its junk, which no peer knows.

    Args:
        file: The .npz file.
    """
    with np.load(file) as stored:
        problem = {name: stored[name] for name in stored.files}
    if problem["exclude_self"] and problem["ignore"].any():
        raise NotImplementedError("junk among images that are queries and references at once")
    if problem["ignore"].any():
        kept = ~problem["ignore"]
        for name in ("reference", "reference_labels", "reference_cameras"):
            problem[name] = np.ascontiguousarray(problem[name][kept]) if len(problem[name]) else problem[name]
    return problem


def warm_up(peer: str) -> None:
    """One call on a problem of a few rows, so that imports, compilation and thread pools are outside the clock.

    Args:
        peer: A name in `PEERS`.
    """
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(24, 8)).astype(np.float32)
    labels, cameras = np.arange(24) % 4, np.arange(24) // 4 % 3
    problem: Arrays = {"exclude_self": np.array(False)}
    for name, part in (("query", slice(0, 8)), ("reference", slice(8, 24))):
        problem |= {name: rows[part], f"{name}_labels": labels[part], f"{name}_cameras": cameras[part]}
    PEERS[peer](problem)()


def main(peer: str, files: list[str]) -> None:
    """Runs the peer on each file.

    Args:
        peer: A name in `PEERS`.
        files: Paths of .npz files; values of each query are printed only when there are several.
    """
    warnings.simplefilter("ignore")
    metadata = importlib.import_module("importlib.metadata")
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a compiler that a peer starts prints, too
    with contextlib.redirect_stdout(io.StringIO()):
        warm_up(peer)
    for file in files:
        line: dict[str, Any] = {"peer": peer, "version": metadata.version(PACKAGES[peer])}
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                work = PEERS[peer](read(Path(file)))
                (values, each), line["seconds"], line["extra_mib"] = measured(work)
                if len(files) == 1 and line["seconds"] < ONCE_FROM:  # that was the warm-up; these count
                    line["seconds"] = statistics.median(measured(work)[1] for _ in range(ROUNDS))
            line |= {"values": values} | ({"per_query": each} if len(files) > 1 else {})
        except (AssertionError, NotImplementedError, ValueError) as problem:
            line["error"] = f"{type(problem).__name__}: {problem}"
        print(json.dumps(line), file=out, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
