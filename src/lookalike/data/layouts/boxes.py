"""Boxes of things in photographs, in pixels of the upright image: cut to it, or left out where nothing is left."""

from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from lookalike.data.formats import is_heic, opened_as, register_heic
from lookalike.data.images import MIN_SIDE
from lookalike.data.layouts.listed import shown
from lookalike.data.metadata import orientation_of
from lookalike.data.orientation import SIDEWAYS
from lookalike.parallel import side_by_side
from lookalike.special_files import is_special

Corners = tuple[float, float, float, float]
_START = 64  # bytes of a file that tell HEIC


@dataclass
class Boxes:
    """What became of the boxes of a data set: paths of images, once for each box.

    Attributes:
        cut: Boxes that reached beyond their image.
        small: Those of which less than `MIN_SIDE` pixels are left, which no network can use.
        crowds: Those that hold several things at once.
    """

    cut: list[str] = field(default_factory=list)
    small: list[str] = field(default_factory=list)
    crowds: list[str] = field(default_factory=list)

    def inside(self, path: str, box: Corners, size: tuple[int, int] | None) -> Corners | None:
        """The part of a box inside its image; None where it is left out.

        Args:
            path: Of the image.
            box: x1, y1, x2, y2 in pixels.
            size: Width and height of the upright image; None where they are not known.
        """
        x1, y1, x2, y2 = box
        if size is not None:
            # Shares of an image are written with few digits, so a pixel of it is no news.
            beyond = min(x1, y1) < -1 or x2 > size[0] + 1 or y2 > size[1] + 1
            x1, y1, x2, y2 = max(0.0, x1), max(0.0, y1), min(float(size[0]), x2), min(float(size[1]), y2)
        else:
            beyond = min(x1, y1) < 0
            x1, y1 = max(0.0, x1), max(0.0, y1)
        if min(round(x2) - round(x1), round(y2) - round(y1)) < MIN_SIDE:
            self.small.append(path)
            return None
        if beyond:
            self.cut.append(path)
        return x1, y1, x2, y2

    @property
    def notes(self) -> list[str]:
        """All of it in words."""
        texts = {
            "reach beyond their image and are cut to it": self.cut,
            f"hold less than {MIN_SIDE} x {MIN_SIDE} pixels of their image and are left out": self.small,
            "are marked as crowds or groups and are left out": self.crowds,
        }
        return [f"{len(paths)} box(es) {text}: {shown(dict.fromkeys(paths))}" for text, paths in texts.items() if paths]


def upright_sizes(files: list[Path]) -> dict[Path, tuple[int, int] | str]:
    """Width and height of upright images, by their headers alone; a text that says why for those that have none.

    Args:
        files: Some images.
    """
    sizes: dict[Path, tuple[int, int] | str] = {}

    def read(place: int) -> None:
        sizes[files[place]] = _upright_size(files[place])

    side_by_side(read, range(len(files)))
    return sizes


def _upright_size(file: Path) -> tuple[int, int] | str:
    try:
        if is_special(file):
            return "a pipe or a device, expected an image"
        with file.open("rb") as handle:
            heic = is_heic(handle.read(_START)) and register_heic()
        with Image.open(file, formats=opened_as(heic)) as header:
            width, height = header.size
            return (height, width) if orientation_of(header) in SIDEWAYS else (width, height)
    except OSError as error:
        return error.strerror or "no image"
    except Image.DecompressionBombError:
        return "larger than any photograph"
    except Exception:  # of a damaged header, readers of formats raise anything
        return "a damaged image"
