"""One retrieval problem: who asks, who answers, and which references count for each query.

Letters in shapes: Q queries, R references, L labels, D embedding, B some of the queries, N some of the references.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lookalike.metrics.columns import EvaluationError, column_of, marks_of
from lookalike.metrics.inputs import camera_ids, label_ids, one_each, own_rows
from lookalike.metrics.valid_references import left_out

_ALL = slice(None)
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
    """

    query_labels: np.ndarray
    reference_labels: np.ndarray
    names: np.ndarray
    ignore: np.ndarray
    own_row: np.ndarray
    query_cameras: np.ndarray | None = None
    reference_cameras: np.ndarray | None = None

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
            rows: Q and R of the embeddings, to be compared with the labels.

        Raises:
            EvaluationError: Numbers differ, a label is missing, or a row is none.
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
        return cls(ids[:queries], ids[queries:], names, marks, own_row, *cameras)

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
        same_camera = _NEVER
        if self.query_cameras is not None and self.reference_cameras is not None:
            same_camera = self.query_cameras[queries, None] == self.reference_cameras[references]
        itself = self.own_row[queries, None] == rows
        valid: np.ndarray = ~left_out(self.ignore[rows], itself, self.same_label(queries, references), same_camera)
        return valid

    def enrolled(self) -> np.ndarray:
        """Whether another reference that counts has the query's label, bool [Q]; its camera does not matter here."""
        never = np.zeros(len(self.ignore), bool)
        counting = ~left_out(self.ignore, never, never, never)
        counts = np.bincount(self.reference_labels[counting], minlength=len(self.names))[self.query_labels]
        own = np.flatnonzero(self.own_row >= 0)
        rows = self.own_row[own]
        counts[own] -= counting[rows] & (self.reference_labels[rows] == self.query_labels[own])
        enrolled: np.ndarray = counts > 0
        return enrolled

    def counts(self) -> dict[str, int]:
        """How many queries, queries_of_unknown_label, references, ignored ones and distractors there are."""
        asked = np.zeros(len(self.names), bool)
        asked[self.query_labels] = True
        return {
            "queries": len(self.query_labels),
            "queries_of_unknown_label": int((~self.enrolled()).sum()),
            "references": int((~self.ignore).sum()),
            "ignored": int(self.ignore.sum()),
            "distractors": int((~asked[self.reference_labels] & ~self.ignore).sum()),
        }
