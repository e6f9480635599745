"""An image at the size of the model: stretched, cropped or padded, without aliasing unless another library does it so.

Letters in shapes: H height, W width.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import cv2
import numpy as np

from lookalike.data.interpolation import Kernel, interpolate
from lookalike.data.orientation import Pixels

Interpolation = Literal["area", "bilinear", "bicubic", "lanczos"]
_COVERING = 1 << 25  # pixels of an image that is scaled before its centre is cut out
_NEW = {
    "interpolation": "area",
    "antialias": True,
    "shorter_side": None,
    "border": 128,
}  # written only where it is something else, as bundles lacked it


@dataclass(frozen=True, repr=False)
class PixelSettings:
    """How an image becomes model input.

    Attributes:
        height: Rows of the result, in pixels.
        width: Columns of the result, in pixels.
        resize: `stretch` ignores the aspect ratio, `crop` keeps the centre (with a kernel, as torchvision's Resize of
            one side and CenterCrop do), `pad` adds borders of one grey.
        interpolation: `area` averages what a new pixel covers; the others are those of Pillow and OpenCV.
        antialias: Whether these look at all that a new pixel covers (Pillow), or at its surroundings alone (OpenCV).
        shorter_side: Of `crop` with a kernel: the shorter side is scaled to so many pixels before the centre is cut
            out; None = as few as the result needs. Of `stretch` with a kernel: that of the larger size, in proportion
            of the result, to which the image is stretched before.
        border: The grey of `pad`, 0 black to 255 white.

    Raises:
        ValueError: `area` without antialiasing; a border beyond 0 to 255; a shorter side without `crop` and a kernel,
            or below the result's.
    """

    height: int = 224
    width: int = 224
    resize: Literal["stretch", "crop", "pad"] = "stretch"
    interpolation: Interpolation = "area"
    antialias: bool = True
    shorter_side: int | None = None
    border: int = 128

    def __post_init__(self) -> None:
        if self.interpolation == "area" and not self.antialias:
            raise ValueError("expected bilinear, bicubic or lanczos where antialias is off, found area")
        if not 0 <= self.border <= 255:
            raise ValueError(f"border={self.border}: expected 0 (black) to 255 (white)")
        if self.shorter_side is None:
            return
        least = max(self.height, self.width) if self.resize == "crop" else min(self.height, self.width)
        if self.resize == "pad" or self.kernel is None or self.shorter_side < least:
            raise ValueError(
                f"shorter_side={self.shorter_side}: expected resize=crop or stretch, bilinear, bicubic or lanczos, and "
                f"at least {least} pixels, found {self.resize}, {self.interpolation}"
            )

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "PixelSettings":
        """From settings by name, of which None stands for the usual."""
        return cls(**{name: value for name, value in settings.items() if value is not None})

    @property
    def kernel(self) -> Kernel | None:
        """That of Pillow or OpenCV; None for area averaging."""
        return None if self.interpolation == "area" else self.interpolation

    def to_dict(self) -> dict[str, int | str | bool | None]:
        """Plain values, for JSON and checkpoints; those that came later only where they are not the usual ones."""
        return {name: value for name, value in asdict(self).items() if name not in _NEW or value != _NEW[name]}

    def __repr__(self) -> str:
        return f"PixelSettings({', '.join(f'{name}={value!r}' for name, value in self.to_dict().items())})"

    def __str__(self) -> str:
        kernel = f", {self.interpolation}" if self.kernel else ""
        kernel += f", borders of {self.border}" if self.resize == "pad" and self.border != _NEW["border"] else ""
        kernel += f", from a shorter side of {self.shorter_side}" if self.shorter_side else ""
        return (
            f"{self.height} x {self.width} pixels, {self.resize}{kernel}{'' if self.antialias else ' not antialiased'}"
        )


def resize(image: Pixels, pixels: PixelSettings) -> Pixels:
    """Brings uint8 [H, W, 3] to the size of `pixels`; an image that has it already is left as it is."""
    height, width = image.shape[:2]
    if pixels.resize == "stretch" and pixels.shorter_side is not None:
        factor = pixels.shorter_side / min(pixels.height, pixels.width)
        larger = _scale(image, round(pixels.height * factor), round(pixels.width * factor), pixels)
        return _centre(larger, pixels)
    if pixels.resize == "stretch":
        return _scale(image, pixels.height, pixels.width, pixels)
    if pixels.resize == "crop" and pixels.kernel is not None and (covering := _covering(height, width, pixels)):
        return _centre(_scale(image, *covering, pixels), pixels)
    pick = max if pixels.resize == "crop" else min
    factor = pick(pixels.height / height, pixels.width / width)
    if pixels.shorter_side is not None:
        factor = pixels.shorter_side / min(height, width)
    if pixels.resize == "crop":  # cut, then scaled
        high = min(height, max(1, round(pixels.height / factor)))
        wide = min(width, max(1, round(pixels.width / factor)))
        top, left = (height - high) // 2, (width - wide) // 2
        return _scale(image[top : top + high, left : left + wide], pixels.height, pixels.width, pixels)
    high, wide = max(1, round(height * factor)), max(1, round(width * factor))
    image = _scale(image, high, wide, pixels)
    top, left = (pixels.height - high) // 2, (pixels.width - wide) // 2
    canvas = np.full((pixels.height, pixels.width, 3), pixels.border, np.uint8)
    canvas[top : top + high, left : left + wide] = image
    return canvas


def _covering(height: int, width: int, pixels: PixelSettings) -> tuple[int, int] | None:
    """The size of which the centre is kept, as torchvision's Resize of one side has it; None for a long strip.

    The whole of a strip would not fit in memory: it is cut first, at whole pixels.
    """
    if (side := pixels.shorter_side) is not None:
        covering = (side, int(side * width / height)) if height <= width else (int(side * height / width), side)
    elif pixels.height * width >= pixels.width * height:
        covering = pixels.height, max(pixels.width, int(pixels.height * width / height))
    else:
        covering = max(pixels.height, int(pixels.width * height / width)), pixels.width
    return covering if covering[0] * covering[1] <= _COVERING else None


def _centre(image: Pixels, pixels: PixelSettings) -> Pixels:
    """As torchvision's CenterCrop cuts it: half a pixel is rounded to the even one."""
    top, left = round((image.shape[0] - pixels.height) / 2), round((image.shape[1] - pixels.width) / 2)
    return image[top : top + pixels.height, left : left + pixels.width]


def _scale(image: Pixels, height: int, width: int, pixels: PixelSettings) -> Pixels:
    """By area averaging, or as another library does it."""
    if pixels.kernel is None:
        return _by_area(image, height, width)
    if image.shape[:2] == (height, width):
        return image
    return interpolate(image, height, width, pixels.kernel, pixels.antialias)


def _by_area(image: Pixels, height: int, width: int) -> Pixels:
    """Shrinks first by area averaging, then enlarges: OpenCV drops averaging for both axes when one of them grows."""
    image = np.ascontiguousarray(image)
    small = (min(width, image.shape[1]), min(height, image.shape[0]))
    if small != (image.shape[1], image.shape[0]):
        from lookalike.data.shrink_kernel import shrink

        image = shrink(image, small)
    if (width, height) != small:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return image
