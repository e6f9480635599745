"""Queries of labels that no reference has: how well they are told from the others, and what thresholds do to them."""

from dataclasses import dataclass
from typing import Any

from lookalike.inference.bundle_config import OpenSet
from lookalike.metrics.acceptance import Acceptance, Curve, acceptance, acceptance_curve
from lookalike.metrics.open_set import RATES
from lookalike.metrics.result import RetrievalResult


@dataclass(frozen=True)
class AtThreshold:
    """What one threshold of a bundle or a gallery does to the queries.

    Attributes:
        promised: The false accept rate that it was chosen for.
        in_use: Whether `predict` says unknown below it unless told otherwise.
        acceptance: What it does here.
    """

    promised: float
    in_use: bool
    acceptance: Acceptance

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"false_accept_rate": self.promised, "in_use": self.in_use, **self.acceptance.to_dict()}


@dataclass(frozen=True, eq=False)
class UnknownQueries:
    """An evaluation with queries of unknown labels.

    Attributes:
        enrolled: Queries of labels that a reference has.
        unknown: Queries of labels that none has.
        unknown_labels: How many labels these are.
        auroc: The probability that a known query is more similar to its nearest reference than an unknown one.
        detection_rates: False accept rate on these queries -> share of known ones accepted and named rightly.
        curve: All thresholds.
        at_thresholds: Those of the bundle or the gallery.
        missing: Why there are none; empty where there are.
    """

    enrolled: int
    unknown: int
    unknown_labels: int
    auroc: float
    detection_rates: dict[float, float]
    curve: Curve
    at_thresholds: tuple[AtThreshold, ...]
    missing: str = ""

    @property
    def in_use(self) -> AtThreshold | None:
        """What the threshold does below which `predict` says unknown, where there is one."""
        return next((entry for entry in self.at_thresholds if entry.in_use), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        used = self.in_use.acceptance if self.in_use else None
        return {
            "queries_known": self.enrolled,
            "queries_unknown": self.unknown,
            "labels_unknown": self.unknown_labels,
            "auroc": self.auroc,
            **{f"dir@far{rate:g}": value for rate, value in self.detection_rates.items()},
            "balanced_accuracy": used.balanced_accuracy if used else None,
            "balanced_accuracy_interval_95": list(used.balanced_interval) if used else None,
            "thresholds": [entry.to_dict() for entry in self.at_thresholds],
            **({"no_thresholds": self.missing} if self.missing else {}),
            "curve": self.curve.to_dict(),
        }

    def __str__(self) -> str:
        lines = [
            f"unknown: {self.unknown} of {self.enrolled + self.unknown} queries, of {self.unknown_labels} label(s) "
            "that no reference has",
        ]
        if self.missing:
            return "\n".join([*lines, f"no threshold was tried on them: {self.missing}"])
        heads = ("threshold", "promised", "unknown accepted", "known named rightly", "balanced accuracy")
        rows = [heads]
        for entry in self.at_thresholds:
            result = entry.acceptance
            balanced = "{:.3f} ({:.3f} to {:.3f})".format(result.balanced_accuracy, *result.balanced_interval)
            shares = str(result.unknown_accepted), str(result.named_rightly), balanced
            rows.append((f"{result.similarity:.3f}", f"{100 * entry.promised:g} %", *shares))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        marks = ["", *("   in use" if entry.in_use else "" for entry in self.at_thresholds)]
        for row, mark in zip(rows, marks, strict=True):
            lines.append("   ".join(map(str.ljust, row, widths)).rstrip() + mark)
        if self.in_use is None:
            lines.append("none is in use: predict names all unless threshold= or false_accept_rate= is given")
        return "\n".join(lines)


def unknown_queries(
    result: RetrievalResult, open_set: OpenSet | None, without: str = "the bundle has none"
) -> UnknownQueries | None:
    """How well queries of unknown labels are told from the others; None where there are only the ones or the others.

    Args:
        result: Of the evaluation.
        open_set: Of the bundle or the gallery that was measured; None for a network without one.
        without: What is said of an `open_set` without thresholds.
    """
    if "auroc" not in result.metrics:
        return None
    per_query, conditions = result.per_query, result.conditions
    missing = ""
    if conditions.similarity != "cosine" or conditions.rerank != "none":
        missing = "thresholds are cosine similarities without re-ranking"
    elif open_set is None or not open_set.thresholds:
        missing = "a checkpoint has none" if open_set is None else without
    entries = [] if missing or open_set is None else open_set.thresholds
    used = open_set.false_accept_rate if open_set else None
    strangers = per_query.loc[~per_query["known"].astype(bool), "label"]
    return UnknownQueries(
        len(per_query) - len(strangers),
        len(strangers),
        strangers.nunique(),
        result.metrics["auroc"],
        {rate: result.metrics[f"dir@far{rate:g}"] for rate in RATES},
        acceptance_curve(per_query),
        tuple(
            AtThreshold(
                entry.false_accept_rate,
                entry.false_accept_rate == used,
                acceptance(per_query, entry.similarity),
            )
            for entry in entries
        ),
        missing,
    )
