"""Embeddings of a gallery in one flat file, so that a million of them are read at the speed of the disk.

It holds nothing that the database does not hold: where it is missing, older or of another gallery, the database is
read, and it is written again when many embeddings are not in it. It starts with a header of 4096 bytes (JSON, padded
with spaces), then come int64 [N] numbers of images, ascending, and float32 [N, D]. An image that was forgotten is a row
of zeros, which no embedding is.

A new one is written beside it by one process at a time, while others change the gallery, and takes its place in a
moment in which nobody does. Whoever forgets images removes a new one that is not finished: so none of its bytes stay.

Letters in shapes: N images, D embedding.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from lookalike.files import only_one, sync_folder

_HEADER = 4096
_AT_ONCE = 2**15  # rows read and written at a time
_WRITTEN_FROM = 20_000  # embeddings that are not in the file, and a quarter of those in it: then it is written again


class VectorFile:
    """The file of a gallery, whether it is there or not.

    Args:
        file: Its place.
        gallery: The gallery's own name, which no other has.
        size: D.
    """

    def __init__(self, file: Path, gallery: str, size: int) -> None:
        self.file, self._gallery, self._size = file, gallery, size
        self._new = file.with_name(f"{file.name}.new")

    def numbers(self) -> np.ndarray:
        """int64 [N] of the images in it; none where it cannot be used."""
        try:
            with self.file.open("rb") as handle:
                return self._numbers(handle)
        except (OSError, ValueError):
            return np.zeros(0, np.int64)

    def _numbers(self, handle: IO[bytes]) -> np.ndarray:
        """Of an open file: another process may put a newer one in its place."""
        return np.frombuffer(handle.read(8 * self._count(handle)), "<i8")

    def _count(self, handle: IO[bytes]) -> int:
        """N of an open file, which stands behind its header then. Raises ValueError for something else."""
        about = json.loads(handle.read(_HEADER))
        if about != {"gallery": self._gallery, "dimensions": self._size, "count": about["count"]}:
            raise ValueError("of another gallery")
        count = int(about["count"])
        if os.fstat(handle.fileno()).st_size != _HEADER + count * (8 + 4 * self._size):
            raise ValueError("cut off")
        return count

    def read(self, images: np.ndarray, into: np.ndarray) -> np.ndarray:
        """Fills in the embeddings that are in it.

        Args:
            images: int64 [N] numbers, ascending.
            into: float32 [N, D].

        Returns:
            bool [N], which were in it.
        """
        filled = np.zeros(len(images), bool)
        try:
            with self.file.open("rb") as handle:
                numbers = self._numbers(handle)
                if not len(numbers) or not len(images):
                    return filled
                places = np.minimum(np.searchsorted(numbers, images), len(numbers) - 1)
                there = numbers[places] == images
                rows, targets = places[there], np.flatnonzero(there)
                for first in range(0, len(numbers), _AT_ONCE):
                    mine = slice(*np.searchsorted(rows, (first, first + _AT_ONCE)))
                    if mine.start < mine.stop:
                        handle.seek(self._offset(len(numbers), first))
                        self._read_block(handle, rows[mine] - first, targets[mine], into, filled)
        except (OSError, ValueError):
            filled[:] = False
        return filled

    def _read_block(
        self, handle: IO[bytes], rows: np.ndarray, targets: np.ndarray, into: np.ndarray, filled: np.ndarray
    ) -> None:
        """Reads from where the file stands on: these rows of it to those of `into`."""
        whole = int(rows[-1]) + 1
        straight = whole == len(rows) == int(targets[-1] - targets[0]) + 1
        block = into[targets[0] : targets[0] + whole] if straight else np.empty((whole, self._size), np.float32)
        if handle.readinto(block.data.cast("B")) != block.nbytes:  # type: ignore[attr-defined]
            raise ValueError("cut off")
        if straight:
            filled[targets[0] : targets[0] + whole] = block.any(axis=1)
        else:
            into[targets] = block[rows]
            filled[targets] = block[rows].any(axis=1)

    def _offset(self, count: int, row: int) -> int:
        return _HEADER + 8 * count + 4 * self._size * row

    def wants(self, outside: int, asked: int) -> bool:
        """Whether it is to be written, as so many of the embeddings that were asked for are not in it."""
        inside = len(self.numbers()) if outside > _WRITTEN_FROM else 0
        return outside > max(_WRITTEN_FROM, inside // 4) and asked >= inside

    @contextmanager
    def begun(self) -> Iterator[IO[bytes]]:
        """A new file beside it, empty; what `put` did not put in its place is removed at the end.

        Raises:
            LookalikeError: Another process writes one.
        """
        with only_one(self.file.with_name(f".{self.file.name}.lock"), f"{self.file}: another process writes it"):
            self.discard()
            try:
                with self._new.open("xb") as handle:
                    yield handle
            finally:
                self.discard()

    def fill(self, handle: IO[bytes], images: np.ndarray, embeddings: np.ndarray) -> None:
        """Writes a new file, until it is on the disk.

        Args:
            handle: Of `begun`.
            images: int64 [N], ascending.
            embeddings: float32 [N, D].
        """
        header = {"gallery": self._gallery, "dimensions": self._size, "count": len(images)}
        handle.write(json.dumps(header).encode().ljust(_HEADER))
        handle.write(np.ascontiguousarray(images, "<i8").tobytes())
        for first in range(0, len(images), _AT_ONCE):
            handle.write(np.ascontiguousarray(embeddings[first : first + _AT_ONCE], "<f4").tobytes())
        handle.flush()
        os.fsync(handle.fileno())

    def put(self, handle: IO[bytes], count: int) -> None:
        """Puts a new file in its place, unless one of more images came there meanwhile; nobody may forget just then.

        Args:
            handle: Of `begun`, filled.
            count: N.

        Raises:
            FileNotFoundError: Whoever forgot images meanwhile has removed it.
        """
        try:
            with self.file.open("rb") as other:
                if self._count(other) > count:
                    return
        except (OSError, ValueError):  # there is none that can be used
            pass
        if os.name != "posix":
            handle.close()  # an open file cannot be renamed there
        self._new.replace(self.file)
        sync_folder(self.file.parent)  # else a power failure may bring back the former one, with what is forgotten next

    def discard(self) -> None:
        """Removes a new file, of whatever process, that is not in its place yet."""
        self._new.unlink(missing_ok=True)

    def erase(self, images: Sequence[int]) -> None:
        """Overwrites embeddings with zeros, for good when it returns."""
        numbers = self.numbers()
        if not len(numbers):
            self.file.unlink(missing_ok=True)  # of another gallery, or damaged
            return
        wanted = np.asarray(images, np.int64)
        places = np.minimum(np.searchsorted(numbers, wanted), len(numbers) - 1)
        with self.file.open("r+b") as handle:
            for place in places[numbers[places] == wanted].tolist():
                handle.seek(self._offset(len(numbers), place))
                handle.write(bytes(4 * self._size))
            handle.flush()
            os.fsync(handle.fileno())
