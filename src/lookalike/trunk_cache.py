"""The frozen trunk's output of every image, computed once and kept on disk in bf16.

Where nothing random comes before the trunk, its output for an image never changes: an epoch then needs neither
decoding nor the trunk. A cache belongs to its weights, pixel settings, arithmetic and images; one that is damaged or
of something else is made anew, never used. The folder may be deleted at any time.

Letters in shapes: N images, C channels, H height, W width.
"""

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lookalike.datamodules.image_datamodule import FeatureRows, Features, ImageRows
from lookalike.files import DiskFullError, atomic_file, only_one, sha256_of, write_json
from lookalike.images import compile_shrinking
from lookalike.models.embedder import Embedder
from lookalike.progress import progress, say

_BATCH = 8
_SCHEMA = 1


def cached_trunk(
    folder: Path,
    embedder: Embedder,
    rows: Iterable[ImageRows],
    bf16: bool,
    device: str,
    limit_bytes: int,
) -> Features | None:
    """Opens the trunk's outputs, or computes them.

    Args:
        folder: Where caches are kept, one per key.
        embedder: Its trunk is frozen.
        rows: All images that will be asked for, without random changes; one that occurs twice is kept once.
        bf16: Run the trunk in bf16; its output is kept in bf16 in either case.
        device: Where the trunk runs, `cpu` or `cuda`.
        limit_bytes: A larger cache is not made; of older ones as many are removed as make room.

    Returns:
        The outputs, or None where they do not fit, on the disk or into the limit.

    Raises:
        LookalikeError: Another process is writing the same cache.
    """
    images, places = _distinct(rows)
    key = _key(embedder, images, bf16, device)
    file, about = folder / f"{key[:24]}.bf16", folder / f"{key[:24]}.json"
    if (shape := _checked(file, about, key)) is None:
        shape = _shape(embedder, images, bf16, device)
        size = 2 * int(np.prod(shape))
        if size > limit_bytes:
            say(f"trunk: {_told(size)} to cache, more than trainer.trunk_cache_gib allows: computed in every epoch")
            return None
        try:
            with only_one(folder / f".{key[:24]}.lock", "this trunk cache is being written by another process"):
                _make_room(folder, limit_bytes - size)
                digest = _write(file, embedder, images, bf16, device)
                write_json(about, {"schema": _SCHEMA, "key": key, "shape": list(shape), "sha256": digest})
        except DiskFullError as error:
            say(f"trunk: not cached, so computed in every epoch ({error})")
            return None
    file.touch()  # the caches used last are kept longest
    say(f"trunk: frozen up to {embedder.last_frozen}, cached {_told(2 * int(np.prod(shape)))} in {folder}")
    return Features(np.memmap(file, np.uint16, "r", shape=shape), places)


def _distinct(rows: Iterable[ImageRows]) -> tuple[ImageRows, dict[Any, int]]:
    """All images once, and the place of each (file, box)."""
    rows = list(rows)
    places: dict[Any, int] = {}
    for part in rows:
        for image in part.images:
            places.setdefault(image, len(places))
    return rows[0].of(list(places)), places


def _key(embedder: Embedder, images: ImageRows, bf16: bool, device: str) -> str:
    """SHA-256 over everything the outputs depend on; a file is known by its path, size and time of change."""
    versions = [importlib.metadata.version(name) for name in ("lookalike", "torch", "timm", "opencv-python-headless")]
    told = (_SCHEMA, versions, images.pixels, bf16, device, embedder.trunk_end, repr(embedder.backbone))
    digest = hashlib.sha256(repr(told).encode())
    for file, box in images.images:
        state = file.stat()
        digest.update(f"\0{file}\0{box}\0{state.st_size}\0{state.st_mtime_ns}".encode("utf-8", "surrogateescape"))
    trained = {name for name, parameter in embedder.backbone.named_parameters() if parameter.requires_grad}
    for name, value in {**embedder.backbone.state_dict(), "mean": embedder.mean, "std": embedder.std}.items():
        if name not in trained:
            digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _checked(file: Path, about: Path, key: str) -> tuple[int, ...] | None:
    """The shape of a cache that is whole and belongs to the key."""
    try:
        told: dict[str, Any] = json.loads(about.read_bytes())
        shape = tuple(int(part) for part in told["shape"])
        whole = file.stat().st_size == 2 * int(np.prod(shape)) and sha256_of(file) == told["sha256"]
        if whole and told["key"] == key:
            return shape
        say(f"trunk: {file} is damaged or of something else: made anew")
    except FileNotFoundError:
        pass
    except (OSError, ValueError, LookupError, TypeError) as error:
        say(f"trunk: {about} cannot be used ({error}): made anew")
    return None


def _shape(embedder: Embedder, images: ImageRows, bf16: bool, device: str) -> tuple[int, ...]:
    pixels = images.pixels
    example = torch.zeros(1, pixels.height, pixels.width, 3, dtype=torch.uint8)
    return (len(images), *_outputs(embedder, example, bf16, device).shape[1:])


def _write(file: Path, embedder: Embedder, images: ImageRows, bf16: bool, device: str) -> str:
    """Writes all outputs; returns the file's SHA-256.

    Every thread reads its own images and runs the trunk on one core: nobody waits for others inside a layer.
    """
    digest, threads = hashlib.sha256(), torch.get_num_threads()
    blocks = [range(first, min(first + _BATCH, len(images))) for first in range(0, len(images), _BATCH)]
    embedder.to(device)
    compile_shrinking()

    def made(block: range) -> bytes:
        pixels = torch.stack([images[row][0] for row in block])
        return _outputs(embedder, pixels, bf16, device).view(torch.uint16).numpy().tobytes()

    torch.set_num_threads(1)
    try:
        with (
            atomic_file(file) as handle,
            progress("frozen trunk, once", len(images)) as advance,
            ThreadPoolExecutor(threads) as pool,
        ):
            for first in range(0, len(blocks), 4 * threads):  # a few ahead, not all of them in memory
                for block, content in zip(
                    blocks[first:], pool.map(made, blocks[first : first + 4 * threads]), strict=False
                ):
                    handle.write(content)
                    digest.update(content)
                    advance(len(block))
    finally:
        torch.set_num_threads(threads)
    return digest.hexdigest()


def _outputs(embedder: Embedder, images: torch.Tensor, bf16: bool, device: str) -> torch.Tensor:
    """uint8 [B, H, W, 3] -> bf16 as the trunk gives it, channels last where it has four dimensions."""
    with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=bf16):
        features = embedder.trunk(images.to(device)).to(torch.bfloat16).cpu()
    return (features.permute(0, 2, 3, 1) if features.dim() == FeatureRows.IMAGE_DIMENSIONS else features).contiguous()


def _make_room(folder: Path, left: int) -> None:
    """Removes the caches used least recently until the others fit."""
    caches = sorted(folder.glob("*.bf16"), key=lambda file: file.stat().st_mtime, reverse=True)
    for cache in caches:
        left -= cache.stat().st_size
        if left < 0:
            cache.with_suffix(".json").unlink(missing_ok=True)
            cache.unlink()


def _told(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"
