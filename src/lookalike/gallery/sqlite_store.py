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
from typing import Literal

from lookalike.errors import LookalikeError

SCHEMA = 1
_BUSY_SECONDS = 30.0  # how long a writer waits for another
_KEYS = ("fingerprint", "precision", "dimensions")  # what a gallery says about itself, besides its schema
_TABLES = (
    "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE images (id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT NOT NULL, camera INTEGER, "
    "source TEXT NOT NULL, time TEXT NOT NULL, thumbnail BLOB NOT NULL, embedding BLOB NOT NULL)",
    "CREATE INDEX images_by_label ON images (label)",
    "CREATE TABLE changes (number INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, action TEXT NOT NULL, "
    "note TEXT NOT NULL)",
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
                for table in _TABLES:
                    connection.execute(table)
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
        numbers = []
        with self._change("add", note) as connection:
            for row in rows:
                cursor = connection.execute(
                    "INSERT INTO images (label, camera, source, time, thumbnail, embedding) VALUES (?, ?, ?, ?, ?, ?)",
                    (row.label, row.camera, row.source, now, row.thumbnail, row.embedding),
                )
                numbers.append(int(cursor.lastrowid or 0))
        return numbers

    def rename(self, label: str, new: str, note: str) -> int:
        """Gives all images of a label another one; returns how many there were, 0 for no change."""
        with self._change("rename", note) as connection:
            return connection.execute("UPDATE images SET label = ? WHERE label = ?", (new, label)).rowcount

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
