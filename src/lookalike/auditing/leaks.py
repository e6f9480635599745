"""What a split is worth without the queries whose picture, or another view of their scene, is among the references.

Letters in shapes: N images, P pairs, Q queries, R references, D embedding.
"""

from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lookalike.data.manifest import Manifest
from lookalike.data.protocol import Protocol
from lookalike.data.tables import ManifestError
from lookalike.evaluation.identify import evaluate_rows


def leaks(
    manifest: Manifest, embeddings: np.ndarray, usable: np.ndarray, copies: np.ndarray, scenes: np.ndarray
) -> pd.DataFrame:
    """Measures validation and test, with and without leaked queries.

    A reference that the rules leave out for a query (ignored, the query itself, its own label and camera) is no leak.

    Args:
        manifest: The data set; N original images.
        embeddings: float32 [N, D], unit length.
        usable: bool [N].
        copies: int64 [N], the same number for images that are one picture.
        scenes: int64 [P, 2], pairs that show one scene.

    Returns:
        A row per split that asks: split, queries, accuracy (accuracy@1), copies and scenes (leaked queries; the second
        counts both kinds), without_copies and without_scenes (accuracy@1 of the others, NaN where none is left).
    """
    place = pd.Series(np.arange(len(manifest.original)), index=manifest.original.index)
    others = _seen_together(copies, scenes)
    lines = []
    for split in ("validation", "test"):
        try:
            protocol = manifest.protocol(split)
        except ManifestError:
            continue
        asks = usable[place[protocol.queries.index]]
        answers = usable[place[protocol.references.index]]
        if not asks.any() or not answers.any():
            continue
        own = np.where(protocol.own_row >= 0, np.cumsum(answers)[protocol.own_row] - 1, -1)[asks]
        part = replace(protocol, queries=protocol.queries[asks], references=protocol.references[answers], own_row=own)
        at = [place[rows.index].to_numpy() for rows in (part.queries, part.references)]
        right = evaluate_rows(embeddings[at[0]], embeddings[at[1]], part).per_query["accuracy@1"].to_numpy()
        line: dict[str, Any] = {"split": split, "queries": len(right), "accuracy": float(right.mean())}
        for name, wider in (("copies", {}), ("scenes", others)):
            leaked = _leaked(part, at[0], at[1], copies, wider)
            line[name] = int(leaked.sum())
            line[f"without_{name}"] = float(right[~leaked].mean()) if (~leaked).any() else float("nan")
        lines.append(line)
    return pd.DataFrame(lines)


def _seen_together(copies: np.ndarray, scenes: np.ndarray) -> dict[int, set[int]]:
    """Picture -> pictures of the same scene."""
    found: dict[int, set[int]] = defaultdict(set)
    for one, other in copies[scenes].tolist():
        found[one].add(other)
        found[other].add(one)
    return found


def _leaked(
    protocol: Protocol, queries: np.ndarray, references: np.ndarray, copies: np.ndarray, wider: dict[int, set[int]]
) -> np.ndarray:
    """Bool [Q]: whether a reference that counts for a query shows its picture, or one of its scene."""
    answering: dict[int, list[int]] = defaultdict(list)
    counts = ~protocol.references["ignore"].to_numpy(bool)
    for row in np.flatnonzero(counts).tolist():
        answering[int(copies[references[row]])].append(row)
    labels = [part["label"].tolist() for part in (protocol.queries, protocol.references)]
    cameras = [part["camera"].tolist() for part in (protocol.queries, protocol.references)]
    leaked = np.zeros(len(queries), bool)
    for asking, image in enumerate(queries.tolist()):
        picture = int(copies[image])
        for other in {picture, *wider.get(picture, ())}:
            for row in answering.get(other, ()):
                known = not pd.isna(cameras[0][asking]) and not pd.isna(cameras[1][row])
                hidden = known and cameras[0][asking] == cameras[1][row] and labels[0][asking] == labels[1][row]
                leaked[asking] |= references[row] != image and not hidden
    return leaked
