"""One way in for every image: what is accepted, what it becomes, and what is refused."""

import os
import struct
import tempfile
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.data import images
from lookalike.data.images import MIN_SIDE, ImageError, read_image
from lookalike.data.pixels import PixelSettings, resize
from pictures import BLUE, GREEN, JPEG, PNG, RED, SMALL, encoded, noise, smooth


def forged_png(width: int, height: int) -> bytes:
    """A PNG whose header claims a size and that holds next to no pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def palette(transparent: bool) -> bytes:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([*GREEN, *RED])
    image.paste(0, (0, 0, 4, 8))
    return encoded(image, **({"transparency": 0} if transparent else {}))


def two_tone(mode: str, left: object, right: object) -> Image.Image:
    image = Image.new(mode, (8, 8), right)
    image.paste(left, (0, 0, 4, 8))
    return image


SIXTEEN_BIT = Image.fromarray(np.repeat(np.array([[0x0A00, 0xC8FF]], np.uint16), 8, axis=0).repeat(4, axis=1))


@pytest.mark.parametrize(
    ("data", "left", "right"),
    [
        (encoded(two_tone("L", 10, 200)), (10, 10, 10), (200, 200, 200)),
        (encoded(two_tone("1", 0, 1)), (0, 0, 0), (255, 255, 255)),
        (encoded(two_tone("RGB", RED, BLUE), "BMP"), RED, BLUE),
        (encoded(two_tone("RGB", RED, BLUE), "TIFF", compression="tiff_lzw"), RED, BLUE),
        (encoded(two_tone("RGB", RED, BLUE), "PPM"), RED, BLUE),
        (encoded(two_tone("RGB", RED, BLUE), "GIF"), RED, BLUE),
        (encoded(two_tone("RGB", RED, BLUE), "WEBP", lossless=True), RED, BLUE),
        (encoded(two_tone("RGBA", (*RED, 255), (*BLUE, 0))), RED, (255, 255, 255)),
        (encoded(two_tone("RGBA", (*RED, 255), (0, 0, 0, 51))), RED, (204, 204, 204)),
        (encoded(two_tone("RGBA", (*RED, 255), (*BLUE, 0)), "WEBP", lossless=True), RED, (255, 255, 255)),
        (encoded(two_tone("LA", (10, 255), (10, 0))), (10, 10, 10), (255, 255, 255)),
        (encoded(two_tone("RGB", RED, BLUE), transparency=BLUE), RED, (255, 255, 255)),
        (palette(transparent=False), GREEN, RED),
        (palette(transparent=True), (255, 255, 255), RED),
        (encoded(two_tone("CMYK", (0, 0, 0, 0), (0, 0, 0, 255)), "JPEG", quality=100), (255, 255, 255), (0, 0, 0)),
        (encoded(two_tone("CMYK", (0, 255, 255, 0), (255, 255, 0, 0)), "TIFF"), RED, BLUE),
        *[(encoded(SIXTEEN_BIT, form), (10, 10, 10), (200, 200, 200)) for form in ("PNG", "TIFF", "PPM")],
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_every_pixel_format_becomes_8_bit_rgb(data: bytes, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    image = read_image(data)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.flags.writeable
    np.testing.assert_array_equal(image, np.concatenate([np.full((8, 4, 3), tone) for tone in (left, right)], axis=1))


def tiff(bits: int, numbers: np.ndarray, form: int = 1, black: int = 1) -> bytes:
    """An uncompressed grey TIFF, big-endian where its numbers are; 12 bits are packed.

    Args:
        bits: Of a pixel.
        numbers: [8, 8].
        form: 1 for whole numbers, 2 for those with a sign.
        black: 1 where zero is black, 0 where it is white.
    """
    order = ">" if numbers.dtype.byteorder == ">" else "<"
    data = numbers.tobytes()
    if bits == 12:
        data = int("".join(f"{number:012b}" for number in numbers.ravel()), 2).to_bytes(96, "big")
    entries = [
        (256, 8),
        (257, 8),
        (258, bits),
        (259, 1),
        (262, black),
        (273, 122),
        (277, 1),
        (279, len(data)),
        (339, form),
    ]
    head = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(f"{order}IH", 8, len(entries))
    return (
        head + b"".join(struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in entries) + bytes(4) + data
    )


def grey(left: int, right: int, kind: str = "<u2") -> np.ndarray:
    return np.repeat(np.array([[left, right]], kind), 8, axis=0).repeat(4, axis=1)


@pytest.mark.parametrize(
    ("data", "left", "right"),
    [
        (tiff(16, grey(0x0A00, 0xC8FF)), 10, 200),
        (tiff(16, grey(0x0A00, 0xC8FF, ">u2")), 10, 200),
        (tiff(16, grey(0x0A00, 0xC8FF), black=0), 245, 55),
        (tiff(16, grey(10, 200), black=0), 245, 55),
        (tiff(8, grey(10, 200, "u1"), black=0), 245, 55),
        (tiff(12, grey(0x0A0, 0xC8F)), 10, 200),
        (tiff(12, grey(0x01F, 0x020)), 1, 2),
        *[(tiff(16, grey(10, 200, kind)), 10, 200) for kind in ("<u2", ">u2")],
        *[(tiff(16, grey(10, 255, kind), 2), 10, 255) for kind in ("<i2", ">i2")],
        (tiff(32, grey(10, 255, "<u4")), 10, 255),
        (tiff(32, grey(10, 200, "<i4"), 2), 10, 200),
        (encoded(Image.fromarray(grey(10, 200))), 10, 200),
        (encoded(Image.fromarray(grey(10, 4095))), 0, 15),  # of 12 bit, perhaps: not to be known
        (encoded(Image.fromarray(grey(10, 256))), 0, 1),
        (b"P5 8 8 1023\n" + grey(1, 1023, ">u2").tobytes(), 0, 255),
        (b"P5 8 8 65535\n" + grey(1, 255, ">u2").tobytes(), 0, 0),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_whole_numbers_beyond_8_bit_are_brought_to_8_bit(data: bytes, left: int, right: int) -> None:
    np.testing.assert_array_equal(read_image(data)[..., 1], grey(left, right, "u1"))


@pytest.mark.parametrize(
    "data",
    [
        tiff(16, grey(-10, 200, "<i2"), 2),
        tiff(16, grey(10, 3000, ">i2"), 2),
        *[tiff(32, grey(10, most, "<u4")) for most in (256, 4000, 65535, 3_000_000_000)],
        tiff(32, grey(-1, 200, "<i4"), 2),
    ],
    ids=lambda _: "",
)
def test_whole_numbers_without_a_known_range_are_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match="with a sign or of 32 bit, have no known range: save it as 8 or 16 bit"):
        read_image(data)


def test_the_range_is_that_of_the_whole_picture_whatever_part_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.vstack([grey(10, 200), grey(0x0A00, 0xC8FF)])
    data = encoded(Image.fromarray(numbers))
    whole = read_image(data)
    np.testing.assert_array_equal(read_image(data, box=(0, 0, 8, 8)), whole[:8])
    monkeypatch.setattr(images, "_STRIP", 16)  # pixels: two rows at once
    np.testing.assert_array_equal(read_image(data), whole)
    assert whole[:8].max() == 0
    assert whole.max() == 200


@pytest.mark.parametrize(
    "entry", [(2, 2, b"6\0\0\0"), (3, 1, b"\x63\0\0\0"), (3, 2, b"\x06\0\x06\0"), (9, 0, b"\0" * 4)]
)
@pytest.mark.filterwarnings("ignore:Metadata Warning")
def test_a_senseless_orientation_does_not_spoil_the_picture(entry: tuple[int, int, bytes]) -> None:
    kind, count, value = entry
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHI", 8, 1, 0x0112, kind, count) + value + b"\0" * 4
    data = encoded(smooth(64, 48), "JPEG")
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    assert sorted(read_image(data).shape) == [3, 48, 64]
    assert read_image(data, SMALL).shape == (16, 16, 3)


def test_the_first_picture_of_an_mpo_is_used() -> None:
    data = encoded(smooth(), "MPO", next=noise())
    with Image.open(BytesIO(data)) as image:
        assert (image.format, image.n_frames) == ("MPO", 2)
    assert abs(read_image(data).astype(int) - np.asarray(smooth())).mean() < 2


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animations_and_many_pages_are_refused(form: str) -> None:
    with pytest.raises(ImageError, match=r"animated or many pages \(2 frames\), expected one picture: save the frame"):
        read_image(encoded(smooth(), form, next=noise()))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "zero bytes, expected an image: replace or remove the file"),
        (b"To whom it may concern\n", "not an image, whatever its name says: expected JPEG, PNG, WebP"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "EPS is not read, expected .*: save it"),
        *[(JPEG[: len(JPEG) * part // 100], "damaged .*: copy or download the file again") for part in (25, 50, 95)],
        *[(PNG[: len(PNG) * part // 100], "damaged .*: copy or download the file again") for part in (25, 50, 95)],
        (JPEG[: len(JPEG) // 20], "damaged|not an image"),
        (encoded(Image.new("RGB", (1, 1))), f"1 x 1 pixels, expected at least {MIN_SIDE} x {MIN_SIDE}"),
        (encoded(Image.new("RGB", (100, 3)), "JPEG"), "100 x 3 pixels, expected at least 4 x 4"),
        (encoded(Image.new("F", (8, 8)), "TIFF"), "floating-point pixels have no fixed range: save it as 8 or 16 bit"),
        (forged_png(30_000, 30_000), "900000000 pixels, expected at most 89478485: scale the picture down first"),
        (forged_png(10_000, 10_000), "10000 x 10000 = 100000000 pixels, expected at most 89478485"),
        (forged_png(2**31 - 1, 2**31 - 1), r"\d+ pixels, expected at most 89478485"),
        (encoded(Image.new("1", (30_000, 30_000))), "900000000 pixels, expected at most 89478485"),
        (forged_png(64, 48), "damaged"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_cannot_be_used_is_refused_with_its_name(tmp_path: Path, data: bytes, expected: str) -> None:
    file = tmp_path / "some.jpg"
    file.write_bytes(data)
    with pytest.raises(ImageError, match=expected) as from_file:
        read_image(file, SMALL)
    assert str(from_file.value).startswith(f"{file}: ")
    with pytest.raises(ImageError, match=f"^image: .*({expected})"):
        read_image(data)


@pytest.mark.parametrize("name", ["missing.jpg", "folder.jpg", "file.jpg/below.jpg"])
def test_what_is_no_readable_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "file.jpg").write_bytes(JPEG)
    reason = {"missing.jpg": "No such file", "folder.jpg": "Is a directory"}.get(name, "Not a directory")
    with pytest.raises(
        ImageError, match=rf"{name}: cannot be read \({reason}.*check that it exists and its permissions"
    ):
        read_image(tmp_path / name)


def test_a_file_without_permission_is_refused() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file = Path(folder, "a.jpg")
        file.write_bytes(JPEG)
        file.chmod(0)
        root = os.geteuid() == 0
        try:
            if root:
                os.seteuid(65534)
            with pytest.raises(ImageError, match=r"a\.jpg: cannot be read \(Permission denied\)"):
                read_image(file)
        finally:
            if root:
                os.seteuid(0)


@pytest.mark.parametrize("tail", [b"garbage" * 50, b"\0" * 512, b"\xff\xd9"])
def test_bytes_after_the_end_of_a_jpeg_do_no_harm(tail: bytes) -> None:
    data = encoded(smooth(), "JPEG")
    assert abs(read_image(data + tail).astype(int) - read_image(data)).max() <= 1
    assert abs(read_image(data + tail, SMALL).astype(int) - read_image(data, SMALL)).mean() < 2


@pytest.mark.parametrize("form", ["JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_damage_anywhere_gives_a_picture_or_an_image_error(form: str) -> None:
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = encoded(smooth(), form, exif=exif)
    refused = 0
    for trial in range(150):
        data = bytearray(whole)
        reach = len(data) if trial % 2 else min(len(data), 300)  # every second time in the headers
        for place in rng.integers(0, reach, 4):
            data[place] = rng.integers(0, 256)
        if trial % 5 == 0:
            del data[rng.integers(1, len(data)) :]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                image = read_image(bytes(data), SMALL)
            except ImageError:
                refused += 1
            else:
                assert (image.shape, image.dtype) == ((16, 16, 3), np.uint8)
    assert refused, "some damage is past mending"


def test_boxes_cut_the_upright_image_and_stay_inside_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(noise(), "PNG", exif=exif)
    upright = read_image(data)
    cuts: dict[tuple[float, ...], np.ndarray] = {
        (2, 3, 20, 30): upright[3:30, 2:20],
        (1.6, 2.6, 20.4, 30.4): upright[3:30, 2:20],
        (-5, -5, 10, 10): upright[:10, :10],
        (40, 50, 1000, 1000): upright[50:, 40:],
    }
    for box, part in cuts.items():
        np.testing.assert_array_equal(read_image(data, box=box), part)
        np.testing.assert_array_equal(read_image(data, SMALL, box), resize(part, SMALL))


@pytest.mark.parametrize("box", [(10, 10, 13, 40), (10, 10, 5, 40), (500, 500, 600, 600), (-9, -9, -1, -1)])
def test_boxes_that_hold_nothing_are_refused(tmp_path: Path, box: tuple[float, ...]) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(PNG)
    text = ",".join(str(value) for value in box)
    with pytest.raises(ImageError, match=rf"a\.png: box {text} leaves less than 4 pixels of 64 x 48: correct x1\.\.y2"):
        read_image(file, SMALL, box)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_part_is_the_same_whether_decoded_reduced_or_whole(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(smooth(1203, 901), "JPEG", quality=95, exif=exif)
    whole, pixels = read_image(data), PixelSettings(40, 56)
    sizes: list[tuple[int, int]] = []

    def crop(height: int, width: int) -> tuple[int, int, int, int]:
        sizes.append((height, width))
        return 50, 31, height - 77, width - 40

    box = (101.0, 203.0, 777.0, 850.0)
    x1, y1, x2, y2 = (int(value) for value in box)
    cut = whole[y1:y2, x1:x2]
    for part, result in (
        (whole[50 : whole.shape[0] - 27, 31 : whole.shape[1] - 9], read_image(data, pixels, crop=crop)),
        (cut, read_image(data, pixels, box)),
        (cut[50:-27, 31:-9], read_image(data, pixels, box, crop)),
    ):
        assert abs(result.astype(int) - resize(part, pixels)).max() <= 3
    assert sizes == [whole.shape[:2], cut.shape[:2]], "the crop is drawn from the full size"
    np.testing.assert_array_equal(read_image(data, box=box, crop=crop), cut[50:-27, 31:-9])


def test_an_error_of_the_callers_crop_is_no_damage_of_the_image(tmp_path: Path) -> None:
    Image.new("RGB", (60, 40)).save(tmp_path / "a.jpg")

    def crop(height: int, width: int) -> tuple[int, int, int, int]:
        raise KeyError(f"{height} {width}")

    with pytest.raises(KeyError, match="40 60"):
        read_image(tmp_path / "a.jpg", crop=crop)
