"""What is wrong with a data set: files, duplicates and leaks, labels, balance; told, never repaired by itself.

Letters in shapes: N images, P pairs, D embedding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lookalike.auditing.bad_files import check_files
from lookalike.auditing.class_balance import check_balance
from lookalike.auditing.duplicates import (
    candidates,
    compare_pairs,
    cross_candidates,
    exact_groups,
    groups_of,
    neighbours,
)
from lookalike.auditing.file_facts import Facts, gather
from lookalike.auditing.findings_table import KINDS, Findings
from lookalike.auditing.leaks import leaks
from lookalike.auditing.same_picture import Compared
from lookalike.auditing.wrong_labels import NEIGHBOURS, Suspects, suspects
from lookalike.data.manifest import Manifest
from lookalike.data.market import DISTRACTOR
from lookalike.data.tables import ManifestError
from lookalike.inference.encoder import Encoder

SPLIT_ORDER = {"test": 0, "validation": 1, "train": 2}  # of two copies the one to keep stands first


@dataclass(frozen=True)
class Audit:
    """What was found in a data set.

    Attributes:
        manifest: The data set.
        findings: One row per finding: kind (a key of `KINDS`), path and other (the second image of a pair, else ""),
            split, label, score (higher is worse, 0..1, NaN where there is none), reason, suggestion, and safe:
            whether the image can be left out without a second look.
        leaks: One row per split that asks: split, queries, accuracy@1, then copies and scenes (queries that have one
            among the references) and accuracy@1 without these (NaN when none is left).
        facts: Of every image.
        rows: Rows of the manifest, those of `facts`.
        copies: int64 [N], the same number for images that are one picture.
    """

    manifest: Manifest
    findings: pd.DataFrame
    leaks: pd.DataFrame
    facts: Facts
    rows: pd.DataFrame
    copies: np.ndarray

    @property
    def safe(self) -> dict[str, str]:
        """Path -> reason of the images that can be left out without a second look.

        A file is left out as a whole, so all its boxes must be safe; the last usable training image of a class stays.
        """
        chosen = self.findings[self.findings["safe"]].drop_duplicates("row").sort_values("row", kind="stable")
        whole = chosen["path"].map(chosen["path"].value_counts()) == chosen["path"].map(
            self.rows["path"].value_counts()
        )
        chosen = chosen[whole & (chosen["path"] != chosen["other"])]
        of_train = self.rows[(self.rows["split"] == "train") & self.facts.usable & ~self.rows["ignore"]]
        left = of_train[~of_train["path"].isin(set(chosen["path"]))]
        emptied = set(of_train["label"]) - set(left["label"])
        keep = of_train[of_train["label"].isin(emptied)].drop_duplicates("label")["path"]
        chosen = chosen[~chosen["path"].isin(set(keep))]
        return dict(zip(chosen["path"][::-1], chosen["reason"][::-1], strict=True))

    def __str__(self) -> str:
        counts = self.findings["kind"].value_counts()
        lines = [f"{len(self.rows)} images, {self.facts.read} of them read now; {len(self.findings)} findings"]
        lines += [f"  {counts[kind]:>5}  {KINDS[kind][0]}" for kind in KINDS if kind in counts]
        for row in self.leaks.to_dict("records"):
            told = [f"{row['split']}: accuracy@1 {row['accuracy']:.4f} of {row['queries']} queries"]
            for name, what in (("copies", "a copy"), ("scenes", "a copy or the same scene")):
                count, left = row[name], row[f"without_{name}"]
                rest = f"{left:.4f} without them" if np.isfinite(left) else "no query is left without them"
                told.append(f"{count} have {what} among the references" + (f" ({rest})" if count else ""))
            lines.append("; ".join(told))
        return "\n".join(lines)


def audit(manifest: Manifest, problems: list[str], load: Callable[[], Encoder], identity: str, cache: Path) -> Audit:
    """Looks at every image of a data set, augmented copies aside.

    Args:
        manifest: The data set.
        problems: Of its table, in words.
        load: Makes the encoder; called only when a file must be read.
        identity: Tells the encoder's weights and pixel settings apart.
        cache: Folder of what earlier audits found; it may be deleted at any time.

    Raises:
        ManifestError: There is no image.
    """
    rows = manifest.original.reset_index(drop=True)
    if rows.empty:
        raise ManifestError(f"{manifest.root}: no image in it: give data.root=<a data set>")
    facts = gather(manifest, rows, load, identity, cache / "images.parquet")
    found = Findings(rows)
    for problem in problems:
        found.add("problem", None, problem)
    check_files(found, manifest, facts)
    usable = np.flatnonzero(facts.usable)
    told, copies = pd.DataFrame(), np.arange(len(rows))
    if len(usable) > 1:
        nearest, _ = neighbours(facts.embeddings[usable], NEIGHBOURS)
        pairs = _pairs(found, facts, rows, usable, nearest, cache)
        copies = groups_of(pairs[0], len(rows))
        strangers = manifest.cameras_expected & (rows["label"] == DISTRACTOR)  # many people under one label
        judged = usable[~(rows["ignore"] | strangers).to_numpy(bool)[usable]]
        if len(judged) > 1:
            _labels(found, rows, facts, judged, copies)
        told = leaks(manifest, facts.embeddings, facts.usable, copies, pairs[1])
    check_balance(found, manifest)
    return Audit(manifest, found.table(), told, facts, rows, copies)


def _pairs(
    found: Findings, facts: Facts, rows: pd.DataFrame, usable: np.ndarray, nearest: np.ndarray, cache: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Adds what is twice; returns the pairs of copies and those of scenes, int64 [P, 2] rows of `facts`."""
    split = rows["split"].map(SPLIT_ORDER).to_numpy()
    copies = _exact(found, facts, rows, split)
    pairs = candidates(facts, usable, nearest)
    pairs = np.unique(np.concatenate([pairs, cross_candidates(facts, usable, split)]), axis=0)
    compared = compare_pairs(facts, pairs, cache / "pairs.parquet")
    same = np.array([one.same_picture for one in compared], bool)
    _near(found, rows, split, pairs[same], [one for one in compared if one.same_picture])
    scene = np.array([one.same_scene for one in compared], bool)
    _scenes(found, rows, split, pairs[scene & ~same], [c for c in compared if c.same_scene and not c.same_picture])
    return np.concatenate([copies, pairs[same]]), pairs[scene & ~same]


def _told(rows: pd.DataFrame, one: int, kept: int) -> tuple[str, bool]:
    """What two images that are alike mean, and whether that is a leak between splits."""
    splits, labels = (rows[name][[one, kept]].tolist() for name in ("split", "label"))
    parts = []
    if splits[0] != splits[1]:
        parts.append(f"leak: {splits[0]} and {splits[1]}")
    if labels[0] != labels[1]:
        parts.append(f"contradiction: {labels[0]} and {labels[1]}")
    return "; ".join(parts) or "in one split and class", splits[0] != splits[1]


def _exact(found: Findings, facts: Facts, rows: pd.DataFrame, split: np.ndarray) -> np.ndarray:
    joined = [np.empty((0, 2), np.int64)]
    for group in exact_groups(facts):
        order = group[np.argsort(split[group], kind="stable")]
        kept = int(order[0])
        for one in order[1:].tolist():
            told, leak = _told(rows, one, kept)
            safe = leak and rows["split"][one] == "train" and not rows["ignore"][kept]
            suggestion = "leave this one out of train" if safe else ""
            found.add("copy", one, told, other=kept, score=1.0, safe=safe, suggestion=suggestion)
        joined.append(np.stack([np.full(len(order) - 1, kept), order[1:]], 1))
    return np.concatenate(joined)


def _near(found: Findings, rows: pd.DataFrame, split: np.ndarray, pairs: np.ndarray, compared: list[Compared]) -> None:
    for (first, second), result in zip(pairs.tolist(), compared, strict=True):
        one, kept = (first, second) if split[first] >= split[second] else (second, first)
        told, leak = _told(rows, one, kept)
        how = "mirrored, " if result.mirrored else ""
        suggestion = "leave this one out of train" if leak and rows["split"][one] == "train" else ""
        reason = f"{told} ({how}correlation {result.correlation:.3f})"
        found.add("near_copy", one, reason, other=kept, score=result.correlation, suggestion=suggestion)


def _scenes(
    found: Findings, rows: pd.DataFrame, split: np.ndarray, pairs: np.ndarray, compared: list[Compared]
) -> None:
    """Of every image the clearest other view of its scene in another split or class."""
    best: dict[int, tuple[int, int]] = {}
    for (first, second), result in zip(pairs.tolist(), compared, strict=True):
        one, other = (first, second) if split[first] <= split[second] else (second, first)
        if split[one] == split[other] and rows["label"][one] == rows["label"][other]:
            continue
        if result.points > best.get(one, (0, 0))[1]:
            best[one] = (other, result.points)
    for one, (other, points) in best.items():
        told, _ = _told(rows, one, other)
        score = points / (points + 50)
        found.add("same_scene", one, f"{told} ({points} matching points)", other=other, score=score)


def _labels(found: Findings, rows: pd.DataFrame, facts: Facts, judged: np.ndarray, copies: np.ndarray) -> None:
    nearest, similarity = neighbours(facts.embeddings[judged], NEIGHBOURS)
    labels = rows["label"].to_numpy(str)[judged]
    told: Suspects | None = suspects(labels, nearest, similarity, copies[judged])
    if told is None:
        return
    for place in np.flatnonzero(told.wrong):
        suggested = str(told.suggested[place])
        score = float(1 - told.quality[place])
        reason = f"its neighbours are {suggested}"
        others = [row for row in nearest[place] if row >= 0 and labels[row] == suggested]
        found.add(
            "label",
            int(judged[place]),
            reason,
            other=int(judged[others[0]]) if others else None,
            score=score,
            suggestion=f"look; {suggested}?",
        )
    for place in np.flatnonzero(told.strange):
        far = float(told.outlier[place])
        found.add("outlier", int(judged[place]), f"distance {far:.2f} to every class", score=min(1.0, far))
    for row in told.confused.to_dict("records"):
        reason = f"{row['label']} and {row['other']}: {row['score']:.0%} of their neighbours are of the other"
        one, other = _most_alike(labels, nearest, similarity, row["label"], row["other"])
        at = (None, None) if one < 0 else (int(judged[one]), int(judged[other]))
        found.add("confused", at[0], reason, other=at[1], score=row["score"], label=row["label"])


def _most_alike(
    labels: np.ndarray, nearest: np.ndarray, similarity: np.ndarray, first: str, second: str
) -> tuple[int, int]:
    """Of two classes the two images that are most alike among neighbours; -1 where there are none."""
    best, found = -2.0, (-1, -1)
    for row in np.flatnonzero((labels == first) | (labels == second)):
        wanted = second if labels[row] == first else first
        for place, other in enumerate(nearest[row]):
            if other >= 0 and labels[other] == wanted and similarity[row, place] > best:
                best, found = float(similarity[row, place]), (int(row), int(other))
    return found
