"""MSMT17 as it is distributed: two folders of people whose numbers start anew, and lists that say who asks.

Wei et al., "Person Transfer GAN to Bridge Domain Gap for Person Re-Identification", CVPR 2018. A line of a list is
`0000/0000_000_01_0303morning_0015_0.jpg 0`: below `train/` or `test/` person 0000, seen by camera 01. Version 2 has the
same pictures with faces made unclear, in `mask_train_v2/` and `mask_test_v2/` (fast-reid 1.4.0,
data/datasets/msmt17.py).
"""

import re
from pathlib import Path

import pandas as pd

from lookalike.data.image_files import PassedOver, entries_of, has_file, has_folder
from lookalike.data.layouts.layout import Layout, LayoutRows, Standard, utf8_only
from lookalike.data.layouts.lists import lines_of, unlisted
from lookalike.data.tables import ManifestError

_LISTS = {
    "train": ("train", ""),
    "val": ("validation", ""),
    "gallery": ("test", "reference"),
    "query": ("test", "query"),
}
_FOLDERS = {"V1": ("train", "test"), "V2": ("mask_train_v2", "mask_test_v2")}
_NAME = re.compile(r"([0-9]+)_[0-9]+_([0-9]{1,9})_[0-9]{4}(?:morning|noon|afternoon)_.*")
_EXAMPLE = "0000/0000_000_01_0303morning_0015_0.jpg 0"


def read_msmt17(root: Path, passed: PassedOver) -> LayoutRows:
    """Reads the lists; nothing is decoded.

    Args:
        root: The folder above them.
        passed: What is not read is added to it.

    Returns:
        A table with the columns path, label (`train-0000` and `test-0000` are two people), split, role and camera
        (Int64); notes; and the problems found.

    Raises:
        ManifestError: A list is missing.
    """
    missing = [f"list_{name}.txt" for name in _LISTS if not (root / f"list_{name}.txt").is_file()]
    if missing:
        raise ManifestError(
            f"{root}: MSMT17 without {', '.join(missing)}, so nobody knows who asks: copy its lists beside its folders"
        )
    version, (train, test) = next((name, pair) for name, pair in _FOLDERS.items() if has_folder(root, pair[0]))
    rows: list[tuple[str, str, str, str, int]] = []
    problems: list[str] = []
    for name, (split, role) in _LISTS.items():
        folder, before = (test, "test-") if split == "test" else (train, "train-")
        for number, line in lines_of(root / f"list_{name}.txt"):
            path = line.rpartition(" ")[0]
            said = _NAME.fullmatch(path.rpartition("/")[2])
            if said:
                rows.append((f"{folder}/{path}", before + said[1], split, role, int(said[2])))
            else:
                problems.append(f"list_{name}.txt, line {number}: expected {_EXAMPLE}, found {line[:60]!r}")
    table = pd.DataFrame(utf8_only(rows, problems), columns=["path", "label", "split", "role", "camera"])
    notes = unlisted(root, (train, test), set(table["path"]))
    return LayoutRows(table.astype({"camera": "Int64"}), notes, problems, variant=version)


def _looks_like(root: Path) -> str | None:
    """By its lists, or by the names of the first person's images."""
    for train, test in _FOLDERS.values():
        if has_folder(root, train) and has_folder(root, test):
            if has_file(root, "list_query.txt") and has_file(root, "list_gallery.txt"):
                return "its lists"
            first = next((path for path, is_folder in entries_of(root / train, PassedOver()) if is_folder), None)
            files = entries_of(first, PassedOver()) if first else []
            return "its names" if files and all(_NAME.fullmatch(path.name) for path, _ in files) else None
    return None


MSMT17 = Layout(
    "msmt17",
    "MSMT17",
    _looks_like,
    read_msmt17,
    Standard(
        "list_query.txt asks list_gallery.txt; references of the query's own person and camera are left out",
        ("cmc@1", "map"),
        "Wei et al., CVPR 2018; AP as torchreid and fast-reid print it",
        camera_rule=True,
    ),
    cameras=True,
    disjoint=True,
    marks=tuple(train for train, _ in _FOLDERS.values()),
)
