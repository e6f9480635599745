"""Which images of a data set are one picture or show one scene, and what that means: a leak, a contradiction, neither.

Letters in shapes: N images, M usable ones, P pairs, K neighbours.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

from lookalike.auditing.candidate_pairs import candidates, cross_candidates
from lookalike.auditing.compared_pairs import compare_pairs
from lookalike.auditing.file_facts import Facts
from lookalike.auditing.findings_table import Finding, Findings
from lookalike.auditing.same_picture import Compared

SPLIT_ORDER = {"test": 0, "validation": 1, "train": 2}  # of two copies the one to keep stands first


def check_duplicates(
    findings: Findings, facts: Facts, rows: pd.DataFrame, nearest: np.ndarray, cache: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Adds copies, near copies and views of one scene.

    Args:
        findings: Where they are added.
        facts: Of N images.
        rows: The images: split, label, ignore.
        nearest: int64 [M, K], of each usable image the nearest others, as places among the usable ones.
        cache: Parquet file of earlier comparisons; it may be deleted at any time.

    Returns:
        The pairs that are one picture and those that show one scene, int64 [P, 2], rows of `facts`.
    """
    usable, split = np.flatnonzero(facts.usable), rows["split"].map(SPLIT_ORDER).to_numpy()
    copies = _add_copies(findings, facts, rows, split)
    pairs = candidates(facts, usable, nearest)
    pairs = np.unique(np.concatenate([pairs, cross_candidates(facts, usable, split)]), axis=0)
    compared = compare_pairs(facts, pairs, cache)
    same = np.array([result.same_picture for result in compared], bool)
    scene = np.array([result.same_scene for result in compared], bool) & ~same
    _add_near_copies(findings, rows, split, pairs[same], [compared[place] for place in np.flatnonzero(same)])
    _add_scenes(findings, rows, split, pairs[scene], [compared[place] for place in np.flatnonzero(scene)])
    return np.concatenate([copies, pairs[same]]), pairs[scene]


def groups_of(pairs: np.ndarray, count: int) -> np.ndarray:
    """Numbers the groups that pairs make.

    Args:
        pairs: int64 [P, 2], rows of images that belong together.
        count: N.

    Returns:
        int64 [N]: images that are joined by pairs, directly or through others, have the same number.
    """
    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(connected_components(links, directed=False)[1], np.int64)


def exact_groups(facts: Facts) -> list[np.ndarray]:
    """Rows that are byte for byte the same file (and box), unusable ones aside; each group sorted."""
    table = facts.table[facts.usable]
    groups = table.groupby(["sha256", "box"], sort=True).indices.values()
    return [table.index.to_numpy()[places] for places in groups if len(places) > 1]


def _relation(rows: pd.DataFrame, first: int, second: int) -> tuple[str, bool]:
    """What it means that two images are alike, and whether that is a leak between splits."""
    splits, labels = (rows[name][[first, second]].tolist() for name in ("split", "label"))
    parts = []
    if splits[0] != splits[1]:
        parts.append(f"leak: {splits[0]} and {splits[1]}")
    if labels[0] != labels[1]:
        parts.append(f"contradiction: {labels[0]} and {labels[1]}")
    return "; ".join(parts) or "in one split and class", splits[0] != splits[1]


def _add_copies(findings: Findings, facts: Facts, rows: pd.DataFrame, split: np.ndarray) -> np.ndarray:
    """Adds exact copies; returns their pairs, int64 [P, 2]."""
    pairs = [np.empty((0, 2), np.int64)]
    for group in exact_groups(facts):
        order = group[np.argsort(split[group], kind="stable")]
        kept = int(order[0])
        for copy in order[1:].tolist():
            relation, leak = _relation(rows, copy, kept)
            safe = leak and rows["split"][copy] == "train" and not rows["ignore"][kept]
            suggestion = "leave this one out of train" if safe else ""
            findings.add(Finding("copy", copy, relation, other=kept, score=1.0, safe=safe, suggestion=suggestion))
        pairs.append(np.stack([np.full(len(order) - 1, kept), order[1:]], 1))
    return np.concatenate(pairs)


def _add_near_copies(
    findings: Findings, rows: pd.DataFrame, split: np.ndarray, pairs: np.ndarray, compared: list[Compared]
) -> None:
    for (first, second), result in zip(pairs.tolist(), compared, strict=True):
        copy, kept = (first, second) if split[first] >= split[second] else (second, first)
        relation, leak = _relation(rows, copy, kept)
        how = "mirrored, " if result.mirrored else ""
        suggestion = "leave this one out of train" if leak and rows["split"][copy] == "train" else ""
        reason = f"{relation} ({how}correlation {result.correlation:.3f})"
        findings.add(Finding("near_copy", copy, reason, other=kept, score=result.correlation, suggestion=suggestion))


def _add_scenes(
    findings: Findings, rows: pd.DataFrame, split: np.ndarray, pairs: np.ndarray, compared: list[Compared]
) -> None:
    """Of every image the clearest other view of its scene in another split or class."""
    clearest: dict[int, tuple[int, int]] = {}
    for (first, second), result in zip(pairs.tolist(), compared, strict=True):
        image, view = (first, second) if split[first] <= split[second] else (second, first)
        if split[image] == split[view] and rows["label"][image] == rows["label"][view]:
            continue
        if result.points > clearest.get(image, (0, 0))[1]:
            clearest[image] = (view, result.points)
    for image, (view, points) in clearest.items():
        relation, _ = _relation(rows, image, view)
        reason = f"{relation} ({points} matching points)"
        findings.add(Finding("same_scene", image, reason, other=view, score=points / (points + 50)))
