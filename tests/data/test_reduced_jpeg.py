"""JPEG decoded at reduced scale: never below the wanted size, and close to the whole picture."""

from pathlib import Path

import pytest
from PIL import Image

from lookalike.data.images import read_image
from lookalike.data.pixels import PixelSettings, resize
from lookalike.data.reduced_jpeg import decode_reduced, reduction
from pictures import BLUE, RED, SMALL, encoded, smooth

SIZES = [(1792, 1792), (1800, 1793), (1791, 2500), (895, 896), (449, 448), (447, 900), (224, 223), (100, 4000)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("pixels", [PixelSettings(224, 224), PixelSettings(256, 128)])
def test_reduced_decoding_never_goes_below_the_wanted_size(width: int, height: int, pixels: PixelSettings) -> None:
    data = encoded(Image.new("RGB", (width, height), RED), "JPEG")
    for orientation in (1, 6):
        wide, high = (pixels.width, pixels.height) if orientation == 1 else (pixels.height, pixels.width)
        upright = (height, width) if orientation == 1 else (width, height)
        image = decode_reduced(data, reduction((0, 0, *upright), pixels))
        largest = max(by for by in (1, 2, 4, 8) if by == 1 or (width >= by * wide and height >= by * high))
        assert image.shape == (-(-height // largest), -(-width // largest), 3)
        assert image[0, 0, 0] > 250, "red first, and not grey"


@pytest.mark.parametrize("mode", ["stretch", "crop", "pad"])
@pytest.mark.parametrize(("width", "height"), [(1792, 1792), (1500, 700), (640, 448), (300, 900), (225, 223)])
def test_reduced_decoding_is_close_to_the_full_one(width: int, height: int, mode: str) -> None:
    data = encoded(smooth(width, height), "JPEG", quality=90)
    pixels = PixelSettings(224, 224, mode)
    assert abs(read_image(data, pixels).astype(int) - resize(read_image(data), pixels)).mean() < 2


def test_reduced_decoding_is_close_to_the_full_one_on_photographs(produce: Path) -> None:
    files = sorted((produce / "train").glob("*/*.jpg"))[::100]
    assert len(files) >= 5
    pixels = PixelSettings(96, 96)
    for file in files:
        difference = abs(read_image(file, pixels).astype(int) - resize(read_image(file), pixels))
        assert difference.mean() < 2, file


def test_a_box_of_a_large_jpeg_is_not_decoded_smaller_than_wanted() -> None:
    image = Image.new("RGB", (1600, 1600), RED)
    image.paste(BLUE, (800, 800, 864, 864))
    image_part = read_image(encoded(image, "JPEG", quality=95), SMALL, (800, 800, 864, 864)).astype(int)
    assert abs(image_part - BLUE).mean() < 8


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic", "lanczos"])
def test_a_jpeg_is_decoded_whole_where_another_library_is_followed(kernel: str) -> None:
    assert reduction((0, 0, 4000, 4000), PixelSettings(100, 100)) == 8
    assert reduction((0, 0, 4000, 4000), PixelSettings(100, 100, interpolation=kernel)) == 1
