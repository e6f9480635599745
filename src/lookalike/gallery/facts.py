"""What is known of images besides their labels: set by changes, and taken back with them.

For every image and name of which a change set the value, the table `facts` says the value (JSON) before and after; none
where it was not known. `camera` is a name among the others here.
"""

import json
from collections.abc import Iterable, Mapping, Sequence

from lookalike.gallery.connection import Connection
from lookalike.gallery.image_facts import in_parts, marks_for

CAMERA = "camera"
CONFIRMED = "confirmed"  # a column: a person said that the label is right
YES = json.dumps(True)
Fact = tuple[int, str, str | None, str | None]  # image, name, value before and after


def set_facts(connection: Connection, number: int, given: Mapping[int, Mapping[str, str]]) -> int:
    """Sets values of images; returns of how many images one is another now.

    Args:
        connection: In the transaction of a change.
        number: Of the change.
        given: Image -> name -> value (JSON).
    """
    there = _values_of(connection, list(given))
    changed = [
        (image, name, there.get((image, name)), value)
        for image, values in given.items()
        for name, value in values.items()
        if there.get((image, name)) != value
    ]
    _write(connection, number, changed)
    return len({image for image, *_ in changed})


def lapsed(connection: Connection, number: int, chosen: str, values: Sequence[str | int]) -> None:
    """Takes the word of whoever called the label of images right: they get another label.

    Args:
        connection: In the transaction of a change.
        number: Of the change.
        chosen: A condition on the table of images, or a query of their numbers behind `id IN`.
        values: That stand in it.
    """
    connection.execute(
        f"INSERT INTO facts SELECT ?, image, name, value, NULL FROM extras e WHERE name = ? AND value = ? "
        f"AND image IN (SELECT id FROM images WHERE {chosen}) AND NOT EXISTS "
        "(SELECT 1 FROM facts f WHERE f.change = ? AND f.image = e.image AND f.name = e.name)",
        (number, CONFIRMED, YES, *values, number),
    )
    connection.execute(
        "DELETE FROM extras WHERE name = ? AND image IN "
        "(SELECT image FROM facts WHERE change = ? AND name = ? AND after IS NULL)",
        (CONFIRMED, number, CONFIRMED),
    )


def set_since(connection: Connection, number: int) -> list[int]:
    """The later changes, the latest first, of what a change set and what is not as it left it.

    Args:
        connection: Of the gallery.
        number: Of the change.
    """
    facts = _facts_of(connection, number)
    there = _values_of(connection, sorted({image for image, *_ in facts}))
    later: set[int] = set()
    query = "SELECT change FROM facts WHERE image = ? AND name = ? AND change > ?"
    for image, name, _, after in facts:
        if there.get((image, name)) != after:
            later.update(int(row[0]) for row in connection.execute(query, (image, name, number)).fetchall())
    return sorted(later, reverse=True)


def restored(connection: Connection, number: int, former: int) -> set[int]:
    """Sets what a change set to what it was before; returns the images.

    Args:
        connection: In the transaction of a change.
        number: Of that.
        former: The change that is taken back.
    """
    facts = [(image, name, after, before) for image, name, before, after in _facts_of(connection, former)]
    _write(connection, number, facts)
    return {image for image, *_ in facts}


def described(connection: Connection, first: int, end: int) -> dict[int, int]:
    """Change -> of how many images it set values, and left the labels.

    Args:
        connection: Of the gallery.
        first: Of the changes.
        end: That stands behind the last of them.
    """
    query = (
        "SELECT change, count(DISTINCT image) FROM facts f WHERE change >= ? AND change < ? AND NOT EXISTS "
        "(SELECT 1 FROM events e WHERE e.change = f.change AND e.image = f.image) GROUP BY change"
    )
    return {int(change): int(images) for change, images in connection.execute(query, (first, end)).fetchall()}


def _facts_of(connection: Connection, number: int) -> list[Fact]:
    query = "SELECT image, name, before, after FROM facts WHERE change = ? ORDER BY image, name"
    return [(int(image), name, before, after) for image, name, before, after in connection.execute(query, (number,))]


def _values_of(connection: Connection, images: Sequence[int]) -> dict[tuple[int, str], str]:
    """(image, name) -> value, where it is known."""
    values: dict[tuple[int, str], str] = {}
    for part in in_parts(images):
        marks = marks_for(part)
        query = f"SELECT image, name, value FROM extras WHERE image IN ({marks})"
        values |= {(image, name): value for image, name, value in connection.execute(query, list(part)).fetchall()}
        query = f"SELECT id, camera FROM images WHERE camera IS NOT NULL AND id IN ({marks})"
        rows = connection.execute(query, list(part)).fetchall()
        values |= {(image, CAMERA): json.dumps(camera) for image, camera in rows}
    return values


def _write(connection: Connection, number: int, facts: Iterable[Fact]) -> None:
    written = list(facts)
    if not written:
        return
    rows = [(number, *fact) for fact in written]
    connection.executemany("INSERT INTO facts VALUES (?, ?, ?, ?, ?)", rows)
    cameras = [(None if after is None else int(after), image) for image, name, _, after in written if name == CAMERA]
    if cameras:
        connection.executemany("UPDATE images SET camera = ? WHERE id = ?", cameras)
    others = [(image, name, after) for image, name, _, after in written if name != CAMERA]
    if others:
        connection.executemany("DELETE FROM extras WHERE image = ? AND name = ?", [fact[:2] for fact in others])
    if kept := [fact for fact in others if fact[2] is not None]:
        connection.executemany("INSERT INTO extras VALUES (?, ?, ?)", kept)
