"""Metrics and their intervals as a table of a page."""

from collections.abc import Mapping

from lookalike.pages import Table


def metric_table(metrics: Mapping[str, float], intervals: Mapping[str, tuple[float, float]]) -> Table:
    """A row per metric: its name, its value, its interval where it has one.

    Args:
        metrics: Name -> value.
        intervals: Name -> (low, high), 95 %.
    """
    rows = []
    for name, value in metrics.items():
        low, high = intervals.get(name, (float("nan"), float("nan")))
        rows.append([name, f"{value:.4f}", f"{low:.4f} to {high:.4f}" if low == low else ""])
    return Table(["metric", "value", "95 % interval"], rows, frozenset({1, 2}))
