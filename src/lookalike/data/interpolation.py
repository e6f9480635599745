"""An image at another size as other libraries make it: the pixels that a network was trained on elsewhere.

With antialiasing Pillow does it (torchvision's way with pictures, timm's too), without OpenCV (Albumentations' way).

Letters in shapes: H height, W width, h and w those of the result.
"""

from typing import Literal

import cv2
import numpy as np
from PIL import Image

from lookalike.data.orientation import Pixels

Kernel = Literal["bilinear", "bicubic", "lanczos"]

_PILLOW = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_OPENCV = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "lanczos": cv2.INTER_LANCZOS4}
_AT_ONCE = 1 << 20  # pixels that are copied at once
_BETWEEN = 1 << 24  # pixels between the two passes, the columns and the rows


def interpolate(image: Pixels, height: int, width: int, kernel: Kernel, antialias: bool) -> Pixels:
    """Scales an image.

    Args:
        image: uint8 [H, W, 3].
        height: h.
        width: w.
        kernel: By which old pixels are weighted.
        antialias: Whether the kernel grows with what one new pixel covers (Pillow), or not (OpenCV).

    Returns:
        uint8 [h, w, 3].
    """
    if not antialias:
        return cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=_OPENCV[kernel])
    method, picture = _PILLOW[kernel], _picture(image)
    rows, columns = image.shape[:2]
    if rows * width > max(_BETWEEN, height * columns):  # Pillow before 13 would hold all rows at the new width
        picture = picture.resize((columns, height), method)
    return np.array(picture.resize((width, height), method))  # one that may be written to


def _picture(image: Pixels) -> Image.Image:
    """Pillow's form of uint8 [H, W, 3], which has a byte more per pixel; no other copy is made on the way."""
    rows, columns = image.shape[:2]
    step = max(1, _AT_ONCE // columns)
    if rows <= step:
        return Image.fromarray(np.ascontiguousarray(image))
    picture = Image.new("RGB", (columns, rows))
    for top in range(0, rows, step):
        picture.paste(Image.fromarray(np.ascontiguousarray(image[top : top + step])), (0, top))
    return picture
