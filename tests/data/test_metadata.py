"""Broken metadata of a good photograph never matters."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.data.any_image import read_any
from lookalike.data.images import ImageError, read_image
from lookalike.data.metadata import orientation_of, without_metadata
from lookalike.data.pixels import PixelSettings
from pictures import encoded, smooth

pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow warns of broken tags
PHOTO = smooth(64, 48)
FORMATS = ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "JPEG2000"]


def exif(*tags: tuple[int, int, int, bytes]) -> bytes:
    entries = b"".join(struct.pack("<HHI4s", *tag) for tag in tags)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"


SIDEWAYS = (0x0112, 3, 1, struct.pack("<HH", 6, 0))
WILD = (0x011A, 5, 1, b"\xff\xff\xff\x7f")  # a density that lies beyond the file
BROKEN = {
    "cut off": b"Exif\0\0II*\0\x08\0\0\0",
    "garbage": b"Exif\0\0" + b"\x12" * 40,
    "density beyond the file": exif(WILD, (0x0128, 3, 1, b"\2\0\0\0")),
    "unknown types": exif((0x0112, 2, 9, b"abcd"), (0x011A, 99, 1, b"\0\0\0\0")),
    "a senseless orientation": exif((0x0112, 3, 1, struct.pack("<HH", 99, 0))),
    "a count of billions": exif((0x0112, 3, 0x7FFFFFFF, b"\1\0\0\0")),
    "a directory inside itself": exif((0x8769, 4, 1, b"\x08\0\0\0")),
    "nothing": b"Exif\0\0",
}


def with_exif(form: str, raw: bytes) -> bytes:
    options = {"JPEG": {"dpi": (72, 72)}}.get(form, {})
    if form == "TIFF" or (form == "AVIF" and raw in (BROKEN["garbage"], BROKEN["nothing"])):
        return encoded(PHOTO, form)  # Pillow writes no such thing there
    return encoded(PHOTO, form, exif=raw, **options)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN)
def test_pixels_are_those_of_the_file_without_it(form: str, raw: bytes, tmp_path: Path) -> None:
    data, plain = with_exif(form, raw), read_image(encoded(PHOTO, form))
    assert np.array_equal(read_image(data), plain)
    assert np.array_equal(
        read_image(data, PixelSettings(16, 16)), read_image(encoded(PHOTO, form), PixelSettings(16, 16))
    )
    (tmp_path / "photo").write_bytes(data)
    assert np.array_equal(read_any(tmp_path / "photo", PixelSettings(48, 64)), plain)
    try:
        picture = Image.open(BytesIO(data))
    except Image.UnidentifiedImageError:
        return
    assert np.array_equal(read_any(picture, PixelSettings(48, 64)), plain)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_readable_orientation_beside_broken_tags_still_counts(form: str) -> None:
    data = with_exif(form, exif(SIDEWAYS, WILD))
    assert read_image(data).shape == (64, 48, 3)
    bare, orientation = without_metadata(data)
    assert orientation == 6
    assert np.array_equal(read_image(bare), read_image(encoded(PHOTO, form)))
    assert without_metadata(bare) == (bare, 1)


def chunk(kind: bytes, content: bytes, checksum: int | None = None) -> bytes:
    value = zlib.crc32(kind + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", value)


CHUNKS = {
    "a text of 80 MB": chunk(b"zTXt", b"c\0\0" + zlib.compress(b"x" * 80_000_000)),
    "a text with a wrong checksum": chunk(b"tEXt", b"a\0b", 1),
    "a text that is not packed": chunk(b"zTXt", b"c\0\0garbage"),
    "a colour profile of garbage": chunk(b"iCCP", b"x"),
    "a density of one byte": chunk(b"pHYs", b"\1"),
    "a gamma of nothing": chunk(b"gAMA", b""),
    "EXIF with a wrong checksum": chunk(b"eXIf", exif(SIDEWAYS)[6:], 5),
}


@pytest.mark.parametrize("extra", CHUNKS.values(), ids=CHUNKS)
def test_broken_chunks_beside_the_pixels_of_a_png(extra: bytes) -> None:
    plain = encoded(PHOTO)
    place = 8 + 25  # behind the header
    image = read_image(plain[:place] + extra + plain[place:])
    turned = np.array_equal(image.shape, (64, 48, 3))
    assert turned == (extra[4:8] == b"eXIf")
    if not turned:
        assert np.array_equal(image, read_image(plain))


@pytest.mark.parametrize("marker", [0xE1, 0xE2, 0xED, 0xEF, 0xFE])
@pytest.mark.parametrize(
    "content", [b"MPF\0II*\0\xff\xff\xff\xff", b"ICC_PROFILE\0\1", b"Photoshop 3.0\x008BIM\4\4\0\0\0\0\0", b""]
)
def test_broken_segments_beside_the_pixels_of_a_jpeg(marker: int, content: bytes) -> None:
    plain = encoded(PHOTO, "JPEG")
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content
    assert np.array_equal(read_image(plain[:2] + segment + plain[2:]), read_image(plain))


def test_broken_pixels_stay_broken() -> None:
    for form in ("JPEG", "PNG", "WEBP"):
        data = with_exif(form, BROKEN["garbage"])
        with pytest.raises(ImageError, match=r"damaged|not an image"):
            read_image(data[: len(data) * 3 // 5])
    for start in (b"\xff\xd8\xff\xe1\0", b"\x89PNG\r\n\x1a\n\0\0\0\5eXIf", b"RIFF\0\0\0\0WEBPVP8X\1"):
        assert without_metadata(start)[1] == 1
        with pytest.raises(ImageError, match=r"damaged|not an image"):
            read_image(start)


def test_orientation_is_that_of_the_picture_or_upright() -> None:
    assert orientation_of(PHOTO) == 1
    assert orientation_of(Image.open(BytesIO(encoded(PHOTO, "JPEG", exif=exif(SIDEWAYS))))) == 6
    assert orientation_of(Image.open(BytesIO(encoded(PHOTO, "WEBP", exif=BROKEN["garbage"])))) == 1
