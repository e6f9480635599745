"""MARS: people in tracklets, that is, pictures of one person in a row by one camera.

Zheng et al., "MARS: A Video Benchmark for Large-Scale Person Re-identification", ECCV 2016. `0001C1T0001F001.jpg` in
`bbox_train/0001/` is person 0001, camera 1, tracklet 1, picture 1; `00-1` is junk, `0000` a distractor.
`info/train_name.txt` and `test_name.txt` list the pictures, `tracks_train_info.mat` and `tracks_test_info.mat` the
first and the last of them (from 1 on), person and camera of every tracklet, `query_IDX.mat` the test tracklets that ask
(torchreid 0.2.5, data/datasets/video/mars.py). As in the authors' code (liangzheng06/MARS-evaluation, test_mars.m and
evaluation_mars.m), all test tracklets answer, those that ask included.
"""

import re
from pathlib import Path

import pandas as pd

from lookalike.data.image_files import PassedOver, has_file, has_folder
from lookalike.data.layouts.layout import Layout, LayoutRows, Standard, utf8_only
from lookalike.data.layouts.lists import lines_of, unlisted
from lookalike.data.layouts.market import DISTRACTOR, JUNK
from lookalike.data.layouts.matlab import read_matlab, whole_numbers
from lookalike.data.tables import ManifestError

_FOLDERS = {"train": "bbox_train", "test": "bbox_test"}
_NAME = re.compile(r"([0-9]{4}|00-1)C([1-9])T[0-9]{4}F[0-9]{3}\.jpg")
_EXAMPLE = "0001C1T0001F001.jpg"
_Row = tuple[str, str, str, str, int, bool, str]


def _looks_like(root: Path) -> str | None:
    """By its folders, with the files of `info/` or with the folder of a person beside them."""
    there = [name for name in _FOLDERS.values() if has_folder(root, name)]
    return ", ".join([*there, "info"] if has_folder(root, "info") else there) if there else None


def read_mars(root: Path, passed: PassedOver) -> LayoutRows:
    """Reads the lists of pictures and tracklets; nothing is decoded.

    Args:
        root: The folder above `bbox_train`, `bbox_test` and `info`.
        passed: What is not read is added to it.

    Returns:
        A row per picture, with the column tracklet.

    Raises:
        ManifestError: A file of `info/` is missing or cannot be read.
    """
    needed = ["query_IDX.mat", *(f"tracks_{split}_info.mat" for split in _FOLDERS)]
    needed += [f"{split}_name.txt" for split in _FOLDERS]
    if missing := [name for name in needed if not has_file(root, f"info/{name}")]:
        raise ManifestError(
            f"{root}: MARS without info/{', info/'.join(missing)}, so nobody knows who asks: copy the files of "
            "liangzheng06/MARS-evaluation to info/"
        )
    read = LayoutRows(pd.DataFrame())
    rows: list[_Row] = []
    for split in _FOLDERS:
        _add_tracklets(root, split, rows, read.problems)
    columns = ["path", "label", "split", "role", "camera", "ignore", "tracklet"]
    read.table = pd.DataFrame(utf8_only(rows, read.problems), columns=columns)
    read.table = read.table.astype({"camera": "Int64", "ignore": bool})
    read.notes += unlisted(root, _FOLDERS.values(), set(read.table["path"]))
    return read


def _add_tracklets(root: Path, split: str, rows: list[_Row], problems: list[str]) -> None:
    names = [line for _, line in lines_of(root / "info" / f"{split}_name.txt")]
    file = root / "info" / f"tracks_{split}_info.mat"
    tracks = whole_numbers(read_matlab(file, f"track_{split}_info")[0], file)
    if tracks.ndim != 2 or tracks.shape[1] != 4:
        raise ManifestError(
            f"{file}: expected first and last picture, person and camera, found {tracks.shape}: restore"
        )
    asking: set[int] = set()
    if split == "test":
        queries = root / "info" / "query_IDX.mat"
        asking = {int(number) - 1 for number in whole_numbers(read_matlab(queries, "query_IDX")[0], queries).ravel()}
        if asking and not 0 <= min(asking) <= max(asking) < len(tracks):
            raise ManifestError(
                f"{queries}: names a tracklet that is none of the {len(tracks)} of {file.name}: restore it"
            )
    for number, (first, last, person, camera) in enumerate(tracks.tolist()):
        label = f"{person:04}" if person >= 0 else JUNK
        pictures = names[first - 1 : last] if 1 <= first <= last <= len(names) else []
        if not pictures:
            problems.append(
                f"{file.name}, tracklet {number + 1}: pictures {first} to {last} of {len(names)}: restore it"
            )
        other = next((name for name in pictures if not _is_of(name, label, camera)), None)
        if other:
            problems.append(
                f"{file.name}, tracklet {number + 1}: {other[:60]!r} is not of person {label} and camera {camera}: "
                f"expected names such as {_EXAMPLE}; restore {split}_name.txt"
            )
            continue
        role = (
            "" if split == "train" else "both" if number in asking and label not in (JUNK, DISTRACTOR) else "reference"
        )
        rows += [
            (f"{_FOLDERS[split]}/{name[:4]}/{name}", label, split, role, camera, label == JUNK, f"{split}-{number + 1}")
            for name in pictures
        ]


def _is_of(name: str, label: str, camera: int) -> bool:
    said = _NAME.fullmatch(name)
    return said is not None and said[1].replace("00-1", JUNK) == label and int(said[2]) == camera


MARS = Layout(
    "mars",
    "MARS",
    _looks_like,
    read_mars,
    Standard(
        "tracklets ask and answer, each as the mean of its pictures; references of the query's own person and camera "
        "are left out, junk (00-1) neither helps nor hurts, distractors (0000) stay",
        ("cmc@1", "cmc@5", "cmc@20", "map"),
        "Zheng et al., ECCV 2016 (liangzheng06/MARS-evaluation)",
        camera_rule=True,
        tracklets=True,
    ),
    cameras=True,
    disjoint=True,
    marks=tuple(_FOLDERS.values()),
)
