"""Weights that follow from names and shapes alone, so that two programs fill the same network without a file.

And what is compared of an embedding: its products with fixed directions, a few numbers that hang on all of it. numpy's
`RandomState` never changes its stream.
"""

import math
from zlib import crc32

import numpy as np

DIRECTIONS = 16
IMAGES = 2
_POWER = 2.7  # of GeM


def filled(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The values of a tensor: lively enough that each matters, small enough that a hundred layers stay finite."""
    last = name.rpartition(".")[2]
    random = np.random.RandomState(crc32(name.encode()))
    if last == "num_batches_tracked":
        return np.asarray(7, np.int64)
    if last == "p":
        return np.full(shape, _POWER, np.float32)
    if last in ("running_var", "weight") and len(shape) == 1:
        return random.uniform(0.6, 1.2, shape).astype(np.float32)
    if last == "bias" and shape == (1,):
        return np.full(shape, 0.7, np.float32)  # one channel alone behind a relu would often be dead, see below
    values = random.standard_normal(shape)
    if len(shape) < 2 or "embed" in last or "token" in last:
        return (0.2 * values).astype(np.float32)
    values /= math.sqrt(np.prod(shape[1:]))
    alone = shape[0] == 1 and "NL_" not in name  # the products of non-local blocks have no relu, and would grow
    return (np.abs(values) if alone else values).astype(np.float32)


def pixels(height: int, width: int) -> np.ndarray:
    """Normalised images, float32 [IMAGES, 3, height, width], smooth enough that poolings differ."""
    random = np.random.RandomState(5)
    rows, columns = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
    waves = [
        np.sin(2 * np.pi * (random.uniform(0, 6) * rows + random.uniform(0, 4) * columns + random.uniform()))
        for _ in range(IMAGES * 3)
    ]
    smooth = np.stack(waves).reshape(IMAGES, 3, height, width)
    return (smooth + 0.5 * random.standard_normal(smooth.shape)).astype(np.float32)


def projected(embedding: np.ndarray) -> np.ndarray:
    """Unit embeddings [B, D] times fixed directions: float64 [B, DIRECTIONS]."""
    unit = embedding.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return unit @ np.random.RandomState(11).standard_normal((embedding.shape[1], DIRECTIONS))


def written(shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """Names and shapes, one module a line: `layer1.0.bn1 64: weight bias running_mean running_var`."""
    modules: dict[str, dict[str, list[str]]] = {}
    for name, shape in shapes.items():
        module, _, last = name.rpartition(".")
        if last != "num_batches_tracked":
            modules.setdefault(module, {}).setdefault("x".join(map(str, shape)) or "one", []).append(last)
    return [
        f"{module or '.'} " + "; ".join(f"{shape}: {' '.join(names)}" for shape, names in parts.items())
        for module, parts in modules.items()
    ]


def read(lines: list[str]) -> dict[str, tuple[int, ...]]:
    """What `written` wrote."""
    shapes: dict[str, tuple[int, ...]] = {}
    for line in lines:
        module, _, parts = line.partition(" ")
        for part in parts.split("; "):
            shape, _, names = part.partition(": ")
            sizes = () if shape == "one" else tuple(map(int, shape.split("x")))
            for name in names.split():
                shapes[name if module == "." else f"{module}.{name}"] = sizes
    return shapes
