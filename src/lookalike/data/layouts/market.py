"""Data sets of people and vehicles whose folders are roles and whose file names are labels: Market-1501 and its like.

Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015. `0002_c1s1_000451_03.jpg` is person 0002 seen
by camera 1. `-1` is junk, which neither helps nor hurts; `0000` is a distractor, a reference that is nobody's match.
Others have the same files in these folders, with names of their own, or in folders of other names. The zip of 500,000
further distractors unpacks to `images/` beside the three folders (torchreid 0.2.5, docs/datasets).
"""

import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd

from lookalike.data.image_files import PassedOver, entries_of, find_images, has_folder, is_image_name, unopened
from lookalike.data.layouts.layout import Layout, LayoutRows, Standard, root_with, utf8_only


@dataclass(frozen=True)
class RoleFolders:
    """Where a data set keeps which images.

    Attributes:
        train: The folder of training images.
        references: That of the images that are searched.
        queries: That of the images that ask.
    """

    train: str
    references: str
    queries: str

    @property
    def folders(self) -> dict[str, tuple[str, str]]:
        """Folder -> split and role."""
        return {self.train: ("train", ""), self.references: ("test", "reference"), self.queries: ("test", "query")}


MARKET_FOLDERS = RoleFolders("bounding_box_train", "bounding_box_test", "query")
TRAIN, REFERENCES, QUERIES, FOLDERS = (
    MARKET_FOLDERS.train,
    MARKET_FOLDERS.references,
    MARKET_FOLDERS.queries,
    MARKET_FOLDERS.folders,
)
VERI_FOLDERS = RoleFolders("image_train", "image_test", "image_query")
MORE_DISTRACTORS = "images"
GROUND_TRUTH = "gt_bbox"  # all images of people, cut out by hand: what multi-query asks with
FLAT_FOLDERS = RoleFolders("train", "gallery", "query")
# Names of folders that are roles and never classes, in small letters; all that start like Market-1501's are, too.
_ROLE_NAMES = frozenset(
    {*VERI_FOLDERS.folders, "image_gallery", "query", "queries", "gallery", "probe", "multi-query", GROUND_TRUTH}
)
JUNK, DISTRACTOR = "-1", "0000"
EXAMPLE = "0002_c1s1_000451_03.jpg"
UNPUBLISHED = "market-folders"  # the layout of images with names of their own in these folders


# A camera is followed by its sequence (c1s1), by `_` or by the end: `0002_c1owboy.jpg` names none.
_NAME = re.compile(r"(-1|[0-9]+)_(?:c([0-9]{1,9})(?=s[0-9]|[_.]))?.*")
_Row = tuple[str, str, str, str, int | None, bool]
# Who published a data set in Market-1501's folders, by how its files are called; nobody where none fits.
_PUBLISHED = {
    "market1501": re.compile(r"(?:-1|[0-9]{4})_c[0-9]+s[0-9]+_[0-9]{6}_[0-9]{2}\..+"),
    "dukemtmc": re.compile(r"[0-9]{4}_c[1-8]_f[0-9]+\.jpg"),
    "cuhk03-np": re.compile(r"[0-9]{4}_c[12]_[1-9][0-9]{0,4}\.(?:png|jpg)"),
}


def is_role_name(name: str) -> bool:
    """Whether a folder of that name holds the queries or references of a data set, so that it is no class."""
    return name.casefold() in _ROLE_NAMES or name.casefold().startswith("bounding_box_")


def label_and_camera(name: str) -> tuple[str, int | None] | None:
    """What a file name says: `0002_c1s1_000451_03.jpg` is 0002 under camera 1; None for a name without an id."""
    said = _NAME.fullmatch(name)
    return (said[1], int(said[2]) if said[2] else None) if said else None


def market_root(root: Path) -> Path | None:
    """The folder with Market-1501's folders: `root`, else its one subfolder that has them; or None."""
    return root_with(root, lambda folder: named(folder, MARKET_FOLDERS) is not None)


def read_market(root: Path, passed: PassedOver, layout: RoleFolders = MARKET_FOLDERS) -> LayoutRows:
    """Reads the images of the three folders; nothing is decoded.

    Args:
        root: The folder above them.
        passed: What is not read is added to it.
        layout: Which folders these are.

    Returns:
        A table with the columns path (relative to `root`), label, split, role, camera (Int64) and ignore; notes; and
        the problems found.
    """
    rows: list[_Row] = []
    problems: list[str] = []
    images = {folder: _read_folder(root, folder, layout, rows, problems, passed) for folder in layout.folders}
    problems += _without_images(root, layout, images)
    notes = _beside(root, layout)
    if layout is MARKET_FOLDERS and has_folder(root, MORE_DISTRACTORS):
        notes += _read_more_distractors(root, rows, problems, passed)
    table = pd.DataFrame(utf8_only(rows, problems), columns=["path", "label", "split", "role", "camera", "ignore"])
    table = table.astype({"camera": "Int64", "ignore": bool})
    people = table[~table["ignore"] & (table["label"] != DISTRACTOR)].groupby("split")["label"].unique()
    both = sorted({*people.get("train", ())} & {*people.get("test", ())})
    if both:
        notes.append(
            f"{len(both)} people are in train and in test (such as {both[0]}): test figures are better than they "
            "would be on people never seen"
        )
    return LayoutRows(table, notes, problems)


def _holds_images(folder: Path) -> bool:
    return any(not is_folder and is_image_name(path.name) for path, is_folder in entries_of(folder, PassedOver()))


def _read_folder(
    root: Path, folder: str, layout: RoleFolders, rows: list[_Row], problems: list[str], passed: PassedOver
) -> int:
    """Appends the images of one folder; returns how many image files it has, good names or not."""
    images = 0
    split, role = layout.folders[folder]
    for path, is_folder in entries_of(root / folder, passed) if (root / folder).is_dir() else []:
        where = f"{folder}/{path.name}"
        if is_folder:
            if find_images(path):
                problems.append(f"{where}: a folder of images: expected the images themselves, move them to {folder}/")
            continue
        if not is_image_name(path.name):
            passed.add(path)
            continue
        images += 1
        said = label_and_camera(path.name)
        if not said:
            problems.append(f"{where}: the name has no id: expected {EXAMPLE}; rename or remove it")
            continue
        label, camera = said
        if label == DISTRACTOR and folder != layout.references:
            references = layout.references
            problems.append(f"{where}: {DISTRACTOR} is nobody: expected in {references}/ only; move or remove it")
        rows.append((where, label, split, role, camera, label == JUNK))
    return images


def _without_images(root: Path, layout: RoleFolders, images: dict[str, int]) -> list[str]:
    """Folders that are there but empty, and what is missing of a pair that only works together."""
    train, references, queries = layout.folders
    wanted = {folder for folder in layout.folders if (root / folder).is_dir()}
    if wanted & {references, queries}:
        wanted |= {references, queries}
    texts = {
        train: "training images; copy them there or remove the folder",
        references: f"the images that {queries} is compared with; copy them there, or remove {queries} to train only",
        queries: f"the images that ask {references}; copy them there, or remove {references} to train only",
    }
    closed = {folder: unopened(root / folder) for folder in wanted if has_folder(root, folder)}
    return [
        f"{folder}: {closed.get(folder) or f'no image: expected {text} ({EXAMPLE})'}"
        for folder, text in texts.items()
        if folder in wanted and not images[folder]
    ]


def _read_more_distractors(root: Path, rows: list[_Row], problems: list[str], passed: PassedOver) -> list[str]:
    """Appends the images of `images/`: nobody's match, or junk; returns notes."""
    others, before = 0, len(rows)
    for path, is_folder in entries_of(root / MORE_DISTRACTORS, passed):
        said = label_and_camera(path.name) if not is_folder and is_image_name(path.name) else None
        where = f"{MORE_DISTRACTORS}/{path.name}"
        if not said:
            others += 1
        elif said[0] in (JUNK, DISTRACTOR):
            rows.append((where, said[0], "test", "reference", said[1], said[0] == JUNK))
        else:
            problems.append(f"{where}: person {said[0]}, expected {DISTRACTOR} or {JUNK} there; move or remove it")
    added = len(rows) - before
    notes = [f"{added} further distractors of {MORE_DISTRACTORS}/ are among the references"] if added else []
    return notes + ([f"{others} entries of {MORE_DISTRACTORS}/ that name no person passed over"] if others else [])


def _beside(root: Path, layout: RoleFolders) -> list[str]:
    """A note on folders of the data set that are not read."""
    read = {*layout.folders, *([MORE_DISTRACTORS] if layout is MARKET_FOLDERS else [])}
    others = [path.name for path, is_folder in entries_of(root, PassedOver()) if is_folder and path.name not in read]
    return [f"{len(others)} folder(s) beside {layout.train}/ passed over: {', '.join(others[:5])}"] if others else []


def named(folder: Path, folders: RoleFolders) -> str | None:
    """Which of the folders are there, one of the training images or the references among them; None where neither.

    Args:
        folder: Above them.
        folders: How they are called.
    """
    there = [name for name in folders.folders if has_folder(folder, name)]
    return ", ".join(there) if {folders.train, folders.references} & {*there} else None


def published_as(folder: Path, name: str) -> str | None:
    """The evidence that Market-1501's folders hold the data set of that name, by how its files are called, or None.

    Args:
        folder: Above them.
        name: `market1501`, `dukemtmc` or `cuhk03-np`; `market-folders` where the names are those of none of them.
    """
    there = named(folder, MARKET_FOLDERS)
    if there is None:
        return None
    names = [image for inner in FOLDERS for image in _images(folder / inner)]
    fitting = {key: [image for image in names if pattern.fullmatch(image)] for key, pattern in _PUBLISHED.items()}
    if name == UNPUBLISHED:
        return None if any(fitting.values()) else there
    if name == "market1501":
        return there if fitting[name] else None
    return f"{there} with names such as {min(fitting[name])}" if fitting[name] else None


def _images(folder: Path) -> list[str]:
    with suppress(OSError), os.scandir(folder) as listing:
        return [entry.name for entry in listing if is_image_name(entry.name)]
    return []


def _flat(folder: Path) -> str | None:
    """`query` and `gallery` with images in them, which are no class folders then."""
    pair = (FLAT_FOLDERS.references, FLAT_FOLDERS.queries)
    if all(has_folder(folder, name) for name in pair) and any(_holds_images(folder / name) for name in pair):
        return named(folder, FLAT_FOLDERS)
    return None


MARKET_STANDARD = Standard(
    "query/ asks bounding_box_test/; references of the query's own person and camera are left out, junk (-1) neither "
    "helps nor hurts, distractors (0000) stay",
    ("cmc@1", "map"),
    "Zheng et al., ICCV 2015; AP as torchreid and fast-reid print it, that of the authors' code is map_trapezoid",
    camera_rule=True,
)
MARKET = Layout(
    "market1501",
    "Market-1501",
    partial(published_as, name="market1501"),
    read_market,
    MARKET_STANDARD,
    cameras=True,
    disjoint=True,
    marks=(TRAIN, REFERENCES),
)
MARKET_NAMED_OTHERWISE = Layout(
    UNPUBLISHED,
    "Market-1501's folders",
    partial(published_as, name=UNPUBLISHED),
    read_market,
    None,
    cameras=True,
    disjoint=True,
    marks=(TRAIN, REFERENCES),
)
FLAT = Layout(
    "market-like",
    "train, gallery and query",
    _flat,
    partial(read_market, layout=FLAT_FOLDERS),
    replace(MARKET_STANDARD, protocol=MARKET_STANDARD.protocol.replace("bounding_box_test", "gallery")),
    cameras=True,
    disjoint=True,
    marks=(FLAT_FOLDERS.references,),
)
