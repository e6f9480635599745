"""Scaling as other libraries do it: each combination against the library that it stands for, on photographs."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import v2 as transforms
from torchvision.transforms.v2 import functional

from lookalike.data.images import read_image
from lookalike.data.interpolation import Kernel, interpolate
from lookalike.data.pixels import PixelSettings, resize
from pictures import encoded, smooth

KERNELS: list[Kernel] = ["bilinear", "bicubic", "lanczos"]
PILLOW = {name: Image.Resampling[name.upper()] for name in KERNELS}
OPENCV = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "lanczos": cv2.INTER_LANCZOS4}
# Photographs are 348 x 348: model sizes, exact halves, one pixel more or less, enlargement, odd ratios, both at once.
SIZES = [
    (224, 224),
    (256, 128),
    (174, 174),
    (116, 87),
    (349, 347),
    (696, 696),
    (1045, 116),
    (37, 501),
    (7, 9),
    (8, 700),
]


@pytest.fixture(scope="module")
def photographs(produce: Path) -> list[np.ndarray]:
    files = sorted((produce / "train").glob("*/*.jpg"))[::160]
    assert len(files) >= 8
    return [read_image(file) for file in files]


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    assert first.shape == second.shape
    return abs(first.astype(int) - second)


def by_torchvision(image: np.ndarray, size: tuple[int, int], kernel: str, antialias: bool, exact: bool) -> np.ndarray:
    """Of a tensor, as uint8 or in float32."""
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    tensor = tensor.float() if exact else tensor
    scaled = functional.resize(tensor, list(size), InterpolationMode(kernel), antialias=antialias)
    return scaled.permute(1, 2, 0).numpy().round().clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", SIZES)
def test_antialiased_is_pillow_and_torchvision_of_pictures(
    photographs: list[np.ndarray], size: tuple[int, int], kernel: Kernel
) -> None:
    for image in photographs:
        ours, picture = interpolate(image, *size, kernel, True), Image.fromarray(image)
        np.testing.assert_array_equal(ours, picture.resize(size[::-1], PILLOW[kernel]))
        theirs = functional.resize(picture, list(size), InterpolationMode(kernel))
        np.testing.assert_array_equal(ours, np.asarray(theirs))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", SIZES)
def test_not_antialiased_is_opencv(photographs: list[np.ndarray], size: tuple[int, int], kernel: Kernel) -> None:
    for image in photographs:
        theirs = cv2.resize(image, size[::-1], interpolation=OPENCV[kernel])
        assert difference(interpolate(image, *size, kernel, False), theirs).max() <= 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("kernel", "antialias", "exact"),
    [("bilinear", True, False), ("bilinear", False, False), ("bilinear", False, True), ("bicubic", False, True)],
)
def test_it_is_torchvision_of_tensors(
    photographs: list[np.ndarray], size: tuple[int, int], kernel: Kernel, antialias: bool, exact: bool
) -> None:
    for image in photographs:
        theirs = by_torchvision(image, size, kernel, antialias, exact)
        assert difference(interpolate(image, *size, kernel, antialias), theirs).max() <= 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("kernel", "antialias"), [("bicubic", True), ("lanczos", True), ("bicubic", False)])
def test_torchvision_rounds_uint8_tensors_between_its_passes(
    photographs: list[np.ndarray], size: tuple[int, int], kernel: Kernel, antialias: bool
) -> None:
    """As Pillow does, in another order, and as OpenCV does not: single pixels at edges differ by more."""
    for image in photographs:
        far = difference(
            interpolate(image, *size, kernel, antialias), by_torchvision(image, size, kernel, antialias, False)
        )
        assert far.max() <= 12
        assert (far > 1).mean() < 0.002


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_file_has_the_pixels_that_the_library_makes_of_it(produce: Path, kernel: Kernel, antialias: bool) -> None:
    """Also much smaller than the file: nothing is decoded at reduced scale."""
    for file in sorted((produce / "train").glob("*/*.jpg"))[::200]:
        with Image.open(file) as opened:
            picture = opened.convert("RGB")
        for height, width in ((224, 224), (64, 40), (20, 30)):
            pixels = PixelSettings(height, width, "stretch", kernel, antialias)
            if antialias:
                expected = np.asarray(picture.resize((width, height), PILLOW[kernel]))
            else:
                expected = cv2.resize(np.asarray(picture), (width, height), interpolation=OPENCV[kernel])
            assert difference(read_image(file, pixels), expected).max() <= 1


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("shape", [(1700, 2300), (9000, 500), (300, 9000), (2500, 2400)])
def test_large_images_are_handed_over_in_parts(shape: tuple[int, int], kernel: Kernel) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((128, 256), PILLOW[kernel]))
    np.testing.assert_array_equal(interpolate(image, 256, 128, kernel, True), expected)
    turned = image[::-1].transpose(1, 0, 2)
    expected = np.asarray(Image.fromarray(np.ascontiguousarray(turned)).resize((128, 256), PILLOW[kernel]))
    np.testing.assert_array_equal(interpolate(turned, 256, 128, kernel, True), expected)


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("mode", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("shape", [(4, 1_000_000), (1_000_000, 4)])
def test_long_strips_fit_in_memory(shape: tuple[int, int], mode: str, antialias: bool) -> None:
    image = resize(np.full((*shape, 3), 200, np.uint8), PixelSettings(224, 224, mode, "bilinear", antialias))
    assert image.shape == (224, 224, 3)
    assert image[111, 111].tolist() == [200] * 3


# Parts of photographs, height and width: wide, high, square, one pixel off, smaller than the model, long.
PARTS = [(427, 640), (427, 331), (300, 301), (230, 229), (225, 347), (97, 150), (40, 640), (427, 33)]
MODELS = [(224, 224), (225, 225), (64, 64), (256, 128), (96, 101)]


@pytest.fixture(scope="module")
def parts() -> list[np.ndarray]:
    photographs = [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    return [photograph[-high:, -wide:] for photograph in photographs for high, wide in PARTS]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", MODELS)
def test_stretch_and_crop_are_those_of_torchvision(
    parts: list[np.ndarray], size: tuple[int, int], kernel: Kernel
) -> None:
    how = InterpolationMode(kernel)
    for image in parts:
        picture, (high, wide), (height, width) = Image.fromarray(image), image.shape[:2], size
        stretched = np.asarray(transforms.Resize(list(size), how)(picture))
        np.testing.assert_array_equal(resize(image, PixelSettings(*size, "stretch", kernel)), stretched)
        if height == width:
            scaled = transforms.Resize(height, how)(picture)
        elif height * wide >= width * high:
            scaled = transforms.Resize([height, int(height * wide / high)], how)(picture)
        else:
            scaled = transforms.Resize([int(width * high / wide), width], how)(picture)
        cropped = np.asarray(transforms.CenterCrop(list(size))(scaled))
        np.testing.assert_array_equal(resize(image, PixelSettings(*size, "crop", kernel)), cropped)


@pytest.mark.parametrize("side", [224, 225, 64])
def test_crop_without_antialiasing_is_that_of_torchvision_for_tensors(parts: list[np.ndarray], side: int) -> None:
    steps = transforms.Compose([transforms.Resize(side, antialias=False), transforms.CenterCrop(side)])
    for image in parts:
        theirs = steps(torch.from_numpy(image.copy()).permute(2, 0, 1)).permute(1, 2, 0).numpy()
        ours = resize(image, PixelSettings(side, side, "crop", "bilinear", False))
        assert difference(ours, theirs).max() <= 1


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", MODELS)
def test_pad_lays_what_torchvision_scales_on_grey(
    parts: list[np.ndarray], size: tuple[int, int], kernel: Kernel
) -> None:
    """The size is rounded to the nearest pixel, as Pillow's ImageOps.contain and Albumentations' LongestMaxSize do."""
    for image in parts:
        scaled = ImageOps.contain(Image.fromarray(image), size[::-1], PILLOW[kernel])
        theirs = functional.resize(Image.fromarray(image), list(scaled.size[::-1]), InterpolationMode(kernel))
        wide, high = scaled.size
        left, top = (size[1] - wide) // 2, (size[0] - high) // 2
        borders = [left, top, size[1] - wide - left, size[0] - high - top]
        expected = np.asarray(functional.pad(theirs, borders, fill=[128] * 3))
        np.testing.assert_array_equal(resize(image, PixelSettings(*size, "pad", kernel)), expected)


def test_area_averaging_cuts_whole_pixels_and_scales_them(parts: list[np.ndarray]) -> None:
    """Existing bundles were measured with these very pixels."""
    for image in parts:
        for size in MODELS:
            factor = max(size[0] / image.shape[0], size[1] / image.shape[1])
            high, wide = (min(there, round(side / factor)) for there, side in zip(image.shape[:2], size, strict=True))
            top, left = (image.shape[0] - high) // 2, (image.shape[1] - wide) // 2
            expected = resize(image[top : top + high, left : left + wide], PixelSettings(*size))
            np.testing.assert_array_equal(resize(image, PixelSettings(*size, "crop")), expected)


def test_an_image_of_the_wanted_size_is_left_as_it_is() -> None:
    data = encoded(smooth(60, 40))
    for kernel in KERNELS:
        np.testing.assert_array_equal(read_image(data, PixelSettings(40, 60, "stretch", kernel)), read_image(data))
