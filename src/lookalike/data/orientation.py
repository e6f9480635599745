"""EXIF orientation: how an image as it is stored becomes upright, and where a part of it lies.

Letters in shapes: H height, W width.
"""

import numpy as np

Pixels = np.ndarray
Region = tuple[int, int, int, int]  # top, left, height, width
EXIF_TAG = 0x0112
SIDEWAYS, _MIRRORED, _DOWN = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)  # transposed first, then mirrored, then turned


def upright(image: Pixels, orientation: int) -> Pixels:
    """Undoes the eight EXIF orientations (EXIF 2.3, tag 0x0112)."""
    if orientation in SIDEWAYS:
        image = image.transpose(1, 0, 2)
    if orientation in _MIRRORED:
        image = image[:, ::-1]
    if orientation in _DOWN:
        image = image[::-1]
    return image


def as_stored(region: Region, orientation: int, height: int, width: int) -> Region:
    """A part of the upright image, which has this height and width, where it lies in the image as it is stored."""
    top, left, high, wide = region
    if orientation in _DOWN:
        top = height - top - high
    if orientation in _MIRRORED:
        left = width - left - wide
    return (left, top, wide, high) if orientation in SIDEWAYS else (top, left, high, wide)
