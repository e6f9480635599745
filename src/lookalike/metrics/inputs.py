"""What people give to an evaluation, checked and brought into one form: embeddings, labels, cameras, own rows.

Letters in shapes: N rows, D embedding, Q queries, R references.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lookalike.metrics.columns import EvaluationError, column_of, on_cpu, texts_of
from lookalike.metrics.exact_grid import Similarity, lengths_of
from lookalike.metrics.valid_references import NO_QUERY_CAMERA, NO_REFERENCE_CAMERA


def checked_embeddings(embeddings: Any, name: str, similarity: Similarity) -> np.ndarray:
    """Embeddings as contiguous float32 [N, D].

    Args:
        embeddings: Numbers [N, D]: an array, a torch tensor on any device, a table, or N rows of D numbers.
        name: Whose they are, for errors.
        similarity: Whether a length of zero is a fault.

    Raises:
        EvaluationError: No numbers, another shape, no row, or rows that are not finite (or zero, for `cosine`).
    """
    with np.errstate(over="ignore"):  # what is beyond float32 is told below
        array = np.ascontiguousarray(_numbers(embeddings, name), np.float32)
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


def _numbers(embeddings: object, name: str) -> np.ndarray:
    """An array of real numbers, of any shape."""
    expected = f"{name} embeddings: expected a float array [N, D]"
    try:
        array = on_cpu(embeddings)
        if isinstance(array, list | tuple):
            array = [on_cpu(row) for row in array]
        if np.ma.getmaskarray(array).any() if isinstance(array, np.ma.MaskedArray) else False:
            raise EvaluationError(f"{expected}, got one with masked values: fill or remove them")
        array = np.asarray(array)
        if array.dtype == object and array.ndim == 1:  # a column of a table with an array in each row
            array = np.stack([np.asarray(on_cpu(row)) for row in array]) if len(array) else array
        if array.dtype == object:
            array = array.astype(np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, EvaluationError):
            raise
        raise EvaluationError(f"{expected}, got {type(embeddings).__name__}: {error}") from error
    if array.dtype.kind not in "fiub":
        raise EvaluationError(f"{expected}, got values of type {array.dtype}")
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
    rows = np.arange(queries) if everyone else column_of(exclude_self, "exclude_self")
    if rows.dtype == object and {type(row) for row in rows} == {int}:
        rows = rows.astype(np.int64)
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
    """int64 [Q + R] ids of all labels, queries first, and the text of each id; compared as text (see `texts_of`).

    Raises:
        EvaluationError: A label is missing or no label.
    """
    texts = [texts_of(query_labels, "query labels"), texts_of(reference_labels, "reference labels")]
    for of, side in zip(("query", "reference"), texts, strict=True):
        missing = [row for row, text in enumerate(side) if text is None]
        if missing:
            raise EvaluationError(
                f"{of} labels: {len(missing)} missing (first: row {missing[0]}): give every row a label"
            )
    ids, names = pd.factorize(np.concatenate(texts))
    return ids.astype(np.int64), np.asarray(names, object)


def camera_ids(
    query_cameras: Sequence[Any] | np.ndarray, reference_cameras: Sequence[Any] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """int64 [Q] and [R], equal where the cameras are as text; a missing camera is the same as no other.

    Raises:
        EvaluationError: A value is no camera.
    """
    texts = [texts_of(query_cameras, "query cameras"), texts_of(reference_cameras, "reference cameras")]
    codes, _ = pd.factorize(np.concatenate(texts))
    query, reference = np.split(codes.astype(np.int64), [len(texts[0])])
    return np.where(query < 0, NO_QUERY_CAMERA, query), np.where(reference < 0, NO_REFERENCE_CAMERA, reference)
