"""Area averaging: every pixel of the image counts as much as every other."""

import numpy as np
import pytest

from lookalike.data.shrink_kernel import shrink

# Shapes (height, width) and sizes (width, height): neither side a whole factor, one of them, both; as it is.
SIZES = [
    ((5, 7), (3, 2)),
    ((11, 10), (1, 1)),
    ((3, 100), (99, 2)),
    ((8, 8), (4, 2)),
    ((6, 7), (7, 6)),
]


def random_image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_the_result_has_the_asked_size_and_the_mean_of_the_image(shape: tuple[int, int], size: tuple[int, int]) -> None:
    image = random_image(*shape)
    small = shrink(image, size)
    assert (small.shape, small.dtype) == ((size[1], size[0], 3), np.uint8)
    np.testing.assert_allclose(small.mean(axis=(0, 1)), image.mean(axis=(0, 1)), atol=0.5)


@pytest.mark.parametrize(("shape", "size"), SIZES)
@pytest.mark.parametrize("value", [0, 1, 254, 255])
def test_one_colour_stays_that_colour(shape: tuple[int, int], size: tuple[int, int], value: int) -> None:
    assert (shrink(np.full((*shape, 3), value, np.uint8), size) == value).all()


def test_channels_are_kept_apart() -> None:
    image = np.zeros((7, 5, 3), np.uint8)
    image[..., 0], image[..., 2] = 255, 40
    np.testing.assert_array_equal(shrink(image, (3, 4)), np.broadcast_to([255, 0, 40], (4, 3, 3)))


def test_a_pixel_between_two_is_shared_by_what_it_covers_of_each() -> None:
    # Three columns into two: the middle one belongs half to either.
    image = np.repeat(np.array([[0, 90, 240]], np.uint8)[..., None], 3, axis=2)
    assert shrink(image, (2, 1))[0, :, 0].tolist() == [30, 190]


def test_an_image_of_the_asked_size_is_not_changed() -> None:
    image = random_image(6, 9)
    np.testing.assert_array_equal(shrink(image, (9, 6)), image)
    np.testing.assert_array_equal(shrink(image, (9, 5))[:, :, 0].shape, (5, 9))
