"""One image of a gallery, as it is enrolled and as it is read back; what goes wrong with its file."""

from dataclasses import dataclass

from lookalike.errors import LookalikeError

START = 16  # bytes of an embedding by which it is looked up


class StoreError(LookalikeError):
    """The file of a gallery cannot be used."""


@dataclass(frozen=True)
class Row:
    """One image to enrol.

    Attributes:
        label: Its class name.
        source: Where it came from: the path of its file, or a name.
        thumbnail: A small JPEG.
        embedding: float32 little-endian bytes.
        camera: What took it, None where unknown.
    """

    label: str
    source: str
    thumbnail: bytes
    embedding: bytes
    camera: int | None = None


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
