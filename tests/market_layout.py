"""Market-1501's layout in small, for tests."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from lookalike.data.manifest import Manifest

TINY_JPEG = cv2.imencode(".jpg", np.full((8, 8, 3), 90, np.uint8))[1].tobytes()
SMALL = (
    "bounding_box_train/0002_c1s1_000001_00.jpg",
    "bounding_box_train/0002_c2s1_000002_00.jpg",
    "bounding_box_test/0001_c2s1_000003_00.jpg",
    "bounding_box_test/0000_c1s1_000004_00.jpg",
    "bounding_box_test/-1_c1s1_000005_00.jpg",
    "query/0001_c1s1_000006_00.jpg",
)


def layout(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(TINY_JPEG)
    return root


def rows(manifest: Manifest) -> dict[str, tuple[object, ...]]:
    table = manifest.table
    cameras = [None if pd.isna(camera) else camera for camera in table["camera"]]
    columns = (table["label"], table["split"], table["role"], cameras, table["ignore"])
    return dict(zip(table["path"], zip(*columns, strict=True), strict=True))


def files_below(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
