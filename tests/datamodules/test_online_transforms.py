"""On-line changes are a function of the image and the seed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from image_folders import random_picture
from lookalike.data.images import read_image
from lookalike.data.pixels import PixelSettings
from lookalike.datamodules.online_transforms import OnlineTransforms, sample_seed

PIXELS = PixelSettings(20, 16)


@pytest.mark.parametrize(
    "settings",
    [
        {"flip": True, "crop_area": 1.0, "color": 0.0},
        {"flip": False, "crop_area": 0.4, "color": 0.0},
        {"flip": False, "crop_area": 1.0, "color": 0.4},
        {"flip": True, "crop_area": 0.2, "color": 0.4},
    ],
)
def test_online_changes_are_a_function_of_the_seed(tmp_path: Path, settings: dict[str, float]) -> None:
    file = random_picture(tmp_path / "a.png", size=40)
    first, second = (OnlineTransforms(PIXELS, **settings) for _ in range(2))
    assert first.random
    forward = [first(file, seed) for seed in range(12)]
    backward = [second(file, seed) for seed in reversed(range(12))][::-1]
    for image, again in zip(forward, backward, strict=True):
        assert (image.shape, image.dtype) == ((20, 16, 3), np.uint8)
        assert image.flags.c_contiguous
        np.testing.assert_array_equal(image, again)
    assert len({image.tobytes() for image in forward}) > 1


def test_online_changes_that_change_nothing_equal_the_plain_reading(tmp_path: Path) -> None:
    file = random_picture(tmp_path / "a.png", size=40)
    transforms = OnlineTransforms(PIXELS, flip=False, crop_area=1.0, color=0.0)
    assert not transforms.random
    for box in (None, (5.0, 5.0, 30.0, 30.0)):
        np.testing.assert_array_equal(transforms(file, 3, box), read_image(file, PIXELS, box))


def test_online_flip_mirrors_about_half(tmp_path: Path) -> None:
    file = random_picture(tmp_path / "a.png", size=40)
    plain = read_image(file, PIXELS)
    transforms = OnlineTransforms(PIXELS, flip=True, crop_area=1.0, color=0.0)
    mirrored = 0
    for seed in range(100):
        image = transforms(file, seed)
        assert np.array_equal(image, plain) or np.array_equal(image, plain[:, ::-1])
        mirrored += not np.array_equal(image, plain)
    assert 30 < mirrored < 70


def test_online_flip_and_color_decide_independently(tmp_path: Path) -> None:
    file = random_picture(tmp_path / "a.png", size=40)
    plain = read_image(file, PIXELS)
    transforms = OnlineTransforms(PIXELS, flip=True, crop_area=1.0, color=0.4)
    images = [transforms(file, seed) for seed in range(200)]
    assert 5 < sum(np.array_equal(image, plain) for image in images) < 40, "0.5 * 0.2 = 10 % expected"
    assert 5 < sum(np.array_equal(image, plain[:, ::-1]) for image in images) < 40, "mirrored in its own colours: 10 %"


def test_online_crop_keeps_the_asked_share_of_the_area(tmp_path: Path) -> None:
    across, down = np.meshgrid(np.arange(200), np.arange(200))
    file = tmp_path / "a.png"
    Image.fromarray(np.stack([across, down, across], axis=2).astype(np.uint8)).save(file)
    transforms = OnlineTransforms(PixelSettings(200, 200), flip=False, crop_area=0.5, color=0.0)
    shares = []
    for seed in range(40):
        image = transforms(file, seed).astype(int)
        shares.append((np.ptp(image[..., 0]) + 1) * (np.ptp(image[..., 1]) + 1) / 200**2)
    assert 0.4 < min(shares) < 0.65
    assert max(shares) > 0.8


def test_online_crop_stays_inside_the_box(tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 60), "red")
    image.paste("blue", (20, 20, 40, 40))
    image.save(tmp_path / "a.png")
    transforms = OnlineTransforms(PIXELS, flip=True, crop_area=0.2, color=0.0)
    for seed in range(10):
        assert (transforms(tmp_path / "a.png", seed, (20, 20, 40, 40)) == (0, 0, 255)).all()


def test_sample_seeds_tell_all_their_parts_apart() -> None:
    seeds = {sample_seed(seed, epoch, row) for seed in range(5) for epoch in range(5) for row in range(40)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert sample_seed(1, 2, 3) == sample_seed(1, 2, 3)
