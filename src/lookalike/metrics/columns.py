"""One value per row as people have them (lists, NumPy, pandas, Arrow, torch), brought into one form.

What means the same becomes the same: 7, 7.0, "7", b"7" and a tensor of 7 are one label. What has no order or no single
meaning is refused.
"""

from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from lookalike.errors import LookalikeError
from lookalike.files import readable

# Lists, NumPy, pandas, Arrow, torch: what they have in common is found out value by value.
Rows: TypeAlias = Any
Value: TypeAlias = Any
_SCALARS = frozenset({str, int})  # what most values are, as they are


class EvaluationError(LookalikeError):
    """The arrays do not describe a retrieval problem."""


def texts_of(values: Rows, name: str) -> np.ndarray:
    """What each row says, as text.

    Args:
        values: One per row: strings, bytes, whole numbers, tuples, missing values; in a list, NumPy array, pandas or
            Arrow column or torch tensor (on any device, with or without gradients), [N] or [N, 1].
        name: What they are called in errors.

    Returns:
        object [N] of str; None where a value is missing (None, NaN, NaT, NA) or blank.

    Raises:
        EvaluationError: Values without an order or without a row each.
    """
    column = column_of(values, name)
    if column.dtype.kind in "iu":
        codes, numbers = pd.factorize(column)
        return numbers.astype(str).astype(object)[codes]
    texts = np.empty(len(column), object)
    texts[:] = [
        value if type(value) is str and value.strip() else str(value) if type(value) is int else _text(value, name)
        for value in column.tolist()
    ]
    try:
        "".join(filter(None, texts)).encode()
    except UnicodeEncodeError:  # names of files whose bytes are not UTF-8; no table holds such a text
        texts[:] = [text and readable(text) for text in texts]
    return texts


def marks_of(values: Rows, name: str) -> np.ndarray:
    """Yes or no for each row, bool [N]; zeros and ones are taken for it.

    Raises:
        EvaluationError: Another kind of value, or a missing one.
    """
    column = column_of(values, name)
    kinds = {type(value) for value in column} if column.dtype == object else set()
    numbers = column.dtype.kind in "biufO" and kinds <= {bool, int}
    if not numbers or not np.isin(column.astype(float), (0, 1)).all():
        raise EvaluationError(f"{name}: expected True or False for every row, got {_shown(column)}: give a mask")
    marks: np.ndarray = column.astype(bool)
    return marks


def column_of(values: Rows, name: str) -> np.ndarray:
    """One value per row as an array [N]: numbers and texts as they are, anything else as objects.

    Raises:
        EvaluationError: Values without an order or without a row each.
    """
    if isinstance(values, str | bytes | set | frozenset | dict) or not hasattr(values, "__len__"):
        raise EvaluationError(f"{name}: expected a list or an array with a value per row, got {type(values).__name__}")
    values = on_cpu(values)
    if isinstance(values, pd.DataFrame):
        if values.shape[1] != 1:
            raise EvaluationError(f"{name}: expected one column, got {values.shape[1]}: {_shown(list(values.columns))}")
        values = values.iloc[:, 0]
    if isinstance(values, np.ma.MaskedArray):
        gaps, values = np.ma.getmaskarray(values), np.array(values.data, object)
        values[gaps] = None
    if hasattr(values, "to_pylist"):  # of Arrow; as an array of NumPy, whole numbers with a gap were floats
        values = values.to_pylist()
    nullable = isinstance(getattr(values, "dtype", None), pd.api.extensions.ExtensionDtype)
    array = np.asarray(values, object if nullable else None) if hasattr(values, "__array__") else _objects(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 0:
        raise EvaluationError(f"{name}: expected a list or an array with a value per row, got the one value {array}")
    return array if array.ndim == 1 and array.dtype.kind in "biufSU" else _objects(array)


def on_cpu(values: Rows) -> Any:
    """A torch tensor as an array of NumPy, whatever its device, gradients and type; anything else as it is."""
    if not (hasattr(values, "detach") and hasattr(values, "cpu")):
        return values
    tensor = values.detach().cpu()
    return (tensor.float() if tensor.is_floating_point() and tensor.element_size() < 4 else tensor).numpy()


def _objects(values: Rows) -> np.ndarray:
    """Object [N]; NumPy would turn a list of tuples into a table."""
    flat = np.empty(len(values), object)
    flat[:] = [value if type(value) in _SCALARS else _plain(value) for value in values]
    return flat


def _plain(value: Value) -> Value:
    """A scalar of Python, or a tuple of them; of [1] its only value."""
    value = on_cpu(value)
    if isinstance(value, np.datetime64):
        return pd.Timestamp(value)
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return _plain(value[0]) if len(value) == 1 else tuple(map(_plain, value))
    return value


def _text(value: Value, name: str) -> str | None:
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError as error:
            raise EvaluationError(f"{name}: expected text, got bytes that are not UTF-8: {value!r}") from error
    if isinstance(value, dict | set | frozenset):
        raise EvaluationError(f"{name}: expected a text or a whole number per row, got {_shown(value)}")
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of whole numbers with a gap has become one of floats
    missing = value is None or (not isinstance(value, tuple) and bool(pd.isna(value)))
    text = "" if missing else str(value)
    return text if text.strip() else None


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) < 60 else f"{text[:57]}..."
