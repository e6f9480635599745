"""Folders and tables of tiny images, for tests of data sets."""

from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image

from lookalike.data.manifest import Manifest


def files_of(root: Path, pattern: str) -> list[Path]:
    return sorted(root.glob(pattern))


def picture(file: Path, mode: str = "RGB") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (8, 8)).save(file)
    return file


def pictures(root: Path, *paths: str) -> Path:
    """Of a colour each, so that none is a copy of another."""
    for path in paths:
        colour = tuple(crc32(path.encode()).to_bytes(4, "big")[:3])
        Image.new("RGB", (8, 8), colour).save(picture(root / path))
    return root


def csv(root: Path, text: str, name: str = "data.csv") -> Path:
    (root / name).write_text(text, "utf-8")
    return root / name


def column(manifest: Manifest, name: str) -> list[object]:
    return manifest.table[name].tolist()


def random_picture(file: Path, seed: int = 0, size: int = 24) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((size, size))
    image.save(file)
    return file
