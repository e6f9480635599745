"""The rows of a gallery on Milvus as its commits tell them, and the private SQLite file they are replayed into."""

import json
import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lookalike.gallery.sqlite_tables import TABLES

_KEYS = {  # table -> columns that name a row
    "about": ("name",),
    "images": ("id",),
    "vectors": ("image",),
    "thumbnails": ("image",),
    "extras": ("image", "name"),
    "changes": ("number",),
    "events": ("image", "change"),
    "facts": ("image", "name", "change"),
}
RowChange = list[Any]  # table, 1 for a row that is there or 0 for one that is gone, its values or its key


def make_mirror(file: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """A new file with the tables of a gallery: connections of those who read, and of the one who writes.

    Args:
        file: New, in a folder of this process alone.
    """
    reader, writer = (sqlite3.connect(file, isolation_level=None, check_same_thread=False) for _ in range(2))
    writer.execute("PRAGMA journal_mode = WAL")
    for connection in (reader, writer):
        connection.execute("PRAGMA synchronous = OFF")  # it is deleted in the end
    for statement in TABLES:
        writer.execute(statement)
    writer.execute("CREATE TEMP TABLE outgoing (of TEXT, key TEXT, PRIMARY KEY (of, key)) WITHOUT ROWID")
    for table, keys in _KEYS.items():
        for event, side in (("INSERT", "new"), ("UPDATE", "new"), ("DELETE", "old")):
            key = ", ".join(f"{side}.{name}" for name in keys)
            writer.execute(
                f"CREATE TEMP TRIGGER {table}_{event} AFTER {event} ON main.{table} BEGIN "
                f"INSERT OR IGNORE INTO outgoing VALUES ('{table}', json_array({key})); END"
            )
    return reader, writer


def changed_rows(connection: sqlite3.Connection) -> list[RowChange]:
    """What a transaction left of every row that it touched.

    Args:
        connection: Of the one who writes, in the transaction.
    """
    changes: list[RowChange] = []
    for table, key in connection.execute("SELECT of, key FROM outgoing").fetchall():
        where = " AND ".join(f"{name} = ?" for name in _KEYS[table])
        row = connection.execute(f"SELECT * FROM {table} WHERE {where}", json.loads(key)).fetchone()
        changes.append([table, 0, json.loads(key)] if row is None else [table, 1, _packed(row)])
    return changes


def rows_of_all(connection: sqlite3.Connection) -> list[RowChange]:
    """Every row there is.

    Args:
        connection: Of the one who writes.
    """
    return [[table, 1, _packed(row)] for table in _KEYS for row in connection.execute(f"SELECT * FROM {table}")]


def put_rows(connection: sqlite3.Connection, changes: Iterable[RowChange]) -> None:
    """Does what a commit says.

    Args:
        connection: Of the one who writes, in a transaction.
        changes: As of `changed_rows`.
    """
    for table, there, values in changes:
        if table not in _KEYS:
            raise ValueError(f"a table {str(table)[:40]!r} that no gallery has")
        if there:
            marks = ", ".join("?" * len(values))
            connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", _unpacked(values))
        else:
            where = " AND ".join(f"{name} = ?" for name in _KEYS[table])
            connection.execute(f"DELETE FROM {table} WHERE {where}", values)


def empty(connection: sqlite3.Connection) -> None:
    """Takes all rows out.

    Args:
        connection: Of the one who writes, in a transaction.
    """
    for table in _KEYS:
        connection.execute(f"DELETE FROM {table}")


def _packed(row: Iterable[Any]) -> list[Any]:
    """Values as JSON has them; bytes as a list of one text."""
    return [[b64encode(value).decode()] if isinstance(value, bytes) else value for value in row]


def _unpacked(values: Iterable[Any]) -> list[Any]:
    return [b64decode(value[0]) if isinstance(value, list) else value for value in values]
