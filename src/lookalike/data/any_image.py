"""An image as a program has it: a file, its bytes, an array or a picture of Pillow, brought to the size of the model.

Letters in shapes: H height, W width.
"""

from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageOps

from lookalike.data.images import MIN_SIDE, ImageError, read_image, to_rgb8
from lookalike.data.orientation import Pixels
from lookalike.data.pixels import PixelSettings, resize

AnyImage: TypeAlias = Path | str | bytes | np.ndarray | Image.Image
_CHANNELS = (3, 4)


def name_of(image: AnyImage, number: int = 0) -> str:
    """What an image is called in results: its path, or `image 3` for the third that has none."""
    return str(image) if isinstance(image, Path | str) else f"image {number + 1}"


def read_any(image: AnyImage, pixels: PixelSettings, box: tuple[float, ...] | None = None) -> Pixels:
    """Reads one image.

    Args:
        image: A file, the bytes of one, uint8 [H, W, 3] (RGB), [H, W, 4] (RGBA) or [H, W] (grey), or Pillow's.
        pixels: Size of the result.
        box: x1, y1, x2, y2 in pixels of the upright image, for a file or its bytes: only this part is used.

    Returns:
        uint8 RGB [H, W, 3], contiguous.

    Raises:
        ImageError: It cannot be used.
    """
    if isinstance(image, str):
        image = Path(image)
    if isinstance(image, Path | bytes):
        return read_image(image, pixels, box)
    if isinstance(image, np.ndarray):
        image = _picture_of(image)
    if not isinstance(image, Image.Image):
        raise ImageError(
            f"an image: expected a path, bytes, a uint8 array or a picture of Pillow, got {type(image).__name__}",
            "format",
        )
    if min(image.size) < MIN_SIDE:
        raise ImageError(
            f"an image of {image.width} x {image.height} pixels: expected at least {MIN_SIDE} x {MIN_SIDE}", "size"
        )
    return np.ascontiguousarray(resize(to_rgb8(ImageOps.exif_transpose(image), "image"), pixels))


def _picture_of(array: np.ndarray) -> Image.Image:
    colours = array.ndim == 3 and array.shape[2] in _CHANNELS
    if array.dtype != np.uint8 or not (colours or array.ndim == 2) or not array.size:
        raise ImageError(
            f"an array: expected uint8 [H, W, 3], [H, W, 4] or [H, W] with values 0 to 255, got {array.dtype} "
            f"{list(array.shape)}: scale and convert it first",
            "format",
        )
    return Image.fromarray(array)
