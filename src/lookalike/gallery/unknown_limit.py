"""When a gallery says unknown: a threshold chosen from what is enrolled, as if each label in turn were not.

Letters in shapes: A images that ask.
"""

from collections.abc import Collection
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from lookalike.inference.bundle_config import OpenSet, ThresholdConfig
from lookalike.inference.references import GalleryError, References
from lookalike.inference.rejection import Rejection, checked_rate
from lookalike.metrics.evenly import evenly
from lookalike.metrics.unknowns import Unknowns

if TYPE_CHECKING:
    import pandas as pd

_ASKING = 2000  # images, spread evenly: more tell no more about a rate
_RATES = 32  # whose limits are kept
_SAME = 1 - 1e-6  # similarity from which on it is the same picture


class UnknownLimits:
    """The limits of a gallery: what is enrolled is measured once, by one thread, whatever the rates."""

    def __init__(self) -> None:
        self._turn = Lock()
        self._measured: tuple[References, Unknowns] | None = None
        self._limits: dict[float, Rejection] = {}

    def limit(self, references: References, rate: float, trained: Collection[str] = ()) -> Rejection:
        """As `limit_within`, the same object for as long as it is kept.

        Args:
            references: The gallery as it is now.
            rate: As of `limit_within`.
            trained: As of `limit_within`; the same for the same references.

        Raises:
            RejectionError: As of `limit_within`.
            GalleryError: As of `limit_within`.
        """
        rate = checked_rate(rate)
        with self._turn:
            if self._measured is None or self._measured[0] is not references:
                self._measured = references, _sample(references, rate, trained)
                self._limits = {}
            limit = self._limits.pop(rate, None) or _limit_of(self._measured[1], rate)
            self._limits[rate] = limit  # the latest is the last
            if len(self._limits) > _RATES:
                del self._limits[next(iter(self._limits))]
            return limit

    def clear(self) -> None:
        """Forgets what was measured, as by another model."""
        with self._turn:
            self._measured, self._limits = None, {}


def limit_within(references: References, rate: float, trained: Collection[str] = ()) -> Rejection:
    """The similarity that at most a share of images of labels that are not enrolled exceed.

    Every image asks as if no image of its label were there, over at most 2,000 of them.

    Args:
        references: The gallery.
        rate: The share, above 0 and below 1.
        trained: Labels that the network was trained on: others are asked where there are any.

    Raises:
        RejectionError: No such share.
        GalleryError: There are fewer than two labels.
    """
    rate = checked_rate(rate)
    return _limit_of(_sample(references, rate, trained), rate)


def _limit_of(sample: Unknowns, rate: float) -> Rejection:
    measured, interval = sample.measured(rate)
    facts = len(sample), sample.label_count, sample.trained
    return Rejection(sample.limit(rate), rate, measured, interval, *facts)


def _sample(references: References, rate: float, trained: Collection[str]) -> Unknowns:
    """Those that ask, whatever the rate, which is named where there are none."""
    from lookalike.metrics.open_set import unknowns_of

    if (different := len(set(references.labels))) < 2:
        raise GalleryError(
            f"false_accept_rate={rate:g}: a threshold needs images of at least two labels, there are "
            f"{different}: enrol more, or give threshold=<similarity>"
        )
    return _without_copies(unknowns_of(_asked(references), trained))


def _without_copies(sample: Unknowns) -> Unknowns:
    """A picture that is enrolled under two labels says nothing of unknown ones: it would call everything unknown."""
    others = sample.similarity < _SAME
    if others.all() or not others.any():
        return sample
    return replace(sample, similarity=sample.similarity[others], labels=sample.labels[others])


def limits_within(references: References, trained: Collection[str] = ()) -> OpenSet:
    """As `limit_within`, for the rates that every bundle has; none where there are fewer than two labels.

    Args:
        references: The gallery.
        trained: As of `limit_within`.
    """
    from lookalike.metrics.open_set import choose_thresholds, unknowns_of

    if len(set(references.labels)) < 2:
        return OpenSet()
    asked = _asked(references)
    chosen = choose_thresholds(asked, None, _without_copies(unknowns_of(asked, trained)))
    return OpenSet(thresholds=[ThresholdConfig.model_validate(threshold.to_dict()) for threshold in chosen])


def _asked(references: References) -> "pd.DataFrame":
    """A row for every image that asks, see `RetrievalResult.per_query`."""
    from lookalike.metrics.evaluate import evaluate

    labels = references.labels
    asking = evenly(len(labels), _ASKING)
    result = evaluate(
        references.embeddings[asking],
        references.embeddings,
        [labels[row] for row in asking.tolist()],
        labels,
        exclude_self=asking,
        ks=(1,),
    )
    return result.per_query.assign(known=True)
