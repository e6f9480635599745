"""Who asks, who answers, and which references count, in one split of a data set.

Letters in shapes: Q queries, R references.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from lookalike.data.tables import ManifestError
from lookalike.data.taken import spans
from lookalike.metrics.problem import Problem
from lookalike.metrics.sightings import NO_TIME_RULES, TimeRules, Times


@dataclass(frozen=True)
class Tracklets:
    """How images were pooled into tracklets, whose rows a protocol then holds.

    Attributes:
        pool: Per number of the embedding.
        query_images: How many images the queries are made of.
        reference_images: The same of the references.
        several: The folder whose images of a query's label and camera ask together, where the queries are made so.
    """

    pool: Literal["mean", "max"]
    query_images: int
    reference_images: int
    several: str = ""

    def __str__(self) -> str:
        if self.several:
            what = f"images of its label and camera in {self.several}, {self.query_images} in all"
            return f"multi-query: each asks as the {self.pool} of the embeddings of the {what}"
        return f"tracklets of {self.query_images} and {self.reference_images} images, {self.pool} of their embeddings"


@dataclass(frozen=True)
class Protocol:
    """Who asks and who answers in one split.

    Attributes:
        references: Rows that are searched, in manifest order.
        queries: Rows that ask, in manifest order.
        own_row: int64 [Q], the row of each query among the references, -1 when it is not one of them.
        split: What the queries are of.
        from_training: Whether the references are the original training images, not of the split itself.
        distractors: How many references are marked as nobody's match by their label.
        of_training: How many references are training images, where the split brings some of its own.
        copies: How many queries have a copy of their own file, byte for byte, among the references.
        copies_kept: Whether these copies answer; else they are left out.
        tracklets: How images became tracklets; None where each row is an image.
        several: As in `Tracklets`, before images are pooled.
        searched: What the references are where they are not of the data set, such as `the gallery shop`.
    """

    references: pd.DataFrame
    queries: pd.DataFrame
    own_row: np.ndarray
    split: str = ""
    from_training: bool = False
    distractors: int = 0
    of_training: int = 0
    copies: int = 0
    copies_kept: bool = False
    tracklets: Tracklets | None = None
    searched: str = ""
    several: str = ""

    def problem(self, camera_rule: bool, time_rules: TimeRules = NO_TIME_RULES) -> Problem:
        """Labels, cameras and marks as a retrieval problem: which references count for each query.

        Args:
            camera_rule: Leave out references of the query's own label and camera, where cameras are known.
            time_rules: Rules that ask when images were taken, see `taken`.

        Raises:
            ManifestError: A rule asks for times or cameras that are not there.
        """
        sides = self.queries, self.references
        labels = [side["label"].tolist() for side in sides]
        cameras = [side["camera"].astype(object).tolist() for side in sides]
        asked: Times | None = None
        answered: Times | None = None
        if time_rules:
            if any(side["camera"].isna().all() for side in sides):
                raise ManifestError(
                    "camera_rule_seconds and elsewhere_seconds: no query or no reference has a camera: give a column "
                    "camera, or leave the rule out"
                )
            asked, answered = spans(*sides)
        return Problem.of(
            *labels,
            query_cameras=cameras[0],
            reference_cameras=cameras[1],
            ignore=self.references["ignore"].to_numpy(bool),
            exclude_self=self.own_row,
            camera_rule=camera_rule and any(side["camera"].notna().any() for side in sides),
            query_times=asked,
            reference_times=answered,
            time_rules=time_rules,
        )

    @property
    def source(self) -> str:
        """Where queries and references come from, in words, and what became of copies."""
        if not self.copies:
            return self._whole_sides
        what = "still answer, so figures are too good" if self.copies_kept else "left out"
        return f"{self._whole_sides}; copies of {self.copies} queries among the references {what}"

    @property
    def _whole_sides(self) -> str:
        return f"{self._sides}; {self.tracklets}" if self.tracklets else self._sides

    @property
    def _sides(self) -> str:
        if self.searched:
            of = f" of split {self.split}" if self.split else ""
            return f"{len(self.queries)} queries{of}, {len(self.references)} references: {self.searched}"
        if self.from_training:
            return (
                f"{len(self.queries)} queries of split {self.split}, {len(self.references)} references: "
                "the original training images"
            )
        if self.of_training:
            own = len(self.references) - self.of_training
            return (
                f"{len(self.queries)} queries of split {self.split}, {len(self.references)} references: "
                f"{self.of_training} training images and {own} of split {self.split}"
            )
        return f"{len(self.queries)} queries and {len(self.references)} references, both of split {self.split}"

    @property
    def text(self) -> str:
        """The same, with what else is among the references, before anything is measured."""
        counts = {"distractors": self.distractors, "junk": int(self.references["ignore"].sum())}
        extras = [f"{count} {name}" for name, count in counts.items() if count]
        own = ["a query never finds itself"] if (self.own_row >= 0).any() else []
        return "; ".join([self.source, *extras, *own])
