"""Metrics of one evaluation with their protocol, intervals and a table of all queries.

Letters in shapes: Q queries, K neighbours.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class RetrievalResult:
    """Metrics of one evaluation.

    Attributes:
        metrics: Name -> value in 0..1; the names are those of the table above.
        intervals: Name -> (low, high), 95 % by bootstrap over labels; absent with fewer than two labels and for the
            metrics of the open set.
        counts: queries, queries_with_positive, queries_without_positive, queries_of_unknown_label, references,
            ignored, distractors (references of labels that no query has).
        protocol: The rules in words.
        per_query: One row per query: label, predicted (label of the nearest), similarity of the nearest and of the
            nearest of another label, known (whether any reference has its label), positives, rank of the first and of
            the last positive (0 = none) and the metrics that are averaged.
        neighbours: int64 [Q, K], rows of the nearest valid references, -1 where there are fewer.
        neighbour_similarity: float32 [Q, K], their similarities.
    """

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    counts: dict[str, int]
    protocol: str
    per_query: pd.DataFrame
    neighbours: np.ndarray
    neighbour_similarity: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        intervals = {name: list(pair) for name, pair in self.intervals.items()}
        return {"protocol": self.protocol, "counts": self.counts, "metrics": self.metrics, "intervals_95": intervals}

    def per_label(self) -> pd.DataFrame:
        """Queries, accuracy@1 and (over those with a positive) map of each label, worst first."""
        groups = self.per_query.groupby("label", sort=True)
        table = pd.DataFrame({"queries": groups["accuracy@1"].count(), "accuracy@1": groups["accuracy@1"].mean()})
        matched = self.per_query[self.per_query["positives"] > 0]
        table["map"] = matched.groupby("label")["map"].mean().reindex(table.index)
        return table.sort_values(["accuracy@1", "map"], kind="stable").reset_index()

    def __str__(self) -> str:
        lines = [f"protocol: {self.protocol}"]
        for name, value in self.metrics.items():
            interval = "   95 % {:.4f} to {:.4f}".format(*self.intervals[name]) if name in self.intervals else ""
            lines.append(f"{name:<14}{value:.4f}{interval}")
        return "\n".join(lines)
