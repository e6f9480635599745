"""A gallery on a PostgreSQL server with the extension pgvector, for any number of processes and computers.

Every gallery is a schema of its own in a database. A change is one transaction, and writers take turns by an advisory
lock. What is searched is read into memory (see `snapshot`); the column `vectors.embedding` is there for others, who
may ask it by SQL.

Letters in shapes: N images, D embedding.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import RLock

import numpy as np
import psycopg
from psycopg import errors

from lookalike.errors import one_line
from lookalike.gallery.about import ERASING, SCHEMA, check_about, replaced
from lookalike.gallery.connection import Connection
from lookalike.gallery.postgres_place import postgres_place
from lookalike.gallery.postgres_session import Session, problem
from lookalike.gallery.postgres_tables import BUSY, empty_vectors, lock_key, make_tables, rewrite_tables, upgrade_tables
from lookalike.gallery.rows import Row, StoreError
from lookalike.gallery.sql_store import SqlStore

_AT_ONCE = 10_000  # embeddings that are in memory twice while they are read


class PostgresStore(SqlStore):
    """An open gallery on a server.

    A connection that broke between two calls is opened again by the next; with several hosts and
    `target_session_attrs=read-write` in the address the gallery goes on where a standby was promoted.

    Args:
        place: `postgresql://user:password@host:port/database?gallery=shop`, see `postgres_place`.

    Raises:
        StoreError: There is none, the server cannot be reached, or the gallery is of a newer version.
    """

    def __init__(self, place: str) -> None:
        super().__init__()
        self._address, self._place = place, postgres_place(place)
        self.name = self.place = self._place.name
        self._sessions: dict[str, Session] = {}  # for reading and for writing, so that readers wait for no writer
        self._writing_turn = RLock()
        self._was_read = False  # a later connection may be to another server
        self._reread = False  # as another server may have taken over
        self.about = {}
        try:
            with self.reading() as connection:
                self.about = dict(connection.execute("SELECT name, value FROM about").fetchall())
            if (schema := check_about(self.name, self.about)) < SCHEMA:
                self.about = {}  # it gets another name
                self._bring_forward(schema)
                with self.reading() as connection:
                    self.about = dict(connection.execute("SELECT name, value FROM about").fetchall())
                check_about(self.name, self.about)
        except BaseException:
            self.close()
            raise

    def _bring_forward(self, schema: int) -> None:
        try:
            with self._open_to_write(), self._writing() as connection:
                upgrade_tables(connection, schema)
        except StoreError as error:
            if not isinstance(error.__cause__, errors.InsufficientPrivilege):
                raise
            reason = one_line(error.__cause__.diag.message_primary or error)
            raise StoreError(
                f"{self.name}: of an earlier version, and not brought forward ({reason}): let its owner open it once "
                "with this version, such as by lookalike gallery list"
            ) from error

    @classmethod
    def create(cls, place: str, about: dict[str, str]) -> "PostgresStore":
        """Makes the tables, and the extension where the database has it not: all of it or nothing.

        Args:
            place: As of the class; the database is there.
            about: What the gallery is of: fingerprint, precision, dimensions, model.

        Raises:
            StoreError: A gallery is there already, the server has no pgvector, or the user lacks rights.
        """
        where = postgres_place(place)
        session = Session(where)
        try:
            make_tables(session, where, about)
        except (psycopg.Error, UnicodeEncodeError) as error:
            raise StoreError(problem(where.name, error)) from error
        finally:
            session.close()
        return cls(place)

    @property
    def version(self) -> int:
        """The number of the last change, made by this process or another; below 0 where all has to be read again."""
        number = super().version
        return -2 if self._reread else number

    def changed_since(self, version: int) -> tuple[dict[int, str | None] | None, int]:
        """As of the base; all is read again from a server that may be another than before."""
        with self._turn:
            changed, last = super().changed_since(version)
            changed, self._reread = None if self._reread else changed, False
        return changed, last

    def opened_again(self) -> "PostgresStore":
        """The same gallery, by a new connection."""
        return PostgresStore(self._address)

    def embeddings(self, images: Sequence[int] | np.ndarray) -> np.ndarray:
        """float32 [N, D] of these images, removed ones too, whose numbers ascend.

        Raises:
            StoreError: One is missing.
        """
        size = int(self.about["dimensions"])
        vectors = np.empty((len(images), size), np.float32)
        query = "SELECT image, embedding FROM vectors WHERE image = ANY(?) ORDER BY image"
        with self.reading() as connection:
            for first in range(0, len(images), _AT_ONCE):
                part = [int(image) for image in images[first : first + _AT_ONCE]]
                rows = connection.execute(query, (part,)).fetchall()
                if (numbers := [image for image, _ in rows]) != part:
                    raise self._damaged(min(set(part).difference(numbers), default=part[0]))
                content = b"".join(value for _, value in rows)
                vectors[first : first + len(part)] = np.frombuffer(content, _vector_type(size))["values"]
        return vectors

    def erase(self) -> bool:
        """Writes every table that had bytes of forgotten images anew, with the rows that are left alone.

        An ordinary VACUUM leaves them in free parts of pages, and any VACUUM keeps what an old transaction of anybody
        could still see. Others wait meanwhile. The server's write-ahead log, its archive, standbys that lag behind and
        backups are out of reach: they forget by the rules of whoever runs the server.

        Raises:
            StoreError: Another process was reading all the time, or the user does not own the tables.
        """
        with self.reading() as connection:
            if not connection.execute("SELECT 1 FROM about WHERE name = ?", (ERASING,)).fetchone():
                return False
        with self._open_to_write():
            try:
                with self._writing() as connection:
                    rewrite_tables(connection)
                    connection.execute("DELETE FROM about WHERE name = ?", (ERASING,))
            except (errors.LockNotAvailable, errors.InsufficientPrivilege) as error:
                raise StoreError(
                    f"{self.name}: forgotten, but its bytes are still in the tables "
                    f"({one_line(error.diag.message_primary or error)}): end the process that reads all the time, and "
                    "call forget again as the owner of the gallery"
                ) from error
        return True

    def own_problems(self, images: Sequence[int]) -> list[str]:
        """None: the server looks after its files."""
        return []

    def compact(self) -> int:
        """Writes the tables anew without the room of what was forgotten or replaced; returns how many bytes that gave.

        Raises:
            StoreError: Another process was reading all the time, or the user does not own the tables.
        """
        query = (
            "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relkind = 'r' AND n.nspname = ?"
        )
        sizes = []
        for _ in range(2):
            with self.reading() as connection:
                sizes.append(int(connection.execute(query, (self._place.gallery,)).fetchone()[0]))
            if len(sizes) == 1:
                with self._open_to_write(), self._writing() as connection:
                    rewrite_tables(connection)
        return max(0, sizes[0] - sizes[1])  # others may have enrolled meanwhile

    def close(self) -> None:
        """Ends the connection."""
        self.closed = True
        self._drop()

    def _drop(self) -> None:
        for name in list(self._sessions):
            self._sessions.pop(name).close()

    @contextmanager
    def _open_to_write(self) -> Iterator[None]:
        """The turn of a thread that writes: those that read have another, and another connection."""
        with self._writing_turn, self._explained():
            self._need_open()
            yield

    def _no_longer_kept(self, images: Sequence[int]) -> None:
        """Nothing is kept beside the tables."""

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (psycopg.Error, UnicodeEncodeError) as error:
            raise StoreError(problem(self.name, error)) from error

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Whole, or taken back."""
        locked = f"SELECT pg_advisory_xact_lock({lock_key(self._place.gallery)})"
        session = self._begun(
            "writing", "ISOLATION LEVEL READ COMMITTED READ WRITE", "SET LOCAL synchronous_commit TO on", locked
        )
        try:
            yield session
        except BaseException as error:
            if self._given_up("writing", session, error):
                raise StoreError(
                    f"{self.name}: the connection was lost ({one_line(error)}) before the change was whole, so nothing "
                    "was changed: try again"
                ) from error
            raise
        try:
            session.commit()
        except BaseException as error:
            if self._given_up("writing", session, error):
                raise StoreError(
                    f"{self.name}: the connection was lost ({one_line(error)}) while the change was committed, so it "
                    "may be done or not: look at the log of the gallery before trying again"
                ) from error
            raise

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """One moment; nobody erases meanwhile."""
        locked = "LOCK TABLE about IN ACCESS SHARE MODE"  # before the moment is chosen, which `erase` would empty
        session = self._begun("reading", "ISOLATION LEVEL REPEATABLE READ READ ONLY", locked)
        try:
            yield session
            session.commit()
        except BaseException as error:
            if self._given_up("reading", session, error):
                raise StoreError(
                    f"{self.name}: the connection was lost ({one_line(error)}) while the gallery was read: try again"
                ) from error
            raise

    def _begun(self, use: str, how: str, *statements: str) -> Session:
        """In a transaction on this gallery; on a new connection where the last was lost meanwhile."""
        begin = [
            f"BEGIN {how}",
            f'SET LOCAL search_path TO "{self._place.gallery}"',
            f"SET LOCAL lock_timeout TO '{BUSY}'",
        ]
        last = "SELECT value FROM about WHERE name = 'gallery'"
        fresh = use not in self._sessions
        while True:
            session = self._sessions.get(use) or self._connected(use)
            try:
                row = session.several([*begin, *statements, last])
            except BaseException as error:
                standby = isinstance(error, errors.FeatureNotSupported)  # "cannot set transaction read-write mode"
                if (self._given_up(use, session, error) or standby) and not fresh:
                    fresh = True
                    self._sessions.pop(use, session).close()
                    continue
                if standby:
                    raise StoreError(
                        f"{self.name}: a standby, which only reads: name all hosts, and add "
                        "target_session_attrs=read-write to the address"
                    ) from error
                raise
            if self.about and (row is None or row[0] != self.about["gallery"]):
                session.roll_back()
                raise replaced(self.name)
            return session

    def _connected(self, use: str) -> Session:
        self._need_open()  # another thread may have closed it meanwhile
        session = self._sessions[use] = Session(self._place)
        if use == "reading":
            self._reread, self._was_read = self._reread or self._was_read, True
        return session

    def _given_up(self, use: str, session: Session, error: BaseException) -> bool:
        """Takes the transaction back; returns whether the connection was lost."""
        lost = isinstance(error, psycopg.Error) and session.lost(error)
        if lost or not isinstance(error, Exception):
            session.close()
        else:
            session.roll_back()
        if session.ended:  # another thread may close all of them just then
            self._sessions.pop(use, None)
        return lost

    def _replace_vectors(self, connection: Connection, images: list[int], embeddings: np.ndarray) -> None:
        assert isinstance(connection, Session)
        size = embeddings.shape[1]
        empty_vectors(connection, size)
        content = [row.tobytes() for row in embeddings]
        connection.copy_bytes_in("vectors", _vector_rows(size, images, content))

    def from_vector(self, value: bytes) -> bytes:
        """From the binary form of pgvector."""
        return np.frombuffer(value[4:], ">f4").astype("<f4").tobytes()

    def _write_rows(self, connection: Connection, first: int, rows: Sequence[Row], time: str) -> None:
        assert isinstance(connection, Session)
        numbered = list(enumerate(rows, first))
        connection.copy_in(
            "images",
            ("int8", "text", "int8", "text", "text", "bytea", "bytea", "int8"),
            (
                (image, row.label, row.camera, row.source, time, row.picture_digest, row.embedding_digest, None)
                for image, row in numbered
            ),
        )
        numbers, size = range(first, first + len(rows)), int(self.about["dimensions"])
        connection.copy_bytes_in("vectors", _vector_rows(size, numbers, [row.embedding for row in rows]))
        pictures = [(image, row.thumbnail) for image, row in numbered if row.thumbnail]
        if pictures:
            connection.copy_in("thumbnails", ("int8", "bytea"), pictures)
        extras = [(image, name, value) for image, row in numbered for name, value in row.columns]
        if extras:
            connection.copy_in("extras", ("int8", "text", "text"), extras)


def _vector_rows(size: int, images: Sequence[int], embeddings: Sequence[bytes]) -> bytes:
    """Rows of the table of vectors as COPY takes them: two fields, each behind its length in bytes."""
    vector = _vector_type(size)
    fields = [("fields", ">i2"), ("eight", ">i4"), ("image", ">i8"), ("bytes", ">i4"), ("vector", vector)]
    rows = np.zeros(len(embeddings), np.dtype(fields))
    rows["fields"], rows["eight"], rows["bytes"], rows["vector"]["size"] = 2, 8, vector.itemsize, size
    rows["image"] = images
    rows["vector"]["values"] = np.frombuffer(b"".join(embeddings), "<f4").reshape(-1, size)
    return rows.tobytes()


def _vector_type(size: int) -> np.dtype[np.void]:
    """How pgvector sends and takes a vector: D, nothing, D values; big-endian."""
    return np.dtype([("size", ">i2"), ("unused", ">i2"), ("values", ">f4", (size,))])
