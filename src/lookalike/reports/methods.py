"""How a report was measured, as facts and as a paragraph for a paper."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lookalike.inference.bundle_config import ThresholdConfig
from lookalike.metrics.intervals import RESAMPLES
from lookalike.pages import render
from lookalike.reports.model_report import Report
from lookalike.settings.paths import at_home
from lookalike.terminal import visible_line


@dataclass(frozen=True)
class Measured:
    """A figure.

    Attributes:
        value: 0 to 1.
        interval_95: Where there is one.
    """

    value: float
    interval_95: tuple[float, float] | None


@dataclass(frozen=True)
class Methods:
    """Everything that the paragraph says.

    Attributes:
        backbone: A timm model name.
        first_weights: Where they came from, in words.
        dimensions: Of an embedding.
        height: Of an image, pixels.
        width: Of an image, pixels.
        loss: Its name.
        training_images: Augmented copies included.
        training_labels: How many.
        best_epoch: The epoch that was kept, from 1.
        epochs: How many there were.
        seed: Of the training.
        similarity: How embeddings were compared.
        precision: Of the arithmetic that the network ran in.
        data: The data set's folder or table, by its name.
        split: Of the queries.
        queries: How many.
        query_labels: Of how many labels.
        references: How many count.
        reference_labels: Of how many labels.
        labels_trained_on: How many labels of queries took part in training.
        without_positive: Queries without a reference that counts.
        camera_rule: Whether references of the query's label and camera were left out of everything but accuracy.
        own_rows: Whether queries are among the references.
        accuracy: Of the nearest of all references.
        map: Mean average precision by the rules asked for.
        unknown: `UnknownQueries.to_dict` without its curve; None without such queries.
        chosen_on: Per threshold what it was chosen on, in words.
        resamples: Of labels, for intervals.
        versions: Package -> version that was installed where it was measured.
        bundle_versions: Package -> version that was installed where the network was trained and the bundle written.
        fingerprint: Of the bundle.
    """

    backbone: str
    first_weights: str
    dimensions: int
    height: int
    width: int
    loss: str
    training_images: int
    training_labels: int
    best_epoch: int
    epochs: int
    seed: int
    similarity: str
    precision: str
    data: str
    split: str
    queries: int
    query_labels: int
    references: int
    reference_labels: int
    labels_trained_on: int
    without_positive: int
    camera_rule: bool
    own_rows: bool
    accuracy: Measured
    map: Measured
    unknown: Mapping[str, Any] | None
    chosen_on: tuple[str, ...]
    resamples: int
    versions: Mapping[str, str]
    bundle_versions: Mapping[str, str]
    fingerprint: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        unused = self.unknown is not None and not any(entry["in_use"] for entry in self.unknown["thresholds"])
        text = render("methods.txt", **self.to_dict(), between=_between, listed=_listed, none_in_use=unused)
        return "\n".join(line.rstrip() for line in text.strip().split("\n")) + "\n"


def methods_of(report: Report) -> Methods:
    """The facts of a report."""
    config, identification, protocol = report.bundle.config, report.identification, report.protocol
    result, headline, training = identification.result, identification.headline, config.training
    asked = set(protocol.queries["label"])
    answering = protocol.references.loc[~protocol.references["ignore"].to_numpy(bool), "label"]
    unknown = report.unknown_queries.to_dict() if report.unknown_queries else None
    if unknown:
        del unknown["curve"]
    return Methods(
        backbone=config.model.backbone,
        first_weights=config.model.weights_source,
        dimensions=config.model.size,
        height=config.pixels.height,
        width=config.pixels.width,
        loss=config.loss["name"],
        training_images=training.images,
        training_labels=len(config.labels),
        best_epoch=training.best_epoch,
        epochs=training.epochs,
        seed=training.seed,
        similarity=result.conditions.similarity,
        precision=report.precision,
        data=_name(report.data),
        split=report.split,
        queries=len(protocol.queries),
        query_labels=len(asked),
        references=len(answering),
        reference_labels=answering.nunique(),
        labels_trained_on=len(asked & set(config.labels)),
        without_positive=headline.counts["queries_without_positive"],
        camera_rule=result.conditions.camera_rule,
        own_rows=result.conditions.own_rows,
        accuracy=Measured(headline.value, headline.interval),
        map=Measured(result.metrics["map"], result.intervals.get("map")),
        unknown=unknown,
        chosen_on=tuple(map(_chosen_on, report.thresholds)),
        resamples=RESAMPLES,
        versions=_installed(config.versions),
        bundle_versions=config.versions,
        fingerprint=report.bundle.fingerprint,
    )


def _name(data: str) -> str:
    """That of a folder or table, also of one that was given as `.` or `~`."""
    place = at_home(Path(data))
    return visible_line((place.resolve() if place.name in ("", "..") else place).name)


def _installed(packages: Iterable[str]) -> dict[str, str]:
    """Package -> version of those that are installed here; of training, some may not be."""
    versions = {}
    for name in packages:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def _chosen_on(threshold: ThresholdConfig) -> str:
    of = "" if threshold.labels is None else f" of {threshold.labels} labels"
    kind = "that were trained on" if threshold.trained else "that were not trained on"
    return f"on {threshold.queries} images{of} {kind}"


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _between(measured: Mapping[str, Any]) -> str:
    """The interval of a share in percent; empty where it has none."""
    ends = measured["interval_95"]
    return "" if ends is None else " (95 % interval {:.1f} to {:.1f} %)".format(*(100 * end for end in ends))
