"""EXIF orientation: what is upright, and where a part of it lies in the stored image."""

import numpy as np
import pytest

from lookalike.data.orientation import SIDEWAYS, as_stored, upright

STORED = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_part_of_the_upright_image_is_found_in_the_stored_one(orientation: int) -> None:
    whole = upright(STORED, orientation)
    height, width = whole.shape[:2]
    assert (height, width) == ((7, 5) if orientation in SIDEWAYS else (5, 7))
    for top, left, high, wide in [(0, 0, height, width), (1, 2, 3, 2), (height - 1, width - 1, 1, 1), (0, 1, 2, 4)]:
        y, x, stored_high, stored_wide = as_stored((top, left, high, wide), orientation, height, width)
        part = upright(STORED[y : y + stored_high, x : x + stored_wide], orientation)
        np.testing.assert_array_equal(part, whole[top : top + high, left : left + wide])


def test_turning_a_quarter_to_the_right_puts_the_stored_left_edge_on_top() -> None:
    turned = upright(STORED, 6)
    np.testing.assert_array_equal(turned[0], STORED[::-1, 0])


@pytest.mark.parametrize("orientation", [0, 1, 9, -3, 99])
def test_values_that_exif_does_not_know_change_nothing(orientation: int) -> None:
    np.testing.assert_array_equal(upright(STORED, orientation), STORED)
