"""Labels that their neighbours contradict, images that resemble no class, classes that cannot be told apart.

What the neighbours of an image say about its label is out of sample: the image itself and its duplicates have no say.
(Not so for embeddings that were trained on these very labels: they hide what was learnt by heart.)
cleanlab (confident learning, Northcutt et al. 2021, arXiv:1911.00068) decides from that which labels are likely wrong.

Letters in shapes: N images, M judged ones, K neighbours, C classes, D embedding.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lookalike.auditing.candidate_pairs import neighbours
from lookalike.auditing.findings_table import Finding, Findings

NEIGHBOURS = 20  # of every image, before its duplicates are left out
_VOTERS = 15
_SHARPNESS = 10.0  # weight of a voter = exp(sharpness * similarity)
_SMOOTHING = 0.02
_LARGEST = 1 << 27  # values of the table of probabilities (half a GiB); beyond, labels are not judged
_CONFUSED = 0.15  # mean probability that images of two classes give each other
_ENOUGH = 4  # images of a class before it is said to be like another


@dataclass(frozen=True)
class Suspects:
    """What the neighbours say of N images.

    Attributes:
        quality: float64 [N], 0..1: how far the neighbours agree with the label.
        suggested: N labels, the one that the neighbours would give.
        wrong: bool [N], likely wrong labels.
        outlier: float64 [N], 0..2: how far the image is from the third nearest image of any class (1 - cosine).
        strange: bool [N], far from every class.
        confused: Pairs of classes: label, other, score (mean probability that they give each other), highest first.
    """

    quality: np.ndarray
    suggested: np.ndarray
    wrong: np.ndarray
    outlier: np.ndarray
    strange: np.ndarray
    confused: pd.DataFrame


def check_labels(
    findings: Findings, labels: np.ndarray, embeddings: np.ndarray, judged: np.ndarray, copies: np.ndarray
) -> None:
    """Adds labels that are likely wrong, images that resemble no class and classes that are taken for each other.

    Args:
        findings: Where they are added.
        labels: N labels, strings.
        embeddings: float32 [N, D], unit length.
        judged: int64 [M], rows of the images that are looked at, and that have a say.
        copies: int64 [N], the same number for images that are one picture.
    """
    nearest, similarity = neighbours(embeddings[judged], NEIGHBOURS)
    labels = labels[judged]
    result = suspects(labels, nearest, similarity, copies[judged])
    if result is None:
        return
    for place in np.flatnonzero(result.wrong):
        label = str(result.suggested[place])
        alike = next((int(judged[row]) for row in nearest[place] if row >= 0 and labels[row] == label), None)
        reason, score = f"its neighbours are {label}", float(1 - result.quality[place])
        suggestion = f"look; {label}?"
        findings.add(Finding("label", int(judged[place]), reason, other=alike, score=score, suggestion=suggestion))
    for place in np.flatnonzero(result.strange):
        far = float(result.outlier[place])
        findings.add(Finding("outlier", int(judged[place]), f"distance {far:.2f} to every class", score=min(1.0, far)))
    for pair in result.confused.to_dict("records"):
        reason = f"{pair['label']} and {pair['other']}: {pair['score']:.0%} of their neighbours are of the other"
        places = _most_alike(labels, nearest, similarity, pair["label"], pair["other"])
        first, second = (int(judged[place]) for place in places) if places else (None, None)
        findings.add(Finding("confused", first, reason, other=second, score=pair["score"], label=pair["label"]))


def suspects(labels: np.ndarray, nearest: np.ndarray, similarity: np.ndarray, groups: np.ndarray) -> Suspects | None:
    """Judges labels by neighbours.

    Args:
        labels: N labels, strings.
        nearest: int64 [N, K], the nearest others of every image, -1 where there are fewer.
        similarity: float32 [N, K], cosine.
        groups: int64 [N], the same number for images that are one picture.

    Returns:
        None where there are fewer than two classes, or too many to be judged in memory.
    """
    names, ids = np.unique(labels, return_inverse=True)
    if len(names) < 2 or len(ids) * len(names) > _LARGEST or not nearest.shape[1]:
        return None
    valid = (nearest >= 0) & (groups[nearest] != groups[:, None])
    neighbour_ids = np.where(valid, ids[nearest], -1)
    chances = _chances(neighbour_ids, similarity, len(names))
    outlier = _distance(neighbour_ids, similarity)
    from cleanlab.filter import find_label_issues  # type: ignore[import-untyped]
    from cleanlab.rank import get_label_quality_scores  # type: ignore[import-untyped]

    quality = get_label_quality_scores(ids, chances, method="normalized_margin")
    wrong = find_label_issues(ids, chances, filter_by="prune_by_noise_rate", n_jobs=1)
    strange = _beyond(outlier)
    best = chances.argmax(1)
    wrong = np.asarray(wrong) & (best != ids) & ~strange & valid.any(1)
    return Suspects(quality, names[best], wrong, outlier, strange, _confused(names, ids, chances))


def _chances(neighbour_ids: np.ndarray, similarity: np.ndarray, classes: int) -> np.ndarray:
    """float32 [N, C]: the weighted vote of the nearest, smoothed; neighbours of class -1 have no say."""
    valid = neighbour_ids >= 0
    voters = valid & (np.cumsum(valid, axis=1) <= _VOTERS)
    weights = np.where(voters, np.exp(_SHARPNESS * (similarity - similarity[:, :1])), 0.0)
    chances = np.full((len(neighbour_ids), classes), _SMOOTHING / classes, np.float32)
    rows, places = np.nonzero(voters)
    totals = np.maximum(weights.sum(1), 1e-12)
    votes = ((1 - _SMOOTHING) * weights / totals[:, None])[rows, places]
    np.add.at(chances, (rows, neighbour_ids[rows, places]), votes)
    chances /= chances.sum(1, keepdims=True)
    return chances


def _distance(neighbour_ids: np.ndarray, similarity: np.ndarray) -> np.ndarray:
    """float64 [N]: 1 - cosine to the nearest image that is the third of its class; of the last where there is none."""
    count, width = neighbour_ids.shape
    turn = [(neighbour_ids[:, :place] == neighbour_ids[:, place : place + 1]).sum(1) for place in range(width)]
    third = (np.stack(turn, 1) == 2) & (neighbour_ids >= 0)
    place = np.where(third.any(1), third.argmax(1), width - 1)
    return np.asarray(1.0 - similarity[np.arange(count), place], np.float64)


def _beyond(values: np.ndarray) -> np.ndarray:
    """Bool [N]: beyond the upper fence of Tukey 1977, three interquartile ranges above the third quartile."""
    low, high = np.percentile(values, (25, 75))
    return np.asarray(values > high + 3.0 * (high - low))


def _confused(names: np.ndarray, ids: np.ndarray, chances: np.ndarray) -> pd.DataFrame:
    sums = np.zeros((len(names), len(names)))
    np.add.at(sums, ids, chances)
    sizes = np.bincount(ids, minlength=len(names))
    means = sums / sizes[:, None]
    both = np.triu((means + means.T) / 2, 1)
    both[(sizes < _ENOUGH)[:, None] | (sizes < _ENOUGH)] = 0.0
    first, second = np.nonzero(both >= _CONFUSED)
    table = pd.DataFrame({"label": names[first], "other": names[second], "score": both[first, second]})
    return table.sort_values("score", ascending=False, kind="stable").reset_index(drop=True)


def _most_alike(
    labels: np.ndarray, nearest: np.ndarray, similarity: np.ndarray, first: str, second: str
) -> tuple[int, int] | None:
    """Of two classes the two images that are most alike among neighbours; None where there are none."""
    best, pair = -2.0, None
    for row in np.flatnonzero((labels == first) | (labels == second)):
        opposite = second if labels[row] == first else first
        for place, neighbour in enumerate(nearest[row]):
            if neighbour >= 0 and labels[neighbour] == opposite and similarity[row, place] > best:
                best, pair = float(similarity[row, place]), (int(row), int(neighbour))
    return pair
