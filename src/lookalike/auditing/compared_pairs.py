"""Many pairs of images laid over each other side by side; what was compared before is taken from a cache.

Letters in shapes: N images, P pairs.
"""

import io
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lookalike.auditing.file_facts import Facts
from lookalike.auditing.same_picture import Compared, Prepared, compare_prepared
from lookalike.console import progress, say
from lookalike.files import DiskFullError, write_bytes
from lookalike.parallel import side_by_side
from lookalike.seals import BLANK, is_damaged, seal

_AT_ONCE = 20_000  # pairs compared before the results are kept
_PREPARED = 4_000  # images held ready, about 60 KiB each
_SCHEMA = "1"


def compare_pairs(facts: Facts, pairs: np.ndarray, cache: Path) -> list[Compared]:
    """Lays the images of P pairs over each other; what was compared before is taken from the cache.

    Args:
        facts: Of N images.
        pairs: int64 [P, 2], rows of them.
        cache: Parquet file of earlier comparisons; it may be deleted at any time.
    """
    contents = facts.contents
    keys = [f"{contents[first]}|{contents[second]}" for first, second in pairs]
    compared = _read_cache(cache)
    missing = [place for place, key in enumerate(keys) if key not in compared]
    if missing:
        thumbs = facts.table["thumb"].to_numpy()
        needed = {int(row): thumbs[row] for row in np.unique(pairs[missing])}
        for first in range(0, len(missing), _AT_ONCE):
            part = missing[first : first + _AT_ONCE]
            for place, result in zip(part, _compare_all(needed, pairs[part]), strict=True):
                compared[keys[place]] = result
            _write_cache(cache, {key: compared[key] for key in keys if key in compared})
    return [compared[key] for key in keys]


def _compare_all(thumbs: dict[int, bytes], pairs: np.ndarray) -> list[Compared]:
    """Pairs in the order of their first image, so that prepared images are used while they are held."""
    cv2.setNumThreads(1)
    results: list[Compared | None] = [None] * len(pairs)

    @lru_cache(maxsize=_PREPARED)
    def prepared(row: int) -> Prepared:
        image = cv2.imdecode(np.frombuffer(thumbs[row], np.uint8), cv2.IMREAD_COLOR_RGB)
        assert image is not None, "a thumbnail is a JPEG of our own"
        return Prepared.of(image)

    def work(places: np.ndarray, advance: Callable[[int], None]) -> None:
        first = prepared(int(pairs[places[0], 0]))
        for place in places:
            results[place] = compare_prepared(first, prepared(int(pairs[place, 1])))
        advance(len(places))

    order = np.argsort(pairs[:, 0], kind="stable")
    runs = np.split(order, np.flatnonzero(np.diff(pairs[order, 0])) + 1)
    with progress("comparing pairs", len(pairs)) as advance:
        side_by_side(lambda run: work(runs[run], advance), range(len(runs)))
    return [result for result in results if result is not None]


def _read_cache(cache: Path) -> dict[str, Compared]:
    try:
        if is_damaged(cache, lambda: _says_sealed(cache)):
            return {}
        table = pd.read_parquet(cache)
        if table.attrs.get("schema") != _SCHEMA:
            return {}
        return {
            str(row[0]): Compared(*row[1:])
            for row in table[["key", "correlation", "colour", "mirrored", "points"]].itertuples(index=False, name=None)
        }
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return {}


def _says_sealed(cache: Path) -> bool:
    return b'"checksum"' in (pq.read_schema(cache).metadata or {}).get(b"PANDAS_ATTRS", b"")


def _write_cache(cache: Path, compared: dict[str, Compared]) -> None:
    table = pd.DataFrame([{"key": key, **vars(result)} for key, result in compared.items()])
    table.attrs |= {"schema": _SCHEMA, "checksum": BLANK.decode()}
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    content = buffer.getbuffer()
    seal(content)
    try:
        write_bytes(cache, content)
    except DiskFullError as error:
        say(f"comparisons cannot be kept ({error})")
