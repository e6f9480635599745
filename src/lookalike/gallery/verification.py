"""Whether a gallery is whole: every image with its embedding and picture as they were enrolled, and nothing besides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.gallery.connection import Connection
from lookalike.gallery.image_facts import in_parts
from lookalike.gallery.own_model import kept_name
from lookalike.gallery.rows import digest
from lookalike.gallery.sql_store import SqlStore
from lookalike.inference.kept_network import network_problems
from lookalike.terminal import counted

_AT_ONCE = 2000  # images
_SHOWN = 20  # numbers of images in the advice
_ORPHANS = ("vectors", "thumbnails", "extras", "events", "facts")


@dataclass(frozen=True)
class Verification:
    """What a gallery was found to be.

    Attributes:
        images: How many were looked at, removed ones too.
        problems: A line each; none where the gallery is whole.
        damaged: The numbers of images that are not as they were enrolled.
        network: Whether its network is not as it was kept.
    """

    images: int
    problems: tuple[str, ...]
    damaged: tuple[int, ...] = ()
    network: bool = False

    def __bool__(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        head = f"{counted(self.images, 'image')}, removed ones too: " + (
            counted(len(self.problems), "problem") if self.problems else "every checksum is right"
        )
        return "\n".join([head, *self.problems, *self._advice()])

    def _advice(self) -> list[str]:
        """What to do."""
        lines = []
        if self.damaged:
            shown = ",".join(map(str, self.damaged[:_SHOWN])) + (",..." if len(self.damaged) > _SHOWN else "")
            lines.append(
                f"bring back a backup of the gallery; or gallery remove image=[{shown}] takes what is damaged out of "
                "the search, gallery forget deletes it for good, and the photographs can be enrolled again"
            )
        if self.network:
            lines.append("bring back the folder of the network from a backup of the gallery")
        return lines


def verify(store: SqlStore, place: Path | str = "") -> Verification:
    """Compares everything with its checksum, and looks for rows that belong to no image.

    Args:
        store: Open.
        place: The folder of the gallery, where its network may be kept; "" or an address for none.
    """
    damaged: dict[int, list[str]] = {}
    with store.reading() as connection:
        images = [int(row[0]) for row in connection.execute("SELECT id FROM images ORDER BY id").fetchall()]
        problems = [*_orphans(connection), *_numbers(connection, images)]
        for part in in_parts(images, _AT_ONCE):
            for image, text in _of_images(store, connection, part):
                damaged.setdefault(image, []).append(f"image {image}: {text}")
    problems += [text for texts in damaged.values() for text in texts]
    network = network_problems(place / kept_name(store.about.get("model"))) if isinstance(place, Path) else []
    problems += [*store.own_problems(images), *network]
    return Verification(len(images), tuple(problems), tuple(damaged), bool(network))


def _orphans(connection: Connection) -> Iterator[str]:
    for table in _ORPHANS:
        query = f"SELECT count(*) FROM {table} WHERE image NOT IN (SELECT id FROM images)"
        count = int(connection.execute(query).fetchone()[0])
        if count:
            yield f"{counted(count, 'row')} of {table} {_belong(count)} to no image"
    query = "SELECT count(*) FROM events WHERE change NOT IN (SELECT number FROM changes)"
    if count := int(connection.execute(query).fetchone()[0]):
        yield f"{counted(count, 'event')} {_belong(count)} to no change"


def _belong(count: int) -> str:
    return "belongs" if count == 1 else "belong"


def _numbers(connection: Connection, images: list[int]) -> Iterator[str]:
    """The next image and change have to get numbers that nothing has."""
    about = dict(connection.execute("SELECT name, value FROM about").fetchall())
    last = int(connection.execute("SELECT coalesce(max(number), 0) FROM changes").fetchone()[0])
    for name, most in {"last_image": images[-1] if images else 0, "last_change": last}.items():
        if int(about[name]) < most:
            yield f"{name} is {about[name]}, but there is {most}"


def _of_images(store: SqlStore, connection: Connection, images: Sequence[int]) -> Iterator[tuple[int, str]]:
    query = (
        "SELECT i.id, i.label, i.vector, i.picture, v.embedding, t.jpeg FROM images i "
        "LEFT JOIN vectors v ON v.image = i.id LEFT JOIN thumbnails t ON t.image = i.id "
        "WHERE i.id BETWEEN ? AND ? ORDER BY i.id"
    )
    size = 4 * int(store.about["dimensions"])
    for image, label, vector, picture, stored, jpeg in connection.execute(query, (images[0], images[-1])).fetchall():
        embedding = b"" if stored is None else store.from_vector(stored)
        if stored is None:
            yield image, "its embedding is missing"
        elif len(embedding) != size or digest(embedding) != bytes(vector):
            yield image, "its embedding is not as it was enrolled"
        elif not abs(float(np.linalg.norm(np.frombuffer(embedding, "<f4"))) - 1) < 1e-3:
            yield image, "its embedding is not of unit length"
        if digest(bytes(jpeg or b"") or embedding) != bytes(picture):
            yield image, f"its picture is {'not as it was enrolled' if jpeg else 'missing'}"
        if not str(label).strip():
            yield image, "its label is empty"
