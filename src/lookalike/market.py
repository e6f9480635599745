"""Market-1501 as it is distributed: its folders, what its file names say, people held out, and its zip.

Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015. `0002_c1s1_000451_03.jpg` is person 0002 seen
by camera 1. `-1` is junk, which neither helps nor hurts; `0000` is a distractor, a reference that is nobody's match.
"""

import errno
import lzma
import re
import shutil
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from lookalike.errors import LookalikeError
from lookalike.files import atomic_folder
from lookalike.images import find_images, is_image_name
from lookalike.progress import progress, say

TRAIN, REFERENCES, QUERIES = "bounding_box_train", "bounding_box_test", "query"
FOLDERS = {TRAIN: ("train", ""), REFERENCES: ("test", "reference"), QUERIES: ("test", "query")}  # split, role
JUNK, DISTRACTOR = "-1", "0000"
EXAMPLE = "0002_c1s1_000451_03.jpg"
_LARGEST_RATIO = 20  # of an archive of images: JPEG hardly shrinks, a drawing as PNG a few times
# A camera is followed by its sequence (c1s1), by `_` or by the end: `0002_c1owboy.jpg` names none.
_NAME = re.compile(r"(-1|[0-9]+)_(?:c([0-9]{1,9})(?=s[0-9]|[_.]))?.*")
_MEMBER = re.compile(rf"(?:.*/)?({TRAIN}|{REFERENCES}|{QUERIES})/([^/]+)", re.DOTALL)
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, UnicodeDecodeError)
_CHUNK = 1 << 20
AnyRow = TypeVar("AnyRow", bound=tuple[Any, ...])
_Row = tuple[str, str, str, str, int | None, bool]


class MarketError(LookalikeError):
    """An archive of Market-1501 cannot be unpacked; nothing of it was written."""


def market_root(root: Path) -> Path | None:
    """The folder with `bounding_box_train` or `bounding_box_test`: `root`, else its one subfolder that has; or None."""
    if _has_layout(root):
        return root
    inside = sorted(root.iterdir()) if root.is_dir() else []
    found = [entry for entry in inside if not entry.name.startswith(".") and _has_layout(entry)]
    return found[0] if len(found) == 1 else None


def read_market(root: Path) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Reads the images of Market-1501's three folders; nothing is decoded.

    Args:
        root: The folder above them, see `market_root`.

    Returns:
        A table with the columns path (relative to `root`), label, split, role, camera (Int64) and ignore; notes on what
        was passed over; and the problems found.
    """
    rows: list[_Row] = []
    problems: list[str] = []
    skipped: Counter[str] = Counter()
    images = {folder: _read_folder(root, folder, rows, problems, skipped) for folder in FOLDERS}
    problems += _without_images(root, images)
    table = pd.DataFrame(utf8_only(rows, problems), columns=["path", "label", "split", "role", "camera", "ignore"])
    table = table.astype({"camera": "Int64", "ignore": bool})
    people = table[~table["ignore"] & (table["label"] != DISTRACTOR)].groupby("split")["label"].unique()
    both = sorted({*people.get("train", ())} & {*people.get("test", ())})
    notes = passed_over(skipped)
    if both:
        notes.append(
            f"{len(both)} people are in train and in test (such as {both[0]}): test figures are better than they "
            "would be on people never seen"
        )
    return table, notes, problems


def hold_out_people(table: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """Moves a share of the training people to validation, which so has nobody in common with the rest.

    Of each of them and each camera one image asks (query), the others answer (reference), as long as every query keeps
    a reference under another camera. Without cameras one image of each person asks. So a person with one image, or
    known to one camera only, gives references alone. Junk stays in training, where it is ignored.

    Args:
        table: Columns path, label, split, role, camera and ignore.
        share: Share of the people, 0 to 1; where there are four or more, two stay on either side.
        seed: Who is held out, and which images ask.

    Returns:
        A changed copy.
    """
    table = table.copy()
    rng = np.random.default_rng(seed)
    train = table[(table["split"] == "train") & ~table["ignore"]].sort_values("path")
    cameras: dict[str, dict[int, int | None]] = {label: {} for label in sorted(train["label"].unique())}
    for row, label, camera in zip(train.index, train["label"], train["camera"], strict=True):
        cameras[label][row] = None if pd.isna(camera) else int(camera)
    total = len(cameras)
    count = min(max(round(total * share), min(2, total // 2)), total - min(2, total - total // 2))
    order = [str(label) for label in rng.permutation(list(cameras))]
    queries = {label: _pick_queries(cameras[label], rng) for label in order}
    asking = next((place for place, label in enumerate(order) if queries[label]), 0)
    if count and asking >= count:  # a validation without a query could not choose the best model
        order[count - 1], order[asking] = order[asking], order[count - 1]
    for label in order[:count]:
        table.loc[list(cameras[label]), ["split", "role"]] = ["validation", "reference"]
        table.loc[queries[label], "role"] = "query"
    return table


def unpack(archive: Path, folder: Path) -> Path:
    """Unpacks the images of Market-1501's three folders, whatever stands above them in the archive.

    A folder that already holds these images is used as it is.

    Args:
        archive: A zip file.
        folder: New or empty; it appears when everything is unpacked, or not at all.

    Returns:
        `folder`.

    Raises:
        MarketError: The archive is missing, damaged, not this data set or tries to write elsewhere, or `folder` holds
            something else.
        DiskFullError: There is no room.
    """
    if root := market_root(folder):
        with _opened(archive) as source:
            _same_as(source, archive, root, folder)
        say(f"{folder}: already holds the images of {archive}, which is not unpacked again")
        return folder
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise MarketError(
            f"{folder}: expected a new or an empty folder to unpack {archive} into, found other files; give a new one "
            "with data.root="
        )
    with _opened(archive) as source:
        members = _members(source, archive)
        size = sum(member.file_size for member in members.values())
        if size > _LARGEST_RATIO * archive.stat().st_size:
            raise MarketError(
                f"{archive}: {size >> 20} MiB would come out of {archive.stat().st_size >> 20} MiB, but images do "
                "not shrink so: this is not the data set; take it from its authors' page"
            )
        with atomic_folder(folder.resolve()) as target, progress("unpacking", len(members)) as advance:
            for name in FOLDERS:
                if any(place.startswith(f"{name}/") for place in members):
                    (target / name).mkdir()
            for place, member in members.items():
                _copy(source, member, target / place, archive)
                advance(1)
            if folder.is_dir():
                folder.resolve().rmdir()  # empty; atomic_folder would keep it under another name
        left_out = sum(not member.is_dir() for member in source.infolist()) - len(members)
    say(f"{archive}: {len(members)} images unpacked into {folder}, {left_out} other files left out")
    return folder


def _same_as(source: zipfile.ZipFile, archive: Path, root: Path, folder: Path) -> None:
    """Refuses a folder that holds other images than the archive, by names and sizes."""
    members = {place: member.file_size for place, member in _members(source, archive).items()}
    there = {
        f"{name}/{file.name}": file.stat().st_size
        for name in FOLDERS
        for file in ((root / name).iterdir() if (root / name).is_dir() else [])
        if file.is_file() and is_image_name(file.name) and not file.name.startswith(".")
    }
    if members != there:
        different = sorted(place for place in members.keys() | there.keys() if members.get(place) != there.get(place))
        raise MarketError(
            f"{folder}: holds {len(there)} images, {archive} holds {len(members)}, and {len(different)} differ (first: "
            f"{different[0]}): give a new folder with data.root=, or leave data.archive out to use what is there"
        )


def passed_over(skipped: Counter[str]) -> list[str]:
    """Notes on files that are no images, counted by extension."""
    return [
        f"{count} file(s) ending in {suffix or 'nothing'} passed over: not an image extension"
        for suffix, count in sorted(skipped.items())
    ]


def utf8_only(rows: list[AnyRow], problems: list[str]) -> list[AnyRow]:
    """The rows whose first cell, a path, is UTF-8 (tables hold nothing else); the others become problems."""
    names = [row[0].encode("utf-8", "backslashreplace").decode() for row in rows]
    problems += [
        f"{name}: the name is not UTF-8: rename it" for row, name in zip(rows, names, strict=True) if name != row[0]
    ]
    return [row for row, name in zip(rows, names, strict=True) if name == row[0]]


def _has_layout(folder: Path) -> bool:
    return (folder / TRAIN).is_dir() or (folder / REFERENCES).is_dir()


def _read_folder(root: Path, folder: str, rows: list[_Row], problems: list[str], skipped: Counter[str]) -> int:
    """Appends the images of one folder; returns how many image files it has, good names or not."""
    images = 0
    split, role = FOLDERS[folder]
    for entry in sorted((root / folder).iterdir()) if (root / folder).is_dir() else []:
        where = f"{folder}/{entry.name}"
        if entry.name.startswith("."):
            continue
        if not is_image_name(entry.name):
            if not entry.is_dir():
                skipped[entry.suffix] += 1
            elif find_images(entry):
                problems.append(f"{where}: a folder of images: expected the images themselves, move them to {folder}/")
            continue
        images += 1
        found = _NAME.fullmatch(entry.name)
        if not found:
            problems.append(f"{where}: the name has no id: expected {EXAMPLE}; rename or remove it")
            continue
        label, camera = found.groups()
        if label == DISTRACTOR and folder != REFERENCES:
            problems.append(f"{where}: {DISTRACTOR} is nobody: expected in {REFERENCES}/ only; move or remove it")
        rows.append((where, label, split, role, int(camera) if camera else None, label == JUNK))
    return images


def _without_images(root: Path, images: dict[str, int]) -> list[str]:
    """Folders that are there but empty, and what is missing of a pair that only works together."""
    wanted = {folder for folder in FOLDERS if (root / folder).is_dir()}
    if wanted & {REFERENCES, QUERIES}:
        wanted |= {REFERENCES, QUERIES}
    texts = {
        TRAIN: "training images; copy them there or remove the folder",
        REFERENCES: f"the images that {QUERIES} is compared with; copy them there, or remove {QUERIES} to train only",
        QUERIES: f"the images that ask {REFERENCES}; copy them there, or remove {REFERENCES} to train only",
    }
    return [
        f"{folder}: no image: expected {text} ({EXAMPLE})"
        for folder, text in texts.items()
        if folder in wanted and not images[folder]
    ]


def _pick_queries(cameras: dict[int, int | None], rng: np.random.Generator) -> list[int]:
    """One row of each camera as long as every chosen row keeps a match.

    Args:
        cameras: The camera of each row of one person, None where unknown (which is the same as no other).
        rng: Which rows.
    """
    queries: list[int] = []
    for camera in sorted(set(cameras.values()), key=lambda camera: -1 if camera is None else camera):
        rows = [row for row, own in cameras.items() if own == camera]
        chosen = [*queries, rows[rng.integers(len(rows))]]
        rest = [own for row, own in cameras.items() if row not in chosen]
        if all(any(own is None or own != cameras[query] for own in rest) for query in chosen):
            queries = chosen
    return queries


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with archive.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise MarketError(
            f"{archive}: {error.strerror}: expected the zip of Market-1501; give its place with data.archive="
        ) from error
    if start != b"PK":
        raise MarketError(
            f"{archive}: not a zip file: expected the zip of Market-1501; unpack others yourself and give data.root="
        )
    try:
        source = zipfile.ZipFile(archive)
    except _DAMAGE as error:
        raise MarketError(f"{archive}: damaged or cut off ({error}): copy or download it again") from error
    with source:
        yield source


def _members(source: zipfile.ZipFile, archive: Path) -> dict[str, zipfile.ZipInfo]:
    """What to unpack, by its path below the new folder."""
    members: dict[str, zipfile.ZipInfo] = {}
    taken: dict[str, str] = {}
    for member in source.infolist():
        reason = _unsafe(member)
        if reason:
            raise MarketError(
                f"{archive}: {member.orig_filename!r} {reason}: expected plain files below one folder; nothing was "
                "unpacked, get the archive from its source again"
            )
        found = _MEMBER.fullmatch(member.filename)
        if not found or not is_image_name(found[2]):
            continue
        place = f"{found[1]}/{found[2]}"
        other = taken.setdefault(place.casefold(), member.filename)  # Windows and macOS do not tell cases apart
        if place in members or other != member.filename:
            raise MarketError(
                f"{archive}: {other} and {member.filename} would both become {place}: expected one data set; nothing "
                "was unpacked, unpack it yourself and give data.root="
            )
        members[place] = member
    if not any(place.startswith((TRAIN, REFERENCES)) for place in members):
        found_names = ", ".join(sorted({name.split("/")[0] for name in source.namelist()})[:6]) or "nothing"
        raise MarketError(
            f"{archive}: expected images in {TRAIN}/ or {REFERENCES}/, found {found_names}; give the zip of "
            "Market-1501 with data.archive="
        )
    return members


def _unsafe(member: zipfile.ZipInfo) -> str:
    """Why a member must not be unpacked, empty when it may be."""
    name = member.orig_filename  # as it stands in the archive: `filename` is already cut and turned
    parts = name.split("/")
    if name.startswith("/"):
        return "is an absolute path"
    if "\\" in name or "\0" in name:
        return "has a backslash or a zero byte in its name"
    if any(re.match(r"[A-Za-z]:", part) for part in parts):
        return "names a drive"
    if ".." in parts:
        return "leads out of its folder"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a link"
    return ""


def _copy(source: zipfile.ZipFile, member: zipfile.ZipInfo, place: Path, archive: Path) -> None:
    """Writes one member piece by piece; zipfile compares its checksum."""
    try:
        with source.open(member) as stream, place.open("xb") as file:
            shutil.copyfileobj(stream, file, _CHUNK)
    except (*_DAMAGE, OSError) as error:
        # A damaged table of contents makes zipfile seek below 0 (EINVAL), damaged bz2 data has no number at all.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise MarketError(
            f"{archive}: {member.filename} cannot be unpacked ({error}): damaged or locked; copy or download the "
            "archive again"
        ) from error
