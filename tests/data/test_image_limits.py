"""What one image file may cost, whoever made it."""

import os
import struct
import threading
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from lookalike.data import image_limits
from lookalike.data.image_limits import MAX_BYTES, BeyondLimitError, check_structure, claim, read_bytes
from lookalike.data.images import ImageError, read_image, to_rgb8
from lookalike.data.pixels import PixelSettings
from pictures import encoded, noise

SMALL = PixelSettings(16, 16)


def test_a_regular_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    assert read_bytes(tmp_path / "a") == b"x" * 100_000
    (tmp_path / "link").symlink_to("a")
    assert read_bytes(tmp_path / "link") == b"x" * 100_000


@pytest.mark.parametrize("kind", ["pipe", "device", "sparse", "folder", "socket"])
def test_what_is_no_regular_file_or_endless_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "x.jpg"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    elif kind == "folder":
        file.mkdir()
    elif kind == "socket":
        import socket

        socket.socket(socket.AF_UNIX).bind(str(file))
    else:
        with file.open("wb") as handle:
            handle.truncate(40 * 2**30)
    text = {
        "sparse": rf"x\.jpg: 42949672960 bytes, expected at most {MAX_BYTES}: no photograph is that large, remove it",
        "folder": r"x\.jpg: cannot be read \(Is a directory\)",
    }.get(kind, r"x\.jpg: no regular file \(a pipe or a device\), expected an image: remove it")
    with pytest.raises(ImageError, match=text):
        read_image(file, SMALL)


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"x" * 200)
    monkeypatch.setattr(image_limits, "MAX_BYTES", 100)
    monkeypatch.setattr(image_limits, "_need_regular", lambda about: None)
    with pytest.raises(BeyondLimitError, match="101 bytes, expected at most 100"):
        read_bytes(tmp_path / "a")


def test_a_name_with_a_nul_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"cannot be read \(embedded null"):
        read_image(tmp_path / "a\0b.jpg", SMALL)


def test_too_little_memory_is_the_error_of_that_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(encoded(noise(20, 20)))

    def none_left(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("lookalike.data.images._decode", none_left)
    with pytest.raises(ImageError, match=r"a\.png: too little memory to decode it: scale the picture down first"):
        read_image(tmp_path / "a.png", SMALL)


def scans(count: int, side: int) -> bytes:
    """A progressive JPEG whose last scan is there again and again."""
    data = encoded(noise(side, side), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


def test_hundreds_of_scans_of_a_large_jpeg_are_refused_and_of_a_small_one_read() -> None:
    assert read_image(scans(30, 64), SMALL).shape == (16, 16, 3)
    with pytest.raises(ImageError, match=r"image: 1\d\d\d scans of 360000 pixels, expected about ten: save it as PNG"):
        read_image(scans(1000, 600), SMALL)


@pytest.mark.parametrize(
    "data",
    [
        b"P3\n" + b"#\n" * 200_000 + b"4 4\n255\n" + b"1 " * 48,
        b"P3\n4 4\n255\n" + b"1 #\n" * 200_000 + b"1 " * 48,
        b"P6\n" + b"# a comment\n" * 100_000 + b"4 4\n255\n" + b"1" * 48,
        b"P6 " + b" " * 1_000_000 + b"4 4 255\n" + b"1" * 48,
    ],
)
def test_comments_instead_of_pixels_are_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match="comments instead of pixels: save it as PNG"):
        read_image(data, SMALL)


def test_a_ppm_with_comments_and_signs_that_look_like_them_is_read() -> None:
    pixels = b"#" * (300 * 300 * 3)
    assert (read_image(b"P6\n# made by a camera\n300 300\n255\n" + pixels) == ord("#")).all()


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_whose_directory_promises_more_than_it_holds_is_refused(order: str) -> None:
    start = {"<": b"II*\0", ">": b"MM\0*"}[order]
    entries = b"".join(struct.pack(f"{order}HHLL", 40_000 + n, 1, 100_000, 8) for n in range(1000))
    data = start + struct.pack(f"{order}L", 8) + struct.pack(f"{order}H", 1000) + entries + b"\0" * 100_000
    with pytest.raises(ImageError, match="its directory promises more than the file holds: save it as PNG"):
        read_image(data, SMALL)
    check_structure(start)  # cut off: not its affair
    check_structure(start + b"\xff" * 4)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n" + b"%%a: b\n" * 1000 + b"%%EndComments\n"
PCX = b"\x0a\x05\x01\x08" + b"\0" * 200


@pytest.mark.parametrize(("data", "name"), [(EPS, "EPS"), (PCX, "PCX"), (b"8BPS\0\1" + b"\0" * 40, "PSD")])
def test_other_formats_are_told_and_not_opened(data: bytes, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.init()

    def opened(*_: object) -> None:
        raise AssertionError("it was opened")

    monkeypatch.setitem(Image.OPEN, name, (opened, Image.OPEN[name][1]))
    with pytest.raises(ImageError, match=rf"^image: {name} is not read, expected JPEG, .*: save it as PNG$"):
        read_image(data)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "L", "P", "I;16", "CMYK", "1"])
def test_strips_are_what_the_whole_is(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).integers(0, 256, (37, 23, 4), np.uint8)
    picture = Image.fromarray(values).convert("RGBA")
    if mode == "I;16":
        picture = Image.fromarray(values[..., 0].astype(np.uint16) * 250)
    elif mode == "P":
        picture = picture.convert("RGB").quantize(16)
        picture.info["transparency"] = 3
    else:
        picture = picture.convert(mode)
    whole = to_rgb8(picture, "a")
    monkeypatch.setattr("lookalike.data.images._STRIP", 100)
    assert np.array_equal(to_rgb8(picture, "a"), whole)
    assert len(np.unique(whole)) > 1


def test_memory_is_shared_and_who_needs_all_of_it_comes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_limits, "_budget", image_limits._Budget(100 * image_limits._BYTES_PER_PIXEL))
    inside, waiting, most, lock = [0], threading.Barrier(8), [0], threading.Lock()

    def decode(pixels: int) -> None:
        waiting.wait()
        for _ in range(200):
            with claim(10) as held:
                held.pixels(pixels)
                held.pixels(pixels)
                with lock:
                    inside[0] += min(100, pixels)
                    most[0] = max(most[0], inside[0])
                with lock:
                    inside[0] -= min(100, pixels)

    threads = [threading.Thread(target=decode, args=(pixels,)) for pixels in (10, 30, 30, 60, 100, 1000, 40, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < most[0] <= 100
    assert inside[0] == 0


def test_memory_is_given_back_after_an_error() -> None:
    for _ in range(50):
        with pytest.raises(KeyError, match="x"), claim(1 << 28):
            raise KeyError("x")


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGBA"), ("PNG", "I;16"), ("GIF", "P"), ("TIFF", "RGB")])
def test_room_is_claimed_before_anything_is_decoded(kind: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow decodes a PNG to look for its orientation: six threads held six whole pictures, and one had the room."""
    order: list[str] = []
    load = ImageFile.ImageFile.load

    def loaded(self: ImageFile.ImageFile) -> object:
        order.append("decoded")
        return load(self)

    content = BytesIO()
    Image.new(mode, (64, 48)).save(content, kind)
    monkeypatch.setattr(image_limits.Claim, "pixels", lambda self, count: order.append(f"room for {count}"))
    monkeypatch.setattr(ImageFile.ImageFile, "load", loaded)
    read_image(content.getvalue())
    assert order[0] == f"room for {64 * 48}"
    assert "decoded" in order
