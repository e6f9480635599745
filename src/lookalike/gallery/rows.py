"""One image of a gallery, as it is enrolled and as it is read back; what goes wrong with a store."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

from lookalike.errors import LookalikeError


class StoreError(LookalikeError):
    """What keeps a gallery cannot be used."""


class ReplacedError(StoreError):
    """Something else stands where the gallery was, or it has another model: it has to be opened again."""


@dataclass(frozen=True)
class Row:
    """One image to enrol.

    Attributes:
        label: Its class name.
        source: Where it came from: the path of its file, or a name.
        thumbnail: A small JPEG, empty for an embedding without a picture.
        embedding: float32 little-endian bytes.
        camera: What took it, None where unknown.
        columns: What else is known of it: name and value (JSON), sorted by name.
    """

    label: str
    source: str
    thumbnail: bytes
    embedding: bytes
    camera: int | None = None
    columns: tuple[tuple[str, str], ...] = ()

    @cached_property
    def picture_digest(self) -> bytes:
        """Of what it shows."""
        return digest(self.thumbnail or self.embedding)

    @property
    def facts(self) -> dict[str, str]:
        """What is known of it besides its label: name and value (JSON)."""
        return {**({} if self.camera is None else {"camera": str(self.camera)}), **dict(self.columns)}

    @cached_property
    def embedding_digest(self) -> bytes:
        """Of its embedding."""
        return digest(self.embedding)


class OtherLabelError(StoreError):
    """Images to enrol are there already, under other labels: `others` has each row and the label of its image."""

    def __init__(self, others: list[tuple[Row, str]]) -> None:
        super().__init__(f"{len(others)} images have another label")
        self.others = others


class MissingError(StoreError):
    """Images that are meant are not there: `values` has their numbers or labels."""

    def __init__(self, values: Sequence[str | int]) -> None:
        super().__init__(f"{len(values)} are not there")
        self.values = list(values)


@dataclass(frozen=True)
class StoredRow:
    """One enrolled image, without its thumbnail.

    Attributes:
        id: Its number, never used twice in a gallery.
        label: Its class name.
        source: Where it came from.
        embedding: float32 little-endian bytes.
        camera: What took it, None where unknown.
    """

    id: int
    label: str
    source: str
    embedding: bytes
    camera: int | None


@dataclass(frozen=True)
class EnrolledImage:
    """One enrolled image, without its picture and embedding.

    Attributes:
        number: What `remove` and `move` take.
        label: Its class name.
        source: Where it came from.
        camera: What took it, None where unknown.
        time: When it was enrolled, ISO 8601.
        columns: What else is known of it.
    """

    number: int
    label: str
    source: str
    camera: int | None
    time: str
    columns: dict[str, Any]

    def __str__(self) -> str:
        facts = {**({} if self.camera is None else {"camera": self.camera}), **self.columns}
        return "  ".join(
            [str(self.number), self.time, self.source, *(f"{name}={value}" for name, value in facts.items())]
        )


def digest(content: bytes) -> bytes:
    """16 bytes by which content is told from other content: BLAKE2b."""
    return blake2b(content, digest_size=16).digest()
