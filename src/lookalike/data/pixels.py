"""An image at the size of the model: stretched, cropped or padded, without aliasing.

Letters in shapes: H height, W width.
"""

from dataclasses import asdict, dataclass
from typing import Literal

import cv2
import numpy as np

from lookalike.data.orientation import Pixels


@dataclass(frozen=True)
class PixelSettings:
    """How an image becomes model input.

    Attributes:
        height: Rows of the result, in pixels.
        width: Columns of the result, in pixels.
        resize: `stretch` ignores the aspect ratio, `crop` keeps the centre, `pad` adds grey borders.
    """

    height: int = 224
    width: int = 224
    resize: Literal["stretch", "crop", "pad"] = "stretch"

    def to_dict(self) -> dict[str, int | str]:
        """Plain values, for JSON and checkpoints."""
        return asdict(self)


def resize(image: Pixels, pixels: PixelSettings) -> Pixels:
    """Brings uint8 [H, W, 3] to the size of `pixels`, without aliasing (area averaging where it shrinks)."""
    height, width = image.shape[:2]
    if pixels.resize == "stretch":
        return _scale(image, pixels.height, pixels.width)
    pick = max if pixels.resize == "crop" else min
    factor = pick(pixels.height / height, pixels.width / width)
    if pixels.resize == "crop":  # cut, then scaled: a long strip scaled as a whole would not fit in memory
        high = min(height, max(1, round(pixels.height / factor)))
        wide = min(width, max(1, round(pixels.width / factor)))
        top, left = (height - high) // 2, (width - wide) // 2
        return _scale(image[top : top + high, left : left + wide], pixels.height, pixels.width)
    high, wide = max(1, round(height * factor)), max(1, round(width * factor))
    image = _scale(image, high, wide)
    top, left = (pixels.height - high) // 2, (pixels.width - wide) // 2
    canvas = np.full((pixels.height, pixels.width, 3), 128, np.uint8)
    canvas[top : top + high, left : left + wide] = image
    return canvas


def _scale(image: Pixels, height: int, width: int) -> Pixels:
    """Shrinks first by area averaging, then enlarges: OpenCV drops averaging for both axes when one of them grows."""
    image = np.ascontiguousarray(image)
    small = (min(width, image.shape[1]), min(height, image.shape[0]))
    if small != (image.shape[1], image.shape[0]):
        from lookalike.data.shrink_kernel import shrink

        image = shrink(image, small)
    if (width, height) != small:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return image
