"""Which files are images, by their names, and which of them cannot be used."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lookalike.data.images import ImageError, read_image
from lookalike.data.pixels import PixelSettings

SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pbm", ".mpo"]
)


def find_images(folder: Path) -> list[Path]:
    """All image files below a folder (by extension, hidden files left out), sorted."""
    files = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(place, name) for name in names if is_image_name(name)]
    return sorted(files)


def is_image_name(name: str) -> bool:
    """Whether a file name ends like an image and is not hidden."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES


def find_broken(files: Iterable[Path], threads: int = 2, progress: Callable[[], None] = lambda: None) -> list[str]:
    """Decodes every file and returns the text of each `ImageError`, in the order of the files."""
    small = PixelSettings(16, 16)

    def check(file: Path) -> str | None:
        try:
            read_image(file, small)
        except ImageError as error:
            return str(error)
        finally:
            progress()
        return None

    with ThreadPoolExecutor(threads) as pool:
        return [text for text in pool.map(check, files) if text]
