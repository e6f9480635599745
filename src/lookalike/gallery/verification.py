"""Whether a gallery is whole: every image with its embedding and picture as they were enrolled, and nothing besides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lookalike.gallery.history import Connection
from lookalike.gallery.image_facts import in_parts
from lookalike.gallery.rows import digest
from lookalike.gallery.sql_store import SqlStore
from lookalike.terminal import counted

_AT_ONCE = 2000  # images
_ORPHANS = ("vectors", "thumbnails", "extras", "events")


@dataclass(frozen=True)
class Verification:
    """What a gallery was found to be.

    Attributes:
        images: How many were looked at, removed ones too.
        problems: A line each; none where the gallery is whole.
    """

    images: int
    problems: tuple[str, ...]

    def __bool__(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        head = f"{counted(self.images, 'image')}, removed ones too: " + (
            counted(len(self.problems), "problem") if self.problems else "every checksum is right"
        )
        return "\n".join([head, *self.problems])


def verify(store: SqlStore) -> Verification:
    """Compares everything with its checksum, and looks for rows that belong to no image.

    Args:
        store: Open.
    """
    with store.reading() as connection:
        images = [int(row[0]) for row in connection.execute("SELECT id FROM images ORDER BY id").fetchall()]
        problems = [*_orphans(connection), *_numbers(connection, images)]
        for part in in_parts(images, _AT_ONCE):
            problems += _of_images(store, connection, part)
    return Verification(len(images), (*problems, *store.own_problems(images)))


def _orphans(connection: Connection) -> Iterator[str]:
    for table in _ORPHANS:
        query = f"SELECT count(*) FROM {table} WHERE image NOT IN (SELECT id FROM images)"
        count = int(connection.execute(query).fetchone()[0])
        if count:
            yield f"{count} rows of {table} belong to no image"
    query = "SELECT count(*) FROM events WHERE change NOT IN (SELECT number FROM changes)"
    if count := int(connection.execute(query).fetchone()[0]):
        yield f"{count} events belong to no change"


def _numbers(connection: Connection, images: list[int]) -> Iterator[str]:
    """The next image and change have to get numbers that nothing has."""
    about = dict(connection.execute("SELECT name, value FROM about").fetchall())
    last = int(connection.execute("SELECT coalesce(max(number), 0) FROM changes").fetchone()[0])
    for name, most in {"last_image": images[-1] if images else 0, "last_change": last}.items():
        if int(about[name]) < most:
            yield f"{name} is {about[name]}, but there is {most}"


def _of_images(store: SqlStore, connection: Connection, images: Sequence[int]) -> Iterator[str]:
    query = (
        "SELECT i.id, i.label, i.vector, i.picture, v.embedding, t.jpeg FROM images i "
        "LEFT JOIN vectors v ON v.image = i.id LEFT JOIN thumbnails t ON t.image = i.id "
        "WHERE i.id BETWEEN ? AND ? ORDER BY i.id"
    )
    size = 4 * int(store.about["dimensions"])
    for image, label, vector, picture, stored, jpeg in connection.execute(query, (images[0], images[-1])).fetchall():
        embedding = b"" if stored is None else store.from_vector(stored)
        if stored is None:
            yield f"image {image}: its embedding is missing"
        elif len(embedding) != size or digest(embedding) != bytes(vector):
            yield f"image {image}: its embedding is not as it was enrolled"
        elif not abs(float(np.linalg.norm(np.frombuffer(embedding, "<f4"))) - 1) < 1e-3:
            yield f"image {image}: its embedding is not of unit length"
        if digest(bytes(jpeg or b"") or embedding) != bytes(picture):
            yield f"image {image}: its picture is {'not as it was enrolled' if jpeg else 'missing'}"
        if not str(label).strip():
            yield f"image {image}: its label is empty"
