"""Small JPEGs of images: what galleries keep, and what pages and notebooks show."""

import cv2

from lookalike.data.any_image import AnyImage, read_any
from lookalike.data.images import ImageError
from lookalike.data.pixels import PixelSettings
from lookalike.pages import Picture

QUALITY = 85  # of JPEG, 0 to 100
_SHOWN = 112  # pixels of a picture in a notebook


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
    pixels = read_any(image, PixelSettings(side, side, "pad"), box, name)
    encoded, data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert encoded, "OpenCV encodes any uint8 RGB image"
    return bytes(data)


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
