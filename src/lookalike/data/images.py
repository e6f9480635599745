"""The only way an image enters, in training, embedding and serving alike: bytes -> uint8 RGB at model size.

JPEG goes through OpenCV (libjpeg-turbo, decoded at reduced scale when it is much larger than needed), everything
else through Pillow. EXIF orientation is applied; grey, palette, CMYK and 16-bit become 8-bit RGB; transparency is
laid over white. A file that is no single intact picture raises `ImageError`; it is never replaced by another.

Letters in shapes: H height, W width.
"""

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from lookalike.data.formats import FORMATS, HEIC_ADVICE, NAMES, is_heic, opened_as, register_heic
from lookalike.data.image_limits import (
    BeyondLimitError,
    Claim,
    check_scans,
    check_structure,
    claim,
    read_bytes,
    size_of,
)
from lookalike.data.metadata import orientation_of, without_metadata
from lookalike.data.orientation import SIDEWAYS, Pixels, Region, as_stored, upright
from lookalike.data.pixels import PixelSettings, resize
from lookalike.data.reduced_jpeg import cut, decode_reduced, reduction
from lookalike.errors import LookalikeError

MAX_PIXELS = 89_478_485
MIN_SIDE = 4


_STILL_FORMATS = frozenset({"MPO", "HEIF"})  # with more than one picture, the first is the photograph
_JPEGS = ("JPEG", "MPO")
_STRIP = 1 << 20  # pixels that are converted at once
_HIGHEST, _HIGHEST_16 = 255, 65535
_BITS_OF_TIFF, _WHITE_OF_TIFF = 258, 262
_END_OF_JPEG = b"\xff\xd9"
Unusable = Literal["unreadable", "empty", "not_an_image", "damaged", "animated", "size", "format", "box"]


class ImageError(LookalikeError):
    """One image cannot be used; the text names the file, the reason and the way out.

    Args:
        text: The message.
        kind: What is wrong with it, in one word.
    """

    def __init__(self, text: str, kind: Unusable = "damaged") -> None:
        super().__init__(text)
        self.kind = kind


class _CropFailedError(Exception):
    """What a caller's `crop` raised: its own affair, no damage of the image."""

    def __init__(self, reason: Exception) -> None:
        self.reason = reason


def read_image(
    source: Path | bytes,
    pixels: PixelSettings | None = None,
    box: tuple[float, ...] | None = None,
    crop: Callable[[int, int], Region] | None = None,
) -> Pixels:
    """Reads one image.

    Args:
        source: A file, or its bytes.
        pixels: Size of the result; None keeps the size of the image.
        box: x1, y1, x2, y2 in pixels of the upright image: only this part is used.
        crop: Chooses a part of what `box` left, from its height and width, as (top, left, height, width).

    Returns:
        uint8 RGB [H, W, 3], contiguous.

    Raises:
        ImageError: Not readable, not an image, truncated, animated, too small or too large.
    """
    name = str(source) if isinstance(source, Path) else "image"
    try:
        with claim(size_of(source)) as claimed:
            image = _read(source, name, pixels, box, crop, claimed)
            return np.ascontiguousarray(image if pixels is None else resize(image, pixels))
    except BeyondLimitError as error:
        raise ImageError(f"{name}: {error}", "size") from error
    except MemoryError as error:
        raise ImageError(f"{name}: too little memory to decode it: scale the picture down first", "size") from error


def content_of(file: Path) -> bytes:
    """The bytes of an image's file, whatever they are.

    Args:
        file: Of any kind.

    Raises:
        ImageError: It cannot be read, is no regular file, or is larger than any image.
    """
    try:
        return read_bytes(file)
    except OSError as error:
        raise ImageError(
            f"{file}: cannot be read ({error.strerror}): check that it exists and its permissions", "unreadable"
        ) from error
    except BeyondLimitError as error:
        raise ImageError(f"{file}: {error}", "size") from error


def _read(
    source: Path | bytes,
    name: str,
    pixels: PixelSettings | None,
    box: tuple[float, ...] | None,
    crop: Callable[[int, int], Region] | None,
    claimed: Claim,
) -> Pixels:
    data = content_of(source) if isinstance(source, Path) else source
    if not data:
        raise ImageError(f"{name}: zero bytes, expected an image: replace or remove the file", "empty")

    def decode(content: bytes, orientation: int | None = None) -> Pixels:
        return _decode(content, name, pixels, box, crop, claimed, orientation)

    try:
        check_structure(data)
        return _decode_pixels(data, decode)
    except (ImageError, MemoryError, BeyondLimitError):
        raise
    except _CropFailedError as error:
        raise error.reason from None
    except Exception as error:  # damage makes decoders raise anything, TypeError and RuntimeError included
        raise ImageError(
            f"{name}: damaged ({_first_line(error)}): copy or download the file again, or remove it"
        ) from error


def _decode_pixels(data: bytes, decode: Callable[..., Pixels]) -> Pixels:
    """As `decode`; where that fails, again without the file's metadata, which never decides over pixels."""
    try:
        return decode(data)
    except (MemoryError, _CropFailedError, BeyondLimitError):
        raise
    except Exception as error:
        if isinstance(error, ImageError) and error.kind != "not_an_image":
            raise
        bare, orientation = without_metadata(data)
        if len(bare) == len(data):
            raise
        try:
            return decode(bare, orientation)
        except (MemoryError, _CropFailedError, BeyondLimitError):
            raise
        except Exception:  # so it is the pixels
            raise error from None


def _decode(
    data: bytes,
    name: str,
    pixels: PixelSettings | None,
    box: tuple[float, ...] | None,
    crop: Callable[[int, int], Region] | None,
    claimed: Claim,
    orientation: int | None = None,
) -> Pixels:
    """The upright part that is asked for, perhaps at reduced scale."""
    region: Region | None = None
    heic = is_heic(data)
    if heic and not register_heic():
        raise ImageError(f"{name}: {HEIC_ADVICE}", "format")
    try:
        with Image.open(BytesIO(data), formats=opened_as(heic)) as header:
            _check(header, name)
            if header.format in _JPEGS:
                check_scans(data, header.width * header.height)
            else:  # Pillow decodes a PNG to look for its orientation
                claimed.pixels(header.width * header.height)
            # Pillow turns a TIFF itself while decoding it, so its upright size is not known yet.
            turned = header.format == "TIFF"
            if orientation is None:
                orientation = 1 if turned else orientation_of(header)
            wide, high = header.size[::-1] if orientation in SIDEWAYS else header.size
            if not turned:
                region = _region(high, wide, box, crop, name)
            whole_jpeg = header.format in _JPEGS and data.rstrip(b"\0").endswith(_END_OF_JPEG)
            if whole_jpeg and header.mode in ("RGB", "L"):
                factor = reduction(region or (0, 0, high, wide), pixels)
                claimed.pixels(high * wide // factor**2)
                image = decode_reduced(data, factor)
                if image is not None:
                    part = cut(image, region and as_stored(region, orientation, high, wide), factor)
                    return upright(part, orientation)
            claimed.pixels(high * wide)
            # Also what OpenCV answers to damage; Pillow then says which.
            image = upright(to_rgb8(header, name), orientation)
    except UnidentifiedImageError as error:
        if other := _other_format(data):
            raise ImageError(_not_read(name, other), "format") from error
        raise ImageError(
            f"{name}: not an image, whatever its name says: expected {NAMES}",
            "not_an_image",
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(_too_large(name, str(error).split(" pixels")[0].split("(")[-1]), "size") from error
    if turned:
        region = _region(image.shape[0], image.shape[1], box, crop, name)
    return cut(image, region, 1)


def _check(header: Image.Image, name: str) -> None:
    """Refuses by the header alone, before any pixel is decoded."""
    width, height = header.size
    if width * height > MAX_PIXELS:
        raise ImageError(_too_large(name, f"{width} x {height} = {width * height}"), "size")
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f"{name}: {width} x {height} pixels, expected at least {MIN_SIDE} x {MIN_SIDE}: remove or replace it",
            "size",
        )
    frames = getattr(header, "n_frames", 1)
    if frames > 1 and header.format not in _STILL_FORMATS:
        raise ImageError(
            f"{name}: animated or many pages ({frames} frames), expected one picture: save the frame you mean as PNG",
            "animated",
        )


def _other_format(data: bytes) -> str:
    """The format that the first bytes are of, by Pillow's other readers; none of them reads more than these."""
    Image.init()
    for name, (_, accepts) in Image.OPEN.items():
        with suppress(Exception):  # they are not made for anything
            if name not in FORMATS and accepts is not None and accepts(data[:16]) is True:
                return name
    return ""


def _not_read(name: str, other: str) -> str:
    return f"{name}: {other} is not read, expected {NAMES}: save it as PNG"


def _too_large(name: str, size: str) -> str:
    return f"{name}: {size} pixels, expected at most {MAX_PIXELS}: scale the picture down first"


def to_rgb8(image: Image.Image, name: str) -> Pixels:
    """Any mode of Pillow as uint8 RGB [H, W, 3]; transparency is laid over white.

    Raises:
        ImageError: Pixels whose range nothing tells: floating-point ones, whole numbers of 32 bit or with a sign.
    """
    if image.mode == "F":
        raise ImageError(f"{name}: floating-point pixels have no fixed range: save it as 8 or 16 bit", "format")
    image.load()
    rows = max(1, _STRIP // image.width)
    shift = _shift(image, name, rows) if image.mode.startswith("I") else 0
    tiff = image.mode.startswith("I") and image.format == "TIFF"
    white_is_zero = tiff and image.tag_v2.get(_WHITE_OF_TIFF) == 0  # type: ignore[attr-defined]
    if image.height <= rows:
        return _strip_to_rgb8(image, shift, white_is_zero)
    # Whole, some modes would be in memory five times.
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, rows):
        end = min(top + rows, image.height)
        pixels[top:end] = _strip_to_rgb8(image.crop((0, top, image.width, end)), shift, white_is_zero)
    return pixels


def _shift(image: Image.Image, name: str, rows: int) -> int:
    """Bits by which whole numbers are more than 8.

    A picture of numbers up to 255 is one of 8 bit that was stored wide, as it would be all black otherwise, unless its
    file tells the largest number (12 bits, PPM, JPEG 2000). Else 16 bits are the range: a dark picture is not made
    brighter, as nothing tells why it is dark.

    Args:
        image: Of a mode of whole numbers.
        name: Of the file.
        rows: That are looked at at once.
    """
    tops = range(0, image.height, rows)
    strips = (np.asarray(image.crop((0, top, image.width, min(top + rows, image.height)))) for top in tops)
    lows, highs = zip(*((int(strip.min()), int(strip.max())) for strip in strips), strict=True)
    low, high = min(lows), max(highs)
    tiff = image.format == "TIFF"
    if tiff and image.tag_v2.get(_BITS_OF_TIFF) == (12,):  # type: ignore[attr-defined]
        return 4
    if low >= 0 and high <= _HIGHEST and image.format not in ("PPM", "JPEG2000"):
        return 0
    if low < 0 or high > _HIGHEST_16 or (tiff and image.mode == "I"):
        raise ImageError(
            f"{name}: whole numbers from {low} to {high}, with a sign or of 32 bit, have no known range: save it as 8 "
            "or 16 bit without a sign",
            "format",
        )
    return 8


def _strip_to_rgb8(image: Image.Image, shift: int, white_is_zero: bool) -> Pixels:
    if image.mode.startswith("I"):
        values = (np.asarray(image).astype(np.int64).clip(0, 65535) >> shift).astype(np.uint8)
        # Pillow turns such pixels over up to 8 bits only.
        return np.repeat((~values if white_is_zero else values)[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        front = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", front.size, "white"), front)
    return np.array(image.convert("RGB"))


def _region(
    height: int,
    width: int,
    box: tuple[float, ...] | None,
    crop: Callable[[int, int], Region] | None,
    name: str,
) -> Region | None:
    """The part that box and crop leave of an upright image, in its full size; None for all of it."""
    region: Region | None = None
    if box is not None:
        x1, y1, x2, y2 = (round(value) for value in box)
        top, left = min(max(0, y1), height), min(max(0, x1), width)
        region = (top, left, min(max(0, y2), height) - top, min(max(0, x2), width) - left)
        if min(region[2:]) < MIN_SIDE:
            raise ImageError(
                f"{name}: box {x1},{y1},{x2},{y2} leaves less than {MIN_SIDE} pixels of {width} x {height}: "
                "correct x1..y2",
                "box",
            )
    if crop is not None:
        whole = region or (0, 0, height, width)
        try:
            top, left, high, wide = crop(whole[2], whole[3])
        except Exception as error:
            raise _CropFailedError(error) from error
        region = (whole[0] + top, whole[1] + left, high, wide)
    return region


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
