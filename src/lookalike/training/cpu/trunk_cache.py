"""The frozen trunk's output of every image, computed once and kept on disk in bf16.

Where the images are the same in every epoch, or come in so many random versions, the trunk's output of each never
changes: an epoch then needs neither decoding nor the trunk. A cache belongs to its weights, pixel settings, random
changes, arithmetic and images; one that is damaged or of something else is made anew, never used. The folder may be
deleted at any time.

Letters in shapes: N images, C channels, H height, W width.
"""

import hashlib
import importlib.metadata
import json
import math
import os
import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lookalike.console import progress, say
from lookalike.datamodules.image_rows import Features, Image, ImageRows
from lookalike.files import DiskFullError, atomic_file, only_one, sha256_of, write_json
from lookalike.models.embedder import Embedder
from lookalike.training.cpu.trunk_network import TrunkNetwork, outputs_by_torch, trunk_network

_SCHEMA = 2
_PACKAGES = ("lookalike", "torch", "timm", "opencv-python-headless", "openvino", "albumentations")


def cached_trunk(
    folder: Path,
    embedder: Embedder,
    rows: Iterable[ImageRows],
    bf16: bool,
    device: str,
    limit_bytes: int,
    used_bytes: int = 0,
) -> Features | None:
    """Opens the trunk's outputs, or computes them; waits while another process is at a cache in the same folder.

    Args:
        folder: Where caches are kept, one per key.
        embedder: Its trunk is frozen, its weights are those that training starts from; it goes to `device`.
        rows: All images that will be asked for, with so many random versions each; one that occurs twice is kept once.
        bf16: Run the trunk in bf16; its output is kept in bf16 in either case.
        device: Where the trunk runs, `cpu` or `cuda`.
        limit_bytes: A larger cache is not made; of older ones as many are removed as make room.
        used_bytes: What another cache of the same run takes, which stays.

    Returns:
        The outputs, or None where they do not fit, on the disk or into the limit.
    """
    embedder.to(device)
    rows = list(rows)
    places: dict[Image, int] = {}
    for part in rows:
        for image in part.images:
            places.setdefault(image, len(places))
    # Those without random changes are read alike by all.
    reader = next((part for part in rows if part.transforms is not None), rows[0])
    images = list(places)
    key = _key(embedder, reader, images, bf16, device)
    file = folder / f"{key[:24]}.bf16"

    def waiting() -> None:
        say(f"trunk: waiting for another process that writes into {folder}")

    with only_one(folder / ".lock", "", waiting):
        about = _checked(file, key)
        if about is None:
            about = _about(embedder, reader, images, bf16, device, key)
            size = _size(about)
            if size > limit_bytes - used_bytes:
                say(f"trunk: {_in_bytes(size)} for {len(images)} images is more than trainer.trunk_cache_gib allows")
                return None
            _make_room(folder, limit_bytes - size)
            network = trunk_network(embedder, reader.pixels, bf16, device, bool(about["channels_last"]))
            try:
                about["sha256"] = _write(file, network, reader, images)
                write_json(file.with_suffix(".json"), about)
            except DiskFullError as error:
                file.unlink(missing_ok=True)
                say(f"trunk: not cached ({error})")
                return None
        bits = np.memmap(file, np.uint16, "r", shape=tuple(about["shape"]))
        os.utime(file)  # the caches used last are kept longest
    cached = f"cached {_in_bytes(_size(about))} for {len(images)} images in {folder}"
    say(f"trunk: frozen up to {embedder.last_frozen}, {cached}")
    return Features(bits, places, reader.pixels, bool(about["channels_last"]))


def _key(embedder: Embedder, reader: ImageRows, images: list[Image], bf16: bool, device: str) -> str:
    """SHA-256 over everything the outputs depend on; a file is known by its path, size and times of change."""
    versions = [importlib.metadata.version(name) for name in _PACKAGES]
    changes = None if reader.transforms is None else reader.transforms.settings
    circumstances = (_SCHEMA, versions, reader.pixels, changes, bf16, device)
    digest = hashlib.sha256(repr((*circumstances, embedder.trunk_end, repr(embedder.backbone))).encode())
    states = {file: file.stat() for file in dict.fromkeys(file for file, _, _ in images)}
    for file, box, seed in images:
        state = states[file]
        version = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
        digest.update(f"\0{file}\0{box}\0{seed}\0{version}".encode("utf-8", "surrogateescape"))
    for name, value in embedder.frozen_state().items():
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _checked(file: Path, key: str) -> dict[str, Any] | None:
    """What is known of a cache that is whole and belongs to the key."""
    description = file.with_suffix(".json")
    try:
        about: dict[str, Any] = json.loads(description.read_bytes())
        whole = file.stat().st_size == _size(about) and sha256_of(file) == about["sha256"]
        if whole and about["key"] == key and about["schema"] == _SCHEMA and "channels_last" in about:
            return about
        say(f"trunk: {file} is damaged or of something else: made anew")
    except FileNotFoundError:
        pass
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError) as error:
        say(f"trunk: {description} cannot be used ({error}): made anew")
    return None


def _about(
    embedder: Embedder, reader: ImageRows, images: list[Image], bf16: bool, device: str, key: str
) -> dict[str, Any]:
    """Shape and layout of a cache to be made."""
    pixels = reader.pixels
    example = torch.zeros(1, pixels.height, pixels.width, 3, dtype=torch.uint8)
    features, last = outputs_by_torch(embedder, example, bf16, device)
    return {"schema": _SCHEMA, "key": key, "shape": [len(images), *features.shape[1:]], "channels_last": last}


def _size(about: dict[str, Any]) -> int:
    return 2 * math.prod(int(part) for part in about["shape"])


def _write(file: Path, network: TrunkNetwork, reader: ImageRows, images: list[Image]) -> str:
    """Writes all outputs; returns the file's SHA-256.

    Every thread reads its own images and runs the trunk on one core: nobody waits for others inside a layer.
    """
    digest, threads, own = hashlib.sha256(), torch.get_num_threads(), threading.local()
    blocks = [images[first : first + network.batch] for first in range(0, len(images), network.batch)]
    waiting: deque[Future[bytes]] = deque()

    def made(block: list[Image]) -> bytes:
        if not hasattr(own, "reader"):
            own.reader = reader.for_a_thread()
        features = network(torch.stack([own.reader.read(image) for image in block]))
        return features.view(torch.uint16).numpy().tobytes()

    torch.set_num_threads(1)
    try:
        with (
            atomic_file(file) as handle,
            progress("frozen trunk, once", len(images)) as advance,
            ThreadPoolExecutor(threads) as pool,
        ):
            try:
                for place, block in enumerate(blocks):
                    while place + len(waiting) < len(blocks) and len(waiting) < 4 * threads:
                        waiting.append(pool.submit(made, blocks[place + len(waiting)]))
                    content = waiting.popleft().result()
                    handle.write(content)
                    digest.update(content)
                    advance(len(block))
            except BaseException:  # Ctrl-C or a full disk
                pool.shutdown(cancel_futures=True)
                raise
    finally:
        torch.set_num_threads(threads)
    return digest.hexdigest()


def _make_room(folder: Path, left: int) -> None:
    """Removes what dead processes left, then the caches used least recently until the others fit."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink()
    caches = sorted(folder.glob("*.bf16"), key=lambda file: file.stat().st_mtime, reverse=True)
    for cache in caches:
        left -= cache.stat().st_size
        if left < 0 or not cache.with_suffix(".json").exists():
            cache.with_suffix(".json").unlink(missing_ok=True)
            cache.unlink()


def _in_bytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"
