"""Files of forgotten images: named in the change that forgets them, deleted after it, whoever is killed in between."""

import json
from collections.abc import Callable, Sequence

from lookalike.gallery.connection import Connection
from lookalike.gallery.history import Column

Own = Callable[[Sequence[str]], list[str]]  # those of some sources that are files of the gallery itself
LEFTOVER = "leftover files"  # in about: files of forgotten images that may still be there, JSON


def own_of(connection: Connection, column: Column, values: Sequence[str | int], own: Own) -> list[str]:
    """The files of the gallery itself that images come from, removed ones too.

    Args:
        connection: Of the gallery.
        column: Id, label or source.
        values: Of it.
        own: Says which files are.
    """
    query = f"SELECT DISTINCT source FROM images WHERE {column} = ?"
    return own([str(row[0]) for value in values for row in connection.execute(query, (value,)).fetchall()])


def note(connection: Connection, files: Sequence[str]) -> None:
    """Notes files to delete, beside those of an earlier change.

    Args:
        connection: In the transaction that forgets their images.
        files: None for nothing to note.
    """
    if files:
        held = noted(connection)
        connection.execute("DELETE FROM about WHERE name = ?", (LEFTOVER,))
        text = json.dumps(sorted({*files, *(json.loads(held) if held else ())}))
        connection.execute("INSERT INTO about VALUES (?, ?)", (LEFTOVER, text))


def noted(connection: Connection) -> str:
    """What was noted, JSON; empty where nothing is left.

    Args:
        connection: Of the gallery.
    """
    row = connection.execute("SELECT value FROM about WHERE name = ?", (LEFTOVER,)).fetchone()
    return "" if row is None else str(row[0])


def settle(connection: Connection, text: str) -> None:
    """Takes back what was noted, unless more was meanwhile.

    Args:
        connection: In a transaction that writes.
        text: As it was noted.
    """
    connection.execute("DELETE FROM about WHERE name = ? AND value = ?", (LEFTOVER, text))
