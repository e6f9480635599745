"""Pictures laid over each other."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from lookalike.auditing.same_picture import Compared, compare
from lookalike.data.images import read_image
from lookalike.data.pixels import PixelSettings


@pytest.mark.parametrize("how", ["the same", "mirrored", "darker", "cropped", "compressed", "another"])
def test_pictures_laid_over_each_other(few_produce: Path, how: str) -> None:
    files = sorted((few_produce / "train").rglob("*.jpg"))
    square = PixelSettings(160, 160)
    for file in files[::12]:
        image = read_image(file, square)
        whole = read_image(file)
        high, wide = whole.shape[:2]
        changed = {
            "the same": image,
            "mirrored": image[:, ::-1],
            "darker": (image * 0.9).astype(np.uint8),
            "cropped": cv2.resize(whole[high // 12 :, : wide - wide // 12], (160, 160), interpolation=cv2.INTER_AREA),
            "compressed": cv2.imdecode(cv2.imencode(".jpg", image, [1, 30])[1], 1),
            "another": read_image(files[(files.index(file) + 40) % len(files)], square),
        }[how]
        result = compare(image, np.ascontiguousarray(changed))
        assert result.same_picture == (how != "another"), (file, result)
        if result.same_picture:
            assert result.mirrored == (how == "mirrored")


def test_pictures_without_points_are_told_apart_by_their_light() -> None:
    across = np.linspace(0, 255, 160)
    slope = np.repeat(np.repeat(across[None, :, None], 160, 0), 3, 2).astype(np.uint8)
    plain = np.full((160, 160, 3), 90, np.uint8)
    assert compare(slope, slope).same_picture
    assert compare(slope, np.ascontiguousarray(slope[:, ::-1])).mirrored
    assert not compare(slope, np.ascontiguousarray(slope.transpose(1, 0, 2))).same_picture
    assert not compare(slope, plain).same_picture
    assert not compare(plain, slope).same_scene


def test_other_colours_are_another_picture(few_produce: Path) -> None:
    image = read_image(sorted((few_produce / "train").rglob("*.jpg"))[0], PixelSettings(160, 160))
    swapped = np.ascontiguousarray(image[:, :, ::-1])
    assert compare(image, swapped).correlation > 0.8
    assert not compare(image, swapped).same_picture


@pytest.mark.parametrize(
    ("correlation", "colour", "same"),
    [(0.975, 5.0, True), (0.975, 6.0, False), (0.998, 8.9, True), (0.998, 9.1, False), (0.96, 0.0, False)],
)
def test_a_copy_may_lose_more_colour_the_better_its_light_agrees(correlation: float, colour: float, same: bool) -> None:
    assert Compared(correlation, colour, False, 0).same_picture == same


def test_the_order_of_threads_changes_nothing(few_produce: Path) -> None:
    images = [read_image(file, PixelSettings(160, 160)) for file in sorted((few_produce / "train").rglob("*.jpg"))[:8]]
    pairs = [(first, second) for first in images for second in images]
    alone = [compare(*pair) for pair in pairs]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda pair: compare(*pair), pairs)) == alone
