"""What is left of an enrolled image: its file where that still shows the same, else the small picture that is kept."""

import os
from collections.abc import Sequence

from lookalike.data.thumbnail import shows
from lookalike.gallery.enrolment import BOX
from lookalike.gallery.sql_store import SqlStore
from lookalike.inference.encoder import Box
from lookalike.inference.explained import KnownImage


def originals(store: SqlStore, images: Sequence[int]) -> list[KnownImage]:
    """What is left of some images, in their order.

    Args:
        store: Open.
        images: Their numbers.
    """
    facts = zip(store.sources(images), store.columns(images), store.thumbnails(images), strict=True)
    return [_original(source, _box(str(columns.get(BOX, ""))), picture) for source, columns, picture in facts]


def _original(source: str, box: Box | None, picture: bytes) -> KnownImage:
    whole = _shows(source, box, picture)
    return KnownImage(source, box) if whole else KnownImage(picture, small=True)


def is_file(source: str) -> bool:
    """Whether an image came from a file that is there.

    Args:
        source: As it is kept.
    """
    return os.path.isabs(source) and os.path.isfile(source)  # noqa: PTH113, PTH117 - any text


def _shows(source: str, box: Box | None, picture: bytes) -> bool:
    """Whether a file still shows what was enrolled from it."""
    if not picture or not is_file(source):
        return not picture
    return shows(source, picture, box)


def _box(text: str) -> Box | None:
    """The part of an image that was enrolled; None where the column says something else."""
    try:
        left, upper, right, lower = map(float, text.split())
    except ValueError:
        return None
    return left, upper, right, lower
