"""The rows of a gallery in one SQLite file: every change is one transaction with a number, whole or not at all.

A killed process leaves the last whole change (write-ahead log, fsync at every commit); other processes may read while
one writes. Threads of a process take turns.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import RLock
from typing import Literal, overload

from lookalike.errors import LookalikeError

SCHEMA = 1
_BUSY_SECONDS = 30.0  # how long a writer waits for another
_START = 16  # bytes of an embedding by which it is looked up
_KEYS = ("fingerprint", "precision", "dimensions")  # what a gallery says about itself, besides its schema
_TABLES = (
    "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE images (id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT NOT NULL, camera INTEGER, "
    "source TEXT NOT NULL, time TEXT NOT NULL, thumbnail BLOB NOT NULL, embedding BLOB NOT NULL)",
    "CREATE INDEX images_by_label ON images (label)",
    "CREATE TABLE changes (number INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, action TEXT NOT NULL, "
    "note TEXT NOT NULL)",
)
_LOOKED_UP = (  # also made in a gallery of a version that had none
    f"CREATE INDEX IF NOT EXISTS images_by_embedding ON images (substr(embedding, 1, {_START}))",
    "CREATE INDEX IF NOT EXISTS images_by_source ON images (source)",
)
_SAME = (  # one image: the same picture, and the same embedding or source
    f"SELECT id, label FROM images WHERE substr(embedding, 1, {_START}) = ? AND embedding = ? AND thumbnail = ? UNION "
    "SELECT id, label FROM images WHERE source = ? AND thumbnail = ? ORDER BY id"
)


class StoreError(LookalikeError):
    """The file of a gallery cannot be used."""


@dataclass(frozen=True)
class Row:
    """One image to enrol.

    Attributes:
        label: Its class name.
        source: Where it came from: the path of its file, or a name.
        thumbnail: A small JPEG.
        embedding: float32 little-endian bytes.
        camera: What took it, None where unknown.
    """

    label: str
    source: str
    thumbnail: bytes
    embedding: bytes
    camera: int | None = None


class OtherLabelError(StoreError):
    """Images to enrol are there already, under other labels.

    Attributes:
        others: Each row, and the label that its image has.
    """

    def __init__(self, others: list[tuple[Row, str]]) -> None:
        super().__init__(f"{len(others)} images have another label")
        self.others = others


@dataclass(frozen=True)
class StoredRow:
    """One enrolled image, without its thumbnail.

    Attributes:
        id: Its number, never used twice in a gallery.
        label: Its class name.
        source: Where it came from.
        embedding: float32 little-endian bytes.
        camera: What took it, None where unknown.
    """

    id: int
    label: str
    source: str
    embedding: bytes
    camera: int | None


class SqliteStore:
    """An open file.

    Args:
        file: Made by `create`.

    Raises:
        StoreError: It is missing, damaged, or of a newer version.
    """

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise StoreError(f"{file}: no gallery there: make one with Gallery.create(<folder>, model)")
        self.file, self.closed = file, False
        self._turn = RLock()
        with _explained(file):
            self._connection = _connect(file)
            rows = self._connection.execute("SELECT name, value FROM about").fetchall()
        self.about: dict[str, str] = dict(rows)
        schema = self.about.get("schema", "")
        if not schema.isdigit() or int(schema) > SCHEMA:
            raise StoreError(
                f"{file}: gallery schema {schema or 'missing'}, this version reads up to {SCHEMA}: "
                "pip install -U lookalike"
            )
        if missing := [key for key in _KEYS if key not in self.about]:
            raise StoreError(f"{file}: does not say its {', '.join(missing)}: copy the gallery again")

    @classmethod
    def create(cls, file: Path, about: dict[str, str]) -> "SqliteStore":
        """Makes the file; what a killed process began to make is made whole.

        Args:
            file: New.
            about: What the gallery is of: fingerprint, precision, dimensions.

        Raises:
            StoreError: A gallery stands there, or something else.
        """
        assert set(about) == set(_KEYS)
        with _explained(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            connection = _connect(file)
            try:
                connection.execute("BEGIN IMMEDIATE")
                if connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                    raise StoreError(f"{file}: a gallery is there already: use Gallery.open, or give another folder")
                for statement in (*_TABLES, *_LOOKED_UP):
                    connection.execute(statement)
                rows = {"schema": str(SCHEMA), **about}.items()
                connection.executemany("INSERT INTO about VALUES (?, ?)", rows)
                connection.execute("COMMIT")
            finally:
                connection.close()
        return cls(file)

    @property
    def version(self) -> tuple[int, int]:
        """Changes whenever the rows may have changed, by this process or another."""
        with self._open():
            other = self._connection.execute("PRAGMA data_version").fetchone()[0]
            own = self._connection.execute("SELECT coalesce(max(number), 0) FROM changes").fetchone()[0]
        return int(other), int(own)

    def rows(self) -> list[StoredRow]:
        """All rows, in the order they were enrolled."""
        query = "SELECT id, label, source, embedding, camera FROM images ORDER BY id"
        with self._open():
            return [StoredRow(*row) for row in self._connection.execute(query)]

    def thumbnail(self, number: int) -> bytes:
        """The small JPEG of an image, empty for one that was removed."""
        with self._open():
            row = self._connection.execute("SELECT thumbnail FROM images WHERE id = ?", (number,)).fetchone()
        return bytes(row[0]) if row else b""

    @property
    def labels(self) -> list[str]:
        """Every label once."""
        return [str(row[0]) for row in self._connection.execute("SELECT DISTINCT label FROM images")]

    def add(self, rows: Sequence[Row], note: str) -> list[int]:
        """Enrols rows as one change; returns their numbers."""
        now = _now()
        with self._change("add", note) as connection:
            return [_insert(connection, row, now) for row in rows]

    def add_new(self, rows: Sequence[Row], note: str) -> tuple[list[int], int]:
        """Enrols as one change those rows whose image is not enrolled.

        An image is the same when its thumbnail is, and its embedding or its source, too.

        Returns:
            The number of every row, enrolled now or earlier; and how many were enrolled now.

        Raises:
            OtherLabelError: The image of a row is enrolled under another label; nothing was added.
        """
        now, numbers, added = _now(), [], 0
        others: list[tuple[Row, str]] = []
        with self._change("add", note) as connection:
            for statement in _LOOKED_UP:
                connection.execute(statement)
            for row in rows:
                start = row.embedding[:_START]
                values = (start, row.embedding, row.thumbnail, row.source, row.thumbnail)
                enrolled = connection.execute(_SAME, values).fetchall()
                same = [int(number) for number, label in enrolled if label == row.label]
                if enrolled and not same:
                    others.append((row, str(enrolled[0][1])))
                    continue
                numbers.append(same[0] if same else _insert(connection, row, now))
                added += not same
            if others:
                raise OtherLabelError(others)
        return numbers, added

    def rename(self, label: str, new: str, note: str) -> tuple[int, int]:
        """Gives all images of a label another one, unless there are images of that.

        Returns:
            How many have it now that had the old one; and how many there were of it: then nothing is changed.
        """
        with self._change("rename", note) as connection:
            taken = _count(connection, new) if label != new and _count(connection, label) else 0
            return (0, taken) if taken else (_relabel(connection, label, new), 0)

    def merge(self, labels: Sequence[str], into: str, note: str) -> tuple[int, list[str]]:
        """Gives all images of several labels one label, which may be there already.

        Returns:
            How many have it now that had another; and the labels that are not there: then nothing is changed.
        """
        with self._change("merge", note) as connection:
            missing = [label for label in labels if not _count(connection, label)]
            others = [] if missing else [label for label in labels if label != into]
            return sum(_relabel(connection, label, into) for label in others), missing

    def remove(self, column: Literal["id", "label", "source"], values: Sequence[str | int], note: str) -> int:
        """Removes the images whose id, label or source is one of the values; returns how many there were."""
        with self._change("remove", note) as connection:
            query = f"DELETE FROM images WHERE {column} = ?"
            return sum(connection.execute(query, (value,)).rowcount for value in values)

    def close(self) -> None:
        """Lets go of the file."""
        self.closed = True
        self._connection.close()

    @contextmanager
    def _open(self) -> Iterator[None]:
        """A thread's turn with the open file."""
        if self.closed:
            raise StoreError(f"{self.file}: closed: open the gallery again with Gallery.open")
        with self._turn, _explained(self.file):
            yield

    @contextmanager
    def _change(self, action: str, note: str) -> Iterator[sqlite3.Connection]:
        """One transaction; what changes no row leaves no trace."""
        connection = self._connection
        with self._open():
            connection.execute("BEGIN IMMEDIATE")
            try:
                before = connection.total_changes
                yield connection
                if connection.total_changes > before:
                    values = (_now(), action, note)
                    connection.execute("INSERT INTO changes (time, action, note) VALUES (?, ?, ?)", values)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


class Thumbnails(Sequence[bytes]):
    """Read when they are asked for: a few neighbours are drawn, out of perhaps a hundred thousand images.

    Args:
        store: Where they are.
        numbers: Of the images.
    """

    def __init__(self, store: SqliteStore, numbers: Sequence[int]) -> None:
        self._store, self._numbers = store, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, row: int) -> bytes: ...

    @overload
    def __getitem__(self, row: slice) -> list[bytes]: ...

    def __getitem__(self, row: int | slice) -> bytes | list[bytes]:
        if isinstance(row, slice):
            return [self[place] for place in range(len(self))[row]]
        return self._store.thumbnail(self._numbers[row])


def _insert(connection: sqlite3.Connection, row: Row, now: str) -> int:
    cursor = connection.execute(
        "INSERT INTO images (label, camera, source, time, thumbnail, embedding) VALUES (?, ?, ?, ?, ?, ?)",
        (row.label, row.camera, row.source, now, row.thumbnail, row.embedding),
    )
    return int(cursor.lastrowid or 0)


def _count(connection: sqlite3.Connection, label: str) -> int:
    return int(connection.execute("SELECT count(*) FROM images WHERE label = ?", (label,)).fetchone()[0])


def _relabel(connection: sqlite3.Connection, label: str, new: str) -> int:
    return connection.execute("UPDATE images SET label = ? WHERE label = ?", (new, label)).rowcount


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Says in one line what SQLite and the system raise: damaged, locked, a full disk, no permission."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StoreError(
            f"{file}: cannot be used ({reason}): check the disk and its permissions, and whether another "
            "process holds the gallery"
        ) from error


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
