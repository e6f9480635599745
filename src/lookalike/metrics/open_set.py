"""Queries whose label nobody has enrolled: how well a threshold on the similarity turns them away.

A query is accepted when its nearest reference is more similar than a threshold. FAR (false accept rate) is the share of
queries of unknown labels that are accepted; DIR (detection and identification rate) the share of queries of known
labels that are accepted and whose nearest reference has their label (Phillips, Grother and Micheals 2011).

Letters in shapes: Q queries.
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from lookalike.errors import LookalikeError
from lookalike.metrics.unknowns import Unknowns

RATES = (0.01, 0.1)
_OFFERED = (0.01, 0.02, 0.05, 0.1, 0.2)  # false accept rates whose thresholds every bundle holds
_DECIMALS = 6  # below that similarities of float32 embeddings differ by rounding alone, so they count as equal


class OpenSetError(LookalikeError):
    """No threshold can be chosen."""


@dataclass(frozen=True)
class Threshold:
    """A similarity below which a query is called unknown.

    Attributes:
        similarity: A nearest reference must be more similar than this.
        false_accept_rate: What was asked for, 0 to 1.
        measured_false_accept_rate: Share of unknown queries above a threshold chosen so without their own label.
        detection_rate: Share of known queries above it whose nearest reference is right, where it was chosen.
        queries: How many unknown queries it was chosen on.
        labels: Of how many labels they are.
        trained: Whether these were trained on, so that real unknowns are nearer.
        interval_95: Of the measured rate.
    """

    similarity: float
    false_accept_rate: float
    measured_false_accept_rate: float
    detection_rate: float
    queries: int
    labels: int
    trained: bool
    interval_95: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def without_rounding_noise(similarity: np.ndarray) -> np.ndarray:
    """Similarities [Q] to six decimals, or six digits where they are larger than 1 (distances)."""
    larger = np.abs(similarity[np.isfinite(similarity)]).max(initial=0.0) > 1.5
    if not larger:
        return np.round(similarity, _DECIMALS)
    mantissa, exponent = np.frexp(similarity)
    rounded: np.ndarray = np.ldexp(np.round(mantissa, _DECIMALS), exponent)
    return rounded


def open_set_metrics(similarity: np.ndarray, right: np.ndarray, enrolled: np.ndarray) -> dict[str, float]:
    """AUROC and DIR at fixed false accept rates; empty unless there are known and unknown labels.

    Args:
        similarity: float [Q], that of the nearest reference.
        right: bool [Q], whether the nearest reference has the query's label.
        enrolled: bool [Q], whether any reference has it.
    """
    if enrolled.all() or not enrolled.any():
        return {}
    similarity = without_rounding_noise(similarity)
    genuine, strangers = similarity[enrolled], similarity[~enrolled]
    metrics = {"auroc": _auroc(genuine, strangers)}
    for rate in RATES:
        limit = _limit(strangers, rate)
        metrics[f"dir@far{rate:g}"] = float((right[enrolled] & (genuine > limit)).mean())
    return metrics


def unknowns_of(per_query: pd.DataFrame, trained: Collection[str] | None = None) -> Unknowns:
    """The queries by which a threshold is chosen: real unknowns, else what comes next to them; never a mixture.

    1. Queries of labels that were neither trained on nor have a reference: with their nearest reference.
    2. Where there is none, queries of labels that were not trained on, as if theirs were not enrolled: with the nearest
       reference of another label.
    3. Where there is none, all queries play so, although their labels were trained on.

    Args:
        per_query: `RetrievalResult.per_query`.
        trained: The labels that the network was trained on; None where it is not known, as if it were those enrolled.
    """
    enrolled = per_query["known"].to_numpy(bool)
    seen = enrolled if trained is None else per_query["label"].isin(set(trained)).to_numpy(bool)
    nearest = per_query["similarity"].to_numpy(np.float64)
    played = np.where(enrolled, per_query["similarity_other"].to_numpy(np.float64), nearest)
    ids = pd.factorize(per_query["label"])[0].astype(np.int64)
    for chosen in (~seen & ~enrolled, ~seen):
        usable = chosen & np.isfinite(played)
        if usable.any():
            return Unknowns(played[usable], ids[usable], trained=False)
    usable = np.isfinite(played)
    return Unknowns(played[usable], ids[usable], trained=True)


def choose_threshold(per_query: pd.DataFrame, rate: float, unknowns: Unknowns | None = None) -> Threshold:
    """The lowest of the similarities seen that the next unknown query passes with a probability of at most `rate`.

    Args:
        per_query: `RetrievalResult.per_query`.
        rate: Wanted false accept rate, 0 to 1.
        unknowns: What it is chosen by; None for `unknowns_of(per_query)`.

    Raises:
        OpenSetError: Fewer than two labels among the references, so nothing can be unknown.
    """
    unknowns = unknowns_of(per_query) if unknowns is None else unknowns
    if not len(unknowns):
        raise OpenSetError("a threshold for unknown labels needs references of at least two labels, got one")
    enrolled = per_query["known"].to_numpy(bool)
    similarity = per_query["similarity"].to_numpy()
    limit = unknowns.limit(rate)
    right = (per_query["predicted"] == per_query["label"]).to_numpy()[enrolled]
    detected = float((right & (similarity[enrolled] > limit)).mean()) if enrolled.any() else 0.0
    measured, interval = unknowns.measured(rate)
    facts = len(unknowns), unknowns.label_count, unknowns.trained
    return Threshold(limit, rate, measured, detected, *facts, interval)


def choose_thresholds(
    per_query: pd.DataFrame, wanted: float | None, unknowns: Unknowns | None = None
) -> list[Threshold]:
    """Thresholds for several false accept rates, the wanted one among them; none where there is but one label.

    Args:
        per_query: `RetrievalResult.per_query`.
        wanted: A false accept rate, 0 to 1, or None.
        unknowns: As of `choose_threshold`.

    Raises:
        OpenSetError: One is wanted, but there is only one label.
    """
    rates = sorted({*_OFFERED, *([] if wanted is None else [wanted])})
    try:
        return [choose_threshold(per_query, rate, unknowns) for rate in rates]
    except OpenSetError:
        if wanted is not None:
            raise
        return []


def _limit(unknown: np.ndarray, rate: float) -> float:
    """The lowest similarity that at most a share `rate` of the unknown exceed."""
    ordered = np.sort(unknown)[::-1]
    return float(ordered[min(int(rate * len(ordered) + 1e-9), len(ordered) - 1)])


def _auroc(genuine: np.ndarray, strangers: np.ndarray) -> float:
    """The probability that a query of a known label is more similar than one of an unknown one; a tie counts half."""
    ordered = np.sort(strangers)
    below, upto = (np.searchsorted(ordered, genuine, side=side) for side in ("left", "right"))
    return float((below + upto).mean() / (2 * len(ordered)))
