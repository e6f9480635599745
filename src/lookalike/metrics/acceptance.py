"""What thresholds on the similarity do to queries of known and of unknown labels.

A query is accepted when its nearest reference is more similar than a threshold, as in `open_set`.

Letters in shapes: Q queries, T thresholds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lookalike.metrics.evenly import evenly
from lookalike.metrics.open_set import without_rounding_noise
from lookalike.metrics.unknowns import rate_of

_STEPS = 200  # of a curve that is written down


@dataclass(frozen=True)
class Rate:
    """A share of queries.

    Attributes:
        value: 0 to 1.
        interval_95: See `unknowns.rate_of`.
        queries: How many it is a share of.
    """

    value: float
    interval_95: tuple[float, float]
    queries: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"value": self.value, "interval_95": list(self.interval_95), "queries": self.queries}

    def __str__(self) -> str:
        return "{:.3f} ({:.3f} to {:.3f})".format(self.value, *self.interval_95)


@dataclass(frozen=True)
class Acceptance:
    """What one threshold does.

    Attributes:
        similarity: The nearest reference must be more similar than this.
        named_rightly: Share of the queries of known labels that are accepted and whose nearest reference is right.
        named_wrongly: Share of them that are accepted and whose nearest reference is of another label.
        unknown_accepted: Share of the queries of unknown labels that are accepted.
    """

    similarity: float
    named_rightly: Rate
    named_wrongly: Rate
    unknown_accepted: Rate

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the share of known queries named rightly and of the share of unknown ones rejected."""
        return (self.named_rightly.value + 1 - self.unknown_accepted.value) / 2

    @property
    def balanced_interval(self) -> tuple[float, float]:
        """95 %: the intervals of two independent shares, squared and added (Zou and Donner 2008)."""
        rightly, unknown = self.named_rightly, self.unknown_accepted
        below = np.hypot(rightly.value - rightly.interval_95[0], unknown.interval_95[1] - unknown.value) / 2
        above = np.hypot(rightly.interval_95[1] - rightly.value, unknown.value - unknown.interval_95[0]) / 2
        return max(0.0, self.balanced_accuracy - float(below)), min(1.0, self.balanced_accuracy + float(above))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "threshold": self.similarity,
            "unknown_accepted": self.unknown_accepted.to_dict(),
            "known_named_rightly": self.named_rightly.to_dict(),
            "known_named_wrongly": self.named_wrongly.to_dict(),
            "balanced_accuracy": {"value": self.balanced_accuracy, "interval_95": list(self.balanced_interval)},
        }


@dataclass(frozen=True, eq=False)
class Curve:
    """All thresholds, the strictest first.

    Attributes:
        similarity: float [T], each a similarity that an unknown query has; last -inf, which accepts everything.
        unknown_accepted: float [T], share of the queries of unknown labels above it.
        named_rightly: float [T], share of the queries of known labels above it whose nearest reference is right.
    """

    similarity: np.ndarray
    unknown_accepted: np.ndarray
    named_rightly: np.ndarray

    def to_dict(self) -> dict[str, list[float | None]]:
        """Plain values for JSON, at most 200 thresholds; null is the one that accepts everything."""
        last = len(self.similarity) - 1
        rows = evenly(last + 1, _STEPS)
        columns = {
            "threshold": self.similarity,
            "unknown_accepted": self.unknown_accepted,
            "known_named_rightly": self.named_rightly,
        }
        return {
            name: [float(value) if np.isfinite(value) else None for value in values[rows]]
            for name, values in columns.items()
        }


def acceptance(per_query: pd.DataFrame, similarity: float) -> Acceptance:
    """What a threshold does to queries of known and of unknown labels.

    Args:
        per_query: `RetrievalResult.per_query`.
        similarity: The threshold.
    """
    enrolled = per_query["known"].to_numpy(bool)
    right = (per_query["predicted"] == per_query["label"]).to_numpy()
    accepted = per_query["similarity"].to_numpy(float) > similarity
    labels = pd.factorize(per_query["label"])[0]

    def rate(happened: np.ndarray, among: np.ndarray) -> Rate:
        return Rate(*rate_of(happened[among], labels[among]), int(among.sum()))

    return Acceptance(
        similarity,
        rate(accepted & right, enrolled),
        rate(accepted & ~right, enrolled),
        rate(accepted, ~enrolled),
    )


def acceptance_curve(per_query: pd.DataFrame) -> Curve:
    """The shares at every threshold that makes a difference; `dir@far` are points of it.

    Args:
        per_query: `RetrievalResult.per_query`, with queries of known and of unknown labels.
    """
    enrolled = per_query["known"].to_numpy(bool)
    right = (per_query["predicted"] == per_query["label"]).to_numpy()
    similarity = without_rounding_noise(per_query["similarity"].to_numpy(float))
    strangers, genuine = np.sort(similarity[~enrolled]), np.sort(similarity[enrolled & right])
    limits = np.append(np.unique(strangers)[::-1], -np.inf)
    shares = [
        (len(values) - np.searchsorted(values, limits, side="right")) / count
        for values, count in ((strangers, (~enrolled).sum()), (genuine, enrolled.sum()))
    ]
    return Curve(limits, *shares)
