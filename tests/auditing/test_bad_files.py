"""Single files that are odd: light, size, shape."""

from pathlib import Path

import cv2
import numpy as np

from audits import findings_of, look
from lookalike.data.images import read_image


def test_light_size_and_shape_are_told(data: Path, tmp_path: Path) -> None:
    label = sorted(folder.name for folder in (data / "train").iterdir())[0]
    folder = data / "train" / label
    usual = read_image(sorted(folder.iterdir())[0])
    spoilt = {
        "blank": np.full((200, 200, 3), 128, np.uint8),
        "dark": (usual * 0.05).astype(np.uint8),
        "bright": (200 + usual * 0.2).astype(np.uint8),
        "blurred": cv2.GaussianBlur(usual, (0, 0), 20),
        "small": cv2.resize(usual, (20, 20), interpolation=cv2.INTER_AREA),
        "aspect": usual[:60, :300],
    }
    for name, image in spoilt.items():
        cv2.imwrite(str(folder / f"{name}.png"), image[:, :, ::-1])
    result = look(data, tmp_path / "cache")
    for name in spoilt:
        assert f"train/{label}/{name}.png" in set(findings_of(result, name)["path"]), name
    odd = result.findings[result.findings["kind"].isin(set(spoilt))]
    assert set(odd["path"]) <= {f"train/{label}/{name}.png" for name in spoilt}
