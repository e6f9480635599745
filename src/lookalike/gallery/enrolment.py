"""What enrols: images in any form, the labels that go with them, and where they came from."""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from operator import index
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.data.any_image import AnyImage, folder_label
from lookalike.data.labels import as_label as as_written
from lookalike.data.labels import written
from lookalike.errors import listed
from lookalike.files import readable
from lookalike.gallery.columns import Value, columns_for
from lookalike.gallery.rows import Row
from lookalike.inference.encoder import Box
from lookalike.inference.image_table import is_table
from lookalike.inference.predict import UNKNOWN
from lookalike.inference.queries import PredictError, with_folders
from lookalike.inference.references import GalleryError
from lookalike.metrics.exact_grid import lengths_of
from lookalike.terminal import counted

BOX = "box"  # the column of the part of an image that was enrolled: x1 y1 x2 y2
THUMBNAIL = 160  # pixels of both sides of the picture that is kept
_NO_LETTERS = ("Cc", "Zl", "Zp")  # categories of Unicode: control characters, ends of lines and paragraphs
_SHOWN = 3  # pairs of labels in an error
_UNIT = 1e-6  # by how much lengths that a model makes may differ from 1


def spread(images: AnyImage | Iterable[AnyImage]) -> list[AnyImage]:
    """One list of images; a folder becomes the images in it.

    Args:
        images: One or several: files, folders, bytes, arrays or pictures.

    Raises:
        GalleryError: There is no image.
    """
    if isinstance(images, str | Path) and is_table(str(images)):
        raise GalleryError(
            f"add: {images}: a table, expected images: read it with read_enrolment of "
            "lookalike.gallery.enrolment_table and add its files, labels and columns, as lookalike gallery add does"
        )
    try:
        images_there, _ = with_folders(images, "add")
    except PredictError:
        images_there = []
    if not images_there:
        raise GalleryError("add: no image there: give files, a folder of images, arrays or pictures")
    return images_there


def labels_for(images: list[AnyImage], labels: str | Iterable[str] | None) -> list[str]:
    """A label for every image.

    Args:
        images: What is enrolled.
        labels: One for all, or one each; None for the name of each file's folder.

    Raises:
        GalleryError: Labels are missing, of another number than the images, or no text.
    """
    if labels is None:
        nameless = sum(not isinstance(image, str | Path) for image in images)
        if nameless:
            raise GalleryError(f"add: {nameless} of {len(images)} images have no folder that names them: give labels=")
        return [as_new_label(folder_label(str(image))) for image in images]
    if not isinstance(labels, Iterable):
        raise GalleryError(f"add: labels={labels!r}: expected text, or a text for every image")
    names = [labels] * len(images) if isinstance(labels, str) else list(labels)
    if len(names) != len(images):
        raise GalleryError(
            f"add: expected one label for all or one per image, got {len(names)} for {len(images)} images"
        )
    return [as_new_label(name) for name in names]


@dataclass(frozen=True)
class Facts:
    """What is given with an image: its label, what took it, and other columns, as they are stored."""

    label: str
    camera: int | None
    columns: tuple[tuple[str, str], ...]

    def row(self, source: str, thumbnail: bytes, embedding: bytes) -> Row:
        """As it is enrolled."""
        return Row(self.label, source, thumbnail, embedding, self.camera, self.columns)


def facts_for(
    labels: list[str],
    camera: int | Iterable[int | None] | None,
    columns: Mapping[str, Value | Sequence[Value]] | None,
) -> list[Facts]:
    """What is given with every image, checked.

    Args:
        labels: One each, as they are stored.
        camera: One for all, or one each.
        columns: Name -> one value for all, or one each.

    Raises:
        GalleryError: A camera is no whole number, numbers differ, or a column is no plain value.
    """
    several_given = isinstance(camera, Iterable) and not isinstance(camera, str)
    given: list[Any] = list(camera) if several_given else [camera] * len(labels)  # type: ignore[arg-type]
    cameras = [None if value is None or value != value else _camera(value) for value in given]
    need_one_each(len(labels), camera=cameras)
    others = columns_for(columns, len(labels))
    return [Facts(*parts) for parts in zip(labels, cameras, others, strict=True)]


def _camera(value: object) -> int:
    if isinstance(value, str):
        raise GalleryError(f"camera={value!r}: expected a whole number: keep a name as a column, such as place")
    return whole_number("camera", value)  # type: ignore[arg-type]  # anything, which is refused there


def with_boxes(facts: list[Facts], boxes: Sequence[Box | None]) -> list[Facts]:
    """The same, with a column for the part of an image that is enrolled.

    Args:
        facts: One each.
        boxes: x1, y1, x2, y2 in pixels, or None for the whole image, one each.
    """
    if any(box is not None for box in boxes) and any(name == BOX for fact in facts for name, _ in fact.columns):
        raise GalleryError(f"columns: {BOX!r}: is where boxes= are kept: call it otherwise")
    return [
        fact
        if box is None
        else replace(fact, columns=(*fact.columns, (BOX, json.dumps(" ".join(f"{side:g}" for side in box)))))
        for fact, box in zip(facts, boxes, strict=True)
    ]


def none_added(problems: list[str], count: int) -> GalleryError:
    """What is raised where images cannot be used.

    Args:
        problems: One of each such image.
        count: How many images were given.
    """
    return GalleryError(
        f"{len(problems)} of {counted(count, 'image')} cannot be used, so none was added:\n  {listed(problems)}"
    )


def need_one_each(count: int, **values: Sized) -> None:
    """Refuses values of another number than the images.

    Raises:
        GalleryError: They are.
    """
    for name, given in values.items():
        if len(given) != count:
            raise GalleryError(f"add: expected one of {name} for each of {count} images, got {len(given)}")


def unit_embeddings(embeddings: np.ndarray, size: int) -> np.ndarray:
    """Embeddings as they are stored, little-endian float32 [N, D] of unit length.

    Args:
        embeddings: Numbers [N, D].
        size: D.

    Raises:
        GalleryError: Of another shape, not finite, or zero.
    """
    given = np.asarray(embeddings)
    if given.ndim != 2 or given.shape[1] != size or given.dtype.kind not in "fiu":
        raise GalleryError(
            f"embeddings: expected numbers [N, {size}], got {given.dtype} {list(given.shape)}: embed the images with "
            "the model of the gallery"
        )
    exact = given if given.dtype == np.float32 else given.astype(np.float64)
    lengths = lengths_of(exact)
    usable = np.isfinite(lengths) & (lengths > 0)
    if not usable.all():
        row = int(np.argmin(usable))
        raise GalleryError(f"embeddings: row {row} has length {lengths[row]:g}: expected a direction: leave it out")
    unit = exact.astype("<f4")
    others = abs(lengths - 1) > _UNIT  # those of a model stay as they are, to the last bit
    unit[others] = exact[others].astype(np.float64) / lengths[others, None]
    return unit


def as_label(label: str) -> str:
    """A label as it is stored: written as those of data sets.

    Args:
        label: As it was given.

    Raises:
        GalleryError: No text, an empty one, or one that cannot be written as UTF-8.
    """
    if not isinstance(label, str) or not label.strip():
        raise GalleryError(f"label {label!r}: expected text that is not empty")
    composed = as_written(label)
    try:
        composed.encode()
    except UnicodeEncodeError as error:
        raise GalleryError(f"label {label!r}: not UTF-8: rename the folder, or give labels=") from error
    return composed


def as_new_label(label: str) -> str:
    """A label that images are to get, as it is stored.

    Args:
        label: As it was given.

    Raises:
        GalleryError: As `as_label`; it has a line break or another control character; or it is the word that
            predictions use where no image is near.
    """
    composed = as_label(label)
    if any(unicodedata.category(letter) in _NO_LETTERS for letter in composed):
        raise GalleryError(
            f"label {written(composed)}: expected one line of text, found a line break or another control character: "
            "leave it out"
        )
    if composed == UNKNOWN:
        raise GalleryError(
            f"label {composed!r}: is what predictions say where no known image is near: give another, such as 'others'"
        )
    return composed


def under_other_labels(others: list[tuple[Row, str]], given: int) -> str:
    """One line on images that are enrolled under another label than they were given with.

    Args:
        others: Each of them, and the label that it has.
        given: How many images there were in all.
    """
    pairs = Counter((label, row.label) for row, label in others)
    shown = ", ".join(f"{count} as {label!r}, given as {new!r}" for (label, new), count in pairs.most_common(_SHOWN))
    more = f" and {len(pairs) - _SHOWN} more pairs of labels" if len(pairs) > _SHOWN else ""
    which = f"{len(others)} of {counted(given, 'image')} {'is' if len(others) == 1 else 'are'}"
    return (
        f"add: {which} in the gallery already under another label, so none was added: "
        f"{shown}{more} (first: {others[0][0].source}): remove them or rename their label first, or give "
        "keep_copies=true (True in Python)"
    )


def as_note(note: str) -> str:
    """A reason for the history.

    Args:
        note: As it was given.

    Raises:
        GalleryError: No text.
    """
    if not isinstance(note, str):
        raise GalleryError(f"note={note!r}: expected text")
    return readable(note)


def whole_number(name: str, value: int) -> int:
    """A number that SQLite can keep.

    Args:
        name: What it is called in an error.
        value: As it was given.

    Raises:
        GalleryError: None, or too large a one.
    """
    try:
        number = index(value)
    except TypeError:
        number = 2**63
    if not -(2**63) <= number < 2**63 or isinstance(value, bool):
        raise GalleryError(f"{name}={value!r}: expected a whole number")
    return number


def several(image: int | Iterable[int]) -> Iterable[int]:
    """Numbers of images, of one or of several; an array without a dimension is one."""
    if isinstance(image, np.ndarray):
        return image.ravel().tolist()
    return image if isinstance(image, Iterable) else [image]
