"""JPEG decoded at a half, a quarter or an eighth of its size, which costs a fraction of decoding all of it."""

import cv2
import numpy as np

from lookalike.data.orientation import Pixels, Region
from lookalike.data.pixels import PixelSettings

# The constants named GRAYSCALE are the bare reduction bits; IMREAD_COLOR_RGB keeps the colours.
_FLAGS = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
_REDUCED = {
    1: 0,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


def reduction(region: Region, pixels: PixelSettings | None) -> int:
    """By how much a JPEG may be reduced so that no side of the part falls below the wanted size.

    Only for area averaging: a reduced one moves what other libraries make of it by up to 123 grey levels, and by 9
    where it is still eight times as large as wanted.

    Args:
        region: The part that is used, in pixels of the full size.
        pixels: The wanted size; None for the full one.

    Returns:
        1, 2, 4 or 8.
    """
    if pixels is None or pixels.kernel:
        return 1
    spare = min(region[2] / pixels.height, region[3] / pixels.width)
    return next(factor for factor in (8, 4, 2, 1) if spare >= factor or factor == 1)


def decode_reduced(data: bytes, factor: int) -> Pixels | None:
    """Decodes a JPEG as it is stored, not turned upright.

    Args:
        data: The file.
        factor: 1, 2, 4 or 8; sides that it does not divide are rounded up.

    Returns:
        uint8 RGB [H, W, 3]; None for one that is damaged.
    """
    return cv2.imdecode(np.frombuffer(data, np.uint8), _FLAGS | _REDUCED[factor])


def cut(image: Pixels, region: Region | None, factor: int) -> Pixels:
    """Cuts `region`, given in pixels of the full size, out of an image that is reduced by `factor`.

    Outwards, so that a reduced part never falls below the wanted size.
    """
    if region is None:
        return image
    top, left, high, wide = region
    return image[top // factor : -(-(top + high) // factor), left // factor : -(-(left + wide) // factor)]
