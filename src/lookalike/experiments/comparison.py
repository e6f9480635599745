"""What finished runs of a grid say: means, intervals, tests, and one sentence.

Letters in shapes: G settings compared, S seeds, Q queries.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lookalike.errors import LookalikeError
from lookalike.metrics.paired_tests import Group, compare_groups

METRICS = {"accuracy@1": "accuracy@1", "accuracy@5": "accuracy@5", "map": "mAP"}


class ComparisonError(LookalikeError):
    """The runs cannot be compared."""


@dataclass(frozen=True)
class MeasuredRun:
    """One finished run.

    Attributes:
        group: What it is one run of.
        seed: Its seed.
        run: Its name.
        about: best_epoch, epochs, seconds, parameters, trained_parameters, history.
        per_query: Per query of validation: label and the metrics, in the order of the protocol.
    """

    group: str
    seed: int
    run: str
    about: dict[str, Any]
    per_query: pd.DataFrame


@dataclass(frozen=True)
class Comparison:
    """What a grid of runs says.

    Attributes:
        runs: Every run.
        protocol: Of their measurement, in words.
        table: A row per group, best first: the mean over seeds of each metric, `low` and `high` of accuracy@1 (95 %),
            `spread` (standard deviation between seeds), seeds, best epoch (median), seconds (median), parameters.
        tests: A row per pair of groups: first, second, difference of accuracy@1, its interval, p, and p after Holm's
            correction.
        diverged: Group -> how many runs of it are left out, since their loss became no number.
    """

    runs: list[MeasuredRun]
    protocol: str
    table: pd.DataFrame
    tests: pd.DataFrame
    diverged: dict[str, int]

    @property
    def arithmetic(self) -> str:
        """That of all runs, in words; empty where runs do not tell it."""
        names = list(dict.fromkeys(run.about["arithmetic"] for run in self.runs if "arithmetic" in run.about))
        again = f" (trainer.precision={names[0]} gives the same elsewhere)" if len(names) == 1 else ""
        return f"arithmetic: {', '.join(names)}{again}" if names else ""

    def figures(self) -> dict[str, float]:
        """Name -> value, for a tracker."""
        names = ("accuracy@1", "low", "high", "mAP")
        return {f"{row['group']}/{name}": float(row[name]) for row in self.table.to_dict("records") for name in names}

    def __str__(self) -> str:
        return "\n".join(filter(None, (markdown(self), self.arithmetic, self.sentence)))

    @property
    def sentence(self) -> str:
        """What is better, by how much, and whether the data can tell."""
        table, seeds = self.table, int(self.table["seeds"].min())
        if len(table) == 1 and not self.diverged:
            alone = (
                f"accuracy@1 {table['accuracy@1'].iloc[0]:.4f}, mean of {seeds} seed(s); there is nothing to compare."
            )
            return " ".join([alone, *self._warnings()])
        whole = table[~table["group"].isin(list(self.diverged))]
        if whole.empty:
            return " ".join(["Every setting lost runs, so none is named the best.", *self._warnings()])
        exact = whole["accuracy@1"].round(9)
        best = whole.loc[exact == exact.max(), "group"].tolist()
        has, pronoun = ("has", "it") if len(best) == 1 else ("have", "them")
        of = "" if len(whole) == len(table) else " of the settings that lost no run"
        parts = [f"{' and '.join(best)} {has} the highest mean accuracy@1{of} ({exact.max():.4f})"]
        worse, alike = [], []
        for row in self.tests.to_dict("records"):
            pair = [row["first"], row["second"]]
            rival = next((name for name in pair if name not in best), None)
            if best[0] not in pair or rival is None or rival in self.diverged:
                continue
            if row["p_holm"] < 0.05:
                worse.append(f"{rival} by {100 * abs(row['difference']):.1f} points (p = {row['p_holm']:.3f})")
            else:
                alike.append(str(rival))
        if worse:
            parts.append(f"better than {' and '.join(worse)}")
        if alike or len(best) > 1:
            queries = len(self.runs[0].per_query)
            apart = f"{pronoun} from {', '.join(alike)}" if alike else "them from each other"
            parts.append(f"{queries} queries and {seeds} seed(s) cannot tell {apart}")
        return " ".join(["; ".join(parts) + ".", *self._warnings()])

    def _warnings(self) -> list[str]:
        """What the figures hide."""
        sentences = []
        if self.table["seeds"].min() == 1:
            sentences.append("With one seed, what another seed would change is not measured.")
        for group, lost in self.diverged.items():
            kept = sum(run.group == group for run in self.runs)
            consequence = "so its figure flatters it" if kept else "so it has no figure"
            sentences.append(f"{lost} of {lost + kept} runs of {group} diverged and are left out, {consequence}.")
        return sentences


def conclude(runs: list[MeasuredRun], protocol: str, diverged: dict[str, int] | None = None) -> Comparison:
    """Compares finished runs.

    Args:
        runs: At least one; all measured on the same queries.
        protocol: How, in words.
        diverged: See `Comparison`.

    Raises:
        ComparisonError: There is none, they were measured on different queries, or trained in different arithmetics
            that nobody asked for.
    """
    if not runs:
        lost = f", {sum(diverged.values())} diverged: lower the learning rates" if diverged else ": start it again"
        raise ComparisonError(f"no finished run to compare{lost}, or give other settings")
    labels = runs[0].per_query["label"].to_numpy(str)
    for run in runs:
        if len(run.per_query) != len(labels) or (run.per_query["label"].to_numpy(str) != labels).any():
            raise ComparisonError(
                f"{run.run}: measured on other queries than {runs[0].run}: expected the same validation images for "
                "all; give name=<another> to run all of them again"
            )
    _same_arithmetic(runs)
    members: dict[str, list[MeasuredRun]] = {}
    for run in runs:
        members.setdefault(run.group, []).append(run)
    groups = [
        Group(name, np.stack([run.per_query["accuracy@1"].to_numpy(float) for run in part]))
        for name, part in members.items()
    ]
    intervals, tests = compare_groups(groups, labels)
    table = pd.DataFrame([_row(group, members[group.name], intervals[group.name]) for group in groups])
    exact = table[["accuracy@1", "mAP"]].round(9)  # sums in another order are no difference
    table = table.loc[exact.sort_values(["accuracy@1", "mAP"], ascending=False, kind="stable").index]
    return Comparison(runs, protocol, table.reset_index(drop=True), tests, diverged or {})


def _same_arithmetic(runs: list[MeasuredRun]) -> None:
    """Refuses runs whose arithmetic a clock chose, each another: what differs may then be the rounding."""
    first: dict[str, str] = {}
    for run in runs:
        asked = run.about.get("settings", {}).get("trainer", {}).get("precision", "auto")
        if asked == "auto" and "arithmetic" in run.about:
            first.setdefault(run.about["arithmetic"], run.run)
    if len(first) > 1:
        mixed = ", ".join(f"{arithmetic} ({name})" for arithmetic, name in first.items())
        raise ComparisonError(
            f"expected one arithmetic for all runs, got {mixed}: give name=<another> to run all of them again, or "
            f"trainer.precision={next(iter(first))} with it"
        )


def _row(group: Group, runs: list[MeasuredRun], interval: tuple[float, float]) -> dict[str, Any]:
    """The line of one group in the table of a comparison."""
    means = {title: float(np.mean([_mean(run.per_query, metric) for run in runs])) for metric, title in METRICS.items()}
    return {
        "group": group.name,
        **means,
        "low": interval[0],
        "high": interval[1],
        "spread": float(group.right.mean(1).std(ddof=1)) if len(runs) > 1 else float("nan"),
        "seeds": len(runs),
        **{name: float(np.median([run.about[name] for run in runs])) for name in ("best_epoch", "seconds")},
        "trained_parameters": int(runs[0].about["trained_parameters"]),
    }


def tables(comparison: Comparison) -> list[tuple[list[str], list[list[str]]]]:
    """Heads and rows: the groups, best first, and where there are several, their pairs."""
    groups = []
    for row in comparison.table.to_dict("records"):
        spread = f"{row['spread']:.4f}" if np.isfinite(row["spread"]) else ""
        best, seconds = f"{row['best_epoch']:g}", f"{row['seconds']:.0f}"
        scores = [f"{row['accuracy@1']:.4f}", f"{row['low']:.4f} to {row['high']:.4f}", spread]
        more = [f"{row['accuracy@5']:.4f}", f"{row['mAP']:.4f}", best, seconds]
        groups.append([str(row["group"]), *scores, *more, f"{row['trained_parameters'] / 1e6:.2f} M"])
    heads = ["setting", "accuracy@1", "95 %", "between seeds", "accuracy@5", "mAP", "best epoch", "seconds", "trained"]
    pairs = [
        [
            f"{row['second']} - {row['first']}",
            f"{row['difference']:+.4f}",
            f"{row['low']:+.4f} to {row['high']:+.4f}",
            f"{row['p']:.3f}",
            f"{row['p_holm']:.3f}",
        ]
        for row in comparison.tests.to_dict("records")
    ]
    of_pairs = (["pair", "difference of accuracy@1", "95 %", "p", "p, corrected"], pairs)
    return [(heads, groups), *([of_pairs] if pairs else [])]


def markdown(comparison: Comparison) -> str:
    """The same in Markdown."""
    parts = []
    for heads, rows in tables(comparison):
        lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(parts)


def _mean(per_query: pd.DataFrame, metric: str) -> float:
    rows = per_query if metric.startswith("accuracy") else per_query[per_query["positives"] > 0]
    return float(rows[metric].mean())
