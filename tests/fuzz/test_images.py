"""Image files that were changed anywhere: each gives pixels, or one line that says why not.

Some twenty seconds of seeded changes; LOOKALIKE_FUZZ_MINUTES=60 goes on with further seeds for an hour. They are read
in a process of their own, so that a decoder that crashes is seen, and how much memory all of them took.
"""

import json
import os
import random
import resource
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, features
from sklearn.datasets import load_sample_image

from lookalike.data.images import ImageError, read_image
from lookalike.data.pixels import PixelSettings

SECONDS = 60 * float(os.environ.get("LOOKALIKE_FUZZ_MINUTES", "0"))
CASES = 150  # of each format
MEMORY = 6 << 27  # bytes that pictures of all threads may take (`image_limits`)
SPARE = 3 << 27  # what decoders keep for themselves, and what the allocator does not give back
SIZES = [
    PixelSettings(48, 40),
    None,
    PixelSettings(32, 32, "pad", "bicubic"),
    PixelSettings(64, 32, "crop", "bilinear", False),
]
PNG = b"\x89PNG\r\n\x1a\n"
EXTREMES = [0, 1, 2, 255, 256, 32767, 32768, 65535, 9459, 2**24, 2**31 - 1, 2**31, 2**32 - 1]


def photograph() -> Image.Image:
    return Image.fromarray(load_sample_image("china.jpg")[100:196, 200:328])


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a garden"
    return exif


def plain_ppm(image: Image.Image) -> bytes:
    values = np.asarray(image)[::4, ::4]
    numbers = " ".join(map(str, values.flatten().tolist()))
    return f"P3\n# by hand\n{values.shape[1]} {values.shape[0]}\n255\n{numbers}\n".encode()


def originals() -> dict[str, list[bytes]]:
    """Intact files of every format that is read, from one photograph."""
    photo = photograph()
    alpha, palette, grey = photo.convert("RGBA"), photo.convert("P"), photo.convert("L")
    alpha.putalpha(grey)
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    files = {
        "JPEG": [
            saved(photo, "JPEG", quality=85, exif=turned()),
            saved(photo, "JPEG", progressive=True, dpi=(72, 72)),
            saved(photo.convert("CMYK"), "JPEG"),
            saved(grey, "JPEG", restart_marker_rows=1),
        ],
        "PNG": [saved(photo, "PNG", exif=turned()), saved(alpha, "PNG"), saved(palette, "PNG"), saved(deep, "PNG")],
        "GIF": [saved(palette, "GIF"), saved(palette, "GIF", save_all=True, append_images=[palette.rotate(90)])],
        "TIFF": [
            saved(photo, "TIFF"),
            saved(photo, "TIFF", compression="tiff_lzw", exif=turned()),
            saved(alpha, "TIFF", compression="tiff_adobe_deflate"),
            saved(photo, "TIFF", compression="jpeg"),
        ],
        "BMP": [saved(photo, "BMP"), saved(palette, "BMP"), saved(grey.convert("1"), "BMP")],
        "PPM": [saved(photo, "PPM"), saved(grey, "PPM"), plain_ppm(photo)],
        "WebP": [saved(photo, "WEBP", exif=turned()), saved(alpha, "WEBP", lossless=True)],
    }
    if features.check("avif"):
        files["AVIF"] = [saved(photo, "AVIF", speed=10), saved(alpha, "AVIF", speed=10)]
    if features.check("jpg_2000"):
        files["JPEG 2000"] = [saved(photo, "JPEG2000")]
    return files


def number(content: bytes, chance: random.Random) -> bytes:
    """A field of two or four bytes, of the header as a rule, becomes an extreme one."""
    size, place = chance.choice([2, 4]), chance.randrange(min(len(content), chance.choice([64, 400, len(content)])))
    value = chance.choice(EXTREMES) % (1 << 8 * size)
    return content[:place] + value.to_bytes(size, chance.choice(["big", "little"])) + content[place + size :]


def bits(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 3, 20])):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def gap(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content))
    return content[:place] + content[place + chance.randrange(1, 300) :]


def again(content: bytes, chance: random.Random) -> bytes:
    """A part stands there several times."""
    place, length = chance.randrange(len(content)), chance.randrange(1, 400)
    return content[:place] + content[place : place + length] * chance.randrange(2, 30) + content[place + length :]


def noise(content: bytes, chance: random.Random) -> bytes:
    place, length = chance.randrange(len(content)), chance.randrange(1, 60)
    return content[:place] + chance.randbytes(length) + content[place + length :]


CHANGES: list[Callable[[bytes, random.Random], bytes]] = [number, number, bits, cut, gap, again, noise]


def changed(files: list[bytes], seed: str) -> bytes:
    """One to three seeded changes of one of the files, or two of them joined."""
    chance = random.Random(seed)
    content = chance.choice(files)
    if chance.random() < 0.05:
        content = content[: chance.randrange(len(content))] + chance.choice(files)
    for _ in range(chance.choice([1, 1, 2, 3])):
        content = chance.choice(CHANGES)(content, chance) or content
    return signed(content) if chance.random() < 0.8 else content


def signed(content: bytes) -> bytes:
    """The chunks of a PNG with right checksums, so that more than these are tried; any other file as it is."""
    if not content.startswith(PNG):
        return content
    parts, place = [PNG], len(PNG)
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        inner = content[place + 4 : place + 8 + length]
        parts += [content[place : place + 4], inner, struct.pack(">I", zlib.crc32(inner))]
        place += 12 + length
    return b"".join([*parts, content[place:]])


def read(content: bytes, pixels: PixelSettings | None) -> str:
    """What a file is refused with, empty when it has pixels; anything else ends the process."""
    try:
        image = read_image(content, pixels)
    except ImageError as error:
        lines = str(error).splitlines()
    else:
        lines = []
    if lines:
        assert len(lines) == 1, lines
        assert ": " in lines[0], lines
        return lines[0]
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.shape[2] == 3
    assert pixels is None or image.shape[:2] == (pixels.height, pixels.width)
    return ""


def run(seconds: float) -> None:
    """In a process of its own: prints each case before it is read, then how many had pixels."""
    before, end, usable, case = peak(), time.monotonic() + seconds, Counter[str](), 0
    files = originals()
    while case < CASES or time.monotonic() < end:
        for form in files:
            print(f"{form} {case}", flush=True)
            usable[form] += not read(changed(files[form], f"{form} {case}"), SIZES[case % len(SIZES)])
        case += 1
    print(json.dumps({"usable": usable, "of": case, "grew": peak() - before}), flush=True)


def peak() -> int:
    """Bytes of memory that this process took at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.parametrize("form", originals())
def test_files_that_are_intact_have_pixels(form: str) -> None:
    for content in originals()[form]:
        answers = {read(content, pixels) for pixels in SIZES}
        assert answers == {""} or "animated or many pages" in answers.pop()


def test_files_that_were_changed_anywhere_have_pixels_or_are_refused() -> None:
    command = [sys.executable, "-W", "ignore", __file__, str(SECONDS)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    last = done.stdout.splitlines()[-1:] or [""]
    assert done.returncode == 0, f"exit {done.returncode} after case {last[0]!r}: {done.stderr[-2000:]}"
    told = json.loads(last[0])
    assert told["usable"].keys() == originals().keys()
    assert all(0 < usable < told["of"] for usable in told["usable"].values()), "neither harmless nor hopeless"
    assert told["grew"] < MEMORY + SPARE


def png_of(width: int, height: int) -> bytes:
    content = saved(photograph(), "PNG")
    return signed(content[:16] + struct.pack(">II", width, height) + content[24:])


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "zero bytes, expected an image"),
        (b"\xff\xd8\xff", "not an image|damaged"),
        (b"P6\n" + b"#\n" * 100_000 + b"1 1\n255\n...", "comments instead of pixels"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n" + b"%" * 100_000, "EPS is not read|not an image"),
        (png_of(100_000, 100_000), "pixels, expected at most 89478485"),
        (png_of(2**31 - 1, 1), "pixels, expected at most|expected at least 4 x 4|damaged|not an image"),
        (png_of(0, 0), "not an image|damaged|expected at least"),
        (saved(photograph(), "JPEG")[:-400], "damaged"),
    ],
)
def test_files_that_were_seen(content: bytes, text: str) -> None:
    with pytest.raises(ImageError, match=text) as caught:
        read_image(content, SIZES[0])
    assert len(str(caught.value).splitlines()) == 1


if __name__ == "__main__":
    run(float(sys.argv[1]))
