"""CUHK03 by its new protocol (767 people to train on, 700 to test), detected and labelled boxes apart.

Li et al., "DeepReID", CVPR 2014; the protocol: Zhong et al., "Re-ranking Person Re-identification with k-reciprocal
Encoding", CVPR 2017 (zhunzhong07/person-re-ranking, CUHK03-NP/README.md). Two forms go round. Its authors' is
Market-1501's folders with names of their own (`0003_c1_22.png`), one data set in `labeled/` and one in `detected/`.
torchreid and fast-reid extract `images_labeled/` and `images_detected/` from `cuhk-03.mat`, with names such as
`1_001_2_08.png` (pair of cameras, person, camera of the pair, image), and take the split from
`cuhk03_new_protocol_config_labeled.mat` (`filelist`, and `train_idx`, `query_idx`, `gallery_idx` from 1 on) or from the
`splits_new_labeled.json` that they made of it (torchreid 0.2.5 and fast-reid 1.4.0, data/datasets/.../cuhk03.py).
"""

import re
from functools import partial
from pathlib import Path, PureWindowsPath

import numpy as np
import pandas as pd

from lookalike.data.image_files import PassedOver, has_file, has_folder
from lookalike.data.layouts.layout import Layout, LayoutRows, Standard, utf8_only
from lookalike.data.layouts.lists import json_list, unlisted
from lookalike.data.layouts.market import REFERENCES, TRAIN, published_as, read_market
from lookalike.data.layouts.matlab import read_matlab, whole_numbers
from lookalike.data.tables import ManifestError

_PARTS = {"train": ("train", ""), "query": ("test", "query"), "gallery": ("test", "reference")}
_NAME = re.compile(r"([1-5]_[0-9]{3})_([12])_[0-9]{2}\.(?:png|jpg)")
_EXAMPLE = "1_001_2_08.png"


def _split_files(boxes: str) -> tuple[str, str]:
    return f"cuhk03_new_protocol_config_{boxes}.mat", f"splits_new_{boxes}.json"


def _looks_like(root: Path, boxes: str) -> str | None:
    """By the split of its boxes, with their images or with those of the release, which must be extracted first."""
    split = next((name for name in _split_files(boxes) if has_file(root, name)), None)
    if split is None:
        return None
    if has_folder(root, f"images_{boxes}"):
        return f"{split} and images_{boxes}"
    extracted = any(has_folder(root, f"images_{other}") for other in ("labeled", "detected"))
    return None if extracted else split


def read_cuhk03(root: Path, passed: PassedOver, boxes: str) -> LayoutRows:
    """Reads the split; nothing is decoded.

    Args:
        root: The folder above the split and the images.
        passed: What is not read is added to it.
        boxes: `labeled` or `detected`.

    Raises:
        ManifestError: The images are not extracted, or the split cannot be read.
    """
    folder = f"images_{boxes}"
    if not has_folder(root, folder):
        raise ManifestError(
            f"{root}: CUHK03 without {folder}/: its images are inside cuhk-03.mat (MATLAB 7.3); extract them with "
            "torchreid or fast-reid, or take the folders of its authors (CUHK03-NP)"
        )
    name = next(name for name in _split_files(boxes) if has_file(root, name))
    parts = _of_matlab(root / name) if name.endswith(".mat") else _of_json(root / name)
    read = LayoutRows(pd.DataFrame())
    rows: list[tuple[str, str, str, str, int]] = []
    for part, images in parts.items():
        for image in images:
            said = _NAME.fullmatch(image)
            if said:
                rows.append((f"{folder}/{image}", said[1], *_PARTS[part], int(said[2])))
            else:
                read.problems.append(f"{name}: expected names such as {_EXAMPLE}, found {image[:60]!r} in {part}")
    read.table = pd.DataFrame(utf8_only(rows, read.problems), columns=["path", "label", "split", "role", "camera"])
    read.table = read.table.astype({"camera": "Int64"})
    read.notes += unlisted(root, [folder], set(read.table["path"]))
    return read


def _of_matlab(file: Path) -> dict[str, list[str]]:
    """Part -> names of images."""
    names, *places = read_matlab(file, "filelist", *(f"{part}_idx" for part in _PARTS))
    images = [str(np.asarray(name).item()) if np.size(name) == 1 else str(name) for name in names.ravel()]
    parts = {}
    for part, indices in zip(_PARTS, places, strict=True):
        numbers = whole_numbers(indices.ravel(), file) - 1
        if len(numbers) and (numbers.min() < 0 or numbers.max() >= len(images)):
            raise ManifestError(
                f"{file}: {part}_idx names image {numbers.max() + 1} of {len(images)}: restore the file"
            )
        parts[part] = [images[number] for number in numbers]
    return parts


def _of_json(file: Path) -> dict[str, list[str]]:
    """Part -> names of images; the paths in it are those of the computer that wrote it, so only their ends are read."""
    expected = f"{file}: expected a list with one split of train, query and gallery: make it again with its program"
    try:
        splits = json_list(file)
        return {part: [PureWindowsPath(str(row[0])).name for row in splits[0][part]] for part in _PARTS}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ManifestError(expected) from error


_STANDARD = Standard(
    "new protocol (767/700): of every person and camera one image asks the others; references of the query's own "
    "person and camera are left out",
    ("cmc@1", "map"),
    "Zhong et al., CVPR 2017 (zhunzhong07/person-re-ranking, CUHK03-NP)",
    camera_rule=True,
)
CUHK03_LABELED, CUHK03_DETECTED = (
    Layout(
        f"cuhk03-{boxes}",
        f"CUHK03 ({boxes})",
        partial(_looks_like, boxes=boxes),
        partial(read_cuhk03, boxes=boxes),
        _STANDARD,
        cameras=True,
        disjoint=True,
        marks=_split_files(boxes),
    )
    for boxes in ("labeled", "detected")
)
CUHK03_NP = Layout(
    "cuhk03-np",
    "CUHK03-NP",
    partial(published_as, name="cuhk03-np"),
    read_market,
    _STANDARD,
    cameras=True,
    disjoint=True,
    marks=(TRAIN, REFERENCES),
)
