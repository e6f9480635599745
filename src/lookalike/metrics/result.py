"""Metrics of one evaluation with their conditions, intervals and a table of all queries.

Letters in shapes: Q queries, K neighbours.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from lookalike.metrics.exact_grid import Similarity
from lookalike.metrics.metric_table import metric_table
from lookalike.metrics.options import AveragePrecision
from lookalike.metrics.rerank_options import Rerank
from lookalike.pages import snippet

_SHORT = ("accuracy@1", "map")  # of all metrics, in a short form


@dataclass(frozen=True)
class Conditions:
    """The rules that a result was measured by: what must agree before two results are compared.

    Attributes:
        camera_rule: Whether references of the query's label and camera were left out; no camera rule applies where no
            camera is told.
        ap: How precision was averaged in `map`.
        similarity: `cosine` or `euclidean`.
        rerank: `none`, `expand` or `k_reciprocal`.
        rerank_options: Every setting of the re-ranking.
        own_rows: Whether some query is itself among the references, where it is left out.
        source: Where queries and references came from, in words; empty where they are plain arrays.
        camera_rule_seconds: Within how many seconds the camera rule holds; None at any time.
        elsewhere_seconds: Within how many seconds what other cameras saw was left out; None where it was not.
    """

    camera_rule: bool
    ap: AveragePrecision = "rectangle"
    similarity: Similarity = "cosine"
    rerank: Rerank = "none"
    rerank_options: dict[str, float] = field(default_factory=dict)
    own_rows: bool = False
    source: str = ""
    camera_rule_seconds: float | None = None
    elsewhere_seconds: float | None = None

    def sentence(self, counts: dict[str, int]) -> str:
        """All of it, and the counts of a result, in one line."""
        unknown = counts["queries_of_unknown_label"]
        rules = [
            f"{counts['queries']} queries ({counts['queries_without_positive']} without a valid positive: "
            "wrong in accuracy, left out of the rest)",
            *([f"{unknown} of a label that no reference has"] if unknown else []),
            f"{counts['references']} references, {counts['ignored']} ignored, {counts['distractors']} distractors",
            *self._places_and_times(counts),
            f"AP {self.ap}",
        ]
        if self.similarity != "cosine":
            rules.append(f"{self.similarity} distance")
        if self.rerank != "none":
            settings = (f"{name} {value:g}" for name, value in self.rerank_options.items())
            rules.append(f"re-ranked by {', '.join([self.rerank, *settings])}")
        if self.own_rows:
            rules.append("a query never finds itself")
        return "; ".join([*([self.source] if self.source else []), *rules])

    @property
    def by_time(self) -> bool:
        """Whether a rule asked for times."""
        return self.camera_rule_seconds is not None or self.elsewhere_seconds is not None

    @property
    def left_out(self) -> list[str]:
        """What the rules of cameras and times left out, in words."""
        within = "" if self.camera_rule_seconds is None else f" within {self.camera_rule_seconds:g} s"
        away = self.elsewhere_seconds
        return [
            *([f"same label and camera{within} left out"] if self.camera_rule else []),
            *([] if away is None else [f"other cameras within {away:g} s left out"]),
        ]

    def _places_and_times(self, counts: dict[str, int]) -> list[str]:
        """The same, and where it may be wrong."""
        rules = [*([] if self.camera_rule else ["no camera rule"]), *self.left_out]
        if seen := counts.get("queries_seen_elsewhere"):
            rules.append(f"of {seen} queries their own label was there, too: do cameras see the same place?")
        if without := counts.get("without_time"):
            rules.append(f"{without} queries and references without a time: no rule of times holds for them")
        return rules


@dataclass(frozen=True, eq=False)
class RetrievalResult:
    """Metrics of one evaluation.

    Attributes:
        metrics: Name -> value in 0..1; the names are those of the table in `evaluate`.
        intervals: Name -> (low, high), 95 % by bootstrap over labels; absent with fewer than two labels and for the
            metrics of the open set.
        counts: queries, queries_with_positive, queries_without_positive, queries_of_unknown_label, references,
            ignored, distractors (references of labels that no query has); where a rule asks for times also
            queries_seen_elsewhere (their own label by another camera at their time) and without_time.
        conditions: The rules.
        per_query: One row per query: label, predicted (label of the nearest), similarity of the nearest and of the
            nearest of another label, known (whether any reference has its label), positives, rank of the first and of
            the last positive (0 = none) and the metrics that are averaged.
        neighbours: int64 [Q, K], rows of the nearest valid references, -1 where there are fewer.
        neighbour_similarity: float32 [Q, K], their similarities.
    """

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    counts: dict[str, int]
    conditions: Conditions
    per_query: pd.DataFrame
    neighbours: np.ndarray
    neighbour_similarity: np.ndarray

    @property
    def protocol(self) -> str:
        """Counts and conditions in words, to be printed beside every figure."""
        return self.conditions.sentence(self.counts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "protocol": self.protocol,
            "conditions": asdict(self.conditions),
            "counts": self.counts,
            "metrics": self.metrics,
            "intervals_95": {name: list(pair) for name, pair in self.intervals.items()},
        }

    def per_label(self) -> pd.DataFrame:
        """Queries, accuracy@1 and (over those with a positive) map of each label, worst first."""
        groups = self.per_query.groupby("label", sort=True)
        table = pd.DataFrame({"queries": groups["accuracy@1"].count(), "accuracy@1": groups["accuracy@1"].mean()})
        matched = self.per_query[self.per_query["positives"] > 0]
        table["map"] = matched.groupby("label")["map"].mean().reindex(table.index)
        return table.sort_values(["accuracy@1", "map"], kind="stable").reset_index()

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {self.metrics[name]:.4f}" for name in _SHORT if name in self.metrics)
        return f"RetrievalResult({self.counts['queries']} queries, {self.counts['references']} references: {figures})"

    def _repr_html_(self) -> str:
        """In a notebook: every figure with its interval."""
        return snippet(repr(self), metric_table(self.metrics, self.intervals))

    def __str__(self) -> str:
        lines = [f"protocol: {self.protocol}"]
        for name, value in self.metrics.items():
            interval = "   95 % {:.4f} to {:.4f}".format(*self.intervals[name]) if name in self.intervals else ""
            lines.append(f"{name:<14}{value:.4f}{interval}")
        return "\n".join(lines)
