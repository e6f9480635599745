"""The tables of a gallery in an SQLite file: made, and brought forward from those of earlier versions."""

import sqlite3
from contextlib import suppress
from uuid import uuid4

from lookalike.gallery.about import SCHEMA
from lookalike.gallery.connection import Connection
from lookalike.gallery.rows import digest

_FACTS = (
    "CREATE TABLE facts (change INTEGER NOT NULL, image INTEGER NOT NULL, name TEXT NOT NULL, before TEXT, after TEXT, "
    "PRIMARY KEY (image, name, change)) WITHOUT ROWID",
    "CREATE INDEX facts_by_change ON facts (change)",
)
TABLES = (
    "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE images (id INTEGER PRIMARY KEY, label TEXT NOT NULL, camera INTEGER, source TEXT NOT NULL, "
    "time TEXT NOT NULL, picture BLOB NOT NULL, vector BLOB NOT NULL, removed INTEGER)",  # digests, see `Row`
    "CREATE INDEX images_by_label ON images (label, removed)",
    "CREATE INDEX images_by_picture ON images (picture)",
    "CREATE INDEX images_by_source ON images (source)",
    "CREATE TABLE vectors (image INTEGER PRIMARY KEY, embedding BLOB NOT NULL)",
    "CREATE TABLE thumbnails (image INTEGER PRIMARY KEY, jpeg BLOB NOT NULL)",
    "CREATE TABLE extras (image INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, "
    "PRIMARY KEY (image, name)) WITHOUT ROWID",
    "CREATE INDEX extras_by_value ON extras (name, value)",
    "CREATE TABLE changes (number INTEGER PRIMARY KEY, time TEXT NOT NULL, action TEXT NOT NULL, note TEXT NOT NULL)",
    "CREATE TABLE events (change INTEGER NOT NULL, image INTEGER NOT NULL, before TEXT, after TEXT, "
    "PRIMARY KEY (image, change)) WITHOUT ROWID",
    "CREATE INDEX events_by_change ON events (change)",
    *_FACTS,
)


def has_tables(connection: sqlite3.Connection) -> bool:
    """Whether there is anything in a file.

    Args:
        connection: To it.
    """
    return connection.execute("SELECT 1 FROM sqlite_master").fetchone() is not None


def upgrade(connection: Connection) -> None:
    """A gallery of an earlier version; of two processes one does it.

    Args:
        connection: In a transaction that writes.
    """
    about = dict(connection.execute("SELECT name, value FROM about").fetchall())
    schema = int(about["schema"])
    if schema == 3:
        for statement in _FACTS:
            connection.execute(statement)
        _put_about(connection, about)
    elif schema < 3:  # another process may have made it one of this version, or of a later one
        _rewrite(connection, about)


def _put_about(connection: Connection, about: dict[str, str]) -> None:
    """What it says of itself now, under a name by which other processes see that they have to open it again."""
    about |= {"schema": str(SCHEMA), "gallery": uuid4().hex}
    connection.execute("DELETE FROM about")
    connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())


def _rewrite(connection: Connection, about: dict[str, str]) -> None:
    """From one table of images to several."""
    old = {row[1] for row in connection.execute("PRAGMA table_info(images)")}
    last = int(connection.execute("SELECT coalesce(max(number), 0) FROM changes").fetchone()[0])
    with suppress(sqlite3.OperationalError):  # the number of a change that was taken back was not used again
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'images'").fetchone()
        about["last_image"] = str(row[0] if row else 0)
    if "removed" not in old:
        about["history"] = str(last)
    names = ("images", "changes", *(["events"] if "removed" in old else []))
    for name in names:
        connection.execute(f"ALTER TABLE {name} RENAME TO old_{name}")
    for index in ("images_by_label", "images_by_source", "images_by_embedding", "events_by_change"):
        connection.execute(f"DROP INDEX IF EXISTS {index}")
    for statement in TABLES[1:]:
        connection.execute(statement)
    removed = "removed" if "removed" in old else "NULL"
    query = f"SELECT id, label, camera, source, time, thumbnail, embedding, {removed} FROM old_images"
    for image, label, camera, source, time, jpeg, embedding, gone in connection.execute(query):
        values = (image, label, camera, source, time, digest(jpeg or embedding), digest(embedding), gone)
        connection.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        connection.execute("INSERT INTO vectors VALUES (?, ?)", (image, embedding))
        if jpeg:
            connection.execute("INSERT INTO thumbnails VALUES (?, ?)", (image, jpeg))
    connection.execute("INSERT INTO changes SELECT number, time, action, note FROM old_changes")
    if "removed" in old:
        connection.execute("INSERT INTO events SELECT change, image, before, after FROM old_events")
    for name in names:
        connection.execute(f"DROP TABLE old_{name}")
    _put_about(connection, {**about, "last_change": str(last)})
