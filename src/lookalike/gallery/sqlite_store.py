"""A gallery in one SQLite file, for one computer: many processes read while one writes.

A killed process leaves the last whole change (write-ahead log, fsync at every commit). Embeddings are also kept in a
flat file beside it (see `vector_file`), which holds nothing of its own.

Letters in shapes: N images, D embedding.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from threading import Lock
from time import monotonic, sleep

import numpy as np

from lookalike.errors import LookalikeError
from lookalike.gallery.about import ERASING, SCHEMA, check_about, first_about, replaced
from lookalike.gallery.connection import Connection
from lookalike.gallery.rows import ReplacedError, Row, StoreError
from lookalike.gallery.sql_store import SqlStore
from lookalike.gallery.sqlite_place import make_one, need_folder, no_gallery, there_already
from lookalike.gallery.sqlite_tables import TABLES, has_tables, upgrade
from lookalike.gallery.stored_images import last_change, reloaded_since
from lookalike.gallery.vector_file import VectorFile

_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
_CACHE_KIB = 2**16
_BUSY_SECONDS = 30.0  # how long a writer waits for another
_TRY_MILLISECONDS = 200  # of emptying the log, beside threads of this process and alone in turns
_PAUSE_SECONDS = 0.01  # between two tries


class SqliteStore(SqlStore):
    """An open file.

    Args:
        file: Made by `create`.

    Raises:
        StoreError: It is missing, damaged, or of a newer version.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file, self.name = file, str(file)
        self._emptying = Lock()
        if not file.is_file():
            raise StoreError(no_gallery(file))
        with self._explained():
            self._connection = _connect(file)
        try:
            self.about = self._first_read()
        except BaseException:
            self._connection.close()
            raise
        size = int(self.about["dimensions"])
        self._vectors = VectorFile(file.with_suffix(".vectors"), self.about["gallery"], size)

    def _first_read(self) -> dict[str, str]:
        """What it says of itself, once it is of this version."""
        with self._explained():
            if not has_tables(self._connection):
                place = self.file.parent
                raise StoreError(f"{self.file}: holds no gallery, as where one was never finished: {make_one(place)}")
            self._identity = _identity(self.file)
            about = self._read_about()
        if check_about(self.name, about) == SCHEMA:
            return about
        self.about = {}  # it gets another name, from another process perhaps
        with self._open_to_write(), self._writing() as connection:
            upgrade(connection)
            about = self._read_about()
        check_about(self.name, about)
        return about

    @classmethod
    def create(cls, file: Path, about: dict[str, str]) -> "SqliteStore":
        """Makes the file; what a killed process began to make is made whole.

        Args:
            file: New.
            about: What the gallery is of: fingerprint, precision, dimensions, model.

        Raises:
            StoreError: A gallery stands there, or something else.
        """
        need_folder(file.parent)
        with _explained(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            connection = _connect(file)
            try:
                connection.execute("BEGIN IMMEDIATE")
                if has_tables(connection):
                    raise StoreError(there_already(file))
                for statement in TABLES:
                    connection.execute(statement)
                rows = first_about(about).items()
                connection.executemany("INSERT INTO about VALUES (?, ?)", rows)
                connection.execute("COMMIT")
            finally:
                connection.close()
        return cls(file)

    def opened_again(self) -> "SqliteStore":
        """The same file, opened anew."""
        return SqliteStore(self.file)

    def embeddings(self, images: Sequence[int] | np.ndarray) -> np.ndarray:
        """float32 [N, D] of these images, removed ones too, whose numbers ascend."""
        vectors = np.empty((len(images), int(self.about["dimensions"])), np.float32)
        numbers = np.asarray(images, np.int64)
        filled = self._vectors.read(numbers, vectors)
        if not filled.all():
            vectors[~filled] = super().embeddings(numbers[~filled])
        if self._vectors.wants(int((~filled).sum()), len(filled)):
            self._keep_vectors(numbers, vectors)
        return vectors

    def erase(self) -> bool:
        """Writes the write-ahead log into the file and empties it, after images were forgotten.

        Raises:
            StoreError: Another process was reading all the time.
        """
        with self.reading() as connection:
            row = connection.execute("SELECT value FROM about WHERE name = ?", (ERASING,)).fetchone()
        if not row:
            return False
        with self._open():
            self._vectors.discard()
        if not self._log_emptied():
            raise StoreError(
                f"{self.file}: forgotten, but another process reads the gallery, so the bytes are still in its "
                "log: end that process and call forget again"
            )
        with self._open(), self._writing() as connection:  # unless more was forgotten meanwhile
            connection.execute("DELETE FROM about WHERE name = ? AND value = ?", (ERASING, row[0]))
        self._log_emptied()
        return True

    def _log_emptied(self, before: str = "") -> bool:
        """Whether the log is in the file and empty now; threads of this process read meanwhile.

        Where they leave no gap, they wait for a moment.

        Args:
            before: A statement that is done first.
        """
        with self._open():
            busy = int(self._connection.execute("PRAGMA busy_timeout").fetchone()[0])
        with self._emptying, self._explained(), closing(_connect(self.file)) as beside:
            beside.execute(f"PRAGMA busy_timeout = {busy}")
            if before:
                beside.execute(before)
            until, once = monotonic() + busy / 1000, min(busy, _TRY_MILLISECONDS)
            while not _emptied(beside, once):
                with self._open():
                    emptied = _emptied(self._connection, once)
                    self._connection.execute(f"PRAGMA busy_timeout = {busy}")
                if emptied or monotonic() >= until:
                    return emptied
                sleep(_PAUSE_SECONDS)
            return True

    def close(self) -> None:
        """Lets go of the file, when the thread that uses it just now has ended its turn: else SQLite crashes."""
        self.closed = True
        with self._turn:
            self._connection.close()

    def _no_longer_kept(self, images: Sequence[int]) -> None:
        self._vectors.erase(images)

    def _keep_vectors(self, images: np.ndarray, vectors: np.ndarray) -> None:
        """Writes the flat file while others may change the gallery, and without what they forget meanwhile.

        What was forgotten before the new file was begun is not written. When something is forgotten later, `erase`
        removes the new file, or the change is seen here, in a moment in which nobody writes.
        """
        with suppress(OSError, LookalikeError), self._vectors.begun() as handle:
            with self.reading() as connection:
                before = last_change(connection)
                there = np.array([row[0] for row in connection.execute("SELECT id FROM images")], np.int64)
            kept = np.isin(images, there)
            if not kept.all():
                images, vectors = images[kept], vectors[kept]
            self._vectors.fill(handle, images, vectors)
            with self._open(), self._writing() as connection:
                if not reloaded_since(connection, before):
                    self._vectors.put(handle, len(images))

    def own_problems(self, images: Sequence[int]) -> list[str]:
        """What SQLite says of its file, and embeddings in the flat file that are not those of the database."""
        with self._open():
            answers = [str(row[0]) for row in self._connection.execute("PRAGMA integrity_check").fetchall()]
        problems = [f"{self.file.name}: {answer}" for answer in answers if answer != "ok"]
        beside = np.empty((len(images), int(self.about["dimensions"])), np.float32)
        filled = self._vectors.read(np.asarray(images, np.int64), beside)
        mine = [image for image, there in zip(images, filled.tolist(), strict=True) if there]
        try:
            differ = (beside[filled] != super().embeddings(mine)).any(axis=1) if mine else np.zeros(0, bool)
        except StoreError:  # one in the database is damaged, which is told of its image, or was forgotten meanwhile
            return problems
        if differ.any():
            problems.append(
                f"{self._vectors.file.name}: {int(differ.sum())} embeddings are not those of {self.file.name}: delete "
                "it, it is made again"
            )
        return problems

    def compact(self) -> int:
        """Writes the file anew without the room of what was forgotten; returns how many bytes that gave.

        While another process reads it is 0: the file becomes smaller when that ends.
        """
        with self.reading():  # it is still the gallery that was opened
            before = self._size()
        self._log_emptied(before="VACUUM")
        return max(0, before - self._size())

    def _size(self) -> int:
        """Of the file and its log."""
        files = (self.file, self.file.with_name(f"{self.file.name}-wal"))
        return sum(file.stat().st_size for file in files if file.is_file())

    def _read_about(self) -> dict[str, str]:
        return dict(self._connection.execute("SELECT name, value FROM about").fetchall())

    def _explained(self) -> AbstractContextManager[None]:
        return _explained(self.file)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Whole, or taken back."""
        connection = self._connection
        self._begin_writing()
        try:
            self._need_same(connection)
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _begin_writing(self) -> None:
        """Waits for another writer, and lets other threads read meanwhile."""
        until = monotonic() + _BUSY_SECONDS
        while not self._begun(last=monotonic() > until):
            self._turn.release()
            try:
                sleep(_PAUSE_SECONDS)
            finally:
                self._turn.acquire()
            self._need_open()

    def _begun(self, last: bool) -> bool:
        """Whether nobody else writes: SQLite would wait for that itself, and all threads with it."""
        self._connection.execute("PRAGMA busy_timeout = 0")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            what = error.sqlite_errorcode & 0xFF  # the other bytes say why
            if last or what != sqlite3.SQLITE_BUSY:
                raise
            return False
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {int(1000 * _BUSY_SECONDS)}")
        return True

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """One moment."""
        connection = self._connection
        connection.execute("BEGIN")
        try:
            self._need_same(connection)
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("COMMIT")

    def _need_same(self, connection: Connection) -> None:
        if _identity(self.file) != self._identity:  # SQLite goes on with a file that has no name any more
            raise ReplacedError(f"{self.file}: was removed or replaced meanwhile: open the gallery again")
        if "gallery" in self.about:
            row = connection.execute("SELECT value FROM about WHERE name = 'gallery'").fetchone()
            if row is None or row[0] != self.about["gallery"]:
                raise replaced(self.name)

    def _numbers_and_labels(self, connection: Connection) -> tuple[np.ndarray, list[str]]:
        """One row per label: a Python object for each of a million images takes seconds."""
        query = "SELECT label, group_concat(id) FROM images WHERE removed IS NULL GROUP BY label"
        labels, parts = [], []
        for label, numbers in connection.execute(query):
            labels.append(label)
            parts.append(np.fromstring(numbers, np.int64, sep=","))
        together = np.concatenate([np.zeros(0, np.int64), *parts])
        order = np.argsort(together, kind="stable")
        ids = np.repeat(np.arange(len(labels)), [len(part) for part in parts])[order]
        return together[order], [labels[place] for place in ids.tolist()]

    def _write_rows(self, connection: Connection, first: int, rows: Sequence[Row], time: str) -> None:
        numbered = list(enumerate(rows, first))
        connection.executemany(
            "INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
            (
                (image, row.label, row.camera, row.source, time, row.picture_digest, row.embedding_digest)
                for image, row in numbered
            ),
        )
        connection.executemany("INSERT INTO vectors VALUES (?, ?)", ((image, row.embedding) for image, row in numbered))
        pictures = [(image, row.thumbnail) for image, row in numbered if row.thumbnail]
        if pictures:
            connection.executemany("INSERT INTO thumbnails VALUES (?, ?)", pictures)
        extras = [(image, name, value) for image, row in numbered for name, value in row.columns]
        if extras:
            connection.executemany("INSERT INTO extras VALUES (?, ?, ?)", extras)

    def _replace_vectors(self, connection: Connection, images: list[int], embeddings: np.ndarray) -> None:
        self._vectors.file.unlink(missing_ok=True)  # it holds nothing of its own
        connection.execute("DELETE FROM vectors")
        rows = ((image, row.tobytes()) for image, row in zip(images, embeddings, strict=True))
        connection.executemany("INSERT INTO vectors VALUES (?, ?)", rows)

    def from_vector(self, value: bytes) -> bytes:
        """As it is."""
        return bytes(value)


def need_none(file: Path) -> None:
    """Refuses a place where a gallery stands, or something else, before the work of making one.

    Args:
        file: New.

    Raises:
        StoreError: A gallery stands there, or something else.
    """
    need_folder(file.parent)
    if not file.is_file():
        return
    with _explained(file), closing(_connect(file)) as connection:
        if has_tables(connection):
            raise StoreError(there_already(file))


def _identity(file: Path) -> tuple[int, int] | None:
    """Which file it is, whatever its name; None where there is none."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Says in one line what SQLite and the system raise: damaged, locked, a full disk, no permission."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        if getattr(error, "sqlite_errorcode", None) in _DAMAGED:
            raise StoreError(f"{file}: no gallery, or a damaged one ({reason}): bring back a backup of it") from error
        raise StoreError(
            f"{file}: cannot be used ({reason}): check the disk and its permissions, and whether another process holds "
            "the gallery"
        ) from error


def _emptied(connection: sqlite3.Connection, milliseconds: int) -> bool:
    """Whether the log could be emptied within this time; who else empties it, is not waited for."""
    connection.execute(f"PRAGMA busy_timeout = {milliseconds}")
    return not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")  # digests go into an index at random places
    connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten
    return connection
