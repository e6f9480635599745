"""Area averaging against OpenCV and against a slow writing."""

from fractions import Fraction
from math import ceil
from pathlib import Path

import cv2
import numpy as np
import pytest

from lookalike.data.images import read_image
from lookalike.data.shrink_kernel import shrink


@pytest.mark.parametrize("size", [(348, 348), (320, 256), (301, 999), (225, 224), (448, 700), (1024, 240)])
def test_the_compiled_shrinking_gives_the_pixels_of_opencv(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    ours, theirs = shrink(image, (224, 224)), cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA)
    difference = abs(ours.astype(int) - theirs)
    assert difference.max() <= 1, "only ties between two values may be rounded the other way"
    assert (difference > 0).mean() < 0.005


def test_photographs_have_the_same_pixels_whether_shrunk_compiled_or_not(produce: Path) -> None:
    for file in sorted((produce / "train").glob("*/*.jpg"))[::50]:
        image = read_image(file)
        expected = cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(shrink(image, (224, 224)), expected)


def slow_average(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The mean of what each new pixel covers, in exact fractions."""
    result = np.empty((height, width, 3), np.uint8)
    old_height, old_width = image.shape[:2]
    for y in range(height):
        for x in range(width):
            bottom, top = Fraction(y * old_height, height), Fraction((y + 1) * old_height, height)
            left, right = Fraction(x * old_width, width), Fraction((x + 1) * old_width, width)
            total = [Fraction(0)] * 3
            for row in range(int(bottom), ceil(top)):
                for column in range(int(left), ceil(right)):
                    share = (min(top, row + 1) - max(bottom, row)) * (min(right, column + 1) - max(left, column))
                    total = [part + share * int(value) for part, value in zip(total, image[row, column], strict=True)]
            area = (top - bottom) * (right - left)
            result[y, x] = [round(part / area) for part in total]
    return result


@pytest.mark.parametrize(
    ("shape", "size"), [((13, 17), (5, 4)), ((9, 20), (7, 9)), ((12, 31), (30, 5)), ((5, 5), (4, 1))]
)
def test_the_compiled_shrinking_is_that_of_a_slow_writing(shape: tuple[int, int], size: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    slow = slow_average(image, size[1], size[0]).astype(int)
    difference = abs(shrink(image, size).astype(int) - slow)
    assert difference.max() <= 1, "only halves may be rounded the other way"
    assert (difference > 0).mean() < 0.02
