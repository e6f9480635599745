"""What a change looks up in its own transaction, so that nobody changes it in between."""

from collections.abc import Sequence

from lookalike.gallery.connection import Connection
from lookalike.gallery.history import Column
from lookalike.gallery.image_facts import in_parts, marks_for
from lookalike.gallery.same_images import Enrolled


def count_of(connection: Connection, label: str) -> int:
    """How many images of a label there are.

    Args:
        connection: Of the gallery.
        label: Perhaps of none.
    """
    query = "SELECT count(*) FROM images WHERE label = ? AND removed IS NULL"
    return int(connection.execute(query, (label,)).fetchone()[0])


def images_of(connection: Connection, column: Column, values: Sequence[str | int]) -> list[int]:
    """The images whose id, label or source is one of the values, removed ones too, ascending.

    Args:
        connection: Of the gallery.
        column: Of the three.
        values: Of it.
    """
    query = f"SELECT id FROM images WHERE {column} = ?"
    return sorted({int(row[0]) for value in values for row in connection.execute(query, (value,)).fetchall()})


def missing_of(
    connection: Connection, column: Column, values: Sequence[str | int], removed: bool = False
) -> list[str | int]:
    """Which of these ids, labels or sources no image has.

    Args:
        connection: Of the gallery.
        column: Of the three.
        values: Of it.
        removed: Whether those of removed images are there, too.
    """
    there: set[str | int] = set()
    also = "" if removed else " AND removed IS NULL"
    for part in in_parts(values):
        query = f"SELECT DISTINCT {column} FROM images WHERE {column} IN ({marks_for(part)}){also}"
        there.update(row[0] for row in connection.execute(query, list(part)))
    return [value for value in values if value not in there]


def enrolled_as(connection: Connection, pictures: Sequence[bytes]) -> Enrolled:
    """The images that show these pictures.

    Args:
        connection: Of the gallery.
        pictures: Their digests.
    """
    enrolled: Enrolled = {}
    for part in in_parts(pictures):
        query = (
            f"SELECT picture, id, label, vector, source FROM images WHERE picture IN ({marks_for(part)}) "
            "AND removed IS NULL ORDER BY id"
        )
        for picture, image, label, vector, source in connection.execute(query, list(part)):
            enrolled.setdefault(bytes(picture), []).append((image, label, bytes(vector), source))
    return enrolled
