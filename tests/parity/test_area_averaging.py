"""Area averaging against OpenCV and against a slow writing."""

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
