"""What people give to an evaluation, checked and brought into one form: embeddings, labels, cameras, own rows.

Letters in shapes: N rows, D embedding, Q queries, R references.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lookalike.errors import LookalikeError
from lookalike.metrics.exact_grid import Similarity, lengths_of
from lookalike.metrics.valid_references import NO_QUERY_CAMERA, NO_REFERENCE_CAMERA


class EvaluationError(LookalikeError):
    """The arrays do not describe a retrieval problem."""


def checked_embeddings(embeddings: Any, name: str, similarity: Similarity) -> np.ndarray:
    """Embeddings as contiguous float32 [N, D].

    Raises:
        EvaluationError: No numbers, another shape, no row, or rows that are not finite (or zero, for `cosine`).
    """
    try:
        array = np.ascontiguousarray(embeddings, np.float32)
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"{name} embeddings: expected a float array [N, D], got {error}") from error
    if array.ndim != 2 or not len(array):
        raise EvaluationError(f"{name} embeddings: expected a float array [N, D] with N > 0, got shape {array.shape}")
    lengths = lengths_of(array)
    wrong = np.flatnonzero(~np.isfinite(lengths) | ((lengths == 0) & (similarity == "cosine")))
    if len(wrong):
        raise EvaluationError(
            f"{name} embeddings: {len(wrong)} row(s) are zero or not finite (first: row {wrong[0]}): "
            "check the weights and the images"
        )
    return array


def checked_pair(query: Any, reference: Any, similarity: Similarity) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of queries and references as contiguous float32 [Q, D] and [R, D]; one array stays one.

    Raises:
        EvaluationError: As `checked_embeddings`, or they differ in size.
    """
    same = query is reference
    query = checked_embeddings(query, "query", similarity)
    reference = query if same else checked_embeddings(reference, "reference", similarity)
    if query.shape[1] != reference.shape[1]:
        raise EvaluationError(
            f"embeddings of one size expected, got {query.shape[1]} and {reference.shape[1]}: embed both with one model"
        )
    return query, reference


def one_each(of: str, count: int, **given: Any) -> None:
    """Refuses labels, cameras and marks of another number than the embeddings."""
    for name, values in given.items():
        if values is not None and len(values) != count:
            raise EvaluationError(f"one {name} per {of} expected, got {count} embeddings and {len(values)} of these")


def own_rows(exclude_self: bool | np.bool_ | Sequence[int] | np.ndarray, queries: int, references: int) -> np.ndarray:
    """The reference row of each query, or -1, int64 [Q].

    Raises:
        EvaluationError: Rows that are none, or of another number of queries.
    """
    if isinstance(exclude_self, bool | np.bool_) and not exclude_self:
        return np.full(queries, -1, np.int64)
    everyone = isinstance(exclude_self, bool | np.bool_)
    rows = np.arange(queries) if everyone else np.asarray(exclude_self)
    expected = "exclude_self: expected the reference row of each query (or -1), or True when both are the same images"
    if rows.dtype.kind not in "iu":
        raise EvaluationError(f"{expected}, got {rows.dtype}")
    first, last = min(rows, default=-1), max(rows, default=-1)
    if len(rows) != queries or first < -1 or last >= references or (everyone and queries != references):
        raise EvaluationError(
            f"{expected}, got {len(rows)} rows from {first} up to {last}, for {queries} queries and {references} "
            "references"
        )
    return rows.astype(np.int64)


def label_ids(
    query_labels: Sequence[Any] | np.ndarray, reference_labels: Sequence[Any] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """int64 [Q + R] ids of all labels, queries first, and the text of each id; never a float, which merges numbers.

    Raises:
        EvaluationError: A label is missing.
    """
    codes, names = [], []
    for of, labels in (("query", query_labels), ("reference", reference_labels)):
        part, unique = pd.factorize(_flat(labels))
        if len(missing := np.flatnonzero(part < 0)):
            raise EvaluationError(
                f"{of} labels: {len(missing)} missing (first: row {missing[0]}): give every row a label"
            )
        codes.append(part)
        names.append([str(name) for name in unique])
    merged, texts = pd.factorize(np.array([*names[0], *names[1]], object))
    first, second = merged[: len(names[0])], merged[len(names[0]) :]
    return np.concatenate([first[codes[0]], second[codes[1]]]).astype(np.int64), np.asarray(texts, object)


def camera_ids(
    query_cameras: Sequence[Any] | np.ndarray, reference_cameras: Sequence[Any] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """int64 [Q] and [R], equal where the cameras are; a missing camera is the same as no other."""
    both = [_flat(cameras) for cameras in (query_cameras, reference_cameras)]
    if len({part.dtype.kind for part in both} - set("iu")):  # 1 and "1" are one camera, as they are one label
        both = [
            np.array([None if pd.isna(camera) else str(camera) for camera in part.tolist()], object) for part in both
        ]
    codes, _ = pd.factorize(np.concatenate(both))
    query, reference = codes[: len(both[0])].astype(np.int64), codes[len(both[0]) :].astype(np.int64)
    return np.where(query < 0, NO_QUERY_CAMERA, query), np.where(reference < 0, NO_REFERENCE_CAMERA, reference)


def _flat(values: Sequence[Any] | np.ndarray) -> np.ndarray:
    """One value per row, whatever the values are: numpy would turn a list of tuples into a table."""
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "iuUS":
        return values
    flat = np.empty(len(values), object)
    flat[:] = [_whole(tuple(value) if isinstance(value, list | np.ndarray) else value) for value in values]
    return flat


def _whole(value: Any) -> Any:
    """7.0 means 7: a column of numbers with a gap has become one of floats."""
    return int(value) if isinstance(value, float | np.floating) and float(value).is_integer() else value
