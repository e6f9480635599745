"""What a split is worth without the queries whose picture, or another view of their scene, is among the references.

Letters in shapes: N images, P pairs, Q queries, R references, D embedding.
"""

from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lookalike.data.manifest import Manifest
from lookalike.data.tables import ManifestError
from lookalike.evaluation.identify import evaluate_rows
from lookalike.metrics.problem import Problem


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
            protocol = replace(manifest, keep_copies=True).protocol(split)  # they are what is measured here
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
        problem = part.problem(camera_rule=True)
        line: dict[str, Any] = {"split": split, "queries": len(right), "accuracy": float(right.mean())}
        for name, wider in (("copies", {}), ("scenes", others)):
            leaked = shown_to(problem, copies[at[0]], copies[at[1]], wider)
            line[name] = int(leaked.sum())
            line[f"without_{name}"] = float(right[~leaked].mean()) if (~leaked).any() else float("nan")
        lines.append(line)
    return pd.DataFrame(lines)


def _seen_together(copies: np.ndarray, scenes: np.ndarray) -> dict[int, set[int]]:
    """Picture -> pictures of the same scene."""
    together: dict[int, set[int]] = defaultdict(set)
    for first, second in copies[scenes].tolist():
        together[first].add(second)
        together[second].add(first)
    return together


def shown_to(
    problem: Problem, query_pictures: np.ndarray, reference_pictures: np.ndarray, wider: dict[int, set[int]]
) -> np.ndarray:
    """Whether a reference that counts for a query shows its picture, or one that goes with it.

    Args:
        problem: Which references count.
        query_pictures: int64 [Q], the same number for images that are one picture.
        reference_pictures: int64 [R], likewise.
        wider: Picture -> pictures that go with it.

    Returns:
        bool [Q].
    """
    rows_of: dict[int, list[int]] = defaultdict(list)
    for row, picture in enumerate(reference_pictures.tolist()):
        rows_of[picture].append(row)
    leaked = np.zeros(len(query_pictures), bool)
    for query, picture in enumerate(query_pictures.tolist()):
        rows = [row for other in {picture, *wider.get(picture, ())} for row in rows_of.get(other, ())]
        leaked[query] = bool(rows) and problem.valid(query, np.array(rows)).any()
    return leaked
