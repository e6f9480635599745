"""Augmented copies of the training images on disk, through Albumentations.

A copy's randomness comes from (seed, path of its source, number of the copy), and its file name from that and from the
settings and the source's content: the same call makes the same files, a killed call goes on where it stopped, and a
copy of other settings is never taken for one of these.
"""

import hashlib
import json
import os
import random
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd

from lookalike.console import progress, say
from lookalike.data.class_folders import RECIPE
from lookalike.data.images import ImageError, read_image
from lookalike.data.manifest import Manifest, boxes_of
from lookalike.data.pixels import PixelSettings, resize
from lookalike.data.table_file import csv_bytes
from lookalike.errors import LookalikeError, listed
from lookalike.files import atomic_file, only_one, sha256_of, write_bytes, write_json

if TYPE_CHECKING:
    import albumentations as A  # noqa: N812 - the name its own pages use

_JPEG_QUALITY = 92
TABLE = "manifest.csv"


class AugmentError(LookalikeError):
    """Copies cannot be made as asked."""


@dataclass(frozen=True)
class Copy:
    """One copy to be made.

    Attributes:
        source: Path of the original, as in the manifest.
        label: Its label.
        seed: What its randomness comes from.
        file: Where the copy is written.
        box: The part of the original that is copied, None for all of it.
    """

    source: str
    label: str
    seed: int
    file: Path
    box: tuple[float, ...] | None


def default_output(root: Path) -> Path:
    """`data/albumentation` for the data set in `data`, `data/albumentation-<name>` for one elsewhere."""
    data = Path("data")
    return data / ("albumentation" if root.resolve() == data.resolve() else f"albumentation-{root.resolve().stem}")


def make_copies(
    manifest: Manifest,
    output: Path,
    *,
    per_class: int,
    seed: int,
    strength: float,
    max_side: int,
    threads: int | None = None,
) -> pd.DataFrame:
    """Brings every training class up to `per_class` images by writing copies; validation and test are left alone.

    Args:
        manifest: The data set.
        output: Folder of the copies: `<class>/*.jpg`, `manifest.csv` (path, label, source, seed) and `transform.json`.
        per_class: Images per class, originals included; larger classes get no copies.
        seed: Same seed, same copies.
        strength: Width of the random ranges; 1 is the recipe's.
        max_side: Pixels; larger pictures are scaled down first.
        threads: None for one per core.

    Returns:
        Manifest rows of the copies (absolute paths, split train, `source` set).

    Raises:
        AugmentError: The folder would overwrite originals, or images are unusable.
    """
    recipe = offline_transforms(strength).to_dict()
    plan = _plan(manifest, output, per_class, seed, json.dumps([recipe, max_side], sort_keys=True))
    rows = pd.DataFrame(
        [(copy.file.relative_to(output).as_posix(), copy.label, copy.source, copy.seed) for copy in plan],
        columns=["path", "label", "source", "seed"],
    )

    def waiting() -> None:
        say(f"augmenting: waiting for another process that writes into {output}")

    with only_one(output / ".lock", "", waiting):  # trainings share the folder: recipe, copies and table go together
        # The recipe comes first: it also tells `manifest` that the folder holds no originals.
        write_json(output / RECIPE, {"seed": seed, "per_class": per_class, "max_side": max_side, "transform": recipe})
        missing = [copy for copy in plan if not copy.file.is_file()]
        if missing:
            _write_all(missing, manifest, strength, max_side, threads or os.cpu_count() or 1)
        with atomic_file(output / TABLE) as handle:
            handle.write(csv_bytes(rows))
        stale = sum(not name.startswith(".") for _, _, names in os.walk(output) for name in names) - len(plan) - 2
    if stale > 0:
        say(f"{output}: {stale} file(s) of other settings lie there too; they are not used")
    rows["path"] = [str((output / path).resolve()) for path in rows["path"]]
    return rows.drop(columns="seed").assign(split="train")


def offline_transforms(strength: float) -> "A.Compose":
    """The recipe of the copies: small changes of pose, light and sharpness; little of hue, as colour tells fruit."""
    import albumentations as A  # noqa: N812

    s = strength
    return A.Compose(
        [
            A.HorizontalFlip(p=0.5),
            A.Affine(
                rotate=(-20 * s, 20 * s),
                scale=(1 - 0.2 * s, 1 + 0.2 * s),
                translate_percent=(-0.08 * s, 0.08 * s),
                shear=(-6 * s, 6 * s),
                border_mode=cv2.BORDER_REFLECT_101,
                p=0.9,
            ),
            A.RandomBrightnessContrast(brightness_limit=0.2 * s, contrast_limit=0.2 * s, p=0.7),
            A.HueSaturationValue(hue_shift_limit=4 * s, sat_shift_limit=20 * s, val_shift_limit=10 * s, p=0.5),
            A.OneOf(
                [
                    A.GaussianBlur(blur_limit=(3, 5)),
                    A.GaussNoise(std_range=(0.01, 0.04)),
                    A.ImageCompression(quality_range=(60, 90)),
                ],
                p=0.3,
            ),
        ]
    )


def _plan(manifest: Manifest, output: Path, per_class: int, seed: int, recipe: str) -> list[Copy]:
    rows, folder = manifest.original, output.resolve()
    inside = [path for path in rows["path"] if manifest.file(path).resolve().is_relative_to(folder)]
    if inside:
        raise AugmentError(
            f"{output}: holds images of the data set ({inside[0]}): give another output=<folder> for the copies"
        )
    plan = []
    for label, group in manifest.gallery_rows.groupby("label", sort=True):
        sources = list(zip(group["path"], boxes_of(group), strict=True))
        lacking = max(0, per_class - len(sources))
        contents = [_content_hash(manifest.file(source)) for source, _ in sources[:lacking]]
        for number in range(lacking):
            turn, place = divmod(number, len(sources))
            source, box = sources[place]
            identity = f"{seed}|{source}|{turn}" + (f"|{box}" if box else "")
            key = hashlib.sha256(f"{identity}|{contents[place]}|{recipe}".encode()).hexdigest()[:10]
            file = output / _name_from(str(label)) / f"{_name_from(Path(source).stem)}-{key}.jpg"
            draw = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:4], "big")
            plan.append(Copy(source, str(label), draw, file, box))
    return plan


def _content_hash(file: Path) -> str:
    """Empty for a file that cannot be read: drawing from it will say so, together with all other problems."""
    try:
        return sha256_of(file)
    except OSError:
        return ""


def _name_from(text: str) -> str:
    """A label or stem as one part of a path: it leads nowhere else, is not hidden and not too long for the disk."""
    return re.sub(r"[/\\\0]|^\.", "_", text)[:50]


def _write_all(copies: list[Copy], manifest: Manifest, strength: float, max_side: int, threads: int) -> None:
    cv2.setNumThreads(1)
    of_thread = threading.local()
    problems: list[str] = []
    with progress("augmenting", len(copies)) as advance, ThreadPoolExecutor(threads) as pool:

        def write(copy: Copy) -> None:
            if not hasattr(of_thread, "compose"):
                of_thread.compose = offline_transforms(strength)  # a Compose holds random state: one per thread
            try:
                write_bytes(copy.file, _augmented(copy, manifest.file(copy.source), of_thread.compose, max_side))
            except ImageError as error:
                problems.append(str(error))
            advance(1)

        try:
            for done in [pool.submit(write, copy) for copy in copies]:
                done.result()
        except BaseException:  # Ctrl-C or a full disk: the pool would otherwise finish all the rest first
            pool.shutdown(cancel_futures=True)
            raise
    if problems:
        problems = sorted(set(problems))
        raise AugmentError(f"{len(problems)} image(s) cannot be copied:\n  {listed(problems)}")


def _augmented(copy: Copy, source: Path, compose: "A.Compose", max_side: int) -> bytes:
    image: np.ndarray = read_image(source, box=copy.box)
    height, width = image.shape[:2]
    shrink = min(1.0, max_side / max(height, width))
    if shrink < 1:
        image = resize(image, PixelSettings(max(1, round(height * shrink)), max(1, round(width * shrink))))
    # Not set_random_seed: it gives every step a generator of its own with this one seed, so all would decide alike.
    compose.set_random_state(np.random.default_rng(copy.seed), random.Random(copy.seed))
    image = compose(image=np.ascontiguousarray(image))["image"]
    ok, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    assert ok, "OpenCV encodes any uint8 RGB image"
    return bytes(data)
