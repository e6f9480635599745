"""The rows of a gallery in an SQL database: what SQLite and PostgreSQL share.

Every change is one transaction with a number, whole or not at all. Threads of a process take turns, and a reader of it
never waits for a writer of another process.

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
from lookalike.gallery.connection import Connection
from lookalike.gallery.facts import CONFIRMED, YES
from lookalike.gallery.history import FORGOTTEN, Column, Writing
from lookalike.gallery.leftover import Own
from lookalike.gallery.looked_up import count_of, enrolled_as, images_of, missing_of
from lookalike.gallery.rows import MissingError, OtherLabelError, Row, StoreError, digest
from lookalike.gallery.same_images import sorted_out
from lookalike.gallery.stored_images import StoredImages, last_change, number_of


class SqlStore(StoredImages):
    """An open gallery."""

    def _open_to_write(self) -> AbstractContextManager[None]:
        """The turn of a thread that writes."""
        return self._open()

    @abstractmethod
    def _writing(self) -> AbstractContextManager[Connection]:
        """A transaction of the only writer: whole, or taken back."""

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

    def add(self, rows: Sequence[Row], note: str) -> list[int]:
        """Enrols rows as one change; returns their numbers."""
        with self._change("add", note) as writing:
            return self._insert(writing, rows)

    def add_new(self, rows: Sequence[Row], note: str) -> tuple[list[int], int, int]:
        """Enrols as one change those rows whose image is not enrolled; of the others camera and columns are set.

        An image is the same when its thumbnail is, and its embedding or its source, too.

        Returns:
            The number of every row, enrolled now or earlier; how many were enrolled now; and how many were there, and
            have another camera or other columns now.

        Raises:
            OtherLabelError: The image of a row is enrolled under another label; nothing was added.
        """
        keys = [(row.picture_digest, row.embedding_digest) for row in rows]
        with self._change("add", note) as writing:
            enrolled = enrolled_as(writing.connection, [picture for picture, _ in keys])
            new, places, others = sorted_out(rows, keys, enrolled)
            if others:
                raise OtherLabelError(others)
            fresh = self._insert(writing, new)
            numbers = [place if place >= 0 else fresh[-1 - place] for place in places]
            enrolled_now = {id(row) for row in new}
            given: dict[int, dict[str, str]] = {}
            for row, number in zip(rows, numbers, strict=True):
                if id(row) not in enrolled_now and row.facts:
                    given.setdefault(number, {}).update(row.facts)
            described = writing.describe(given)
        return numbers, len(new), described

    def confirm(self, numbers: Sequence[int], note: str) -> tuple[int, list[str | int]]:
        """Notes that the labels of single images are right.

        Returns:
            Of how many that was not known; and those that are not there: then nothing is changed.
        """
        with self._change("confirm", note) as writing:
            missing = missing_of(writing.connection, "id", numbers)
            given = {} if missing else {number: {CONFIRMED: YES} for number in numbers}
            return writing.describe(given), missing

    def confirmed(self) -> set[int]:
        """The images whose labels a person called right."""
        return self.having(CONFIRMED, [YES])

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

    def forget(
        self,
        column: Column,
        values: Sequence[str | int],
        note: str,
        own: Own = lambda sources: [],
        all_there: bool = False,
    ) -> int:
        """Deletes images for good, removed ones too, with all that the history says of them; returns how many.

        Those of their sources that are files of the gallery itself, as `own` says, go as soon as the images are gone.

        Raises:
            MissingError: No image has one of the values, where `all_there` says that one must; nothing is deleted.
            StoreError: They are deleted, but see `erase`, or a file could not be.
        """
        with self._change("forget", note) as writing:
            missing = missing_of(writing.connection, column, values, removed=True) if all_there else []
            if missing:
                raise MissingError(missing)
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
            with self._open_to_write(), self._writing() as connection:
                leftover.settle(connection, text)

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

    @contextmanager
    def _change(self, action: str, note: str) -> Iterator[Writing]:
        """One transaction with a number; what changes no row leaves no trace."""
        self._of_thread.change = None
        with self._open_to_write(), self._writing() as connection:
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
        first = number_of(writing.connection, "last_image") + 1
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


def _set(connection: Connection, name: str, value: str) -> None:
    if not connection.execute("UPDATE about SET value = ? WHERE name = ?", (value, name)).rowcount:
        connection.execute("INSERT INTO about VALUES (?, ?)", (name, value))
