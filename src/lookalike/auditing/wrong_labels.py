"""Labels that their neighbours contradict, images that resemble no class, classes that cannot be told apart.

What the neighbours of an image say about its label is out of sample: the image itself and its duplicates have no say.
(Not so for embeddings that were trained on these very labels: they hide what was learnt by heart.)
cleanlab (confident learning, Northcutt et al. 2021, arXiv:1911.00068) decides from that which labels are likely wrong.

Letters in shapes: N images, K neighbours, C classes.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

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
    there = (nearest >= 0) & (groups[nearest] != groups[:, None])
    given = np.where(there, ids[nearest], -1)
    chances = _chances(given, similarity, there, len(names))
    outlier = _distance(given, similarity)
    from cleanlab.filter import find_label_issues  # type: ignore[import-untyped]
    from cleanlab.rank import get_label_quality_scores  # type: ignore[import-untyped]

    quality = get_label_quality_scores(ids, chances, method="normalized_margin")
    wrong = find_label_issues(ids, chances, filter_by="prune_by_noise_rate", n_jobs=1)
    strange = _beyond(outlier)
    best = chances.argmax(1)
    wrong = np.asarray(wrong) & (best != ids) & ~strange & there.any(1)
    return Suspects(quality, names[best], wrong, outlier, strange, _confused(names, ids, chances))


def _chances(given: np.ndarray, similarity: np.ndarray, there: np.ndarray, classes: int) -> np.ndarray:
    """float32 [N, C]: the weighted vote of the nearest, smoothed."""
    voters = there & (np.cumsum(there, axis=1) <= _VOTERS)
    weights = np.where(voters, np.exp(_SHARPNESS * (similarity - similarity[:, :1])), 0.0)
    chances = np.full((len(given), classes), _SMOOTHING / classes, np.float32)
    rows, places = np.nonzero(voters)
    totals = np.maximum(weights.sum(1), 1e-12)
    np.add.at(chances, (rows, given[rows, places]), ((1 - _SMOOTHING) * weights / totals[:, None])[rows, places])
    chances /= chances.sum(1, keepdims=True)
    return chances


def _distance(given: np.ndarray, similarity: np.ndarray) -> np.ndarray:
    """float64 [N]: 1 - cosine to the nearest image that is the third of its class; of the last where there is none."""
    turn = np.stack([(given[:, :place] == given[:, place : place + 1]).sum(1) for place in range(given.shape[1])], 1)
    third = (turn == 2) & (given >= 0)
    place = np.where(third.any(1), third.argmax(1), given.shape[1] - 1)
    return np.asarray(1.0 - similarity[np.arange(len(given)), place], np.float64)


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
