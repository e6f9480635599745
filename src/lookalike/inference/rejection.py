"""When a prediction says unknown: a given similarity, or the one that keeps to a false accept rate, or never."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from numbers import Real
from typing import Any, Literal

from lookalike.errors import LookalikeError
from lookalike.inference.bundle_config import OpenSet, ThresholdConfig
from lookalike.inference.prediction_json import RejectionJson, read_back
from lookalike.metrics.unknowns import doubt, least_of, supports
from lookalike.settings.types import SHARE_EXPECTED
from lookalike.terminal import counted

OFF = "off"
Off = Literal["off"]


class RejectionError(LookalikeError):
    """It is not clear when to say unknown, or the bundle cannot tell."""


@dataclass(frozen=True)
class Rejection:
    """A similarity below which an image is called unknown, and what is known of it.

    Attributes:
        similarity: The nearest reference must be more similar than this.
        promised: The false accept rate that was asked for, see `supported`; None for a given similarity.
        measured: Share of unknown images above it; None where nothing was measured.
        interval_95: Of that share.
        images: Unknown images it was measured on.
        labels: Their labels, None where they were not counted.
        trained: Whether these labels were trained on.
        note: What else is to be told, else empty.
    """

    similarity: float
    promised: float | None = None
    measured: float | None = None
    interval_95: tuple[float, float] | None = None
    images: int = 0
    labels: int | None = None
    trained: bool = True
    note: str = ""

    @property
    def supported(self) -> bool | None:
        """Whether so many images of so many labels can support the rate that was asked for; None for a similarity."""
        return None if self.promised is None else supports(self.promised, self.images, self.labels)

    @property
    def warning(self) -> str:
        """Why the rate cannot be relied on, else empty."""
        if self.promised is None:
            return self.note
        return "; ".join(filter(None, [self.note, doubt(self.promised, self.images, self.labels, self.trained)]))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `least_supported` and `warning` only where there is something to say."""
        values = {name: value for name, value in asdict(self).items() if name != "note" and value is not None}
        if self.supported is not None:
            values["supported"] = self.supported
        if self.promised is not None and not supports(self.promised, self.images):
            values["least_supported"] = least_of(self.images)
        return {**values, "warning": self.warning} if self.warning else values

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> "Rejection":
        """What `to_dict` gave.

        Raises:
            NoPredictionError: Something is missing or of another kind.
        """
        fields = vars(read_back(RejectionJson, values))
        warning = fields.pop("warning")
        made = cls(**fields)
        return replace(made, note=warning.removesuffix(made.warning).removesuffix("; "))

    def __str__(self) -> str:
        words = [f"threshold: a similarity of {self.similarity:.3f} to the nearest known image"]
        if self.promised is not None:
            words.append(f"false accept rate {self.promised:.3g} {'promised' if self.supported else 'asked'}")
        if self.measured is not None:
            kind = "that were trained on" if self.trained else "that were not trained on"
            labels = "labels" if self.labels is None else counted(self.labels, "label")
            of = f"{counted(self.images, 'image')} of {labels} {kind}"
            interval = "" if self.interval_95 is None else " (95 % {:.3f} to {:.3f})".format(*self.interval_95)
            words.append(f"{self.measured:.3f}{interval} measured on {of}")
        return ", ".join(words)


def rejection(
    open_set: OpenSet,
    threshold: float | Off | None = None,
    false_accept_rate: float | Off | None = None,
    name: str = "the bundle",
) -> Rejection | None:
    """When to say unknown; None for never.

    Args:
        open_set: Of the bundle.
        threshold: A similarity, or `off` for never.
        false_accept_rate: Share of unknown images that may get a name, or `off`; None for what the bundle keeps to.
        name: Of the bundle, for errors.

    Raises:
        RejectionError: Both are given, or the bundle has nothing to choose a threshold by.
    """
    if threshold is not None and false_accept_rate is not None:
        raise RejectionError(
            f"threshold={threshold} and false_accept_rate={false_accept_rate}: expected one of them, got both: "
            "leave one out"
        )
    if any(isinstance(value, str) and value == OFF for value in (threshold, false_accept_rate)):
        return None
    if threshold is not None:
        return _given(open_set, checked_threshold(threshold))
    rate = open_set.false_accept_rate
    if false_accept_rate is not None:
        rate = checked_rate(false_accept_rate)
    return None if rate is None else _of_rate(open_set, rate, name)


def checked_threshold(threshold: object) -> float:
    """A cosine similarity.

    Raises:
        RejectionError: None that there is, or no number.
    """
    return _between("threshold", threshold, -1, "a cosine similarity, -1 to 1")


def checked_rate(rate: object) -> float:
    """A false accept rate.

    Args:
        rate: As it was given.

    Raises:
        RejectionError: No share above 0 and below 1.
    """
    if isinstance(rate, bool) or not isinstance(rate, Real) or not 0 < float(rate) < 1:
        shown = f"{rate:g}" if isinstance(rate, float) else repr(rate)
        raise RejectionError(f"false_accept_rate={shown}: {SHARE_EXPECTED}")
    return float(rate)


def _between(name: str, value: object, least: float, expected: str) -> float:
    """A number from `least` to 1."""
    if isinstance(value, bool) or not isinstance(value, Real) or not least <= float(value) <= 1:
        shown = f"{value:g}" if isinstance(value, float) else repr(value)
        raise RejectionError(f"{name}={shown}: expected {expected}")
    return float(value)


def _given(open_set: OpenSet, limit: float) -> Rejection:
    """A similarity, with the share of unknown images above it where the bundle can tell."""
    if open_set.unknowns is None:
        return Rejection(limit)
    sample = open_set.unknowns.sample()
    measured, interval = sample.accepted(limit)
    facts = open_set.thresholds[0] if open_set.thresholds else None
    images, labels = (facts.queries, facts.labels) if facts else (len(sample), sample.label_count)
    return Rejection(limit, None, measured, interval, images, labels, sample.trained)


def _of_rate(open_set: OpenSet, rate: float, name: str) -> Rejection:
    chosen = {entry.false_accept_rate: entry for entry in open_set.thresholds}
    if rate in chosen:
        return _stored(chosen[rate], rate)
    if open_set.unknowns is not None:
        sample, facts = open_set.unknowns.sample(), open_set.thresholds[0]
        measured, interval = sample.measured(rate)
        return Rejection(
            sample.limit(rate), rate, measured, interval, facts.queries, sample.label_count, sample.trained
        )
    stricter = [offer for offer in chosen if offer < rate]
    if not stricter:
        offered = ", ".join(f"{offer:g}" for offer in chosen) or "none"
        raise RejectionError(
            f"false_accept_rate={rate:g}: {name} was made by an earlier version and has thresholds for {offered}: "
            "give a larger rate, give threshold=<similarity>, or train it again with this version"
        )
    entry = chosen[max(stricter)]
    note = f"{name} was made by an earlier version: the threshold is that of the next smaller rate it holds"
    return _stored(entry, entry.false_accept_rate, note)


def _stored(entry: ThresholdConfig, rate: float, note: str = "") -> Rejection:
    facts = entry.queries, entry.labels, entry.trained
    return Rejection(entry.similarity, rate, entry.measured_false_accept_rate, entry.interval_95, *facts, note)
