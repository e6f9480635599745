"""Who each query of a protocol is, out of all its references, and how well they are retrieved.

Letters in shapes: Q queries, R references, D embedding.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from lookalike.data.protocol import Protocol
from lookalike.data.tables import ManifestError
from lookalike.evaluation.tracklets import Pool
from lookalike.inference.encoder import Device
from lookalike.metrics.camera_pairs import pairs_of_problem
from lookalike.metrics.evaluate import evaluate_problem
from lookalike.metrics.exact_grid import Similarity
from lookalike.metrics.metric_table import metric_table
from lookalike.metrics.options import EvaluationOptions
from lookalike.metrics.rerank_options import Rerank
from lookalike.metrics.result import RetrievalResult
from lookalike.metrics.sightings import NO_TIME_RULES, TimeRules
from lookalike.pages import snippet

_PAIRS = 400  # of cameras, in a table that a person may read


@dataclass(frozen=True)
class Rules:
    """How embeddings of a protocol are compared.

    Attributes:
        camera_rule: Leave out references of the query's own label and camera, where cameras are known.
        similarity: See `evaluate`.
        rerank: See `evaluate`.
        device: See `evaluate`.
        pool: How images of a tracklet become one, see `tracklets.pooling_of`.
        time_rules: Rules that ask when images were taken.
    """

    camera_rule: bool = True
    similarity: Similarity = "cosine"
    rerank: Rerank = "none"
    device: Device = "cpu"
    pool: Pool | None = None
    time_rules: TimeRules = NO_TIME_RULES

    @property
    def over_all(self) -> "Rules":
        """The same without a rule of cameras or times: over all references."""
        return replace(self, camera_rule=False, time_rules=NO_TIME_RULES)


@dataclass(frozen=True)
class Headline:
    """The share of queries whose nearest reference, of all there are, has their label.

    Attributes:
        value: 0 to 1.
        interval: 95 %, where there is one.
        counts: See `RetrievalResult`.
        protocol: How it was measured, in words.
    """

    value: float
    interval: tuple[float, float] | None
    counts: dict[str, int]
    protocol: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        interval = list(self.interval) if self.interval else None
        return {"name": "accuracy", "value": self.value, "interval_95": interval, "protocol": self.protocol}

    def __str__(self) -> str:
        between = "   95 % {:.4f} to {:.4f}".format(*self.interval) if self.interval else ""
        queries, references = self.counts["queries"], self.counts["references"]
        return f"accuracy      {self.value:.4f}{between}   {queries} queries, nearest of all {references} references"


@dataclass(frozen=True)
class Figures:
    """What was measured by one protocol.

    Attributes:
        protocol: In words.
        metrics: Name -> value.
        intervals_95: Name -> (low, high), where there is one.
    """

    protocol: str
    metrics: dict[str, float]
    intervals_95: dict[str, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Identification:
    """Two views of one evaluation: who each query is, out of all references, and retrieval across cameras.

    Attributes:
        result: By the rules asked for.
        whole: Without the camera rule; the same object where no camera rule applied.
        camera_pairs: See `camera_pairs.per_camera_pair`; None where no camera is known, empty where there are too many.
    """

    result: RetrievalResult
    whole: RetrievalResult
    camera_pairs: pd.DataFrame | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """`accuracy` over all references, everything by the rules asked for, `accuracy_whole@k` where they differ."""
        return {"accuracy": self.whole.metrics["accuracy@1"], **self.result.metrics, **self._whole("metrics")}

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Of the same names, where there is one."""
        whole = self.whole.intervals
        first = {"accuracy": whole["accuracy@1"]} if whole else {}
        return {**first, **self.result.intervals, **self._whole("intervals")}

    def _whole(self, part: str) -> dict[str, Any]:
        """The accuracies without the camera rule, where it makes a difference."""
        if self.result is self.whole:
            return {}
        return {name.replace("@", "_whole@"): value for name, value in _accuracies(getattr(self.whole, part)).items()}

    @property
    def headline(self) -> "Headline":
        """The one figure that stands first wherever this is told: terminal, JSON, trackers and pages."""
        interval = self.whole.intervals.get("accuracy@1")
        return Headline(self.whole.metrics["accuracy@1"], interval, self.whole.counts, self.whole.protocol)

    @property
    def groups(self) -> dict[str, "Figures"]:
        """Protocol -> figures by it: two where rules of cameras or times leave references out.

        These are `cross_camera`, or `camera_and_time` where a rule asks for times, and `all_references`.
        """
        if self.result is self.whole:
            return {"": Figures(self.result.protocol, self.result.metrics, self.result.intervals)}
        by_rules = Figures(self.result.protocol, self.result.metrics, self.result.intervals)
        name = "camera_and_time" if self.result.conditions.by_time else "cross_camera"
        accuracies = (_accuracies(part) for part in (self.whole.metrics, self.whole.intervals))
        return {name: by_rules, "all_references": Figures(self.whole.protocol, *accuracies)}

    def named_by_protocol(self) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
        """The headline first, then every figure under the name of its protocol, and their intervals, for a record."""
        metrics = {"accuracy": self.headline.value}
        intervals = {"accuracy": self.headline.interval} if self.headline.interval else {}
        for group, figures in self.groups.items():
            prefix = f"{group}/" if group else ""
            metrics |= {prefix + name: value for name, value in figures.metrics.items()}
            intervals |= {prefix + name: pair for name, pair in figures.intervals_95.items()}
        return metrics, intervals

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        one_view = self.result is self.whole
        pairs = self.camera_pairs
        table = None if pairs is None else pairs.astype(object).where(pairs.notna(), None).to_dict("records")
        groups = {name: asdict(figures) for name, figures in self.groups.items()}
        return {
            "headline": self.headline.to_dict(),
            **self.result.to_dict(),
            **({} if one_view else {"protocol_of_accuracy": self.whole.protocol}),
            "metrics": self.metrics,
            "intervals_95": {name: list(pair) for name, pair in self.intervals.items()},
            **({} if one_view else {"groups": groups}),
            **({} if table is None else {"per_camera_pair": table}),
        }

    def __repr__(self) -> str:
        return f"Identification(accuracy {self.headline.value:.4f}, {self.result!r})"

    def _repr_html_(self) -> str:
        """In a notebook: every figure with its interval."""
        return snippet(repr(self), metric_table(self.metrics, self.intervals))

    def __str__(self) -> str:
        if self.result is self.whole:
            return f"{self.headline}\n{self.result}"
        lines = [line for line in str(self.whole).splitlines() if line.startswith("accuracy@")]
        accuracy = [line.replace("accuracy@", "accuracy_whole@") for line in lines]
        across, without = "across cameras, references of the query's own label and camera left out:", "the camera rule"
        if (conditions := self.result.conditions).by_time:
            across, without = f"by camera and time, {'; '.join(conditions.left_out)}:", "rules of cameras and times"
        titles = [str(self.headline), across, str(self.result), f"over all references, without {without}:"]
        return "\n".join([*titles, *accuracy])


Values = TypeVar("Values")


def _accuracies(values: dict[str, Values]) -> dict[str, Values]:
    return {name: value for name, value in values.items() if name.startswith("accuracy@")}


def evaluate_rows(
    queries: np.ndarray,
    references: np.ndarray,
    protocol: Protocol,
    rules: Rules = Rules(),
) -> RetrievalResult:
    """Evaluates embeddings of a protocol's queries [Q, D] and references [R, D]."""
    options = EvaluationOptions(similarity=rules.similarity, rerank=rules.rerank, device=rules.device)
    result = evaluate_problem(queries, references, protocol.problem(rules.camera_rule, rules.time_rules), options)
    return replace(result, conditions=replace(result.conditions, source=protocol.source))


def identify(queries: np.ndarray, references: np.ndarray, protocol: Protocol, rules: Rules) -> Identification:
    """As `evaluate_rows`, and the accuracy over all references.

    Raises:
        ManifestError: No query has a valid positive, so no retrieval metric exists.
    """
    result = evaluate_rows(queries, references, protocol, rules)
    if not result.counts["queries_with_positive"]:
        cameras = rules.camera_rule and all(
            part["camera"].notna().any() for part in (protocol.queries, protocol.references)
        )
        hint = "; where each person was seen by one camera only, camera_rule=false" if cameras else ""
        asked, answered = (sorted(set(part["label"])) for part in (protocol.queries, protocol.references))
        raise ManifestError(
            f"no query has a valid positive: {len(asked)} query labels ({', '.join(asked[:3])} ...), {len(answered)} "
            f"reference labels ({', '.join(answered[:3])} ...), {len(set(asked) & set(answered))} in common: check the "
            f"labels{hint}"
        )
    pairs = _camera_pairs(queries, references, protocol, rules)
    if not (rules.camera_rule or rules.time_rules) or pairs is None:
        return Identification(result, result, pairs)
    return Identification(result, evaluate_rows(queries, references, protocol, rules.over_all), pairs)


def _camera_pairs(queries: np.ndarray, references: np.ndarray, protocol: Protocol, rules: Rules) -> pd.DataFrame | None:
    """None where no camera is known; empty where there are too many for a table (sequences taken for cameras)."""
    cameras = [part["camera"] for part in (protocol.queries, protocol.references)]
    seen, seen_by = (part.dropna().nunique() for part in cameras)
    if not (seen and seen_by):
        return None
    if seen * seen_by > _PAIRS:
        return pd.DataFrame()
    names = _camera_names(protocol.queries), _camera_names(protocol.references)
    away = replace(rules.time_rules, camera_rule_seconds=None)  # no pair of cameras is under the camera rule
    return pairs_of_problem(queries, references, protocol.problem(True, away), names, rules.similarity)


def _camera_names(part: pd.DataFrame) -> list[Any]:
    """What cameras are called: by names where some have one, as the numbers that stand for them say nothing."""
    if "camera_name" not in part:
        return part["camera"].astype(object).tolist()
    return part["camera_name"].where(part["camera_name"] != "", part["camera"].astype("str")).tolist()
