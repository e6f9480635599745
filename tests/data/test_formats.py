"""Formats by name and by content, and HEIC with and without its plug-in."""

from base64 import b64decode
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from lookalike.data import formats
from lookalike.data.image_files import PassedOver, find_images
from lookalike.data.images import ImageError, read_image
from pictures import encoded, noise

HEIC = b64decode(  # 24 x 16 pixels, the left half green
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAXxtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9jAAAAAERAAAEA"
    "AQAAAAABoAABAAAAAAAAAFMAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA/GlwcnAAAADcaXBjbwAAAHVodmND"
    "AQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQApQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqrprm4CGgwIAA"
    "AAyAAAADAIRiAAEABkQBwXPBiQAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAAChjbGFwAAAAGAAAAAEAAAAQAAAAAf///9gAAAAC"
    "////0AAAAAIAAAAQcGl4aQAAAAADCAgIAAAAGGlwbWEAAAAAAAAAAQABBYECAwWEAAAAW21kYXQAAABPKAGvCchsCBojzoe/4Q/+68Wb6S/GleUAwfy1ONwv"
    "kji7CyjntmI/+gfiTzBTnqNWlHcdu3Zgu+roW3JlMps7bZQq72NxdZsMYOz8ZOEmrA=="
)
READ = {
    ".jpg": encoded(noise(), "JPEG"),
    ".webp": encoded(noise(), "WEBP"),
    ".avif": encoded(noise(), "AVIF"),
    ".jp2": encoded(noise(), "JPEG2000"),
    ".dib": encoded(noise(), "BMP"),
    ".pnm": encoded(noise(), "PPM"),
}


@pytest.mark.parametrize(("suffix", "content"), READ.items(), ids=READ)
def test_what_pillow_reads_is_used_whatever_its_letters(tmp_path: Path, suffix: str, content: bytes) -> None:
    for name in (f"a{suffix}", f"b{suffix.upper()}"):
        (tmp_path / name).write_bytes(content)
    passed = PassedOver()
    files = find_images(tmp_path, passed)
    assert [file.name for file in files] == [f"a{suffix}", f"b{suffix.upper()}"]
    assert [read_image(file).shape for file in files] == [(48, 64, 3)] * 2
    assert passed.notes == []


@pytest.mark.parametrize("name", ["photo.heic", "photo.HEIF", "photo.jpg"])
def test_heic_is_read_with_its_plugin_and_explained_without(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(HEIC)
    passed = PassedOver()
    files = find_images(tmp_path, passed)
    if find_spec("pillow_heif"):
        assert [file.name for file in files] == [name]
        assert read_image(tmp_path / name).shape == (16, 24, 3)
        assert np.abs(read_image(HEIC)[8, 4].astype(int) - (20, 200, 40)).max() < 12
        return
    assert (passed.lost == []) == name.endswith("jpg")
    assert all("1 image(s) ending in" in note and "lookalike[heic]" in note for note in passed.lost)
    with pytest.raises(ImageError, match=r"HEIC needs the package pillow-heif: pip install 'lookalike\[heic\]'"):
        read_image(tmp_path / name)


def test_images_of_other_formats_are_counted_and_named(tmp_path: Path) -> None:
    for name in ("a.cr2", "b.CR2", "c.svg", "d.jxl"):
        (tmp_path / name).write_bytes(b"?")
    for name in ("IMG_1", "photo.jpg_large", "photo.bak"):
        (tmp_path / name).write_bytes(READ[".jpg"])
    for name in ("w", "x.v"):
        (tmp_path / name).write_bytes(READ[".webp"] if name == "w" else READ[".avif"])
    (tmp_path / "notes.txt").write_bytes(READ[".jpg"])
    (tmp_path / "README").write_text("text")
    passed = PassedOver()
    assert find_images(tmp_path, passed) == []
    assert [line.split(" cannot")[0] for line in passed.lost] == [
        "2 image(s) ending in nothing",
        "1 image(s) ending in .bak",
        "2 image(s) ending in .cr2",
        "1 image(s) ending in .jpg_large",
        "1 image(s) ending in .jxl",
        "1 image(s) ending in .svg",
        "1 image(s) ending in .v",
    ]
    assert f"{tmp_path / 'a.cr2'}, {tmp_path / 'b.CR2'}; expected {formats.NAMES}" in passed.lost[2]
    assert passed.others == {".txt": 1, "": 1}


def test_every_format_is_named_in_what_is_expected() -> None:
    assert formats.suffixes() >= {".jpg", ".png", ".avif", ".jp2", ".webp", ".tiff"}
    assert (".heic" in formats.suffixes()) == bool(find_spec("pillow_heif")) == formats.register_heic()
    assert formats.is_heic(HEIC)
    assert not formats.is_heic(READ[".avif"])
    assert not formats.is_other_picture(".txt", b"text")
