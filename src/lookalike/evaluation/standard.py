"""The figures that the papers print that use a data set, measured by their protocol.

Letters in shapes: Q queries, R references, D embedding.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from lookalike.data.copies import without_copies
from lookalike.data.layouts.layout import Standard
from lookalike.data.manifest import Manifest, boxes_of
from lookalike.data.protocol import Protocol
from lookalike.data.tables import ManifestError
from lookalike.evaluation.identify import Rules, evaluate_rows
from lookalike.evaluation.paper_rule import paper_row, with_copies
from lookalike.evaluation.tracklets import Pool
from lookalike.metrics.result import RetrievalResult


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        mean: 0 to 1; over all draws where there are several.
        deviation: Standard deviation of a draw (with n - 1); None where there is one gallery.
        interval_95: Of one gallery, by drawing labels; None of several, and where there is one label.
    """

    mean: float
    deviation: float | None = None
    interval_95: tuple[float, float] | None = None

    def __str__(self) -> str:
        return f"{self.mean:.4f}" + ("" if self.deviation is None else f" +- {self.deviation:.4f}")


@dataclass(frozen=True)
class StandardFigures:
    """What the papers print.

    Attributes:
        data_set: Its layout, by name.
        standard: The protocol.
        draws: How many galleries were measured; their seeds are 0 to `draws` - 1.
        figures: Name of a test (`test` where there is one) -> name of a metric, as the papers call it -> figure.
        references: Name of a test -> how many references its galleries have.
        without_positive: How many queries no reference can answer; `standard.lone_missed` says what becomes of them.
    """

    data_set: str
    standard: Standard
    draws: int
    figures: dict[str, dict[str, Figure]]
    references: dict[str, int]
    without_positive: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "data_set": self.data_set,
            "protocol": self.standard.protocol,
            "source": self.standard.source,
            "average_precision": self.standard.average_precision,
            "draws": self.draws,
            "names": {self.standard.called(name): name for name in self.standard.metrics},
            "queries_without_positive": self.without_positive,
            "lone_missed": self.standard.lone_missed,
            "references": self.references,
            "figures": {test: {name: asdict(part) for name, part in row.items()} for test, row in self.figures.items()},
        }

    def named(self) -> dict[str, float]:
        """Means and deviations over drawn galleries, for a record; the figures of one gallery are recorded anyway."""
        values = {}
        for test, row in self.figures.items():
            for name, figure in row.items():
                if figure.deviation is not None:
                    values[f"standard/{test}/{name}"] = figure.mean
                    values[f"standard/{test}/{name}_deviation"] = figure.deviation
        return values

    def __str__(self) -> str:
        several = f"; mean and standard deviation of {self.draws} random galleries" if self.draws > 1 else ""
        what = "missed" if self.standard.lone_missed else "left out"
        lone = f"; {self.without_positive} queries that no reference can answer are {what}"
        said = f"{self.standard.protocol}{several}{lone if self.without_positive else ''}"
        lines = [f"as papers on {self.data_set} print it: {said}"]
        for test, row in self.figures.items():
            parts = ", ".join(f"{name} {figure}" for name, figure in row.items())
            lines.append(f"{test}: {parts}   {self.references[test]} references")
        return "\n".join(lines)


def standard_figures(
    manifest: Manifest,
    rules: Rules,
    *,
    result: RetrievalResult | None = None,
    protocol: Protocol | None = None,
    queries: np.ndarray | None = None,
    references: np.ndarray | None = None,
) -> StandardFigures | None:
    """The figures of a data set by the protocol of its papers; None where the rules asked for are others.

    Copies of a file ask and answer as any other image, as in the papers, whatever `keep_copies` says.

    Args:
        manifest: The data set; it has a `standard`.
        rules: How embeddings are compared.
        result: What was measured, where there is one gallery.
        protocol: Who asks and answers, or can where galleries are drawn.
        queries: Their embeddings, float32 [Q, D]; none where galleries are drawn.
        references: Those of what answers, float32 [R, D].

    Raises:
        ManifestError: No gallery can be drawn.
    """
    standard = manifest.standard
    assert standard is not None
    by_tracklet = standard.tracklets and rules.pool not in (None, "mean")
    camera_rule = standard.camera_rule and not rules.camera_rule
    if rules.rerank != "none" or camera_rule or by_tracklet or rules.time_rules:
        return None
    assert protocol is not None
    assert references is not None
    if protocol.several:
        standard = replace(standard, protocol=f"{protocol.tracklets}; {standard.protocol}")
    if result is not None:
        assert queries is not None
        made = paper_row(standard, manifest, rules, result, protocol, (queries, references))
        row = {
            standard.called(name): Figure(value, interval_95=made.intervals_95.get(name))
            for name, value in made.metrics.items()
        }
        sizes = {"test": result.counts["references"]}
        return StandardFigures(manifest.layout, standard, 1, {"test": row}, sizes, made.without_positive)
    figures, sizes = {}, {}
    protocol = with_copies(manifest, protocol, rules.pool)
    for test in _tests(standard, protocol):
        results = []
        for seed in range(standard.draws):
            drawn, queries, answers = draw(protocol, references, test, seed)
            results.append(evaluate_rows(queries, answers, drawn, rules))
        figures[test] = {
            standard.called(name): _over([result.metrics[name] for result in results]) for name in standard.metrics
        }
        sizes[test] = results[0].counts["references"]
    return StandardFigures(manifest.layout, standard, standard.draws, figures, sizes)


def first_view(
    manifest: Manifest, protocol: Protocol, references: np.ndarray, pool: Pool | None = None
) -> tuple[Protocol, np.ndarray, np.ndarray]:
    """The first gallery of the largest test: what tables, pictures and intervals are of; see `draw`.

    A copy of a query's file that is drawn to answer counts as `keep_copies` says, and is told.

    Args:
        manifest: The data set; it has a `standard` with galleries to draw.
        protocol: See `draw`.
        references: See `draw`.
        pool: As in `Rules`.
    """
    assert manifest.standard is not None
    whole = with_copies(manifest, protocol, pool)
    drawn, queries, answers = draw(whole, references, _tests(manifest.standard, whole)[-1], 0)
    boxes = boxes_of(drawn.queries), boxes_of(drawn.references)
    return without_copies(drawn, manifest.file, boxes, manifest.keep_copies), queries, answers


def draw(protocol: Protocol, references: np.ndarray, test: str, seed: int) -> tuple[Protocol, np.ndarray, np.ndarray]:
    """One image of every label answers, the others ask.

    Args:
        protocol: Images that can do both are its references; what is ignored there takes no part.
        references: Their embeddings, float32 [R, D].
        test: Images that name it in the column `tests` take part; `test` for all.
        seed: Which images answer.

    Returns:
        The protocol, and the embeddings of its queries and references.

    Raises:
        ManifestError: No label has two images.
    """
    table = protocol.references
    taking = ~table["ignore"].to_numpy(bool)
    if "tests" in table and test != "test":
        taking &= np.array([test in tests.split() for tests in table["tests"]], bool)
    order = np.random.default_rng(seed).permutation(np.flatnonzero(taking))
    _, first = np.unique(table["label"].to_numpy(str)[order], return_index=True)
    answering = np.zeros(len(table), bool)
    answering[order[first]] = True
    asking = taking & ~answering
    if not asking.any():
        raise ManifestError(
            f"{test}: no label has two images, so that one could answer and another ask: add images, or rows of role "
            "query and reference"
        )
    searched = f"one image of each label of {test}, drawn with seed {seed}"
    drawn = replace(
        protocol,
        references=table[answering],
        queries=table[asking],
        own_row=np.full(int(asking.sum()), -1, np.int64),
        searched=searched,
        from_training=False,
        copies=0,
        copies_kept=False,
    )
    return drawn, references[asking], references[answering]


def _tests(standard: Standard, protocol: Protocol) -> list[str]:
    """The tests that some image names; `test` where galleries are drawn of all."""
    named = {test for tests in protocol.references.get("tests", ()) for test in tests.split()}
    return [test for test in standard.subsets if test in named] or ["test"]


def _over(values: list[float]) -> Figure:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Figure(float(np.mean(values)), deviation)
