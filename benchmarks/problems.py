"""Retrieval problems made from a seed, saved for other processes, and the peers' environment that reads them.

Letters in shapes: Q queries, R references, D embedding.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

PEERS_PYTHON = Path(__file__).parent / "peers" / ".venv" / "bin" / "python"
WORKER = Path(__file__).parent / "peers" / "worker.py"
NONE = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Problem:
    """One retrieval problem.

    Attributes:
        query: float32 [Q, D], unit length.
        reference: float32 [R, D], unit length; the queries themselves with `exclude_self`.
        query_labels: int64 [Q].
        reference_labels: int64 [R].
        query_cameras: int64 [Q], or empty: no camera rule.
        reference_cameras: int64 [R], or empty.
        ignore: bool [R], junk.
        exclude_self: Whether the references are the queries, row by row.
    """

    query: np.ndarray
    reference: np.ndarray
    query_labels: np.ndarray
    reference_labels: np.ndarray
    query_cameras: np.ndarray
    reference_cameras: np.ndarray
    ignore: np.ndarray
    exclude_self: bool = False

    def save(self, file: Path) -> Path:
        """Writes the arrays for another process.

        Args:
            file: The .npz file to write.
        """
        np.savez(file, **vars(self))
        return file

    @classmethod
    def read(cls, file: Path) -> "Problem":
        """Reads what `save` wrote.

        Args:
            file: The .npz file.
        """
        with np.load(file) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return cls(**arrays | {"exclude_self": bool(arrays["exclude_self"])})

    @property
    def size(self) -> str:
        """Queries x references x dimensions."""
        return " x ".join(f"{count:,}" for count in (len(self.query), *self.reference.shape))

    def arguments(self, camera_rule: bool = True) -> dict[str, Any]:
        """What `lookalike.metrics.evaluate.evaluate` takes, labels as strings.

        Args:
            camera_rule: Whether cameras, where there are any, are used.
        """
        given: dict[str, Any] = {
            "query": self.query,
            "reference": self.reference,
            "query_labels": self.query_labels.astype(str).tolist(),
            "reference_labels": self.reference_labels.astype(str).tolist(),
            "ignore": self.ignore,
            "exclude_self": self.exclude_self,
        }
        if camera_rule and len(self.query_cameras):
            given |= {"query_cameras": self.query_cameras, "reference_cameras": self.reference_cameras}
        return given


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of unit length, float32.

    Args:
        rows: float [N, D].
    """
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def market_like(seed: int, queries: int = 3368, references: int = 15913, *, clustered: bool = True) -> Problem:
    """A problem of Market-1501's shape: 750 people, 6 cameras, 18 % distractors (label 0), 2 % junk, D = 512.

    Args:
        seed: Of everything drawn.
        queries: Q.
        references: R, junk and distractors included.
        clustered: Whether features lie near a person's centre, moved by the camera (mean AP about 0.7); else random.
    """
    rng = np.random.default_rng(seed)
    people = max(2, min(750, queries // 4))
    query_labels = rng.integers(1, people + 1, queries)
    kind = rng.random(references)
    reference_labels = np.where(kind < 0.18, 0, rng.integers(1, people + 1, references))
    query_cameras, reference_cameras = rng.integers(0, 6, queries), rng.integers(0, 6, references)
    if clustered:
        centres = rng.normal(size=(people + 1, 512)).astype(np.float32)
        moved = rng.normal(size=((people + 1) * 6, 512)).astype(np.float32)
        query = _near(rng, centres, moved, query_labels, query_cameras)
        reference = _near(rng, centres, moved, reference_labels, reference_cameras)
        strange = reference_labels == 0
        reference[strange] = unit(rng.normal(size=(int(strange.sum()), 512)))
    else:
        query, reference = unit(rng.normal(size=(queries, 512))), unit(rng.normal(size=(references, 512)))
    ignore = kind > 0.98
    return Problem(query, reference, query_labels, reference_labels, query_cameras, reference_cameras, ignore)


def _near(
    rng: np.random.Generator, centres: np.ndarray, moved: np.ndarray, labels: np.ndarray, cameras: np.ndarray
) -> np.ndarray:
    noise = rng.normal(size=(len(labels), centres.shape[1])).astype(np.float32)
    spread = rng.uniform(1.0, 3.0, size=(len(labels), 1)).astype(np.float32)  # some images are much harder
    return unit(centres[labels] + 0.6 * moved[labels * 6 + cameras] + spread * noise)


def leave_one_out(seed: int, rows: int = 60502, labels: int = 11316) -> Problem:
    """Every image searches all others: Stanford Online Products' shape, D = 128, no cameras.

    Args:
        seed: Of everything drawn.
        rows: Q = R.
        labels: How many labels.
    """
    rng = np.random.default_rng(seed)
    ids = rng.permutation(np.arange(rows) % labels)
    centres = rng.normal(size=(labels, 128)).astype(np.float32)
    features = unit(centres[ids] + 1.5 * rng.standard_normal((rows, 128), np.float32))
    return Problem(features, features, ids, ids, NONE, NONE, np.zeros(rows, bool), exclude_self=True)


def large_gallery(seed: int, queries: int = 2000, references: int = 1_000_000) -> Problem:
    """Few queries in a large gallery, D = 128, ten references a label, no cameras.

    Args:
        seed: Of everything drawn.
        queries: Q.
        references: R.
    """
    rng = np.random.default_rng(seed)
    labels = max(2, references // 10)
    reference_labels, query_labels = rng.integers(0, labels, references), rng.integers(0, labels, queries)
    centres = rng.standard_normal((labels, 128), np.float32)
    reference = rng.standard_normal((references, 128), np.float32)
    reference += centres[reference_labels]
    reference /= np.linalg.norm(reference, axis=1, keepdims=True)
    query = unit(centres[query_labels] + rng.standard_normal((queries, 128), np.float32))
    return Problem(query, reference, query_labels, reference_labels, NONE, NONE, np.zeros(references, bool))


def ask_peer(peer: str, files: list[Path]) -> list[dict[str, Any]]:
    """The lines of `peers/worker.py`, one for each file.

    Args:
        peer: A name in the worker's table.
        files: Saved problems.

    Raises:
        RuntimeError: The worker ended early; its last line of error says why.
    """
    done = subprocess.run([PEERS_PYTHON, WORKER, peer, *files], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{peer}: exit code {done.returncode}: {(done.stderr.strip() or 'no output').splitlines()[-1]}"
        )
    return [json.loads(line) for line in done.stdout.splitlines()]
