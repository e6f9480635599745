"""A gallery on a PostgreSQL server with the extension pgvector, for any number of processes and computers.

Every gallery is a schema of its own in a database. A change is one transaction, and writers take turns by an advisory
lock. What is searched is read into memory (see `snapshot`); the column `vectors.embedding` is there for others, who
may ask it by SQL.

Letters in shapes: N images, D embedding.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any
from uuid import uuid4

import numpy as np
import psycopg
from psycopg import errors

from lookalike.errors import one_line
from lookalike.gallery.history import Connection
from lookalike.gallery.postgres_place import PostgresPlace, postgres_place
from lookalike.gallery.postgres_session import Session, problem
from lookalike.gallery.rows import Row, StoreError
from lookalike.gallery.sql_store import ERASING, KEYS, SqlStore, check_about, first_about

_BUSY = "30s"  # how long a process waits for another that writes
_COPIED = 50_000  # embeddings that are in memory twice while they are read
_TEXT = 'TEXT COLLATE "C"'  # in the order of SQLite and of Python
_TABLES = (
    f"CREATE TABLE about (name {_TEXT} PRIMARY KEY, value {_TEXT} NOT NULL)",
    f"CREATE TABLE images (id BIGINT PRIMARY KEY, label {_TEXT} NOT NULL, camera BIGINT, source {_TEXT} NOT NULL, "
    f"time {_TEXT} NOT NULL, picture BYTEA NOT NULL, vector BYTEA NOT NULL, removed BIGINT)",  # digests, see `Row`
    "CREATE INDEX images_by_label ON images (label)",
    "CREATE INDEX images_by_picture ON images (picture)",
    "CREATE INDEX images_by_source ON images USING hash (source)",  # a btree refuses long paths
    "CREATE TABLE vectors (image BIGINT PRIMARY KEY, embedding {vector} NOT NULL)",
    "CREATE TABLE thumbnails (image BIGINT PRIMARY KEY, jpeg BYTEA NOT NULL)",
    f"CREATE TABLE extras (image BIGINT, name {_TEXT}, value {_TEXT} NOT NULL, PRIMARY KEY (image, name))",
    "CREATE INDEX extras_by_name ON extras (name)",  # values may be longer than an index takes
    f"CREATE TABLE changes (number BIGINT PRIMARY KEY, time {_TEXT} NOT NULL, action {_TEXT} NOT NULL, "
    f"note {_TEXT} NOT NULL)",
    f"CREATE TABLE events (change BIGINT, image BIGINT, before {_TEXT}, after {_TEXT}, PRIMARY KEY (image, change))",
    "CREATE INDEX events_by_change ON events (change)",
)
_NAMES = ("about", "images", "vectors", "thumbnails", "extras", "changes", "events")
# The planner's samples of a column stay in the server's catalogue, where nothing is forgotten: so none are taken.
_UNSAMPLED = (
    *("images.label", "images.source", "vectors.embedding", "thumbnails.jpeg", "extras.value"),
    *("changes.note", "events.before", "events.after"),
)
_REWRITTEN = (  # tables that have bytes of an image, and a column to write anew
    *(("images", "id"), ("vectors", "image"), ("thumbnails", "image"), ("extras", "image")),
    *(("changes", "number"), ("events", "change")),
)


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
        self._place = postgres_place(place)
        self.name = self.place = self._place.name
        self._session: Session | None = None
        self._reread = False  # after another server may have taken over
        self.about = {}
        try:
            with self._open(), self._reading() as connection:
                self.about = dict(connection.execute("SELECT name, value FROM about").fetchall())
            check_about(self.name, self.about)
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(cls, place: str, about: dict[str, str]) -> "PostgresStore":
        """Makes the tables, and the extension where the database has it not: all of it or nothing.

        Args:
            place: As of the class; the database is there.
            about: What the gallery is of: fingerprint, precision, dimensions, model.

        Raises:
            StoreError: A gallery is there already, the server has no pgvector, or the user lacks rights.
        """
        assert set(about) <= set(KEYS)
        where = postgres_place(place)
        session = Session(where)
        try:
            _make(session, where, {"gallery": uuid4().hex, **about})
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
        changed, last = super().changed_since(version)
        changed, self._reread = None if self._reread else changed, False
        return changed, last

    def embeddings(self, images: Sequence[int]) -> np.ndarray:
        """float32 [N, D] of these images, removed ones too, whose numbers ascend.

        Raises:
            StoreError: One is missing.
        """
        size = int(self.about["dimensions"])
        row = np.dtype(  # of COPY: two fields, 8 bytes of image, the bytes of a vector: its length, nothing, values
            [("fields", ">i2"), ("eight", ">i4"), ("image", ">i8"), ("bytes", ">i4")]
            + [("length", ">i2"), ("unused", ">i2"), ("values", ">f4", (size,))]
        )
        vectors = np.empty((len(images), size), np.float32)
        numbers = np.asarray(images, np.int64)
        with self._open(), self._reading():
            assert self._session is not None
            for first in range(0, len(images), _COPIED):
                part = numbers[first : first + _COPIED]
                content = self._session.copy_out(
                    "SELECT image, embedding FROM vectors WHERE image = ANY("
                    f"'{{{','.join(map(str, part.tolist()))}}}'::bigint[]) ORDER BY image"
                )
                rows = np.frombuffer(content, row, (len(content) - 21) // row.itemsize, 19)  # between head and end
                if not np.array_equal(rows["image"], part):
                    raise self._damaged(min(set(part.tolist()) - set(rows["image"].tolist()), default=int(part[0])))
                vectors[first : first + _COPIED] = rows["values"]
        return vectors

    def erase(self) -> bool:
        """Writes every table that had bytes of forgotten images anew, with the rows that are left alone.

        An ordinary VACUUM leaves them in free parts of pages, and any VACUUM keeps what an old transaction of anybody
        could still see. Others wait meanwhile. The server's write-ahead log, its archive, standbys that lag behind and
        backups are out of reach: they forget by the rules of whoever runs the server.

        Raises:
            StoreError: Another process was reading all the time, or the user does not own the tables.
        """
        with self._open():
            with self._reading() as connection:
                if not connection.execute("SELECT 1 FROM about WHERE name = ?", (ERASING,)).fetchone():
                    return False
            try:
                with self._writing() as connection:
                    connection.execute("LOCK TABLE about IN ACCESS EXCLUSIVE MODE")
                    for table, column in _REWRITTEN:
                        connection.execute(f"ALTER TABLE {table} ALTER {column} TYPE BIGINT USING {column} + 0")
                    connection.execute("DELETE FROM about WHERE name = ?", (ERASING,))
            except (errors.LockNotAvailable, errors.InsufficientPrivilege) as error:
                raise StoreError(
                    f"{self.name}: forgotten, but its bytes are still in the tables "
                    f"({one_line(error.diag.message_primary or error)}): end the process that reads all the time, and "
                    "call forget again as the owner of the gallery"
                ) from error
        return True

    def close(self) -> None:
        """Ends the connection."""
        self.closed = True
        if self._session is not None:
            self._session.close()
            self._session = None

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
        locked = f"SELECT pg_advisory_xact_lock({_key(self._place.gallery)})"
        session = self._begun("ISOLATION LEVEL READ COMMITTED READ WRITE", "SET LOCAL synchronous_commit TO on", locked)
        try:
            yield session
        except BaseException as error:
            if self._given_up(session, error):
                raise StoreError(
                    f"{self.name}: the connection was lost ({one_line(error)}) before the change was whole, so nothing "
                    "was changed: try again"
                ) from error
            raise
        try:
            session.commit()
        except BaseException as error:
            if self._given_up(session, error):
                raise StoreError(
                    f"{self.name}: the connection was lost ({one_line(error)}) while the change was committed, so it "
                    "may be done or not: look at the log of the gallery before trying again"
                ) from error
            raise

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """One moment; nobody erases meanwhile."""
        locked = "LOCK TABLE about IN ACCESS SHARE MODE"  # before the moment is chosen, which `erase` would empty
        session = self._begun("ISOLATION LEVEL REPEATABLE READ READ ONLY", locked)
        try:
            yield session
            session.commit()
        except BaseException as error:
            if self._given_up(session, error):
                raise StoreError(
                    f"{self.name}: the connection was lost ({one_line(error)}) while the gallery was read: try again"
                ) from error
            raise

    def _begun(self, how: str, *statements: str) -> Session:
        """In a transaction on this gallery; on a new connection where the last was lost meanwhile."""
        begin = [f"BEGIN {how}", f'SET LOCAL search_path TO "{self._place.gallery}"', f"SET LOCAL lock_timeout TO '{_BUSY}'"]
        last = "SELECT value FROM about WHERE name = 'gallery'"
        fresh = self._session is None
        while True:
            if self._session is None:
                self._session = Session(self._place)
                self._reread = bool(self.about)
            session = self._session
            try:
                row = session.several([*begin, *statements, last])
            except BaseException as error:
                if self._given_up(session, error) and not fresh:
                    fresh = True
                    continue
                raise
            if self.about and (row is None or row[0] != self.about["gallery"]):
                session.roll_back()
                raise StoreError(f"{self.name}: another gallery is there now: open it again with Gallery.open")
            return session

    def _given_up(self, session: Session, error: BaseException) -> bool:
        """Takes the transaction back; returns whether the connection was lost."""
        lost = isinstance(error, psycopg.Error) and session.lost(error)
        if lost or not isinstance(error, Exception):
            session.close()
        else:
            session.roll_back()
        if session.ended and self._session is session:
            self._session = None
        return lost

    def _to_vector(self, embedding: bytes) -> Any:
        return np.frombuffer(embedding, "<f4")

    def _from_vector(self, value: Any) -> bytes:
        content: bytes = value.to_numpy().astype("<f4").tobytes()
        return content

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
        embeddings = ((image, self._to_vector(row.embedding)) for image, row in numbered)
        connection.copy_in("vectors", ("int8", "vector"), embeddings)
        pictures = [(image, row.thumbnail) for image, row in numbered if row.thumbnail]
        if pictures:
            connection.copy_in("thumbnails", ("int8", "bytea"), pictures)
        extras = [(image, name, value) for image, row in numbered for name, value in row.columns]
        if extras:
            connection.copy_in("extras", ("int8", "text", "text"), extras)


def _key(gallery: str) -> int:
    """Of the advisory lock of a gallery: bigint."""
    content = blake2b(f"lookalike gallery {gallery}".encode(), digest_size=8).digest()
    return int.from_bytes(content, "big", signed=True)


def _make(session: Session, where: PostgresPlace, about: dict[str, str]) -> None:
    """In one transaction; creators take turns, those of other galleries too, for the sake of the extension."""
    if session.encoding != "UTF8":
        raise StoreError(
            f"{where.name}: expected a database in UTF8, found {session.encoding}: make one with CREATE DATABASE ... "
            "ENCODING 'UTF8' TEMPLATE template0"
        )
    session.several(
        [
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
            f"SET LOCAL lock_timeout TO '{_BUSY}'",
            "SET LOCAL synchronous_commit TO on",
            f"SELECT pg_advisory_xact_lock({_key('')}), pg_advisory_xact_lock({_key(where.gallery)})",
        ]
    )
    _make_extension(session, where)
    query = "SELECT relname FROM pg_class WHERE relnamespace = ? AND relname = ANY(?) ORDER BY relname"
    schema = session.execute("SELECT oid FROM pg_namespace WHERE nspname = ?", (where.gallery,)).fetchone()
    tables = [str(row[0]) for row in session.execute(query, (schema[0], list(_NAMES)))] if schema else []
    if tables:
        there = "a gallery is" if tables == sorted(_NAMES) else f"other tables ({', '.join(tables)}) are"
        raise StoreError(f"{where.name}: {there} there already: use Gallery.open, or give another ?gallery=")
    if schema is None:
        session.execute(f'CREATE SCHEMA "{where.gallery}"')
    session.execute(f'SET LOCAL search_path TO "{where.gallery}"')
    vector = f'"{session.vector_schema}".vector({int(about["dimensions"])})'
    for statement in _TABLES:
        session.execute(statement.replace("{vector}", vector))
    for table, column in (name.split(".") for name in _UNSAMPLED):
        session.execute(f"ALTER TABLE {table} ALTER {column} SET STATISTICS 0")
    session.executemany("INSERT INTO about VALUES (?, ?)", list(first_about(about).items()))
    session.commit()


def _make_extension(session: Session, where: PostgresPlace) -> None:
    if session.vector_schema:
        return
    try:
        session.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except psycopg.Error as error:
        if session.lost(error):
            raise
        raise StoreError(
            f"{where.name}: the database has no extension vector, and it cannot be made "
            f"({one_line(error.diag.message_primary or error)}): let an administrator install pgvector on the server "
            "and run CREATE EXTENSION vector in this database"
        ) from error
    session.learn_vectors()
