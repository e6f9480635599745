"""What a client sends: files as they are, pixels as PNG, so many in a request as a service takes; and its fields."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lookalike.data.any_image import AnyImage, folder_label, name_of, pixels_of
from lookalike.data.images import ImageError, content_of
from lookalike.files import readable
from lookalike.gallery.columns import Filter
from lookalike.inference.encoder import Box
from lookalike.inference.references import GalleryError
from lookalike.settings.paths import PathError, path_of

_AROUND = 1000  # bytes of a form around each file
_FIELDS = 1 << 18  # and of its other parts, at most
_QUICKLY = [cv2.IMWRITE_PNG_COMPRESSION, 1]


@dataclass(frozen=True)
class SentImage:
    """One image of a request.

    Attributes:
        place: Among those that were given, from 0.
        image: As it was given.
        name: What it is called here: its path, or `image 3` for the third that has none.
        sent_name: What it is called there: the name of its file.
        folder: The name of its folder, empty where it has none.
        content: Its bytes.
    """

    place: int
    image: AnyImage
    name: str
    sent_name: str
    folder: str
    content: bytes

    def part(self, with_folder: bool) -> tuple[str, tuple[str, bytes, str]]:
        """As a part of a form.

        Args:
            with_folder: Whether the name of its folder goes with it.
        """
        shown = f"{self.folder}/{self.sent_name}" if with_folder and self.folder else self.sent_name
        return "image", (readable(shown), self.content, "application/octet-stream")

    def told(self, text: str) -> str:
        """What a service says of it, by the name that it has here."""
        return f"{self.name}: {text.removeprefix(f'{self.sent_name}: ')}"


def sent(images: Sequence[AnyImage], errors: dict[int, str] | None = None) -> Iterator[SentImage]:
    """Reads images, one after the other.

    Args:
        images: What `data.any_image` takes.
        errors: When given, one that cannot be read is noted here (index -> reason) and left out.

    Raises:
        ImageError: One cannot be read, and `errors` is None.
    """
    for place, image in enumerate(images):
        name = name_of(image, place)
        try:
            content = _content(image, name)
        except ImageError as error:
            if errors is None:
                raise
            errors[place] = str(error)
            continue
        is_file = isinstance(image, str | Path)
        folder = folder_label(str(image)) if is_file else ""
        yield SentImage(place, image, name, Path(name).name if is_file else name, folder, content)


def in_requests(images: Iterable[SentImage], most_images: int, most_bytes: int) -> Iterator[list[SentImage]]:
    """So many together as one request may hold; one that is too large alone comes alone.

    Args:
        images: In their order.
        most_images: In a request.
        most_bytes: Of a request.
    """
    together: list[SentImage] = []
    size = fields = min(_FIELDS, most_bytes // 4)
    for image in images:
        cost = len(image.content) + _AROUND
        if together and (len(together) == most_images or size + cost > most_bytes):
            yield together
            together, size = [], fields
        together.append(image)
        size += cost
    if together:
        yield together


def _content(image: AnyImage, name: str) -> bytes:
    if isinstance(image, str | Path):
        try:
            return content_of(path_of(image, "image"))
        except PathError as error:
            raise ImageError(str(error), "unreadable") from error
    if isinstance(image, bytes):
        return image
    encoded, data = cv2.imencode(".png", pixels_of(image, name)[:, :, ::-1], _QUICKLY)
    assert encoded, "OpenCV encodes any uint8 RGB image"
    return bytes(data)


def fields_of(**values: object) -> dict[str, str]:
    """Values as fields of a form; those that are None are left out.

    Args:
        values: Plain ones; lists and dictionaries go as JSON.

    Raises:
        GalleryError: A number that JSON has not.
    """
    return {
        name: value if isinstance(value, str) else _as_json(name, value)
        for name, value in values.items()
        if value is not None
    }


def boxes_for(boxes: Sequence[Box | None] | None, images: int) -> list[list[float] | None] | None:
    """Parts of images as they are sent.

    Args:
        boxes: One each; None for whole images.
        images: How many there are.

    Raises:
        GalleryError: Of another number, or a box that is no four numbers.
    """
    if boxes is None:
        return None
    if len(boxes) != images:
        raise GalleryError(f"boxes: expected one for each of {images} images, got {len(boxes)}: None for a whole image")
    made = [None if box is None else [float(side) for side in box] for box in boxes]
    if wrong := [box for box in made if box is not None and len(box) != 4]:
        raise GalleryError(f"boxes: expected x1, y1, x2, y2, got {wrong[0]}")
    return made


def box_fields(boxes: list[list[float] | None] | None, batch: Sequence[SentImage]) -> dict[str, str]:
    """The field of a form for the parts of the images of a request; none where all are whole.

    Args:
        boxes: As of `boxes_for`, of all images.
        batch: Those of the request.
    """
    parts = [None if boxes is None else boxes[image.place] for image in batch]
    return fields_of(boxes=parts) if any(part is not None for part in parts) else {}


def plain_filter(given: Filter | None) -> dict[str, object] | None:
    """A filter as it can be sent; None for one that leaves nothing out.

    Args:
        given: Column -> a value, or several.
    """
    if not given:
        return None
    return {
        str(name): _plain(values)
        if isinstance(values, str) or not isinstance(values, Iterable)
        else [_plain(value) for value in values]
        for name, values in given.items()
    }


def _plain(value: object) -> object:
    value = value.item() if isinstance(value, np.generic) else value
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _as_json(name: str, value: object) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise GalleryError(f"{name}={value!r}: expected finite numbers") from error
