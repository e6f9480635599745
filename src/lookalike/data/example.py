"""Example data for `lookalike demo`: photographs of fruits and vegetables, or digits when there is no network.

The photographs are those of the Grocery Store Dataset (Klasson, Zhang and Kjellstrom, WACV 2019, MIT licence), fetched
once into the user's cache. A download that was cut off goes on where it stopped; what arrives is checked against the
pinned commit and the checksum of every file in the archive.
"""

import os
import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pooch
import requests

from lookalike.console import progress, say
from lookalike.data.pixels import PixelSettings, resize
from lookalike.errors import LookalikeError
from lookalike.files import atomic_folder, only_one
from lookalike.settings.paths import at_home

COMMIT = "b545e4c5db0a77d9274bc7753eb409f83772a3a5"
URL = f"https://github.com/marcusklasson/GroceryStoreDataset/archive/{COMMIT}.zip"
_MEMBER = re.compile(r"[^/]+/dataset/(train|val|test)/(?:Fruit|Vegetables)/(?:[^/]+/)*([^/.][^/]*)/([^/.][^/]*\.jpg)")
_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_CLASSES = 50
_CHUNK = 1 << 16


class DemoError(LookalikeError):
    """The example data cannot be used."""


@dataclass(frozen=True)
class Example:
    """A data set and how the demo trains on it.

    Attributes:
        root: Folder or table, for `data.root`.
        name: Used in the name of the run.
        settings: Arguments of `lookalike train`, besides data and run.
        split: What is evaluated.
    """

    root: Path
    name: str
    settings: tuple[str, ...]
    split: str


def find_example(root: str | None, cache: Path | None = None) -> Example:
    """Photographs given by the user, else those of the Grocery Store Dataset, else digits.

    Args:
        root: Used when given, else the environment variable LOOKALIKE_DATA.
        cache: Where downloads are kept; None for the user's cache folder.
    """
    cache = cache or Path(pooch.os_cache("lookalike"))
    given = at_home(root or os.environ.get("LOOKALIKE_DATA") or "")
    settings = ("model=efficientnet_lite0", "trainer.max_epochs=5")
    if given:
        return Example(Path(given), Path(given).resolve().stem, settings, "validation")
    try:
        return Example(fetch_grocery(cache), "grocery", settings, "validation")
    except (requests.RequestException, OSError) as error:
        say(
            f"no photographs ({type(error).__name__}), so scikit-learn's digits are used: 0 to 6 are learnt, 7 to 9 "
            "are unseen. For photographs run again with a network, or set LOOKALIKE_DATA=<folder of them>"
        )
    model = ("model=efficientnet_lite0", "model.trainable=[all]", "pixels.height=64", "pixels.width=64")
    quick = ("online.flip=false", "online.crop_area=0.8", "trainer.max_epochs=4")
    return Example(write_digits(cache / "digits"), "digits", model + quick, "test")


def fetch_grocery(cache: Path, url: str = URL) -> Path:
    """Downloads and unpacks the fruit and vegetable classes; returns their folder.

    Raises:
        DemoError: The archive is damaged or is not the expected one; it is deleted.
        requests.RequestException: No network.
    """

    def waiting() -> None:
        say(f"waiting for another process that downloads photographs into {cache}")

    with only_one(cache / ".lock", "", waiting):  # both would write behind each other's part of the archive
        return _fetch(cache, url)


def _fetch(cache: Path, url: str) -> Path:
    folder = cache / "grocery-produce"
    if folder.is_dir():
        return folder
    pooch.get_logger().setLevel("ERROR")
    archive = Path(pooch.retrieve(url, None, fname=f"grocery-{COMMIT[:12]}.zip", path=cache, downloader=_download))
    try:
        with zipfile.ZipFile(archive) as source, atomic_folder(folder) as target:
            if source.comment and source.comment.decode("ascii", "replace") != COMMIT:
                raise DemoError(f"{url}: not the pinned commit {COMMIT[:12]}; the download was deleted: run again")
            _unpack(source, target)
    except (zipfile.BadZipFile, DemoError) as error:
        archive.unlink(missing_ok=True)
        if isinstance(error, DemoError):
            raise
        raise DemoError(f"{url}: the archive is damaged ({error}); the download was deleted: run again") from error
    archive.unlink()
    return folder


def write_digits(folder: Path) -> Path:
    """Writes scikit-learn's 1,797 digits as PNG files with a table; returns the table.

    0-6 are trained on (one in five held out for validation); 7-9 are unseen: even rows are references, odd queries.
    """
    table = folder / "digits.csv"
    with only_one(folder.with_name(f".{folder.name}.lock"), "", lambda: None):
        if not table.is_file():
            _write_digits(folder)
    return table


def _write_digits(folder: Path) -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    rows = []
    with atomic_folder(folder) as target:
        for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
            grey = np.repeat((image * 255 / 16).astype(np.uint8)[..., None], 3, axis=2)
            name = f"images/{label}/{number:04d}.png"
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(cv2.imencode(".png", resize(grey, PixelSettings(64, 64)))[1].tobytes())
            unseen = label >= 7
            split = "test" if unseen else "validation" if number % 5 == 0 else "train"
            rows.append((name, str(label), split, ("reference", "query")[number % 2] if unseen else ""))
        pd.DataFrame(rows, columns=["path", "label", "split", "role"]).to_csv(target / "digits.csv", index=False)


def _download(url: str, output: str, _: object) -> None:
    """A pooch downloader that keeps what has arrived and asks only for the rest."""
    part = Path(output).parent / f"{url.rpartition('/')[2]}.part"
    have = part.stat().st_size if part.is_file() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, headers=headers, stream=True, timeout=(5, 60)) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            part.unlink()
        response.raise_for_status()
        have = have if response.status_code == requests.codes.partial_content else 0
        expected = have + int(response.headers.get("Content-Length", 0))
        kilobytes = max(1, expected >> 10)
        with part.open("ab" if have else "wb") as file, progress("downloading photographs (kB)", kilobytes) as advance:
            advance(have >> 10)
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                advance(len(chunk) >> 10)
    if "Content-Length" in response.headers and part.stat().st_size != expected:
        raise requests.ConnectionError(f"{url}: {part.stat().st_size} of {expected} bytes arrived")
    shutil.move(part, output)


def _unpack(source: zipfile.ZipFile, target: Path) -> None:
    """Writes `<split>/<class>/<file>`; zipfile compares the checksum of every file and lets no name lead out of it."""
    labels = set()
    members = [(member, match) for member in source.infolist() if (match := _MEMBER.fullmatch(member.filename))]
    with progress("unpacking", len(members)) as advance:
        for member, match in members:
            split, label, file = match.groups()
            labels.add(label)
            member.filename = f"{_SPLITS[split]}/{label}/{file}"
            source.extract(member, target)
            advance(1)
    if len(labels) != _CLASSES:
        raise DemoError(f"the archive has {len(labels)} fruit and vegetable classes, expected {_CLASSES}: run again")
