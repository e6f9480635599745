"""PKU VehicleID: one folder of images, and lists of which vehicle each shows; galleries are drawn at random.

Liu et al., "Deep Relative Distance Learning: Tell the Difference Between Similar Vehicles", CVPR 2016. A line of
`train_test_split/train_list.txt` or `test_list_800.txt` (1600, 2400) is `0000001 12`: `image/0000001.jpg` shows vehicle
12 (fast-reid 1.4.0, data/datasets/vehicleid.py). Of each test one image of every vehicle answers, drawn at random, and
the others ask; ten such galleries are averaged. `attribute/color_attr.txt` and `model_attr.txt` hold a vehicle and the
number of its colour and model a line. No camera is told. The lists of a test may share images.
"""

import re
from pathlib import Path

import pandas as pd

from lookalike.data.image_files import PassedOver, has_file, has_folder
from lookalike.data.layouts.layout import Layout, LayoutRows, Standard, utf8_only
from lookalike.data.layouts.listed import head_of
from lookalike.data.layouts.lists import few, lines_of, names_by_number, unlisted
from lookalike.data.tables import ManifestError

_LISTS, _TRAIN = "train_test_split", "train_list.txt"
_TESTS = ("test_list_800", "test_list_1600", "test_list_2400")
_FOLDERS = ("image", "img", "images")
_ATTRIBUTES = {"color": "color_attr.txt", "model": "model_attr.txt"}
_EXAMPLE = "0000001 12"
_IN_FOLDERS = re.compile(r"[0-9]+/[0-9]+")


def _looks_like(root: Path) -> str | None:
    """By its lists, with a folder of images beside them; VERI-Wild has lists of these names of images in folders."""
    tests = [name for name in _TESTS if has_file(root, f"{_LISTS}/{name}.txt")]
    if not has_folder(root, _LISTS) or not (tests or has_file(root, f"{_LISTS}/{_TRAIN}")):
        return None
    first = f"{_LISTS}/{f'{tests[0]}.txt' if tests else _TRAIN}"
    line = next(iter(head_of(root / first)), "")
    return first if not _IN_FOLDERS.match(line) and any(has_folder(root, f) for f in _FOLDERS) else None


def read_vehicleid(root: Path, passed: PassedOver) -> LayoutRows:
    """Reads the lists; nothing is decoded.

    Args:
        root: The folder above the lists and the images.
        passed: What is not read is added to it.

    Returns:
        A table with path, label, split, role, tests (which of the test lists an image is in), and color and model as
        numbers where they are told.
    """
    images = next(name for name in _FOLDERS if has_folder(root, name))
    read = LayoutRows(pd.DataFrame())
    train = _pairs(root, _TRAIN, read.problems) if has_file(root, f"{_LISTS}/{_TRAIN}") else {}
    tests = [name for name in _TESTS if has_file(root, f"{_LISTS}/{name}.txt")]
    asked: dict[str, str] = {}
    listed_in: dict[str, list[str]] = {}
    for name in tests:
        for image, vehicle in _pairs(root, f"{name}.txt", read.problems).items():
            if asked.setdefault(image, vehicle) != vehicle:
                read.problems.append(f"{name}.txt: {image} is vehicle {vehicle}, and {asked[image]} in another list")
            listed_in.setdefault(image, []).append(name)
    both = sorted({*train} & {*asked})
    if both:
        read.problems.append(
            f"{len(both)} image(s) are in {_TRAIN} and in a test list, such as {few(both)}: correct it"
        )
    shared = sorted({*train.values()} & {*asked.values()})
    if shared:
        read.notes.append(
            f"{len(shared)} vehicles are in train and in test (such as {shared[0]}): figures are too good"
        )
    rows = [(f"{images}/{image}.jpg", vehicle, "train", "", "") for image, vehicle in train.items()]
    rows += [
        (f"{images}/{image}.jpg", vehicle, "test", "both", " ".join(listed_in[image]))
        for image, vehicle in asked.items()
        if image not in train
    ]
    read.table = pd.DataFrame(utf8_only(rows, read.problems), columns=["path", "label", "split", "role", "tests"])
    read.notes += unlisted(root, [images], set(read.table["path"]))
    for column, name in _ATTRIBUTES.items():
        if has_file(root, f"attribute/{name}"):
            kinds = names_by_number(root / "attribute" / name)
            read.table[column] = read.table["label"].map(kinds).fillna("")
    missing = (
        []
        if not tests
        else [name for name in (_TRAIN, *(f"{test}.txt" for test in _TESTS)) if not has_file(root, f"{_LISTS}/{name}")]
    )
    if missing:
        read.notes.append(f"{', '.join(missing)} not in {_LISTS}/, so its vehicles take no part")
    if not tests:
        read.notes.append(f"no {_TESTS[0]}.txt in {_LISTS}/, so there is nothing to test on")
    return read


def _pairs(root: Path, name: str, problems: list[str]) -> dict[str, str]:
    """Image -> vehicle of one list."""
    pairs: dict[str, str] = {}
    for number, line in lines_of(root / _LISTS / name):
        cells = line.split()
        if len(cells) != 2 or "/" in cells[0] or not cells[1].isdigit():
            problems.append(
                f"{name}, line {number}: expected an image and its vehicle ({_EXAMPLE}), found {line[:60]!r}"
            )
        elif pairs.setdefault(cells[0], cells[1]) != cells[1]:
            problems.append(f"{name}, line {number}: {cells[0]} is vehicle {cells[1]}, and {pairs[cells[0]]} before")
    if not pairs and not problems:
        raise ManifestError(f"{root / _LISTS / name}: empty: expected lines such as {_EXAMPLE}; restore it")
    return pairs


VEHICLEID = Layout(
    "vehicleid",
    "VehicleID",
    _looks_like,
    read_vehicleid,
    Standard(
        "of each test list one image of every vehicle answers, drawn at random, and all others ask",
        ("cmc@1", "cmc@5", "map"),
        "Liu et al., CVPR 2016; galleries as fast-reid draws them",
        draws=10,
        subsets=_TESTS,
    ),
    disjoint=True,
    marks=(_LISTS,),
)
