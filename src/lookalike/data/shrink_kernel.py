"""Area averaging, compiled: each new pixel is the mean of the part of the image that it covers.

OpenCV's own (INTER_AREA) takes most of the time of reading a photograph when the factor is no whole number. Rows are
combined first, in one vectorised loop over the whole row; columns second.

Letters in shapes: H height, W width, h and w those of the result, T the most pixels that one result pixel touches.
"""

import cv2
import numpy as np

from lookalike.jit import jit


def shrink(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Averages areas.

    Args:
        image: uint8 [H, W, 3], contiguous.
        size: (w, h), neither larger than the image's.

    Returns:
        uint8 [h, w, 3].
    """
    height, width = image.shape[:2]
    if height % size[1] == 0 and width % size[0] == 0:  # OpenCV has a quick way for whole factors
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    result = np.empty((size[1], size[0], 3), np.uint8)
    _average(image, result, *_shares(height, size[1]), *_shares(width, size[0]))
    return result


@jit()
def _shares(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First pixel int64 [new], how many int64 [new], and the share of each float32 [new, T], for one axis."""
    scale = old / new
    first, count = np.empty(new, np.int64), np.empty(new, np.int64)
    share = np.zeros((new, int(np.ceil(scale)) + 1), np.float32)
    for i in range(new):
        start, end = i * scale, min((i + 1) * scale, float(old))
        first[i] = int(start)
        count[i] = min(int(np.ceil(end)), old) - first[i]
        for k in range(count[i]):
            pixel = first[i] + k
            share[i, k] = (min(end, pixel + 1.0) - max(start, float(pixel))) / scale
    return first, count, share


@jit(fastmath=True)
def _average(
    image: np.ndarray,
    result: np.ndarray,
    first_row: np.ndarray,
    rows: np.ndarray,
    row_share: np.ndarray,
    first_column: np.ndarray,
    columns: np.ndarray,
    column_share: np.ndarray,
) -> None:
    """Fills `result`; the shares are those of `_shares`."""
    height, width, _ = image.shape
    flat = image.reshape(height, width * 3)
    line = np.empty(width * 3, np.float32)
    for y in range(result.shape[0]):
        for k in range(rows[y]):
            share, source = row_share[y, k], flat[first_row[y] + k]
            if k == 0:
                for x in range(width * 3):
                    line[x] = share * np.float32(source[x])
            else:
                for x in range(width * 3):
                    line[x] += share * np.float32(source[x])
        for x in range(result.shape[1]):
            red, green, blue = np.float32(0), np.float32(0), np.float32(0)
            place = first_column[x] * 3
            for k in range(columns[x]):
                share = column_share[x, k]
                red += share * line[place]
                green += share * line[place + 1]
                blue += share * line[place + 2]
                place += 3
            result[y, x, 0] = np.uint8(np.rint(red))
            result[y, x, 1] = np.uint8(np.rint(green))
            result[y, x, 2] = np.uint8(np.rint(blue))
