"""The rows of a gallery in one SQLite file: every change is one transaction with a number, whole or not at all.

A killed process leaves the last whole change (write-ahead log, fsync at every commit); other processes may read while
one writes. Threads of a process take turns.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import RLock
from typing import overload

from lookalike.gallery.history import TABLES, Change, Column, Writing, changes_of, labels_at, next_number
from lookalike.gallery.rows import START, OtherLabelError, Row, StoredRow, StoreError

SCHEMA = 2  # 1 had no history: what was removed was gone
_BUSY_SECONDS = 30.0  # how long a writer waits for another
_KEYS = ("fingerprint", "precision", "dimensions")  # what a gallery says about itself, besides its schema
_TABLES = (
    "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE images (id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT NOT NULL, camera INTEGER, "
    "source TEXT NOT NULL, time TEXT NOT NULL, thumbnail BLOB NOT NULL, embedding BLOB NOT NULL, removed INTEGER)",
    "CREATE INDEX images_by_label ON images (label)",
    "CREATE TABLE changes (number INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, action TEXT NOT NULL, "
    "note TEXT NOT NULL)",
)
_LOOKED_UP = (  # also made in a gallery of a version that had none
    f"CREATE INDEX IF NOT EXISTS images_by_embedding ON images (substr(embedding, 1, {START}))",
    "CREATE INDEX IF NOT EXISTS images_by_source ON images (source)",
)
_SAME = (  # one image: the same picture, and the same embedding or source
    f"SELECT id, label FROM images WHERE substr(embedding, 1, {START}) = ? AND embedding = ? AND thumbnail = ? "
    "AND removed IS NULL UNION "
    "SELECT id, label FROM images WHERE source = ? AND thumbnail = ? AND removed IS NULL ORDER BY id"
)


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
        if int(schema) < SCHEMA:
            self._begin_history()

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
                for statement in (*_TABLES, *TABLES, *_LOOKED_UP):
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
        query = "SELECT id, label, source, embedding, camera FROM images WHERE removed IS NULL ORDER BY id"
        with self._open():
            return [StoredRow(*row) for row in self._connection.execute(query)]

    def thumbnail(self, number: int) -> bytes:
        """The small JPEG of an image, of a removed one too; empty for one that was forgotten."""
        with self._open():
            row = self._connection.execute("SELECT thumbnail FROM images WHERE id = ?", (number,)).fetchone()
        return bytes(row[0]) if row else b""

    def missing(self, numbers: Sequence[str | int], removed: bool) -> list[str | int]:
        """Which of these images are not in the gallery; with `removed`, not even as removed ones."""
        query = "SELECT 1 FROM images WHERE id = ? AND (? OR removed IS NULL)"
        with self._open():
            return [number for number in numbers if not self._connection.execute(query, (number, removed)).fetchone()]

    @property
    def labels(self) -> list[str]:
        """Every label once."""
        return [
            str(row[0]) for row in self._connection.execute("SELECT DISTINCT label FROM images WHERE removed IS NULL")
        ]

    def add(self, rows: Sequence[Row], note: str) -> list[int]:
        """Enrols rows as one change; returns their numbers."""
        now = _now()
        with self._change("add", note) as writing:
            return [_insert(writing, row, now) for row in rows]

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
        with self._change("add", note) as writing:
            for statement in _LOOKED_UP:
                writing.connection.execute(statement)
            for row in rows:
                start = row.embedding[:START]
                values = (start, row.embedding, row.thumbnail, row.source, row.thumbnail)
                enrolled = writing.connection.execute(_SAME, values).fetchall()
                same = [int(number) for number, label in enrolled if label == row.label]
                if enrolled and not same:
                    others.append((row, str(enrolled[0][1])))
                    continue
                numbers.append(same[0] if same else _insert(writing, row, now))
                added += not same
            if others:
                raise OtherLabelError(others)
        return numbers, added

    def rename(self, label: str, new: str, note: str) -> tuple[int, int]:
        """Gives all images of a label another one, unless there are images of that.

        Returns:
            How many have it now that had the old one; and how many there were of it: then nothing is changed.
        """
        with self._change("rename", note) as writing:
            there = _count(writing, label)
            taken = _count(writing, new) if label != new and there else 0
            if not taken:
                writing.relabel("label", label, new)
            return (0, taken) if taken else (there, 0)

    def merge(self, labels: Sequence[str], into: str, note: str) -> tuple[int, list[str]]:
        """Gives all images of several labels one label, which may be there already.

        Returns:
            How many have it now that had another; and the labels that are not there: then nothing is changed.
        """
        with self._change("merge", note) as writing:
            missing = [label for label in labels if not _count(writing, label)]
            others = [] if missing else [label for label in labels if label != into]
            return sum(writing.relabel("label", label, into) for label in others), missing

    def move(self, numbers: Sequence[str | int], label: str, note: str) -> int:
        """Gives single images another label; returns how many had another one."""
        with self._change("move", note) as writing:
            return sum(writing.relabel("id", number, label) for number in numbers)

    def remove(self, column: Column, values: Sequence[str | int], note: str) -> int:
        """Removes the images whose id, label or source is one of the values; returns how many there were.

        They stay in the file, so that the change can be undone, until they are forgotten.
        """
        with self._change("remove", note) as writing:
            return sum(writing.remove(column, value) for value in values)

    def undo(self, number: int, note: str) -> int:
        """Takes a change back, as another change; returns how many images it touched.

        Raises:
            HistoryError: There is no such change, or other changes stand in the way.
        """
        with self._change("undo", note) as writing:
            return writing.undo(number)

    def forget(self, column: Column, values: Sequence[str | int], note: str) -> int:
        """Deletes images for good, removed ones too, with all that the history says of them; returns how many.

        Raises:
            StoreError: They are deleted, but another process reads the gallery, so that their bytes stay in the
                write-ahead log until the next call.
        """
        with self._change("forget", note) as writing:
            forgotten = writing.forget(column, values)
        if forgotten:
            self.empty_log()
        return forgotten

    def empty_log(self) -> None:
        """Writes the write-ahead log into the file and empties it.

        Raises:
            StoreError: Another process was reading all the time.
        """
        with self._open():
            busy = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise StoreError(
                f"{self.file}: forgotten, but another process reads the gallery, so the bytes are still in its log: "
                "end that process and call forget again"
            )

    def changes(self, most: int | None = None) -> list[Change]:
        """The changes, the latest first."""
        with self._open():
            return changes_of(self._connection, most)

    def rows_at(self, number: int) -> list[StoredRow]:
        """All rows as they were after a change, 0 for none, in the order they were enrolled.

        Raises:
            HistoryError: There is no such change, or it is older than the history.
        """
        query = "SELECT id, source, embedding, camera FROM images ORDER BY id"
        with self._open():
            labels = labels_at(self._connection, number, int(self.about.get("history", 0)))
            rows = self._connection.execute(query).fetchall()
        return [StoredRow(image, labels[image], *others) for image, *others in rows if image in labels]

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
    def _change(self, action: str, note: str) -> Iterator[Writing]:
        """One transaction with a number; what changes no row leaves no trace."""
        with self._transaction() as connection:
            before = connection.total_changes
            writing = Writing(connection, next_number(connection))
            yield writing
            if connection.total_changes > before:
                values = (writing.number, _now(), action, note)
                connection.execute("INSERT INTO changes VALUES (?, ?, ?, ?)", values)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Whole, or taken back."""
        connection = self._connection
        with self._open():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _begin_history(self) -> None:
        """In a gallery of a version that had none; of two processes one does it."""
        with self._transaction() as connection:
            if "removed" not in {row[1] for row in connection.execute("PRAGMA table_info(images)")}:
                connection.execute("ALTER TABLE images ADD COLUMN removed INTEGER")
                for statement in TABLES:
                    connection.execute(statement)
                connection.execute("UPDATE about SET value = ? WHERE name = 'schema'", (str(SCHEMA),))
                last = str(next_number(connection) - 1)
                connection.execute("INSERT INTO about VALUES ('history', ?)", (last,))
            self.about = dict(connection.execute("SELECT name, value FROM about").fetchall())


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


def _insert(writing: Writing, row: Row, now: str) -> int:
    cursor = writing.connection.execute(
        "INSERT INTO images (label, camera, source, time, thumbnail, embedding) VALUES (?, ?, ?, ?, ?, ?)",
        (row.label, row.camera, row.source, now, row.thumbnail, row.embedding),
    )
    number = int(cursor.lastrowid or 0)
    writing.added(number, row.label)
    return number


def _count(writing: Writing, label: str) -> int:
    query = "SELECT count(*) FROM images WHERE label = ? AND removed IS NULL"
    return int(writing.connection.execute(query, (label,)).fetchone()[0])


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
    connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten
    return connection


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
