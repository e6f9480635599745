"""Similarities of images that nobody knows: the threshold that keeps to a false accept rate, and how sure that is.

Labels that a network was trained on stand further apart than new ones do, so a threshold that is chosen on them lets
more unknown images through than it promises. Which labels the similarities are of is therefore part of them.

Letters in shapes: N unknown images, L labels.
"""

from dataclasses import dataclass
from math import ceil, floor, log10

import numpy as np

from lookalike.metrics.evenly import evenly

_FOLDS = 10  # of labels, for the measured rate
_Z = 1.959964  # 95 %
_LABELS = 5  # fewer tell nothing about other labels
_KEPT = 2000  # similarities that a bundle holds


@dataclass(frozen=True)
class Unknowns:
    """Similarity of unknown images to the nearest reference.

    Attributes:
        similarity: float [N].
        labels: int64 [N], the same number for images of one label.
        trained: Whether the labels were trained on and only played unknown ones.
    """

    similarity: np.ndarray
    labels: np.ndarray
    trained: bool

    def __len__(self) -> int:
        return len(self.similarity)

    @property
    def label_count(self) -> int:
        """L."""
        return len(np.unique(self.labels))

    def limit(self, rate: float) -> float:
        """The lowest similarity seen that the next unknown image exceeds with a probability of at most `rate`.

        Of N + 1 exchangeable images each is equally likely to be the next one, so at most rate * (N + 1) - 1 of those
        seen may lie above. Below a rate of 1 / (N + 1) it is the highest one seen.
        """
        return _limit(self.similarity, rate)

    def accepted(self, limit: float) -> tuple[float, tuple[float, float]]:
        """Share above a similarity, and its 95 % interval."""
        return rate_of(self.similarity > limit, self.labels)

    def measured(self, rate: float) -> tuple[float, tuple[float, float]]:
        """Share that is accepted by a threshold chosen without the image's own label, and its 95 % interval.

        Of one label alone it is the share among those that chose.
        """
        turns = np.unique(self.labels, return_inverse=True)[1] % _FOLDS
        above = np.zeros(len(self), bool)
        for turn in np.unique(turns):
            others = self.similarity[turns != turn]
            above[turns == turn] = self.similarity[turns == turn] > _limit(
                others if len(others) else self.similarity, rate
            )
        return rate_of(above, self.labels)

    def thinned(self) -> "Unknowns":
        """At most 2,000 of them, evenly along their order, highest first."""
        order = np.argsort(-self.similarity, kind="stable")
        kept = order[evenly(len(order), _KEPT)]
        return Unknowns(self.similarity[kept], self.labels[kept], self.trained)


def pooled(parts: list[Unknowns]) -> Unknowns:
    """Those of several networks as one sample; a label of one is none of another."""
    shifts = np.cumsum([0, *(int(part.labels.max(initial=-1)) + 1 for part in parts)])
    labels = [part.labels + shift for part, shift in zip(parts, shifts[:-1], strict=True)]
    similarity = np.concatenate([part.similarity for part in parts])
    return Unknowns(similarity, np.concatenate(labels), any(part.trained for part in parts))


def rate_of(happened: np.ndarray, labels: np.ndarray) -> tuple[float, tuple[float, float]]:
    """A share and its 95 % interval (Wilson 1927), images of one label not taken for independent.

    The number of images is divided by the design effect of their labels (Kish 1965). Where all or none happened nothing
    tells how alike the images of one label are, so each label counts once.

    Args:
        happened: bool [N].
        labels: int [N].
    """
    total = len(happened)
    if not total:
        return float("nan"), (0.0, 1.0)
    share = float(happened.mean())
    groups = np.unique(labels, return_inverse=True)[1]
    count = int(groups.max()) + 1
    effective = float(count)
    if 0 < share < 1 and count > 1:
        sums = np.bincount(groups, weights=happened - share)
        variance = count / (count - 1) * float((sums**2).sum()) / total**2
        effective = total / max(1.0, variance * total / (share * (1 - share)))
    middle = (share + _Z**2 / (2 * effective)) / (1 + _Z**2 / effective)
    half = _Z * np.sqrt(share * (1 - share) / effective + _Z**2 / (4 * effective**2)) / (1 + _Z**2 / effective)
    return share, (max(0.0, float(middle - half)), min(1.0, float(middle + half)))


def doubt(rate: float, images: int, labels: int | None, trained: bool) -> str:
    """Why a false accept rate cannot be relied on, in words; empty where nothing speaks against it.

    Args:
        rate: What is promised.
        images: N.
        labels: L, None where it was not counted.
        trained: Whether the labels were trained on.
    """
    if trained:
        return (
            "chosen on labels that were trained on, so more images of really unknown labels will pass: train with "
            "false_accept_rate=..., or with unknown labels in validation"
        )
    if supports(rate, images, labels):
        return ""
    so_many = f"{images} image{'' if images == 1 else 's'}"
    if labels is not None and labels < _LABELS:
        return (
            f"{so_many} of {labels} label{'' if labels == 1 else 's'} cannot support {rate:.2g}, as they tell little "
            f"about other labels: have images of at least {_LABELS} labels"
        )
    return (
        f"{so_many} cannot support {rate:.2g}: the least that can be promised from so many is {least_of(images):g}: "
        "ask for that, or have more images"
    )


def supports(rate: float, images: int, labels: int | None = None) -> bool:
    """Whether a false accept rate can be promised from so many unknown images.

    Args:
        rate: The share.
        images: N.
        labels: L, None where it was not counted.
    """
    return rate * (images + 1) >= 1 and (labels is None or labels >= _LABELS)


def least_of(images: int) -> float:
    """The least false accept rate that can be promised from so many unknown images, rounded up to two digits.

    Args:
        images: N.
    """
    least = 1 / (images + 1)
    unit = 10.0 ** (floor(log10(least)) - 1)
    return min(1.0, round(ceil(least / unit - 1e-9) * unit, 12))


def _limit(similarity: np.ndarray, rate: float) -> float:
    ordered = np.sort(similarity)[::-1]
    place = int(rate * (len(ordered) + 1) + 1e-9) - 1
    return float(ordered[min(max(place, 0), len(ordered) - 1)])
