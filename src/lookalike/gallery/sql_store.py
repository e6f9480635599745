"""The rows of a gallery in an SQL database: what SQLite and PostgreSQL share.

Every change is one transaction with a number, whole or not at all. Threads of a process take turns.

Letters in shapes: N images, D embedding.
"""

import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import numpy as np

from lookalike.gallery import leftover
from lookalike.gallery.about import ERASING
from lookalike.gallery.history import FORGOTTEN, Change, Column, Connection, Writing, changes_of, labels_at
from lookalike.gallery.image_facts import ImageFacts
from lookalike.gallery.leftover import Own
from lookalike.gallery.looked_up import count_of, enrolled_as, images_of, missing_of
from lookalike.gallery.rows import OtherLabelError, Row, StoredRow, StoreError, digest
from lookalike.gallery.same_images import sorted_out

_SCANNED = 20_000  # embeddings that are read at a time
_RELOAD = "('forget', 'reembed')"  # changes after which all images are read again


class SqlStore(ImageFacts):
    """An open gallery."""

    @abstractmethod
    def _writing(self) -> AbstractContextManager[Connection]:
        """A transaction of the only writer: whole, or taken back."""

    @abstractmethod
    def from_vector(self, value: bytes) -> bytes:
        """What the database gives for an embedding, as float32 little-endian bytes."""

    @property
    def change_of_thread(self) -> int | None:
        """The number of what this thread changed last; None where that changed nothing."""
        number: int | None = getattr(self._of_thread, "change", None)
        return number

    @abstractmethod
    def erase(self) -> bool:
        """Takes what was forgotten out of every file; returns whether there was anything to do.

        Raises:
            StoreError: Not now, as another process was reading all the time.
        """

    @abstractmethod
    def close(self) -> None:
        """Lets go of it."""

    @abstractmethod
    def _no_longer_kept(self, images: Sequence[int]) -> None:
        """Called in the transaction that forgets these images, whose numbers ascend."""

    @abstractmethod
    def own_problems(self, images: Sequence[int]) -> list[str]:
        """What is wrong with its files, a line each; `images` are all of them, removed ones too."""

    @abstractmethod
    def compact(self) -> int:
        """Gives back the room of what was forgotten; returns how many bytes."""

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

    def add(self, rows: Sequence[Row], note: str) -> list[int]:
        """Enrols rows as one change; returns their numbers."""
        with self._change("add", note) as writing:
            return self._insert(writing, rows)

    def add_new(self, rows: Sequence[Row], note: str) -> tuple[list[int], int]:
        """Enrols as one change those rows whose image is not enrolled.

        An image is the same when its thumbnail is, and its embedding or its source, too.

        Returns:
            The number of every row, enrolled now or earlier; and how many were enrolled now.

        Raises:
            OtherLabelError: The image of a row is enrolled under another label; nothing was added.
        """
        keys = [(row.picture_digest, row.embedding_digest) for row in rows]
        with self._change("add", note) as writing:
            enrolled = enrolled_as(writing.connection, [picture for picture, _ in keys])
            new, places, others = sorted_out(rows, keys, enrolled)
            if others:
                raise OtherLabelError(others)
            numbers = self._insert(writing, new)
        return [place if place >= 0 else numbers[-1 - place] for place in places], len(new)

    def rename(self, label: str, new: str, note: str) -> tuple[int, int]:
        """Gives all images of a label another one, unless there are images of that.

        Returns:
            How many have it now that had the old one; and how many there were of it: then nothing is changed.
        """
        with self._change("rename", note) as writing:
            there = count_of(writing.connection, label)
            taken = count_of(writing.connection, new) if label != new and there else 0
            if not taken:
                writing.relabel("label", label, new)
            return (0, taken) if taken else (there, 0)

    def merge(self, labels: Sequence[str], into: str, note: str) -> tuple[int, list[str]]:
        """Gives all images of several labels one label, which may be there already.

        Returns:
            How many have it now that had another; and the labels that are not there: then nothing is changed.
        """
        with self._change("merge", note) as writing:
            missing = [label for label in labels if not count_of(writing.connection, label)]
            others = [] if missing else [label for label in labels if label != into]
            return sum(writing.relabel("label", label, into) for label in others), missing

    def move(self, numbers: Sequence[str | int], label: str, note: str) -> tuple[int, list[str | int]]:
        """Gives single images another label.

        Returns:
            How many had another one; and those that are not there: then nothing is changed.
        """
        with self._change("move", note) as writing:
            missing = missing_of(writing.connection, "id", numbers)
            return sum(writing.relabel("id", number, label) for number in ([] if missing else numbers)), missing

    def remove(self, column: Column, values: Sequence[str | int], note: str) -> tuple[int, list[str | int]]:
        """Removes the images of these ids or labels, all of them or none, or those of one of these sources.

        They stay in the store, so that the change can be undone, until they are forgotten.

        Returns:
            How many there were; and the ids and labels that are not there: then nothing is changed.
        """
        with self._change("remove", note) as writing:
            missing = [] if column == "source" else missing_of(writing.connection, column, values)
            return sum(writing.remove(column, value) for value in ([] if missing else values)), missing

    def undo(self, number: int, note: str) -> int:
        """Takes a change back, as another change; returns how many images it touched.

        Raises:
            HistoryError: There is no such change, or other changes stand in the way.
        """
        with self._change("undo", note) as writing:
            return writing.undo(number)

    def images_of(self, column: Column, values: Sequence[str | int]) -> list[int]:
        """The images whose id, label or source is one of the values, removed ones too, ascending."""
        with self.reading() as connection:
            return images_of(connection, column, values)

    def forget(self, column: Column, values: Sequence[str | int], note: str, own: Own = lambda sources: []) -> int:
        """Deletes images for good, removed ones too, with all that the history says of them; returns how many.

        Those of their sources that are files of the gallery itself, as `own` says, go as soon as the images are gone.

        Raises:
            StoreError: They are deleted, but see `erase`, or a file could not be.
        """
        with self._change("forget", note) as writing:
            files = leftover.own_of(writing.connection, column, values, own)
            self._no_longer_kept(images_of(writing.connection, column, values))
            forgotten = writing.forget(column, values)
            if writing.touched:
                _set(writing.connection, ERASING, str(writing.number))
                _set(writing.connection, f"{FORGOTTEN}{writing.number}", str(forgotten))
                leftover.note(writing.connection, files)
        self.delete_leftover(own)
        self.erase()
        return forgotten

    def delete_leftover(self, own: Own) -> None:
        """Deletes the files of forgotten images, those that a killed process left, too."""
        with self.reading() as connection:
            text = leftover.noted(connection)
        if text:
            with self._explained():
                for file in own(json.loads(text)):
                    Path(file).unlink(missing_ok=True)
            with self._open(), self._writing() as connection:
                leftover.settle(connection, text)

    def all_images(self) -> list[int]:
        """The numbers of all images, removed ones too, ascending."""
        with self.reading() as connection:
            return [int(row[0]) for row in connection.execute("SELECT id FROM images ORDER BY id").fetchall()]

    def switch_model(self, about: dict[str, str], images: np.ndarray, embeddings: np.ndarray, note: str) -> int | None:
        """Replaces the embeddings of all images by those of another model, as one change.

        Args:
            about: What the gallery says of the model: fingerprint, precision, dimensions, model.
            images: int64 [N], ascending; those that were forgotten meanwhile are left out.
            embeddings: float32 [N, D].
            note: Why, for the history.

        Returns:
            The number of the change; None where images are not among these: then nothing is changed.
        """
        with self._change("reembed", note) as writing:
            connection = writing.connection
            query = "SELECT i.id, length(t.jpeg) FROM images i LEFT JOIN thumbnails t ON t.image = i.id ORDER BY i.id"
            rows = connection.execute(query).fetchall()
            present = np.array([image for image, _ in rows], np.int64)
            if not np.isin(present, images).all():
                return None
            kept = embeddings[np.searchsorted(images, present)].astype("<f4")
            digests = [digest(embedding.tobytes()) for embedding in kept]
            self._replace_vectors(connection, present.tolist(), kept)
            connection.executemany(
                "UPDATE images SET vector = ? WHERE id = ?", list(zip(digests, present.tolist(), strict=True))
            )
            bare = [(code, image) for code, (image, pictured) in zip(digests, rows, strict=True) if not pictured]
            if bare:
                connection.executemany("UPDATE images SET picture = ? WHERE id = ?", bare)
            for name, value in {**about, "gallery": uuid4().hex}.items():
                _set(connection, name, value)
            writing.touched = 1
        return writing.number

    @abstractmethod
    def _replace_vectors(self, connection: Connection, images: list[int], embeddings: np.ndarray) -> None:
        """Puts float32 [N, D] in the place of all embeddings, of another D perhaps."""

    def changes(self, most: int | None = None, before: int | None = None) -> list[Change]:
        """The changes, the latest first."""
        with self.reading() as connection:
            return changes_of(connection, most, before)

    @contextmanager
    def _change(self, action: str, note: str) -> Iterator[Writing]:
        """One transaction with a number; what changes no row leaves no trace."""
        self._of_thread.change = None
        with self._open(), self._writing() as connection:
            writing = Writing(connection, last_change(connection) + 1)
            yield writing
            if writing.touched:
                values = (writing.number, now(), action, note)
                connection.execute("INSERT INTO changes VALUES (?, ?, ?, ?)", values)
                _set(connection, "last_change", str(writing.number))
        self._of_thread.change = writing.number if writing.touched else None

    def _insert(self, writing: Writing, rows: Sequence[Row]) -> list[int]:
        if not rows:
            return []
        size = 4 * int(self.about["dimensions"])
        if wrong := [row for row in rows if len(row.embedding) != size]:
            raise StoreError(
                f"{self.name}: expected embeddings of {size // 4} values, found {len(wrong[0].embedding) / 4:g}: embed "
                "with the model of the gallery"
            )
        first = _number(writing.connection, "last_image") + 1
        self._write_rows(writing.connection, first, rows, now())
        numbers = list(range(first, first + len(rows)))
        writing.added(first, numbers[-1])
        _set(writing.connection, "last_image", str(numbers[-1]))
        return numbers

    @abstractmethod
    def _write_rows(self, connection: Connection, first: int, rows: Sequence[Row], time: str) -> None:
        """Enrols rows under the numbers from the first on, without telling the history."""


def now() -> str:
    """The time of a change, with the offset of the clock."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def last_change(connection: Connection) -> int:
    """The number of the last change, 0 before the first.

    Args:
        connection: Of the gallery.
    """
    return _number(connection, "last_change")


def reloaded_since(connection: Connection, version: int) -> bool:
    """Whether images were forgotten, or embedded anew, after a change: then all are read again.

    Args:
        connection: Of the gallery.
        version: The number of the change.
    """
    query = f"SELECT 1 FROM changes WHERE number > ? AND action IN {_RELOAD}"
    return connection.execute(query, (version,)).fetchone() is not None


def _number(connection: Connection, name: str) -> int:
    return int(connection.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()[0])


def _set(connection: Connection, name: str, value: str) -> None:
    if not connection.execute("UPDATE about SET value = ? WHERE name = ?", (value, name)).rowcount:
        connection.execute("INSERT INTO about VALUES (?, ?)", (name, value))
