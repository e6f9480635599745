"""Galleries as earlier versions wrote them: their tables, word for word."""

import sqlite3
from pathlib import Path

from lookalike import Gallery
from lookalike.gallery.rows import Row

_TABLES = {
    1: (
        "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE images (id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT NOT NULL, camera INTEGER, "
        "source TEXT NOT NULL, time TEXT NOT NULL, thumbnail BLOB NOT NULL, embedding BLOB NOT NULL)",
        "CREATE INDEX images_by_label ON images (label)",
        "CREATE TABLE changes (number INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, action TEXT NOT NULL, "
        "note TEXT NOT NULL)",
    ),
    2: (
        "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE images (id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT NOT NULL, camera INTEGER, "
        "source TEXT NOT NULL, time TEXT NOT NULL, thumbnail BLOB NOT NULL, embedding BLOB NOT NULL, removed INTEGER)",
        "CREATE INDEX images_by_label ON images (label)",
        "CREATE TABLE changes (number INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, action TEXT NOT NULL, "
        "note TEXT NOT NULL)",
        "CREATE TABLE IF NOT EXISTS events (change INTEGER NOT NULL, image INTEGER NOT NULL, before TEXT, after TEXT, "
        "PRIMARY KEY (image, change)) WITHOUT ROWID",
        "CREATE INDEX IF NOT EXISTS events_by_change ON events (change)",
        "CREATE INDEX IF NOT EXISTS images_by_embedding ON images (substr(embedding, 1, 16))",
        "CREATE INDEX IF NOT EXISTS images_by_source ON images (source)",
    ),
}


def write_earlier(file: Path, schema: int, about: dict[str, str], rows: list[tuple[int, Row, int | None]]) -> None:
    """All images enrolled by change 1; those with a third value removed by that change."""
    file.parent.mkdir(parents=True)
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    for statement in _TABLES[schema]:
        connection.execute(statement)
    connection.executemany("INSERT INTO about VALUES (?, ?)", {"schema": str(schema), **about}.items())
    connection.execute("INSERT INTO changes VALUES (1, '2026-11-01T12:00:00+00:00', 'add', 'the first')")
    for image, row, removed in rows:
        columns = (image, row.label, row.camera, row.source, "2026-11-01T12:00:00+00:00", row.thumbnail, row.embedding)
        filled = columns if schema == 1 else (*columns, removed)
        connection.execute(f"INSERT INTO images VALUES ({', '.join('?' * len(filled))})", filled)
        if schema == 2:
            connection.execute("INSERT INTO events VALUES (1, ?, NULL, ?)", (image, row.label))
            if removed:
                connection.execute("INSERT INTO events VALUES (?, ?, ?, NULL)", (removed, image, row.label))
    if schema == 2:
        for number in sorted({removed for _, _, removed in rows if removed}):
            connection.execute("INSERT INTO changes VALUES (?, '2026-11-02T12:00:00+00:00', 'remove', '')", (number,))
    connection.close()


def as_earlier(gallery: Gallery, folder: Path, schema: int) -> None:
    """The same images; by schema 2 another one was enrolled, too, and removed."""
    store = gallery._store
    rows: list[tuple[int, Row, int | None]] = [
        (row.id, Row(row.label, row.source, store.thumbnail(row.id), row.embedding, row.camera), None)
        for row in store.rows()
    ]
    if schema == 2:
        last = rows[-1][1]
        rows.append((rows[-1][0] + 1, Row("gone", "gone.png", b"\xff\xd8gone", last.embedding), 2))
    about = {name: store.about[name] for name in ("fingerprint", "precision", "dimensions")}
    write_earlier(folder / "gallery.sqlite", schema, about, rows)
