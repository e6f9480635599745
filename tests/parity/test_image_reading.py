"""Images as Pillow reads them and turns them upright."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps

from lookalike.data.images import read_image
from lookalike.data.pixels import PixelSettings, resize
from pictures import encoded, smooth


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_agrees_with_pillow(mode: str) -> None:
    data = encoded(smooth().convert(mode), "JPEG", quality=90)
    by_pillow = np.asarray(Image.open(BytesIO(data)).convert("RGB")).astype(int)
    assert abs(read_image(data) - by_pillow).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_applied_once(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(smooth(64, 48), form, exif=exif)
    with Image.open(BytesIO(data)) as file:
        upright = np.asarray(ImageOps.exif_transpose(file).convert("RGB")).astype(int)
    assert upright.shape == ((48, 64, 3) if orientation < 5 else (64, 48, 3))
    image = read_image(data)
    assert image.shape == upright.shape
    assert abs(image - upright).max() <= 1
    whole = resize(image, PixelSettings(20, 12)).astype(int)
    assert abs(read_image(data, PixelSettings(20, 12)) - whole).mean() < 2, "at reduced scale too"
