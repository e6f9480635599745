"""When a gallery says unknown: a threshold chosen from what is enrolled, as if each label in turn were not.

Letters in shapes: A images that ask.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

from lookalike.inference.bundle_config import OpenSet, ThresholdConfig
from lookalike.inference.references import GalleryError, References
from lookalike.inference.rejection import Rejection, checked_rate
from lookalike.metrics.evenly import evenly

if TYPE_CHECKING:
    import pandas as pd

_ASKING = 2000  # images, spread evenly: more tell no more about a rate


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
    from lookalike.metrics.open_set import unknowns_of

    rate = checked_rate(rate)
    if (different := len(set(references.labels))) < 2:
        raise GalleryError(
            f"false_accept_rate={rate:g}: a threshold needs images of at least two labels, there are "
            f"{different}: enrol more, or give threshold=<similarity>"
        )
    sample = unknowns_of(_asked(references), trained)
    measured, interval = sample.measured(rate)
    facts = len(sample), sample.label_count, sample.trained
    return Rejection(sample.limit(rate), float(rate), measured, interval, *facts)


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
    chosen = choose_thresholds(asked, None, unknowns_of(asked, trained))
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
