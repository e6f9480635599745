"""Small JPEGs: shape kept by grey borders, boxes cut out, what cannot be read leaves a gap."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lookalike.data.images import ImageError, read_image
from lookalike.data.thumbnail import picture, thumbnail


def decoded(jpeg: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB).astype(int)


def test_a_thumbnail_is_a_small_jpeg_of_the_whole_image(tmp_path: Path) -> None:
    wide = np.zeros((100, 400, 3), np.uint8)
    wide[:, :200] = (250, 10, 10)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    for image in (wide, tmp_path / "wide.png", (tmp_path / "wide.png").read_bytes(), Image.fromarray(wide)):
        small = thumbnail(image, 160)
        with Image.open(io.BytesIO(small)) as opened:
            assert (opened.format, opened.size) == ("JPEG", (160, 160))
        pixels = read_image(small).astype(int)
        assert np.abs(pixels[80, 40] - (250, 10, 10)).max() < 20
        assert np.abs(pixels[80, 120]).max() < 20
        assert np.abs(pixels[20] - 128).max() < 20, "grey above and below"


def test_an_image_that_cannot_be_drawn_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.png: cannot be read"):
        thumbnail(tmp_path / "gone.png", 16)
    with pytest.raises(ImageError, match=r"image 3: expected uint8"):
        thumbnail(np.zeros((8, 8)), 16, name="image 3")


def test_a_box_is_cut_out(tmp_path: Path) -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 40:] = 255
    cv2.imwrite(str(tmp_path / "a.png"), image)
    assert decoded(thumbnail(tmp_path / "a.png", 16, (40, 0, 80, 40))).min() > 240


def test_better_quality_takes_more_bytes() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert len(thumbnail(noise, 64, quality=95)) > 1.3 * len(thumbnail(noise, 64, quality=60))


def test_what_cannot_be_read_leaves_a_gap_on_a_page(tmp_path: Path) -> None:
    shown = picture(tmp_path / "gone.png", "a title", ("a note",), right=False)
    assert (shown.jpeg, shown.title, shown.notes, shown.right) == (b"", "a title", ("a note",), False)
    assert shown.path == str(tmp_path / "gone.png")
