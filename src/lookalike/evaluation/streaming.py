"""Stored embeddings evaluated without the model, references in shards a part at a time.

Letters in shapes: Q queries, R references, N rows, D embedding.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lookalike.inference.references import GalleryError, References, load_references
from lookalike.inference.shards import Rows, Shards, open_shards
from lookalike.metrics.columns import EvaluationError
from lookalike.metrics.options import EvaluationOptions
from lookalike.metrics.problem import Problem
from lookalike.metrics.result import RetrievalResult
from lookalike.metrics.streamed import evaluate_streamed
from lookalike.metrics.valid_references import NO_QUERY_CAMERA, NO_REFERENCE_CAMERA
from lookalike.storage import is_address, joined, storage_of

if TYPE_CHECKING:
    import pyarrow as pa

_FACTS = ("id", "path", "label", "camera", "ignore")


@dataclass(frozen=True)
class StoredSide:
    """Embeddings of one place, in shards or as one folder.

    Attributes:
        place: As it was given.
        fingerprint: What made them.
        root: The folder or address that their paths start from.
        stored: The shards, or all of them in memory.
    """

    place: str
    fingerprint: str
    root: str
    stored: Shards | References

    @classmethod
    def of(cls, place: str | Path) -> "StoredSide":
        """Opens what `lookalike embed` wrote.

        Args:
            place: A folder, or `s3://bucket/prefix`.

        Raises:
            GalleryError: Nothing such is there, it is damaged, or a shard is missing.
            StorageError: An object store cannot be reached.
        """
        shards = open_shards(storage_of(place))
        if shards is not None:
            return cls(str(place), shards.plan.fingerprint, shards.plan.root, shards)
        if is_address(place):
            raise GalleryError(f"{place}: no shards.json there: give what lookalike embed wrote")
        folder = load_references(Path(place))
        return cls(str(place), folder.fingerprint, str(folder.root), folder)

    def __len__(self) -> int:
        return len(self.stored)

    def facts(self) -> Iterator[Rows]:
        """All rows without their embeddings, some at a time."""
        if isinstance(self.stored, Shards):
            yield from self.stored.rows(_FACTS)
            return
        import pyarrow as pa

        count, texts = len(self.stored), (list(self.stored.paths), self.stored.labels)
        paths, labels = (pa.array(values, pa.string()) for values in texts)
        cameras, ignore = pa.nulls(count, pa.int64()), pa.array(np.zeros(count, bool))
        yield Rows(np.arange(count), paths, labels, cameras, ignore, np.empty((count, 0), np.float32))

    def embeddings(self) -> Iterable[np.ndarray]:
        """float32 [N, D], one part behind the other."""
        if isinstance(self.stored, References):
            return [self.stored.embeddings]
        return (rows.embeddings for rows in self.stored.rows(("embedding",)))


@dataclass
class _Numbers:
    """Whole numbers for values, in the order in which they are first seen."""

    numbers: dict[object, int] = field(default_factory=dict)

    def of(self, values: "pa.Array", missing: int) -> np.ndarray:
        """The number of each, int64 [N]; `missing` where there is none."""
        encoded = values.dictionary_encode()
        places = [self.numbers.setdefault(value, len(self.numbers)) for value in encoded.dictionary.to_pylist()]
        codes = encoded.indices.fill_null(len(places)).to_numpy(zero_copy_only=False)
        numbered: np.ndarray = np.array([*places, missing], np.int64)[codes]
        return numbered


@dataclass(frozen=True)
class StoredResult:
    """Retrieval among stored embeddings.

    Attributes:
        result: The figures.
        queries: Who asked.
        references: Who answered.
        rows: int64 [Q], which rows of the queries' table asked: those that are marked `ignore` do not.
    """

    result: RetrievalResult
    queries: StoredSide
    references: StoredSide
    rows: np.ndarray

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        sides = {"queries": self.queries.place, "references": self.references.place}
        return {**sides, "fingerprint": self.queries.fingerprint, **self.result.to_dict()}

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row per query: its path, what `RetrievalResult.per_query` holds, the paths of its nearest references."""
        near = self.result.neighbours
        wanted = np.unique(near[near >= 0])
        paths = _paths_at(self.references, wanted)
        lines = [[paths[row] for row in rows.tolist() if row >= 0] for rows in near]
        own = _paths_at(self.queries, self.rows)
        first = pd.DataFrame({"path": [own[row] for row in self.rows.tolist()]})
        return pd.concat([first, self.result.per_query.reset_index(drop=True)], axis=1).assign(
            neighbours=pd.Series(lines, dtype=object)
        )


def _paths_at(side: StoredSide, rows: np.ndarray) -> dict[int, str]:
    """Row -> path, of some rows in ascending order."""
    paths: dict[int, str] = {}
    first = 0
    for part in side.facts():
        mine = rows[np.searchsorted(rows, first) : np.searchsorted(rows, first + len(part.paths))]
        paths |= zip(mine.tolist(), part.paths.take(mine - first).to_pylist(), strict=True)
        first += len(part.paths)
    return paths


def evaluate_stored(
    queries: str | Path | StoredSide,
    references: str | Path | StoredSide | None = None,
    *,
    camera_rule: bool = True,
    options: EvaluationOptions = EvaluationOptions(),  # noqa: B008 - frozen
) -> StoredResult:
    """Evaluates what `lookalike embed` wrote, exactly; of references in shards a part at a time is in memory.

    A file on both sides never finds itself.

    Args:
        queries: They ask; in memory.
        references: They are searched; None for the queries, each leaving itself out.
        camera_rule: Leave out references of the query's label and camera, where both sides have cameras.
        options: How it is measured.

    Raises:
        GalleryError: The two were made by different weights or pixel settings, or one is damaged.
        EvaluationError: As `evaluate_streamed`, or no query.
        StorageError: An object store cannot be reached.
    """
    asking = queries if isinstance(queries, StoredSide) else StoredSide.of(queries)
    same = references is None or (not isinstance(references, StoredSide) and str(references) == asking.place)
    answering = asking if same or references is None else references
    if not isinstance(answering, StoredSide):
        answering = StoredSide.of(answering)
    need_one_model(asking.fingerprint, answering.fingerprint)
    ignored = np.concatenate([np.zeros(0, bool), *(part.ignore.to_numpy(False) for part in asking.facts())])
    rows = np.flatnonzero(~ignored)
    if not len(rows) or not len(answering):
        raise EvaluationError(
            f"{asking.place}: expected embeddings on both sides, found {len(rows)} and {len(answering)}"
        )
    problem = _problem(asking, answering, rows, camera_rule)
    query = np.concatenate(list(asking.embeddings()))[rows]
    return StoredResult(evaluate_streamed(query, answering.embeddings, problem, options), asking, answering, rows)


def need_one_model(queries: str, references: str) -> None:
    """Refuses to compare embeddings of different networks.

    Args:
        queries: Their fingerprint.
        references: Theirs.

    Raises:
        GalleryError: They differ.
    """
    if queries != references:
        raise GalleryError(
            f"the queries were made by {queries[:12]}, the references by {references[:12]}: "
            "embeddings of different weights or pixel settings cannot be compared; embed both with one bundle"
        )


def _problem(asking: StoredSide, answering: StoredSide, rows: np.ndarray, camera_rule: bool) -> Problem:
    """Labels, cameras and marks of both sides, numbered as they go by."""
    labels, cameras = _Numbers(), _Numbers()
    asked, seen, files = [], [], list[str]()
    for part in asking.facts():
        asked.append(_labels_of(part, labels, "query"))
        seen.append(cameras.of(part.cameras, NO_QUERY_CAMERA))
        files += [joined(asking.root, path) for path in part.paths.to_pylist()]
    query_labels, query_cameras = np.concatenate(asked)[rows], np.concatenate(seen)[rows]
    own = rows if answering is asking else np.full(len(rows), -1)
    places = {} if answering is asking else {files[row]: place for place, row in enumerate(rows.tolist())}
    answers, seen_by, ignored, first = [], [], [], 0
    for part in answering.facts():
        answers.append(_labels_of(part, labels, "reference"))
        seen_by.append(cameras.of(part.cameras, NO_REFERENCE_CAMERA))
        ignored.append(part.ignore.to_numpy(zero_copy_only=False))
        if places:
            for row, place in _own_among(part, answering.root, places):
                own[place] = first + row
        first += len(part.paths)
    reference_cameras = np.concatenate(seen_by)
    both_known = (query_cameras != NO_QUERY_CAMERA).any() and (reference_cameras != NO_REFERENCE_CAMERA).any()
    both = (query_cameras, reference_cameras) if camera_rule and both_known else (None, None)
    names = np.array(list(labels.numbers), object)
    return Problem(query_labels, np.concatenate(answers), names, np.concatenate(ignored), own, *both)


def _labels_of(part: Rows, labels: _Numbers, of: str) -> np.ndarray:
    numbers = labels.of(part.labels, -1)
    if (numbers < 0).any() or "" in labels.numbers:
        raise EvaluationError(f"{of} labels: some are missing: give every image a label, and embed again")
    return numbers


def _own_among(part: Rows, root: str, places: dict[str, int]) -> Iterator[tuple[int, int]]:
    """Row of a part and place of the query that is the same file."""
    import pyarrow as pa
    import pyarrow.compute as pc

    start = f"{joined(root, '')}".rstrip("/") + "/"
    names = [*places, *(file.removeprefix(start) for file in places)]
    there = pc.index_in(part.paths, value_set=pa.array(names, pa.string()))
    rows = np.flatnonzero(there.is_valid().to_numpy(zero_copy_only=False))
    for row, path in zip(rows.tolist(), part.paths.take(pa.array(rows)).to_pylist(), strict=True):
        place = places.get(joined(root, path))
        if place is not None:
            yield row, place
