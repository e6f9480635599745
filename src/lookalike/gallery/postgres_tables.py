"""The tables of a gallery on a PostgreSQL server: made, and written anew without what was forgotten."""

from hashlib import blake2b
from uuid import uuid4

import psycopg

from lookalike.errors import one_line
from lookalike.gallery.about import SCHEMA, first_about
from lookalike.gallery.connection import Connection
from lookalike.gallery.postgres_place import PostgresPlace
from lookalike.gallery.postgres_session import Session
from lookalike.gallery.rows import StoreError

BUSY = "30s"  # how long a process waits for another that writes
_TEXT = 'TEXT COLLATE "C"'  # in the order of SQLite and of Python
_FACTS = (
    f"CREATE TABLE facts (change BIGINT, image BIGINT, name {_TEXT}, before {_TEXT}, after {_TEXT}, "
    "PRIMARY KEY (image, name, change))",
    "CREATE INDEX facts_by_change ON facts (change)",
)
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
    *_FACTS,
)
_NAMES = ("about", "images", "vectors", "thumbnails", "extras", "changes", "events", "facts")
# The planner's samples of a column stay in the server's catalogue, where nothing is forgotten: so none are taken.
_UNSAMPLED = (
    *("images.label", "images.source", "vectors.embedding", "thumbnails.jpeg", "extras.value"),
    *("changes.note", "events.before", "events.after", "facts.before", "facts.after"),
)
_REWRITTEN = (  # tables that have bytes of an image, and a column to write anew
    *(("images", "id"), ("vectors", "image"), ("thumbnails", "image"), ("extras", "image")),
    *(("changes", "number"), ("events", "change"), ("facts", "change")),
)


def lock_key(gallery: str) -> int:
    """The number of the advisory lock of a gallery: bigint."""
    content = blake2b(f"lookalike gallery {gallery}".encode(), digest_size=8).digest()
    return int.from_bytes(content, "big", signed=True)


def make_tables(session: Session, where: PostgresPlace, about: dict[str, str]) -> None:
    """Makes an empty gallery in one transaction; creators take turns, those of other galleries too.

    Args:
        session: Of a database.
        where: The gallery.
        about: What it says about itself.

    Raises:
        StoreError: Tables are there already, or pgvector is missing.
        psycopg.Error: What else the server says.
    """
    if session.encoding != "UTF8":
        raise StoreError(
            f"{where.name}: expected a database in UTF8, found {session.encoding}: make one with CREATE DATABASE ... "
            "ENCODING 'UTF8' TEMPLATE template0"
        )
    session.several(
        [
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
            f"SET LOCAL lock_timeout TO '{BUSY}'",
            "SET LOCAL synchronous_commit TO on",
            f"SELECT pg_advisory_xact_lock({lock_key('')}), pg_advisory_xact_lock({lock_key(where.gallery)})",
        ]
    )
    vector = f'"{_vector_schema(session, where)}".vector({int(about["dimensions"])})'
    query = "SELECT relname FROM pg_class WHERE relnamespace = ? AND relname = ANY(?) ORDER BY relname"
    schema = session.execute("SELECT oid FROM pg_namespace WHERE nspname = ?", (where.gallery,)).fetchone()
    tables = [str(row[0]) for row in session.execute(query, (schema[0], list(_NAMES)))] if schema else []
    if tables:
        there = "a gallery is" if tables == sorted(_NAMES) else f"other tables ({', '.join(tables)}) are"
        raise StoreError(
            f"{where.name}: {there} there already: use it (Gallery.open in Python), or give another ?gallery="
        )
    if schema is None:
        session.execute(f'CREATE SCHEMA "{where.gallery}"')
    session.execute(f'SET LOCAL search_path TO "{where.gallery}"')
    for statement in _TABLES:
        session.execute(statement.replace("{vector}", vector))
    _take_no_samples(session)
    session.executemany("INSERT INTO about VALUES (?, ?)", list(first_about(about).items()))
    session.commit()


def _take_no_samples(connection: Connection, of: str = "") -> None:
    for table, column in (name.split(".") for name in _UNSAMPLED):
        if of in ("", table):
            connection.execute(f"ALTER TABLE {table} ALTER {column} SET STATISTICS 0")


def upgrade_tables(connection: Connection, schema: int) -> None:
    """Brings the tables of an earlier version forward; of two processes one does it.

    Args:
        connection: In the transaction of the only writer, on the gallery.
        schema: Of that version.
    """
    query = "UPDATE about SET value = ? WHERE name = 'schema' AND value = ?"
    if connection.execute(query, (str(SCHEMA), str(schema))).rowcount:
        for statement in _FACTS:
            connection.execute(statement)
        _take_no_samples(connection, "facts")
        _take_no_samples(connection, "events")  # for its owner alone, so that all tables have one
        _grant_as("events", "facts", connection)
        connection.execute("UPDATE about SET value = ? WHERE name = 'gallery'", (uuid4().hex,))


def _grant_as(old: str, new: str, connection: Connection) -> None:
    """Whoever may use a table may use the new one, too."""
    query = (
        "SELECT a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END"
        ", a.is_grantable FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = ?::regclass AND a.grantee != c.relowner"
    )
    for right, role, grantable in connection.execute(query, (old,)).fetchall():
        connection.execute(f"GRANT {right} ON {new} TO {role}{' WITH GRANT OPTION' if grantable else ''}")


def _vector_schema(session: Session, where: PostgresPlace) -> str:
    """The schema of PostgreSQL that has the type of pgvector, which is made where it is not there."""
    query = (
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'vector'"
    )
    row = session.execute(query).fetchone()
    if row is None:
        try:
            session.execute("CREATE EXTENSION vector")
        except psycopg.Error as error:
            if session.lost(error):
                raise
            raise StoreError(
                f"{where.name}: the database has no extension vector, and it cannot be made "
                f"({one_line(error.diag.message_primary or error)}): let an administrator install pgvector on the "
                "server and run CREATE EXTENSION vector in this database"
            ) from error
        (row,) = session.execute(query).fetchall()
    return str(row[0]).replace('"', '""')


def rewrite_tables(connection: Connection) -> None:
    """Copies the rows that are there into new files of the server, and nothing else; nobody reads meanwhile.

    Args:
        connection: In the transaction of the only writer, on the gallery.
    """
    connection.execute("LOCK TABLE about IN ACCESS EXCLUSIVE MODE")
    for table, column in _REWRITTEN:
        connection.execute(f"ALTER TABLE {table} ALTER {column} TYPE BIGINT USING {column} + 0")


def empty_vectors(connection: Connection, size: int) -> None:
    """Takes all embeddings out, and makes room for those of another size; nobody reads meanwhile.

    Args:
        connection: In the transaction of the only writer, on the gallery.
        size: Of an embedding.
    """
    query = (
        "SELECT n.nspname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
        "JOIN pg_namespace n ON n.oid = t.typnamespace WHERE a.attrelid = 'vectors'::regclass AND a.attname = ?"
    )
    schema = str(connection.execute(query, ("embedding",)).fetchone()[0]).replace('"', '""')
    connection.execute("LOCK TABLE about IN ACCESS EXCLUSIVE MODE")  # an older moment would see an empty table
    connection.execute("TRUNCATE vectors")
    connection.execute(f'ALTER TABLE vectors ALTER embedding TYPE "{schema}".vector({int(size)})')
