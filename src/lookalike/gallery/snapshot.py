"""Enrolled images in memory, kept up to date by reading what changed.

Letters in shapes: N images, D embedding.
"""

from collections.abc import Callable, Sequence
from itertools import compress
from pathlib import Path
from threading import RLock
from typing import TypeVar, overload

import numpy as np

from lookalike.gallery.rows import StoreError
from lookalike.gallery.sql_store import SqlStore
from lookalike.inference.references import References

_OFF_UNIT = 1e-5  # lengths of stored embeddings: they are divided by their length before they are enrolled
_SPARE = 1024  # rows of memory beyond those in use, and a sixteenth of them, so that one more needs no copy of all
_TRIES = 5  # another process may forget images while they are read
_Value = TypeVar("_Value")


class Snapshot:
    """The images of a store, as they are now.

    Args:
        store: Open.
    """

    def __init__(self, store: SqlStore) -> None:
        self._store, self._turn = store, RLock()
        self._version = -1
        self._buffer = np.empty((0, int(store.about["dimensions"])), np.float32)
        self._numbers = np.zeros(0, np.int64)
        self._labels: list[str] = []
        self._made: tuple[References, np.ndarray] | None = None

    def current(self) -> tuple[References, np.ndarray]:
        """All images of one moment, and their numbers, int64 [N]; the same objects for as long as nothing changes."""
        with self._turn:
            for attempt in range(_TRIES):
                try:
                    if self._store.version != self._version or self._made is None:
                        self._refresh()
                        count = len(self._numbers)
                        self._made = references_of(self._store, self._numbers, self._labels, self._buffer[:count])
                    return self._made
                except BaseException as error:
                    self._version = -1  # half of a change may be in memory
                    forgotten = isinstance(error, StoreError)  # perhaps, while it was read
                    if not forgotten or attempt == _TRIES - 1 or self._store.closed:
                        raise
            raise AssertionError

    def _refresh(self) -> None:
        changed, version = self._store.changed_since(self._version) if self._version >= 0 else (None, 0)
        if changed is None:
            self._numbers, self._labels, version = self._store.labelled()
            self._buffer = self._store.embeddings(self._numbers)
            need_finite(self._store, self._numbers, self._buffer)
        elif changed:
            self._apply(changed)
        self._version = version

    def _apply(self, changed: dict[int, str | None]) -> None:
        touched = np.array(sorted(changed), np.int64)
        rows = np.minimum(np.searchsorted(self._numbers, touched), max(len(self._numbers) - 1, 0))
        there = self._numbers[rows] == touched if len(self._numbers) else np.zeros(len(touched), bool)
        places = dict(zip(touched[there].tolist(), rows[there].tolist(), strict=True))
        labels = list(self._labels)
        for image, place in places.items():
            label = changed[image]
            if label is not None:
                labels[place] = label
        gone = [place for image, place in places.items() if changed[image] is None]
        count = len(self._numbers)
        if gone:
            kept = np.ones(count, bool)
            kept[gone] = False
            self._buffer, self._numbers = self._buffer[:count][kept], self._numbers[kept]
            labels = list(compress(labels, kept.tolist()))
        new = sorted(image for image, label in changed.items() if label is not None and image not in places)
        if new:
            self._grow(new)
            labels += [str(changed[image]) for image in new]
            if not (np.diff(self._numbers[-len(new) - 1 :]) > 0).all():  # some came back
                order = np.argsort(self._numbers, kind="stable")
                self._numbers, self._buffer = self._numbers[order], self._buffer[: len(order)][order]
                labels = [labels[place] for place in order.tolist()]
        self._labels = labels

    def _grow(self, images: list[int]) -> None:
        """Puts embeddings behind those in use; what was handed out before is not touched."""
        count = len(self._numbers)
        end = count + len(images)
        if end > len(self._buffer):
            larger = np.empty((end + end // 16 + _SPARE, self._buffer.shape[1]), np.float32)
            larger[:count] = self._buffer[:count]
            self._buffer = larger
        self._buffer[count:end] = self._store.embeddings(images)
        new = np.array(images, np.int64)
        need_finite(self._store, new, self._buffer[count:end])
        self._numbers = np.concatenate([self._numbers, new])


class Lazily(Sequence[_Value]):
    """One value per image, read when it is asked for: a few neighbours are shown, out of perhaps a million images.

    Args:
        read: Gives the values of some images.
        numbers: Of all of them.
    """

    def __init__(self, read: Callable[[list[int]], list[_Value]], numbers: np.ndarray) -> None:
        self._read, self._numbers = read, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def together(self, rows: Sequence[int]) -> list[_Value]:
        """The values of some rows, in their order, read at once."""
        return self._read([int(self._numbers[row]) for row in rows])

    @overload
    def __getitem__(self, row: int) -> _Value: ...

    @overload
    def __getitem__(self, row: slice) -> list[_Value]: ...

    def __getitem__(self, row: int | slice) -> _Value | list[_Value]:
        if isinstance(row, slice):
            return self._read(self._numbers[row].tolist())
        return self._read([int(self._numbers[row])])[0]


def need_finite(store: SqlStore, numbers: np.ndarray, embeddings: np.ndarray) -> None:
    """Refuses embeddings that no model makes, as they stop every search.

    Args:
        store: Where they come from.
        numbers: int64 [N] of the images.
        embeddings: float32 [N, D].

    Raises:
        StoreError: The values of an image are not finite.
    """
    with np.errstate(all="ignore"):
        usable = np.isfinite(embeddings @ np.ones(embeddings.shape[1], np.float32))
    if not usable.all():
        image = int(numbers[int(np.argmin(usable))])
        (source,) = store.sources([image])
        raise StoreError(
            f"{store.name}: damaged, the embedding of image {image} ({source}) is not as it was enrolled: lookalike "
            "gallery verify names all that are damaged, and what to do"
        )


def references_of(
    store: SqlStore, numbers: np.ndarray, labels: list[str], embeddings: np.ndarray
) -> tuple[References, np.ndarray]:
    """What is searched.

    Args:
        store: Where sources and thumbnails are.
        numbers: int64 [N] of the images.
        labels: N of them.
        embeddings: float32 [N, D].
    """
    about = store.about
    made = References(
        embeddings,
        labels,
        Lazily(store.sources, numbers),
        Path(),
        about["fingerprint"],
        about["precision"],
        Lazily(store.thumbnails, numbers),
        _OFF_UNIT,
        numbers,
    )
    return made, numbers
