"""An image as a program has it: a file, its bytes, an array or a picture of Pillow, brought to the size of the model.

The same pixels give the same result in every form. A JPEG twice as large as needed or more is decoded at reduced scale
where its file or bytes are given: an array or picture of it then gives slightly other pixels.

Letters in shapes: N images, H height, W width.
"""

import os
from collections.abc import Container, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from lookalike.data.images import MAX_PIXELS, MIN_SIDE, ImageError, read_image, to_rgb8
from lookalike.data.labels import as_label
from lookalike.data.metadata import orientation_of
from lookalike.data.orientation import Pixels, upright
from lookalike.data.pixels import PixelSettings, resize
from lookalike.settings.paths import PathError, at_home, path_of

AnyImage: TypeAlias = Path | str | bytes | np.ndarray | Image.Image
_CHANNELS = (3, 4)
_STACK = 4  # dimensions of several images in one array


def name_of(image: AnyImage, number: int = 0) -> str:
    """What an image is called in results: its path, or `image 3` for the third that has none."""
    return str(image) if isinstance(image, Path | str) else f"image {number + 1}"


def folder_label(file: str | Path) -> str:
    """The label that the folder of a file names, written as labels are."""
    return as_label(Path(os.path.abspath(file)).parent.name)  # noqa: PTH100 - links keep the names that they have here


def truth_of(file: str | Path, labels: Container[str], base: Path | None = None) -> str | None:
    """The label that the folders of a file name, None where none of them is a known label.

    Args:
        file: The image.
        labels: The known ones.
        base: What was asked for: the topmost folder below it counts first, as in class folders, then its own name;
            None for the file's own folder alone.
    """
    names = [folder_label(file)]
    if base is not None:
        top = Path(os.path.abspath(base))  # noqa: PTH100
        inner = Path(os.path.abspath(file)).parent.relative_to(top).parts  # noqa: PTH100
        names = [as_label(name) for name in (*inner, top.name)]
    return next((name for name in names if name in labels), None)


def as_list(images: AnyImage | Iterable[AnyImage]) -> tuple[list[AnyImage], bool]:
    """One image or several as a list, `~` in paths expanded, and whether it was one.

    Args:
        images: An image; or any iterable of images, such as a list, a generator, a column of a table, or an array
            [N, H, W, 3].
    """
    if isinstance(images, np.ndarray):
        several = images.ndim == _STACK or (images.ndim == 1 and images.dtype.kind in "OUS")
    else:
        alone = isinstance(images, str | bytes | bytearray | memoryview) or hasattr(images, "read")
        several = isinstance(images, Iterable) and not alone
    if hasattr(images, "columns"):
        raise ImageError("images: expected files, arrays or pictures, got a table: give one column of it", "format")
    listed: list[AnyImage] = list(images) if several else [images]  # type: ignore[arg-type, list-item]
    return [_at_home(image) for image in listed], not several


def _at_home(image: AnyImage) -> AnyImage:
    with suppress(PathError):  # that image's own error, when it is read
        return at_home(image) if isinstance(image, str | Path) else image
    return image


def read_any(
    image: AnyImage, pixels: PixelSettings | None, box: tuple[float, ...] | None = None, name: str = "an image"
) -> Pixels:
    """Reads one image.

    Args:
        image: A file, the bytes of one, uint8 [H, W, 3] (RGB), [H, W, 4] (RGBA) or [H, W] (grey), or Pillow's.
        pixels: Size of the result; None keeps that of the image.
        box: x1, y1, x2, y2 in pixels of the upright image, for a file or its bytes: only this part is used.
        name: What an image without a path is called in errors.

    Returns:
        uint8 RGB [H, W, 3], contiguous.

    Raises:
        ImageError: It cannot be used.
    """
    if isinstance(image, str | Path):
        try:
            image = path_of(image, "image")
        except PathError as error:
            raise ImageError(str(error), "unreadable") from error
        return read_image(image, pixels, box)
    if isinstance(image, bytes):
        try:
            return read_image(image, pixels, box)
        except ImageError as error:
            raise ImageError(f"{name}: {str(error).removeprefix('image: ')}", error.kind) from error
    if box is not None:
        raise ImageError(f"{name}: a box is for files, cut the array instead: array[y1:y2, x1:x2]", "box")
    whole = pixels_of(image, name)
    return np.ascontiguousarray(whole if pixels is None else resize(whole, pixels))


def pixels_of(image: np.ndarray | Image.Image, name: str = "an image") -> Pixels:
    """The upright pixels of an array or a picture, at its own size.

    Args:
        image: uint8 [H, W, 3] (RGB), [H, W, 4] (RGBA) or [H, W] (grey), or Pillow's.
        name: What it is called in errors.

    Returns:
        uint8 RGB [H, W, 3].

    Raises:
        ImageError: It cannot be used.
    """
    if isinstance(image, np.ndarray):
        image = _picture_of(image, name)
    if not isinstance(image, Image.Image):
        raise ImageError(
            f"{name}: expected a path, bytes, a uint8 array or a picture of Pillow, got {type(image).__name__}"
            f"{': give its bytes, .read()' if hasattr(image, 'read') else ''}",
            "format",
        )
    return _rgb_of(image, name)


def _picture_of(array: np.ndarray, name: str) -> Image.Image:
    if np.ma.is_masked(array):
        raise ImageError(f"{name}: a masked array, whose masked pixels have no colour: fill them first", "format")
    colours = array.ndim == 3 and array.shape[2] in _CHANNELS
    if array.dtype != np.uint8 or not (colours or array.ndim == 2) or not array.size:
        raise ImageError(
            f"{name}: expected uint8 [H, W, 3], [H, W, 4] or [H, W] with values 0 to 255, got {array.dtype} "
            f"{list(array.shape)}: scale and convert it first",
            "format",
        )
    return Image.fromarray(array)


def _rgb_of(picture: Image.Image, name: str) -> Pixels:
    """The upright pixels of a picture, which may not be decoded yet."""
    width, height = picture.size
    if min(width, height) < MIN_SIDE or width * height > MAX_PIXELS:
        raise ImageError(
            f"{name}: {width} x {height} pixels, expected at least {MIN_SIDE} x {MIN_SIDE} and at most {MAX_PIXELS} "
            "in all: scale it first",
            "size",
        )
    try:
        picture.load()  # Pillow turns a TIFF itself, here
        return upright(to_rgb8(picture, name), orientation_of(picture))
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(f"{name}: too little memory to convert it: scale it first", "size") from error
    except Exception as error:  # damage makes decoders raise anything, and so does a picture that is closed already
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ImageError(f"{name}: damaged or closed ({reason}): open it again, or leave it out") from error
