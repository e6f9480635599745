"""The files that a file, a folder or a pattern means, and the folder whose folders may be labels."""

from glob import glob, has_magic
from pathlib import Path

from lookalike.data.image_files import SYSTEM_FOLDERS, PassedOver, find_images
from lookalike.errors import LookalikeError


class PredictError(LookalikeError):
    """There is nothing to predict, or its result cannot be written."""


def find_queries(image: str, passed: PassedOver | None = None) -> list[Path]:
    """The files that a file, folder or glob pattern means, sorted.

    Args:
        image: What was asked for; a folder that a pattern means stands for the images in it.
        passed: What is not read is added to it.

    Raises:
        PredictError: No image there.
    """
    path, passed = Path(image), PassedOver() if passed is None else passed
    if path.is_dir():
        files = find_images(path, passed)
    elif path.exists() or not has_magic(image):
        files = [path]
    else:
        places = sorted(map(Path, glob(image, recursive=True)))  # noqa: PTH207
        kept = [place for place in places if not SYSTEM_FOLDERS & {part.casefold() for part in place.parts}]
        inside = [file for place in kept if place.is_dir() for file in find_images(place, passed)]
        files = sorted({*(place for place in kept if not place.is_dir()), *inside})
    if not files:
        more = f" ({'; '.join(passed.notes)})" if passed.notes else ""
        raise PredictError(
            f"image={image}: no image there{more}: give a file, a folder or a quoted pattern such as "
            "image='photos/*.jpg'"
        )
    return files


def query_base(image: str) -> Path | None:
    """The folder below which names of folders may be labels: the one asked for, or what a pattern starts with."""
    path = Path(image)
    if path.is_dir() or path.exists() or not has_magic(image):
        return path if path.is_dir() else None
    fixed = next(number for number, part in enumerate(path.parts) if has_magic(part))
    return Path(*path.parts[:fixed])
