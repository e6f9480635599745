"""Pictures laid over each other."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from lookalike.auditing.same_picture import compare
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
