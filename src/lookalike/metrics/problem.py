"""One retrieval problem: who asks, who answers, and which references count for each query.

Letters in shapes: Q queries, R references, L labels, D embedding, B some of the queries, N some of the references.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lookalike.metrics.columns import EvaluationError, column_of, marks_of
from lookalike.metrics.inputs import camera_ids, label_ids, one_each, own_rows
from lookalike.metrics.sightings import NO_TIME_RULES, Sightings, TimeRules, Times, sightings_of
from lookalike.metrics.valid_references import left_out

_ALL = slice(None)
_PAIRS = 1 << 20  # looked at together
_NEVER = np.zeros(1, bool)
_TYPES = {"query_labels": "int64", "reference_labels": "int64", "ignore": "bool", "own_row": "int64"}
_TYPES |= {"query_cameras": "int64", "reference_cameras": "int64"}


@dataclass(frozen=True, eq=False)
class Problem:
    """Labels, cameras and marks of queries and references, checked when it is built.

    Attributes:
        query_labels: int64 [Q], label ids from 0 to L - 1.
        reference_labels: int64 [R], of the same numbering.
        names: object [L], the text of each id.
        ignore: bool [R], references that neither help nor hurt.
        own_row: int64 [Q], the reference row that is the query itself, or -1.
        query_cameras: int64 [Q], `NO_QUERY_CAMERA` where missing; None where no camera rule applies.
        reference_cameras: int64 [R], `NO_REFERENCE_CAMERA` where missing; None likewise.
        sightings: Times and cameras, where a rule asks for times.
    """

    query_labels: np.ndarray
    reference_labels: np.ndarray
    names: np.ndarray
    ignore: np.ndarray
    own_row: np.ndarray
    query_cameras: np.ndarray | None = None
    reference_cameras: np.ndarray | None = None
    sightings: Sightings | None = None

    def __post_init__(self) -> None:
        """Refuses arrays that do not belong together."""
        if (self.query_cameras is None) != (self.reference_cameras is None):
            raise EvaluationError("expected cameras of queries and of references, or of neither, got those of one side")
        sizes = dict(zip(_TYPES, [*self.rows, *self.rows[::-1], *self.rows], strict=True))
        for name, size in sizes.items():
            values = getattr(self, name)
            if values is None:
                continue
            if np.shape(values) != (size,):
                raise EvaluationError(f"expected {name} of shape ({size},), got {np.shape(values)}")
            if values.dtype != _TYPES[name]:
                raise EvaluationError(f"expected {name} of {_TYPES[name]}, got {values.dtype}")
        ranges = {"query_labels": (0, len(self.names)), "reference_labels": (0, len(self.names))}
        for name, (low, end) in (ranges | {"own_row": (-1, len(self.reference_labels))}).items():
            values = getattr(self, name)
            if len(values) and (values.min() < low or values.max() >= end):
                raise EvaluationError(f"expected {name} in {low}..{end - 1}, got {values.min()} to {values.max()}")

    @classmethod
    def of(
        cls,
        query_labels: Sequence[Any] | np.ndarray,
        reference_labels: Sequence[Any] | np.ndarray,
        *,
        query_cameras: Sequence[Any] | np.ndarray | None = None,
        reference_cameras: Sequence[Any] | np.ndarray | None = None,
        ignore: np.ndarray | None = None,
        exclude_self: bool | Sequence[int] | np.ndarray = False,
        camera_rule: bool = True,
        query_times: Times | None = None,
        reference_times: Times | None = None,
        time_rules: TimeRules = NO_TIME_RULES,
        rows: tuple[int, int] | None = None,
    ) -> "Problem":
        """The problem of labels and cameras as people have them.

        Args:
            query_labels: Q labels, strings or whole numbers (compared as text).
            reference_labels: R labels.
            query_cameras: Q cameras, missing where unknown; the camera rule needs both sides.
            reference_cameras: R cameras.
            ignore: bool [R], references that neither help nor hurt.
            exclude_self: True when queries are the references row by row; or int [Q], the own row of each query or -1.
            camera_rule: Whether references of the query's label and camera are left out.
            query_times: When each query was taken, where a rule asks for it: see `evaluate`.
            reference_times: The same of the references.
            time_rules: Which rules ask for times.
            rows: Q and R of the embeddings, to be compared with the labels.

        Raises:
            EvaluationError: Numbers differ, a label is missing, a row is none, or a rule asks for what is not given.
        """
        if not isinstance(camera_rule, bool | np.bool_):
            raise EvaluationError(f"camera_rule: expected True or False, got {camera_rule!r}")
        query_labels = column_of(query_labels, "query labels")
        reference_labels = column_of(reference_labels, "reference labels")
        query_cameras = None if query_cameras is None else column_of(query_cameras, "query cameras")
        reference_cameras = None if reference_cameras is None else column_of(reference_cameras, "reference cameras")
        ignore = None if ignore is None else marks_of(ignore, "ignore")
        queries, references = rows or (len(query_labels), len(reference_labels))
        one_each("query", queries, label=query_labels, camera=query_cameras)
        one_each("reference", references, label=reference_labels, camera=reference_cameras, ignore=ignore)
        own_row = own_rows(exclude_self, queries, references)
        ids, names = label_ids(query_labels, reference_labels)
        marks = np.zeros(references, bool) if ignore is None else ignore
        cameras: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
        if camera_rule and query_cameras is not None and reference_cameras is not None:
            cameras = camera_ids(query_cameras, reference_cameras)
        times, seen = (query_times, reference_times), (query_cameras, reference_cameras)
        sightings = sightings_of(time_rules, times, seen, (queries, references), bool(camera_rule))
        return cls(ids[:queries], ids[queries:], names, marks, own_row, *cameras, sightings)

    @classmethod
    def unlabelled(cls, ignore: np.ndarray, own_row: np.ndarray) -> "Problem":
        """A problem in which labels and cameras play no role: no reference is a positive.

        Args:
            ignore: bool [R].
            own_row: int64 [Q].
        """
        labels = np.zeros(len(own_row), np.int64), np.ones(len(ignore), np.int64)
        return cls(*labels, np.array(["query", "reference"], object), ignore, own_row)

    @property
    def rows(self) -> tuple[int, int]:
        """Q and R."""
        return len(self.query_labels), len(self.reference_labels)

    def check_rows(self, query: np.ndarray, reference: np.ndarray) -> None:
        """Refuses embeddings [Q, D] and [R, D] of other numbers.

        Raises:
            EvaluationError: They are.
        """
        one_each("query", len(query), label=self.query_labels)
        one_each("reference", len(reference), label=self.reference_labels)

    def part(self, queries: np.ndarray, references: np.ndarray) -> "Problem":
        """The problem of some queries and some references, int64 rows; an own row that is not among them is none."""
        place = np.full(len(self.reference_labels) + 1, -1)  # the last place is that of no own row
        place[references] = np.arange(len(references))
        seen, seen_by = self.query_cameras, self.reference_cameras
        return replace(
            self,
            query_labels=self.query_labels[queries],
            reference_labels=self.reference_labels[references],
            ignore=self.ignore[references],
            own_row=place[self.own_row[queries]],
            query_cameras=None if seen is None else seen[queries],
            reference_cameras=None if seen_by is None else seen_by[references],
            sightings=self.sightings and self.sightings.part(queries, references),
        )

    def without_cameras(self) -> "Problem":
        """The same, with the camera rule off."""
        return replace(self, query_cameras=None, reference_cameras=None)

    def same_label(self, queries: int | slice | np.ndarray, references: slice | np.ndarray = _ALL) -> np.ndarray:
        """Whether references have the label of queries; arguments and result as of `valid`."""
        same: np.ndarray = self.query_labels[queries, None] == self.reference_labels[references]
        return same

    def valid(self, queries: int | slice | np.ndarray, references: slice | np.ndarray = _ALL) -> np.ndarray:
        """Whether references count for queries.

        Args:
            queries: One query; or several, as a slice or int64 [B].
            references: All R, a slice of them, or int64 [N], some rows.

        Returns:
            bool [N] for one query, bool [B, N] for several.
        """
        rows = np.arange(len(self.reference_labels))[references] if isinstance(references, slice) else references
        same_camera = elsewhere = _NEVER
        if self.query_cameras is not None and self.reference_cameras is not None:
            same_camera = self.query_cameras[queries, None] == self.reference_cameras[references]
        if self.sightings is not None:
            same_camera = same_camera & self.sightings.within_camera_rule(queries, rows)
            elsewhere = self.sightings.elsewhere_of(queries, rows)
        itself = self.own_row[queries, None] == rows
        same_label = self.same_label(queries, references)
        valid: np.ndarray = ~left_out(self.ignore[rows], itself, same_label, same_camera, elsewhere)
        return valid

    def enrolled(self) -> np.ndarray:
        """Whether another reference that counts has the query's label, bool [Q]; cameras and times do not matter."""
        never = np.zeros(len(self.ignore), bool)
        counting = ~left_out(self.ignore, never, never, never, never)
        counts = np.bincount(self.reference_labels[counting], minlength=len(self.names))[self.query_labels]
        own = np.flatnonzero(self.own_row >= 0)
        rows = self.own_row[own]
        counts[own] -= counting[rows] & (self.reference_labels[rows] == self.query_labels[own])
        enrolled: np.ndarray = counts > 0
        return enrolled

    def seen_elsewhere(self) -> np.ndarray:
        """Whether another camera saw the query's own label at its time, bool [Q]; that rule is on.

        Where it did, cameras see the same place, clocks differ, or a label is wrong.
        """
        assert self.sightings is not None
        seen = np.zeros(len(self.query_labels), bool)
        asking, answering = (np.argsort(side, kind="stable") for side in (self.query_labels, self.reference_labels))
        sides = (self.query_labels[asking], self.reference_labels[answering])
        each = np.arange(len(self.names) + 1)
        starts, answers = (np.searchsorted(side, each) for side in sides)
        for label in range(len(self.names)):
            rows = answering[answers[label] : answers[label + 1]]
            rows, mine = rows[~self.ignore[rows]], asking[starts[label] : starts[label + 1]]
            step = max(1, _PAIRS // max(1, len(rows)))
            for first in range(0, len(mine) if len(rows) else 0, step):
                few = mine[first : first + step]
                away = self.sightings.elsewhere_of(few, rows) & (self.own_row[few, None] != rows)
                seen[few] = away.any(1)
        return seen

    def counts(self) -> dict[str, int]:
        """How many queries, queries_of_unknown_label, references, ignored ones and distractors there are.

        Where a rule asks for times, also how many queries are `queries_seen_elsewhere`, and `without_time`.
        """
        asked = np.zeros(len(self.names), bool)
        asked[self.query_labels] = True
        times = {}
        if self.sightings is not None:
            seen = int(self.seen_elsewhere().sum()) if self.sightings.elsewhere >= 0 else 0
            times = {"queries_seen_elsewhere": seen, "without_time": self.sightings.without_time()}
        return {
            "queries": len(self.query_labels),
            "queries_of_unknown_label": int((~self.enrolled()).sum()),
            "references": int((~self.ignore).sum()),
            "ignored": int(self.ignore.sum()),
            "distractors": int((~asked[self.reference_labels] & ~self.ignore).sum()),
            **times,
        }
