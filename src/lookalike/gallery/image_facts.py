"""What a store tells of images: where they came from, what took them, their pictures and columns."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from threading import RLock, local
from typing import Any, Self, TypeVar

from lookalike.gallery.connection import Connection
from lookalike.gallery.rows import StoreError

_AT_ONCE = 500  # values in one statement
_Value = TypeVar("_Value")


class ImageFacts(ABC):
    """An open store, asked about images.

    Attributes:
        name: Where it is, for people.
        about: What it says about itself.
        closed: Whether it was let go.
    """

    name: str
    about: dict[str, str]
    closed: bool = False

    def __init__(self) -> None:
        self._turn = RLock()
        self._of_thread = local()

    @abstractmethod
    def opened_again(self) -> Self:
        """The same place, opened anew.

        Raises:
            StoreError: It cannot be opened any more.
        """

    @abstractmethod
    def _explained(self) -> AbstractContextManager[None]:
        """Says in one line what the database and the system raise."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one moment."""

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One moment of it, in a thread's turn."""
        with self._open(), self._reading() as connection:
            yield connection

    def sources(self, images: Sequence[int]) -> list[str]:
        """Where these images came from."""
        return [str(value) for value in self._values("images", "id", "source", images)]

    def cameras(self, images: Sequence[int]) -> list[int | None]:
        """What took these images."""
        return self._values("images", "id", "camera", images)

    def times(self, images: Sequence[int]) -> list[str]:
        """When these images were enrolled, ISO 8601."""
        return [str(value) for value in self._values("images", "id", "time", images)]

    def thumbnail(self, image: int) -> bytes:
        """The small JPEG of an image, of a removed one too; empty where there is none."""
        return self.thumbnails([image])[0]

    def thumbnails(self, images: Sequence[int]) -> list[bytes]:
        """As `thumbnail`, of several images."""
        return [bytes(jpeg) for jpeg in self._values("thumbnails", "image", "jpeg", images, missing=b"")]

    def pictured(self, images: Sequence[int]) -> list[bool]:
        """Which of these images have a small JPEG."""
        return [bool(size) for size in self._values("thumbnails", "image", "length(jpeg)", images, missing=0)]

    def columns(self, images: Sequence[int]) -> list[dict[str, Any]]:
        """What else is known of these images: name -> value."""
        filled: dict[int, dict[str, Any]] = {}
        with self.reading() as connection:
            for part in in_parts(images):
                query = f"SELECT image, name, value FROM extras WHERE image IN ({marks_for(part)}) ORDER BY name"
                for image, name, value in connection.execute(query, [int(image) for image in part]):
                    filled.setdefault(image, {})[name] = json.loads(value)
        return [filled.get(int(image), {}) for image in images]

    def described(self, images: Sequence[int]) -> Iterator[tuple[str, int | None, str, dict[str, Any]]]:
        """Source, camera, time and columns of each of these images."""
        return zip(self.sources(images), self.cameras(images), self.times(images), self.columns(images), strict=True)

    def column_names(self) -> list[str]:
        """Of all that is known of images besides label, camera and source, sorted."""
        with self.reading() as connection:
            return sorted(str(row[0]) for row in connection.execute("SELECT DISTINCT name FROM extras"))

    def labels_among(self, labels: Iterable[str]) -> set[str]:
        """Which of these labels are in the gallery."""
        query = "SELECT 1 FROM images WHERE label = ? AND removed IS NULL LIMIT 1"
        with self.reading() as connection:
            return {label for label in labels if connection.execute(query, (label,)).fetchone()}

    def distinct(self, column: str) -> list[str]:
        """The values (JSON) of a column, each once, sorted."""
        with self.reading() as connection:
            query = "SELECT DISTINCT value FROM extras WHERE name = ?"
            return sorted(str(row[0]) for row in connection.execute(query, (column,)))

    def having(self, column: str, values: Sequence[Any]) -> set[int]:
        """The images of which `camera`, `source` or another column has one of these values, removed ones too."""
        images: set[int] = set()
        with self.reading() as connection:
            for part in in_parts(values):
                if column in ("camera", "source"):
                    query, filled = f"SELECT id FROM images WHERE {column} IN ({marks_for(part)})", list(part)
                else:
                    query = f"SELECT image FROM extras WHERE name = ? AND value IN ({marks_for(part)})"
                    filled = [column, *part]
                images.update(int(row[0]) for row in connection.execute(query, filled).fetchall())
        return images

    def _values(self, table: str, key: str, column: str, images: Sequence[int], missing: object = None) -> list[Any]:
        stored: dict[int, Any] = {}
        with self.reading() as connection:
            for part in in_parts(images):
                query = f"SELECT {key}, {column} FROM {table} WHERE {key} IN ({marks_for(part)})"
                stored.update(connection.execute(query, [int(image) for image in part]).fetchall())
        return [stored.get(int(image), missing) for image in images]

    @contextmanager
    def _open(self) -> Iterator[None]:
        """A thread's turn."""
        with self._turn, self._explained():
            self._need_open()
            yield

    def _need_open(self) -> None:
        if self.closed:
            raise StoreError(f"{self.name}: closed: open the gallery again with Gallery.open")


def in_parts(values: Sequence[_Value], at_once: int = _AT_ONCE) -> Iterator[Sequence[_Value]]:
    """So many values at a time, as many as one statement takes unless told otherwise."""
    for first in range(0, len(values), at_once):
        yield values[first : first + at_once]


def marks_for(values: Sequence[Any]) -> str:
    """What stands for these values in a statement."""
    return ", ".join("?" * len(values))
