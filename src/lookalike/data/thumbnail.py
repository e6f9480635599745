"""Small JPEGs of images: what galleries keep, and what pages and notebooks show."""

import cv2
import numpy as np

from lookalike.data.any_image import AnyImage, read_any
from lookalike.data.images import ImageError
from lookalike.data.orientation import Pixels
from lookalike.data.pixels import PixelSettings
from lookalike.pages import Picture

QUALITY = 85  # of JPEG, 0 to 100
_SHOWN = 112  # pixels of a picture in a notebook
_ALIKE = 2.0  # mean difference of two small pictures of one image, of 255


def thumbnail(
    image: AnyImage, side: int, box: tuple[float, ...] | None = None, name: str = "an image", quality: int = QUALITY
) -> bytes:
    """A small JPEG of an image, with grey borders where it is no square.

    Args:
        image: What `read_any` takes.
        side: Pixels of both sides.
        box: x1, y1, x2, y2 in pixels of the upright image, for a file or its bytes: only this part is shown.
        name: What an image without a path is called in errors.
        quality: Of JPEG, 0 to 100.

    Raises:
        ImageError: The image cannot be used.
    """
    return jpeg_of(read_any(image, PixelSettings(side, side, "pad"), box, name), quality)


def jpeg_of(pixels: Pixels, quality: int = QUALITY) -> bytes:
    """Pixels as a JPEG.

    Args:
        pixels: uint8 RGB [height, width, 3].
        quality: 0 to 100.
    """
    encoded, data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert encoded, "OpenCV encodes any uint8 RGB image"
    return bytes(data)


def shows(image: AnyImage, small: bytes, box: tuple[float, ...] | None = None) -> bool:
    """Whether an image is the one of which a small picture was kept: other versions of a JPEG library give other bytes.

    Args:
        image: What `read_any` takes.
        small: That `thumbnail` made, of any side.
        box: As of `thumbnail`.
    """
    then = cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR) if small else None
    if then is None:
        return False
    try:
        now = thumbnail(image, then.shape[0], box, str(image) if isinstance(image, str) else "an image")
    except (ImageError, OSError, ValueError):
        return False
    if now == small:
        return True
    seen = cv2.imdecode(np.frombuffer(now, np.uint8), cv2.IMREAD_COLOR)
    if seen is None or then.shape != seen.shape:
        return False
    return float(np.abs(then.astype(np.int16) - seen).mean()) <= _ALIKE


def picture(
    image: AnyImage,
    title: str,
    notes: tuple[str, ...] = (),
    right: bool | None = None,
    box: tuple[float, ...] | None = None,
) -> Picture:
    """An image for a page; one that cannot be used leaves an empty field with its texts.

    Args:
        image: What `read_any` takes.
        title: First line.
        notes: More lines.
        right: Whether it answers rightly; None where nobody asked.
        box: See `thumbnail`.
    """
    try:
        jpeg = thumbnail(image, _SHOWN, box)
    except ImageError:
        jpeg = b""
    path = str(image) if isinstance(image, str) or hasattr(image, "__fspath__") else ""
    return Picture(path, jpeg, title, notes, right, _SHOWN, _SHOWN)
