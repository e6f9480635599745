"""Small JPEGs: shape kept by grey borders, boxes cut out, what cannot be read leaves a gap."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from lookalike.data.images import ImageError
from lookalike.data.thumbnail import picture, thumbnail


def decoded(jpeg: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB).astype(int)


def test_a_wide_image_keeps_its_shape_between_grey_borders() -> None:
    small = decoded(thumbnail(np.full((20, 80, 3), (255, 0, 0), np.uint8), 32))
    assert small.shape == (32, 32, 3)
    assert abs(small[16, 16] - (254, 0, 0)).max() < 8
    assert abs(small[2, 16] - 128).max() < 8


def test_a_box_is_cut_out(tmp_path: Path) -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 40:] = 255
    cv2.imwrite(str(tmp_path / "a.png"), image)
    assert decoded(thumbnail(tmp_path / "a.png", 16, (40, 0, 80, 40))).min() > 240


def test_better_quality_takes_more_bytes() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert len(thumbnail(noise, 64, quality=95)) > 1.3 * len(thumbnail(noise, 64, quality=60))


def test_what_cannot_be_read_is_named_or_leaves_a_gap(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"^image 3: "):
        thumbnail(b"nothing", 16, name="image 3")
    shown = picture(tmp_path / "gone.png", "a title", ("a note",), right=False)
    assert (shown.jpeg, shown.title, shown.notes, shown.right) == (b"", "a title", ("a note",), False)
    assert shown.path == str(tmp_path / "gone.png")
