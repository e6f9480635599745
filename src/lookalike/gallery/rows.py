"""One image of a gallery, as it is enrolled and as it is read back; what goes wrong with a store."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

from lookalike.errors import LookalikeError


class StoreError(LookalikeError):
    """What keeps a gallery cannot be used."""


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

    @cached_property
    def embedding_digest(self) -> bytes:
        """Of its embedding."""
        return digest(self.embedding)


class OtherLabelError(StoreError):
    """Images to enrol are there already, under other labels: `others` has each row and the label of its image."""

    def __init__(self, others: list[tuple[Row, str]]) -> None:
        super().__init__(f"{len(others)} images have another label")
        self.others = others


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


def digest(content: bytes) -> bytes:
    """16 bytes by which content is told from other content: BLAKE2b."""
    return blake2b(content, digest_size=16).digest()
