"""Regions over a picture: what counts keeps its colours, the rest fades."""

import numpy as np

from lookalike.inference.heat import centre_of, covered, lit


def test_what_counts_keeps_its_colours_and_the_rest_is_pale_and_grey() -> None:
    picture = np.full((40, 60, 3), (200, 40, 90), np.uint8)
    regions = np.zeros((4, 6))
    regions[0, :2], regions[3] = 0.5, -1
    lighted = lit(picture, regions)
    np.testing.assert_array_equal(lighted[:4, :10], picture[:4, :10])
    pale = lighted[-5:, -20:]
    assert (np.ptp(pale, axis=2) == 0).all()
    assert pale.min() > 180
    assert (lit(picture, np.zeros((4, 6))) == lighted[-1, -1]).all(), "where nothing counts, all of it is pale"


def test_the_regions_of_a_grid_cover_a_picture_once() -> None:
    seen = np.zeros((45, 62), int)
    for row in range(7):
        for column in range(5):
            seen[covered((row, column), (7, 5), seen.shape)] += 1
    assert (seen == 1).all()
    assert centre_of((1, 0), (2, 3), (40, 60)) == (10, 30)
