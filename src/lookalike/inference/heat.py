"""A map of regions over a picture: what counts stays as it is, the rest fades, so that no scale of colours is needed.

Letters in shapes: H and W rows and columns of a map, B and A those of a picture.
"""

import cv2
import numpy as np

from lookalike.data.orientation import Pixels

_LEFT = 0.16  # of the picture's contrast, where nothing counts
_PALE = 235  # grey that a picture fades to
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601


def lit(picture: Pixels, regions: np.ndarray) -> Pixels:
    """Lights the regions that count.

    Args:
        picture: uint8 [B, A, 3].
        regions: float [H, W]; what is below zero counts as zero, and the largest is the brightest.

    Returns:
        uint8 [B, A, 3].
    """
    size = (picture.shape[1], picture.shape[0])
    counted = np.clip(np.asarray(regions, np.float32), 0, None)
    share = counted / max(float(counted.max()), float(np.finfo(np.float32).tiny))
    weight = cv2.resize(share, size, interpolation=cv2.INTER_LINEAR)[:, :, None]
    grey = (picture @ np.array(_GREY, np.float32))[:, :, None]
    faded = _PALE + _LEFT * (grey - _PALE)
    mixed: Pixels = np.clip(np.rint(weight * picture + (1 - weight) * faded), 0, 255).astype(np.uint8)
    return mixed


def centre_of(place: tuple[int, int], grid: tuple[int, ...], size: tuple[int, ...]) -> tuple[float, float]:
    """The middle of a region, x and y in pixels of the picture.

    Args:
        place: Row and column, from 0.
        grid: H and W.
        size: B and A.
    """
    return (place[1] + 0.5) * size[1] / grid[1], (place[0] + 0.5) * size[0] / grid[0]


def covered(place: tuple[int, int], grid: tuple[int, ...], size: tuple[int, ...]) -> tuple[slice, slice]:
    """The rows and columns of the picture that a region stands for; those of a grid cover it without a gap.

    Args:
        place: Row and column, from 0.
        grid: H and W.
        size: B and A.
    """
    top, bottom = (round(edge * size[0] / grid[0]) for edge in (place[0], place[0] + 1))
    left, right = (round(edge * size[1] / grid[1]) for edge in (place[1], place[1] + 1))
    return slice(top, bottom), slice(left, right)
