"""What a person wants to see of a trained model on a split: everything its page shows, as plain values.

Letters in shapes: Q queries, R references, D embedding, P points of the map.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from lookalike.data.any_image import read_any
from lookalike.data.images import ImageError
from lookalike.data.manifest import Manifest, boxes_of
from lookalike.data.orientation import Pixels
from lookalike.data.protocol import Protocol
from lookalike.data.thumbnail import thumbnail
from lookalike.evaluation.assessment import Assessment, worst_rows
from lookalike.evaluation.identify import Identification
from lookalike.evaluation.standard import StandardFigures
from lookalike.evaluation.unknown_queries import UnknownQueries, unknown_queries
from lookalike.inference.bundle import Bundle
from lookalike.inference.bundle_config import MeasuredConfig, ThresholdConfig
from lookalike.inference.feature_maps import FeatureMaps, NotASumError, Parts
from lookalike.reports.map import Map, lay_out
from lookalike.reports.similarities import Similarities, compare_similarities

_QUALITY = 72  # of the pictures, as JPEG: a page holds hundreds


@dataclass(frozen=True)
class Report:
    """Everything the page shows.

    Attributes:
        bundle: The model.
        manifest: The data set.
        protocol: Who asked and who answered.
        split: Of the queries.
        identification: The figures.
        similarities: See `Similarities`.
        map: See `Map`.
        data: The data set's folder or table, as it was given.
        precision: Of the arithmetic that the network ran in.
        twice: How many queries have a copy of their own file among the references that answers.
        standard: What the papers print that use the data set; None where there is none.
    """

    bundle: Bundle
    manifest: Manifest
    protocol: Protocol
    split: str
    identification: Identification
    similarities: Similarities
    map: Map
    data: str
    precision: str
    twice: int = 0
    standard: StandardFigures | None = None

    @property
    def nearest_impostor(self) -> np.ndarray:
        """Similarity of each query to the nearest reference of another label, where there is one."""
        per_query = self.identification.result.per_query
        values = per_query["similarity"].where(~per_query["known"], per_query["similarity_other"]).to_numpy(float)
        finite: np.ndarray = values[np.isfinite(values)]
        return finite

    @property
    def nearest_genuine(self) -> np.ndarray:
        """Similarity of each query to the nearest reference of its own label, where there is one."""
        values = self.similarities.nearest_genuine
        finite: np.ndarray = values[np.isfinite(values)]
        return finite

    @property
    def thresholds(self) -> list[ThresholdConfig]:
        """Of the bundle."""
        return self.bundle.config.open_set.thresholds

    @cached_property
    def unknown_queries(self) -> UnknownQueries | None:
        """How well queries of labels without a reference are told from the others; None where there are none."""
        return unknown_queries(self.identification.result, self.bundle.config.open_set)

    @property
    def threshold_in_use(self) -> ThresholdConfig | None:
        """Below which `predict` says unknown unless told otherwise; None for never."""
        rate = self.bundle.config.open_set.false_accept_rate
        return next((entry for entry in self.thresholds if entry.false_accept_rate == rate), None)

    @property
    def rejected(self) -> pd.Series | None:
        """Whether the threshold in use calls a query unknown, bool [Q]; None where none is in use."""
        used = self.threshold_in_use
        return None if used is None else self.identification.result.per_query["similarity"] <= used.similarity

    @property
    def of_training(self) -> bool:
        """Whether the validation split is, by its counts, the one that the epoch was chosen on."""
        chosen = self.bundle.config.metrics.get("validation", MeasuredConfig()).counts
        counts = self.identification.result.counts
        return all(chosen.get(name) == counts[name] for name in ("queries", "references", "distractors"))

    def per_class(self) -> pd.DataFrame:
        """A row per label of a query, worst first: queries, references, accuracy@1, map, most often taken for."""
        table = self.identification.result.per_label()
        references = self.protocol.references.loc[~self.protocol.references["ignore"].to_numpy(bool), "label"]
        table.insert(2, "references", table["label"].map(references.value_counts()).fillna(0).astype(int))
        mistakes = self.mistakes().drop_duplicates("label").set_index("label")
        table["taken for"] = table["label"].map(mistakes["predicted"]).fillna("")
        return table

    def mistakes(self) -> pd.DataFrame:
        """Pairs of labels that were confused, most often first: label, predicted, count, share of its queries.

        A query whose label no reference has cannot be taken for another one: a threshold decides on it.
        """
        per_query = self.identification.result.per_query
        per_query = per_query[per_query["known"]]
        counts = per_query.groupby(["label", "predicted"]).size().rename("count").reset_index()
        counts["share"] = counts["count"] / counts["label"].map(per_query["label"].value_counts())
        wrong = counts[counts["label"] != counts["predicted"]]
        return wrong.sort_values(["count", "share"], ascending=False, kind="stable").reset_index(drop=True)

    def worst(self, most: int) -> list[int]:
        """Queries with the lowest average precision."""
        return [int(row) for row in worst_rows(self.identification.result.per_query)[:most]]

    def best(self, most: int) -> list[int]:
        """Right answers that were furthest from a wrong one, at most one per label."""
        per_query = self.identification.result.per_query
        right = per_query[per_query["predicted"] == per_query["label"]]
        margin = right["similarity"] - right["similarity_other"]
        order = margin.sort_values(ascending=False, kind="stable").index
        return [int(row) for row in right.loc[order].drop_duplicates("label").index[:most]]

    @cached_property
    def maps(self) -> FeatureMaps | None:
        """What tells which regions make images similar; None where a similarity is no sum over regions."""
        if self.bundle.config.precision == "int8":
            return None
        try:
            return FeatureMaps(self.bundle.graph, self.bundle.pixels)
        except NotASumError:
            return None

    def seen(self, table: pd.DataFrame, row: int) -> tuple[Pixels, Parts] | None:
        """The picture of a row as the network sees it, and what its regions add; None where either cannot be had.

        Args:
            table: Queries or references.
            row: Of it.
        """
        image = table.iloc[[row]]
        if self.maps is None:
            return None
        try:
            picture = read_any(self.manifest.file(image["path"].iloc[0]), self.maps.pixels, boxes_of(image)[0])
            return picture, self.maps.parts(picture)
        except (ImageError, NotASumError):
            return None

    def thumbnail(self, table: pd.DataFrame, row: int, side: int) -> bytes:
        """A picture of a row as JPEG of side x side pixels; empty where it cannot be read."""
        image = table.iloc[[row]]
        file, boxes = self.manifest.file(image["path"].iloc[0]), boxes_of(image)
        try:
            return thumbnail(file, side, boxes[0], quality=_QUALITY)
        except ImageError:
            return b""


def gather(assessment: Assessment, bundle: Bundle, umap: bool) -> Report:
    """What a page about a model shows.

    Args:
        assessment: The model on a split.
        bundle: The model.
        umap: Also lay the map out by UMAP, where that is installed.
    """
    protocol, embedded = assessment.protocol, assessment.embedded
    similarities = compare_similarities(embedded.queries, embedded.references, protocol, assessment.camera_rule)
    layout = lay_out(embedded.queries, embedded.references, protocol, umap)
    return Report(
        bundle,
        assessment.manifest,
        protocol,
        assessment.split,
        assessment.identification,
        similarities,
        layout,
        str(assessment.about.get("data") or assessment.manifest.root),
        assessment.about["precision"],
        assessment.protocol.copies if assessment.protocol.copies_kept else 0,
        assessment.standard,
    )
