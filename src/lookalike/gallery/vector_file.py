"""Embeddings of a gallery in one flat file, so that a million of them are read at the speed of the disk.

It holds nothing that the database does not hold: where it is missing, older or of another gallery, the database is
read, and it is written again when many embeddings are not in it. It starts with a header of 4096 bytes (JSON, padded
with spaces), then come int64 [N] numbers of images, ascending, and float32 [N, D]. An image that was forgotten is a row
of zeros, which no embedding is.

Letters in shapes: N images, D embedding.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lookalike.files import atomic_file

_HEADER = 4096
_AT_ONCE = 2**16  # rows written at a time
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

    def numbers(self) -> np.ndarray:
        """int64 [N] of the images in it; none where it cannot be used."""
        try:
            with self.file.open("rb") as handle:
                count = self._count(handle.read(_HEADER))
                numbers = np.fromfile(handle, "<i8", count)
        except (OSError, ValueError):
            return np.zeros(0, np.int64)
        return numbers if len(numbers) == count else np.zeros(0, np.int64)

    def read(self, images: np.ndarray, into: np.ndarray) -> np.ndarray:
        """Fills in the embeddings that are in it.

        Args:
            images: int64 [N] numbers, ascending.
            into: float32 [N, D].

        Returns:
            bool [N], which were in it.
        """
        numbers = self.numbers()
        filled = np.zeros(len(images), bool)
        if not len(numbers) or not len(images):
            return filled
        places = np.minimum(np.searchsorted(numbers, images), len(numbers) - 1)
        there = numbers[places] == images
        rows, targets = places[there], np.flatnonzero(there)
        if not len(rows):
            return filled
        try:
            with self.file.open("rb") as handle:
                handle.seek(_HEADER + 8 * len(numbers))
                together = len(rows) == len(numbers) and int(targets[-1] - targets[0]) == len(targets) - 1
                if together:
                    part = into[targets[0] : targets[-1] + 1]
                    if handle.readinto(part.data.cast("B")) != part.nbytes:
                        return filled
                else:
                    stored = np.memmap(handle, "<f4", "r", _HEADER + 8 * len(numbers), (len(numbers), self._size))
                    into[targets] = stored[rows]
        except (OSError, ValueError):
            return filled
        filled[targets] = into[targets].any(axis=1)
        return filled

    def wants(self, outside: int, inside: int) -> bool:
        """Whether it is to be written, as so many embeddings are not in it and so many are."""
        return outside > max(_WRITTEN_FROM, inside // 4)

    def write(self, images: np.ndarray, embeddings: np.ndarray) -> None:
        """Writes the file, whole or not at all.

        Args:
            images: int64 [N], ascending.
            embeddings: float32 [N, D].
        """
        header = {"gallery": self._gallery, "dimensions": self._size, "count": len(images)}
        with atomic_file(self.file) as handle:
            handle.write(json.dumps(header).encode().ljust(_HEADER))
            handle.write(np.ascontiguousarray(images, "<i8").tobytes())
            for first in range(0, len(images), _AT_ONCE):
                handle.write(np.ascontiguousarray(embeddings[first : first + _AT_ONCE], "<f4").tobytes())

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
                handle.seek(_HEADER + 8 * len(numbers) + 4 * self._size * place)
                handle.write(bytes(4 * self._size))
            handle.flush()
            os.fsync(handle.fileno())

    def _count(self, header: bytes) -> int:
        """How many rows follow a header; raises ValueError for one of something else."""
        about = json.loads(header)
        if about != {"gallery": self._gallery, "dimensions": self._size, "count": about["count"]}:
            raise ValueError("of another gallery")
        count = int(about["count"])
        if self.file.stat().st_size != _HEADER + count * (8 + 4 * self._size):
            raise ValueError("cut off")
        return count
