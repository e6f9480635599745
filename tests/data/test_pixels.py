"""Images at the size of the model: geometry of stretch, crop and pad, and no aliasing."""

import numpy as np
import pytest
from PIL import Image

from lookalike.data.images import read_image
from lookalike.data.pixels import PixelSettings, resize
from pictures import BLUE, GREEN, RED, bands, checkerboard, encoded, noise


@pytest.mark.parametrize("turn", [False, True])
def test_geometry_of_stretch_crop_and_pad(turn: bool) -> None:
    def read(mode: str) -> np.ndarray:
        image = bands(RED, GREEN, BLUE)
        data = encoded(Image.fromarray(image.transpose(1, 0, 2) if turn else image))
        result = read_image(data, PixelSettings(30, 30, mode))
        return result.transpose(1, 0, 2) if turn else result

    np.testing.assert_array_equal(read("stretch"), bands(RED, GREEN, BLUE, size=10).repeat(3, axis=0))
    np.testing.assert_array_equal(read("crop"), bands(GREEN))
    grey = np.full((10, 30, 3), 128, np.uint8)
    np.testing.assert_array_equal(read("pad"), np.concatenate([grey, bands(RED, GREEN, BLUE, size=10), grey]))


@pytest.mark.parametrize("mode", ["stretch", "crop", "pad"])
def test_resize_gives_the_asked_size_from_any_size(mode: str) -> None:
    rng = np.random.default_rng(0)
    pixels = PixelSettings(37, 21, mode)
    for height, width in [(37, 21), (4, 900), (900, 4), (38, 21), (37, 20), *rng.integers(4, 90, (40, 2)).tolist()]:
        image = resize(np.full((height, width, 3), 77, np.uint8), pixels)
        assert (image.shape, image.dtype) == ((37, 21, 3), np.uint8)
        assert set(np.unique(image)) <= {77, 128} if mode == "pad" else (image == 77).all()


@pytest.mark.parametrize("mode", ["stretch", "crop", "pad"])
def test_an_image_of_the_wanted_size_is_not_touched(mode: str) -> None:
    image = np.asarray(noise(24, 16))
    np.testing.assert_array_equal(resize(image, PixelSettings(16, 24, mode)), image)


@pytest.mark.parametrize("mode", ["stretch", "crop", "pad"])
def test_a_long_thin_strip_needs_no_more_memory_than_it_is_worth(mode: str) -> None:
    image = resize(np.full((4, 4_000_000, 3), 200, np.uint8), PixelSettings(224, 224, mode))
    assert image.shape == (224, 224, 3)


@pytest.mark.parametrize(
    ("height", "width", "pixels"),
    [
        (256, 256, PixelSettings(32, 32)),
        (250, 333, PixelSettings(32, 32)),
        (256, 256, PixelSettings(32, 32, "crop")),
        (256, 16, PixelSettings(32, 64)),
        (16, 256, PixelSettings(64, 32)),
    ],
)
def test_a_fine_checkerboard_shrinks_to_flat_grey(height: int, width: int, pixels: PixelSettings) -> None:
    image = read_image(encoded(Image.fromarray(checkerboard(height, width))), pixels).astype(int)
    assert abs(image - 127.5).max() < 20
    assert image.std() < 8, "a plain bilinear resize leaves about 100"


def test_what_came_later_is_written_only_where_it_is_not_the_usual() -> None:
    """Fingerprints of bundles, keys of caches and resumed runs hang on these texts."""
    assert PixelSettings().to_dict() == {"height": 224, "width": 224, "resize": "stretch"}
    assert repr(PixelSettings(8, 9, "pad")) == "PixelSettings(height=8, width=9, resize='pad')"
    other = PixelSettings(8, 9, "pad", "bicubic", False)
    assert other.to_dict() == {
        **PixelSettings(8, 9, "pad").to_dict(),
        "interpolation": "bicubic",
        "antialias": False,
    }
    assert repr(other).endswith("interpolation='bicubic', antialias=False)")
    assert str(PixelSettings()) == "224 x 224 pixels, stretch"
    assert str(other) == "8 x 9 pixels, pad, bicubic not antialiased"
    assert str(PixelSettings(interpolation="lanczos")) == "224 x 224 pixels, stretch, lanczos"


def test_no_value_means_the_usual_one() -> None:
    settings = {"height": 8, "width": 9, "resize": "crop", "interpolation": None, "antialias": None}
    assert PixelSettings.of(settings) == PixelSettings(8, 9, "crop")
    assert PixelSettings.of({"interpolation": "bilinear"}) == PixelSettings(interpolation="bilinear", antialias=True)


def test_area_averaging_is_always_antialiased() -> None:
    with pytest.raises(ValueError, match="expected bilinear, bicubic or lanczos where antialias is off, found area"):
        PixelSettings(antialias=False)


def test_borders_may_be_of_another_grey() -> None:
    image = np.full((10, 20, 3), 77, np.uint8)
    made = resize(image, PixelSettings(20, 20, "pad", border=255))
    assert (made[:5] == 255).all()
    assert (made[5:15] == 77).all()
    assert PixelSettings(8, 8, "pad").to_dict() == {"height": 8, "width": 8, "resize": "pad"}
    assert PixelSettings(8, 8, "pad", border=255).to_dict()["border"] == 255
    assert str(PixelSettings(8, 8, "pad", border=0)) == "8 x 8 pixels, pad, borders of 0"
    with pytest.raises(ValueError, match=r"border=256: expected 0 \(black\) to 255 \(white\)"):
        PixelSettings(8, 8, "pad", border=256)
