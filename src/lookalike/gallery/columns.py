"""What else is known of enrolled images: columns of any name, and filters by them.

Letters in shapes: N images.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import TypeAlias

import numpy as np

from lookalike.data.labels import as_label
from lookalike.errors import did_you_mean
from lookalike.files import readable
from lookalike.gallery.sources import sources_of
from lookalike.gallery.sql_store import SqlStore
from lookalike.inference.references import GalleryError

Value: TypeAlias = str | int | float | bool | None
Filter: TypeAlias = Mapping[str, Value | Iterable[Value]]
_SHOWN = 5  # values in an error
_PLAIN = re.compile(r"[+-]?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?")  # a number, and no code with zeros before it
OWN = ("label", "camera", "source")  # columns that every gallery has
_TAKEN = (*OWN, "id", "time", "path", "embedding", "thumbnail", "split", "role", "ignore")


def columns_for(
    columns: Mapping[str, Value | Sequence[Value]] | None, images: int
) -> list[tuple[tuple[str, str], ...]]:
    """What is known of every image, as it is stored: name and JSON.

    Args:
        columns: Name -> one value for all images, or one each; None or NaN where it is not known.
        images: N.

    Raises:
        GalleryError: Of another number, of a name that a gallery has a meaning for, or no plain value.
    """
    if columns is not None and not isinstance(columns, Mapping):
        raise GalleryError(
            f"columns: expected names with their values, such as {{'shelf': 'B3'}} or {{'shelf': ['B3', 'B4']}}, got "
            f"{type(columns).__name__}"
        )
    rows: list[dict[str, str]] = [{} for _ in range(images)]
    for name, given in (columns or {}).items():
        if not isinstance(name, str) or not name.strip() or name.strip() in _TAKEN:
            raise GalleryError(f"columns: {name!r}: expected a name other than {', '.join(_TAKEN)}: call it otherwise")
        values = [given] * images if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
        if len(values) != images:
            raise GalleryError(f"columns: {name}: expected one value or {images}, got {len(values)}")
        for row, value in zip(rows, values, strict=True):
            text = _as_json(name, value)
            if text is not None:
                row[readable(name.strip())] = text
    return [tuple(sorted(row.items())) for row in rows]


def left_out(
    store: SqlStore, numbers: np.ndarray, labels: Sequence[str], where: Filter | None, unless: Filter | None
) -> np.ndarray | None:
    """The images that filters leave out.

    Args:
        store: Where columns are.
        numbers: int64 [N] of the images.
        labels: N of them.
        where: Name -> the value, or values, of the images that are kept; of several names all must fit.
        unless: Name -> the value, or values, of images that are left out; of several names one is enough.

    Returns:
        bool [N], None without a filter.

    Raises:
        GalleryError: There is no such label or column, or a camera is no whole number.
    """
    if not where and not unless:
        return None
    ignore = np.zeros(len(numbers), bool)
    for name, values in (where or {}).items():
        ignore |= ~_having(store, numbers, labels, name, values)
    for name, values in (unless or {}).items():
        ignore |= _having(store, numbers, labels, name, values)
    return ignore


def _having(
    store: SqlStore, numbers: np.ndarray, labels: Sequence[str], name: str, given: Value | Iterable[Value]
) -> np.ndarray:
    values = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    if name == "label":
        wanted = {as_label(str(value)) for value in values}
        enrolled = set(labels)
        for label in sorted(wanted - enrolled):
            raise GalleryError(f"label={label!r}: is not in the gallery{did_you_mean(label, sorted(enrolled))}")
        return np.fromiter((label in wanted for label in labels), bool, len(labels))
    if name == "camera":
        images = store.having(name, [_whole(value) for value in values])
    elif name == "source":
        images = store.having(name, [source for value in values for source in sources_of(str(value))])
    else:
        columns = store.column_names()
        if name not in columns:
            there = ", ".join([*OWN, *columns])
            raise GalleryError(f"{name}: no such column{did_you_mean(name, [*OWN, *columns])}; there are {there}")
        spelt = {text for value in values for text in _spellings(name, value)}
        images = store.having(name, sorted(spelt | _equal_numbers(store, name, values)))
    return np.isin(numbers, np.fromiter(images, np.int64, len(images)))


def _spellings(name: str, value: Value) -> set[str]:
    """How a value may be stored: a table or a command line gives text where a program gives a number."""
    text = _as_json(name, value)
    if text is None:
        raise GalleryError(f"{name}={value!r}: expected text, a number, true or false")
    spelt = {text, str(_as_json(name, str(value)))}
    with suppress(ValueError, OverflowError, RecursionError):  # no JSON, or none that is stored
        plain = json.loads(value if isinstance(value, str) else text)
        if isinstance(plain, bool):
            spelt.add(json.dumps(plain))
        elif isinstance(plain, int | float):
            spelt |= {json.dumps(number) for number in (plain, float(plain), int(plain)) if number == plain}
    return spelt


def _equal_numbers(store: SqlStore, name: str, values: list[Value]) -> set[str]:
    """The stored values of a column that are the same number, however they are written: 1.20 is 1.2."""
    numbers = {number for value in values if (number := _number(value)) is not None}
    if not numbers:
        return set()
    return {text for text in store.distinct(name) if _number(json.loads(text)) in numbers}


def _number(value: Value) -> Decimal | None:
    """A number, exactly; None for what is none, as 007 and true."""
    if value is None or isinstance(value, bool):
        return None
    text = str(value).strip()
    return Decimal(text) if _PLAIN.fullmatch(text) else None


def nothing_left(
    store: SqlStore, numbers: np.ndarray, labels: Sequence[str], where: Filter | None, unless: Filter | None
) -> str:
    """What is said where filters leave no image: what was asked, and which values are there.

    Args:
        store: Where columns are.
        numbers: int64 [N] of the images.
        labels: N of them.
        where: As of `left_out`.
        unless: As of `left_out`.
    """
    given = [*(where or {}).items(), *(unless or {}).items()]
    asked = ", ".join(f"{name}={value!r}" for name, value in given)
    there = "; ".join(f"{name} is {_values_of(store, numbers, labels, name)}" for name in dict(given))
    return f"no image is left by {asked}: ask for more: {there}"


def _values_of(store: SqlStore, numbers: np.ndarray, labels: Sequence[str], name: str) -> str:
    """The first values that images have."""
    if name == "label":
        values: list[str] = sorted(set(labels))
    elif name == "camera":
        values = [
            str(camera)
            for camera in sorted({camera for camera in store.cameras(numbers.tolist()) if camera is not None})
        ]
    elif name == "source":
        values = store.sources(numbers[: _SHOWN + 1].tolist())
    else:
        values = [str(json.loads(text)) for text in store.distinct(name)]
    more = ", ..." if len(values) > _SHOWN else ""
    return (", ".join(values[:_SHOWN]) or "not known of any image") + more


def _as_json(name: str, value: object) -> str | None:
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None or (isinstance(plain, float) and not np.isfinite(plain)):
        return None
    if not isinstance(plain, str | int | float | bool):
        raise GalleryError(f"columns: {name}: expected text, a number, true or false, got {value!r}")
    if isinstance(plain, int) and not -(2**63) <= plain < 2**63:
        raise GalleryError(f"columns: {name}: expected a number of at most 64 bits, got a larger one: give it as text")
    return json.dumps(readable(plain) if isinstance(plain, str) else plain, ensure_ascii=False)


def _whole(value: Value) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = 2**63
    if not -(2**63) <= number < 2**63:
        raise GalleryError(f"camera={value!r}: expected a whole number: names are kept as columns, such as place")
    return number
