"""What the stores of galleries read: rows, labels and embeddings of one moment, and what was changed.

Letters in shapes: N images, D embedding.
"""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from lookalike.gallery.connection import Connection
from lookalike.gallery.history import Change, Column, changes_of, labels_at
from lookalike.gallery.image_facts import ImageFacts
from lookalike.gallery.looked_up import images_of, missing_of
from lookalike.gallery.rows import StoredRow, StoreError

_SCANNED = 20_000  # embeddings that are read at a time
_RELOAD = "('forget', 'reembed')"  # changes after which all images are read again


class StoredImages(ImageFacts):
    """An open store, read."""

    @abstractmethod
    def from_vector(self, value: bytes) -> bytes:
        """What the database gives for an embedding, as float32 little-endian bytes."""

    @property
    def version(self) -> int:
        """The number of the last change, made by this process or another."""
        with self.reading() as connection:
            return last_change(connection)

    def rows(self) -> list[StoredRow]:
        """All rows, in the order they were enrolled."""
        query = (
            "SELECT i.id, i.label, i.source, v.embedding, i.camera FROM images i JOIN vectors v ON v.image = i.id "
            "WHERE removed IS NULL ORDER BY i.id"
        )
        with self.reading() as connection:
            rows = connection.execute(query).fetchall()
        return [
            StoredRow(image, label, source, self.from_vector(v), camera) for image, label, source, v, camera in rows
        ]

    def rows_at(self, number: int) -> list[StoredRow]:
        """All rows as they were after a change, 0 for none, in the order they were enrolled.

        Raises:
            HistoryError: There is no such change, or it is older than the history.
        """
        query = (
            "SELECT i.id, i.source, v.embedding, i.camera FROM images i JOIN vectors v ON v.image = i.id ORDER BY i.id"
        )
        with self.reading() as connection:
            labels = labels_at(connection, number, int(self.about.get("history", 0)))
            rows = [row for row in connection.execute(query).fetchall() if row[0] in labels]
        return [
            StoredRow(image, labels[image], source, self.from_vector(v), camera) for image, source, v, camera in rows
        ]

    def labelled(self) -> tuple[np.ndarray, list[str], int]:
        """int64 [N], the number of every image, ascending; their N labels; and the last change."""
        with self.reading() as connection:
            return *self._numbers_and_labels(connection), last_change(connection)

    def _numbers_and_labels(self, connection: Connection) -> tuple[np.ndarray, list[str]]:
        rows = connection.execute("SELECT id, label FROM images WHERE removed IS NULL ORDER BY id").fetchall()
        names: dict[str, str] = {}  # one text for all images of a label
        return np.array([image for image, _ in rows], np.int64), [names.setdefault(label, label) for _, label in rows]

    def changed_since(self, version: int) -> tuple[dict[int, str | None] | None, int]:
        """What later changes left: image -> its label, None where it is removed; and the last change.

        The first is None where all images have to be read again.
        """
        with self.reading() as connection:
            last = last_change(connection)
            if reloaded_since(connection, version):
                return None, last
            events = connection.execute(
                "SELECT image, after FROM events WHERE change > ? ORDER BY change", (version,)
            ).fetchall()
        return dict(events), last

    def embeddings(self, images: Sequence[int] | np.ndarray) -> np.ndarray:
        """float32 [N, D] of these images, removed ones too, whose numbers ascend.

        Raises:
            StoreError: One is missing or of another size.
        """
        size = int(self.about["dimensions"])
        wanted = np.asarray(images, np.int64)
        vectors = np.empty((len(wanted), size), np.float32)
        with self.reading() as connection:
            for first in range(0, len(wanted), _SCANNED):
                part = wanted[first : first + _SCANNED].tolist()
                # One scan, as they are mostly neighbours.
                query = "SELECT image, embedding FROM vectors WHERE image BETWEEN ? AND ? ORDER BY image"
                rows = connection.execute(query, (part[0], part[-1])).fetchall()
                if len(rows) > len(part):
                    chosen = set(part)
                    rows = [row for row in rows if row[0] in chosen]
                content = {image: self.from_vector(value) for image, value in rows}
                if wrong := [image for image in part if len(content.get(image, b"")) != 4 * size]:
                    raise self._damaged(wrong[0])
                vectors[first : first + len(part)] = np.frombuffer(b"".join(content.values()), "<f4").reshape(-1, size)
        return vectors

    def _damaged(self, image: int) -> StoreError:
        return StoreError(
            f"{self.name}: damaged, the embedding of image {image} is missing or has not {self.about['dimensions']} "
            "values: lookalike gallery verify names all that are damaged, and what to do"
        )

    def missing(self, numbers: Sequence[str | int], removed: bool) -> list[str | int]:
        """Which of these images are not in the gallery; with `removed`, not even as removed ones."""
        with self.reading() as connection:
            return missing_of(connection, "id", numbers, removed)

    @property
    def labels(self) -> list[str]:
        """Every label once."""
        with self.reading() as connection:
            rows = connection.execute("SELECT DISTINCT label FROM images WHERE removed IS NULL").fetchall()
        return [str(row[0]) for row in rows]

    def images_of(self, column: Column, values: Sequence[str | int]) -> list[int]:
        """The images whose id, label or source is one of the values, removed ones too, ascending."""
        with self.reading() as connection:
            return images_of(connection, column, values)

    def all_images(self) -> list[int]:
        """The numbers of all images, removed ones too, ascending."""
        with self.reading() as connection:
            return [int(row[0]) for row in connection.execute("SELECT id FROM images ORDER BY id").fetchall()]

    def changes(self, most: int | None = None, before: int | None = None) -> list[Change]:
        """The changes, the latest first."""
        with self.reading() as connection:
            return changes_of(connection, most, before)


def last_change(connection: Connection) -> int:
    """The number of the last change, 0 before the first.

    Args:
        connection: Of the gallery.
    """
    return number_of(connection, "last_change")


def reloaded_since(connection: Connection, version: int) -> bool:
    """Whether images were forgotten, or embedded anew, after a change: then all are read again.

    Args:
        connection: Of the gallery.
        version: The number of the change.
    """
    query = f"SELECT 1 FROM changes WHERE number > ? AND action IN {_RELOAD}"
    return connection.execute(query, (version,)).fetchone() is not None


def number_of(connection: Connection, name: str) -> int:
    """What a gallery says of itself as a number.

    Args:
        connection: Of the gallery.
        name: Such as `last_image`.
    """
    return int(connection.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()[0])
