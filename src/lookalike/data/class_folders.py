"""`train/<class>/`, `validation/<class>/`, `test/<class>/` (or `query/` and `gallery/`), or class folders alone."""

import os
from pathlib import Path

import pandas as pd

from lookalike.data.image_files import (
    PassedOver,
    entries_of,
    find_images,
    folders_in,
    has_file,
    is_image_name,
    unopened,
)
from lookalike.data.labels import as_label
from lookalike.data.layouts.layout import utf8_only
from lookalike.data.layouts.market import JUNK, is_role_name, label_and_camera
from lookalike.data.layouts.registry import claims
from lookalike.data.named_files import by_pattern
from lookalike.data.tables import ManifestError
from lookalike.settings.split_names import SPLIT_NAMES, split_named

RECIPE = "transform.json"  # `augment` puts it beside its copies: that folder is no class
_ROLES = {"query": "query", "gallery": "reference"}  # of the split test
_Row = tuple[str, str, str, str]
_SHOWN = 6


def read_class_folders(
    root: Path, may_split: bool, passed: PassedOver
) -> tuple[pd.DataFrame, list[str], list[str], str]:
    """Reads class folders.

    Args:
        root: The folder above the splits, or above the classes.
        may_split: Whether class folders alone are enough, as images are held out.
        passed: What is not read is added to it.

    Returns:
        A table of path, label, split, role, and where file names tell it camera and ignore; notes; problems; what was
        recognised.

    Raises:
        ManifestError: There is no such folder in it, or it is another layout.
    """
    entries = entries_of(root, passed)
    folders = [path.name for path, is_folder in entries if is_folder]
    images = [path.name for path, is_folder in entries if not is_folder and is_image_name(path.name)]
    splits = {name: (split, "") for name, split in split_folders(root, folders).items()}
    notes: list[str] = []
    problems: list[str] = []
    if splits:
        splits |= {name: ("test", role) for name, role in _ROLES.items() if name in folders}
        problems += _roles_that_miss(splits)
        beside = [name for name in folders if name not in splits and not _is_of_copies(root / name)]
        with_images = [name for name in beside if find_images(root / name)]
        if with_images:
            notes.append(f"{len(with_images)} folder(s) beside train/ passed over: {', '.join(with_images[:_SHOWN])}")
        if images:
            notes.append(f"{len(images)} image(s) beside train/ passed over, in no class: {_few(images)}")
    else:
        notes += _need_classes(root, folders, may_split, flat=bool(images))
    rows: list[_Row] = []
    for name, (split, role) in sorted(splits.items()) or [("", ("train", ""))]:
        _read_split(root, root / name, (split, role), rows, problems, passed)
    table = pd.DataFrame(utf8_only(rows, problems), columns=["path", "label", "split", "role"])
    return _with_cameras(table), notes, problems, _recognised(table, splits)


def split_folders(root: Path, folders: list[str]) -> dict[str, str]:
    """Which folders are splits, and of which split each; empty where none is train.

    Names as we write them always are. One of another name (`Training`, `dev`) is where its split has no folder of
    ours, it holds folders of images and no image, and train is among ours or no folder beside looks like a class.

    Args:
        root: The folder above them.
        folders: The names of those in it.
    """
    ours = {name: split for name, split in SPLIT_NAMES.items() if name in folders}
    taken = {*ours.values(), *(["test"] if not _ROLES.keys().isdisjoint(folders) else [])}
    named = {name: split for name in folders if name not in ours and (split := split_named(name)) not in {*taken, None}}
    others = {name: split for name, split in named.items() if split and _holds_folders_alone(root / name)}
    if "train" in ours:
        return ours | others
    if "train" not in others.values():
        return {}
    alone = len({*ours.values(), *others.values()}) == 1
    if alone and any(not split_named(name) and not is_role_name(name) and find_images(root / name) for name in folders):
        return {}
    return ours | others


def _holds_folders_alone(folder: Path) -> bool:
    """Whether there are folders of images in it, and no image beside them."""
    entries = entries_of(folder, PassedOver())
    if any(not is_folder and is_image_name(path.name) for path, is_folder in entries):
        return False
    return any(is_folder and find_images(path) for path, is_folder in entries)


def holds_splits(folder: Path) -> bool:
    """Whether folders in it are splits, see `split_folders`."""
    return bool(split_folders(folder, folders_in(folder)))


def _recognised(table: pd.DataFrame, splits: dict[str, tuple[str, str]]) -> str:
    """The layout in words; of folders with other names than ours also which split each is."""
    tops = sorted({path.partition("/")[0] for path in table["path"]} & splits.keys())
    ours = {*SPLIT_NAMES, *_ROLES}
    shown = [name if name in ours else f"{name} (as {splits[name][0]})" for name in tops]
    return f"class folders in {', '.join(shown)}" if shown else "class folders alone"


def _roles_that_miss(splits: dict[str, tuple[str, str]]) -> list[str]:
    given = [name for name in _ROLES if name in splits]
    if len(given) == 1:
        return [f"{given[0]}: expected query/ and gallery/ together; add the other, or call it test/"]
    if given and "test" in splits:
        return ["test: expected test/, or query/ and gallery/, found all of them; remove or rename one"]
    return []


def _need_classes(root: Path, folders: list[str], may_split: bool, flat: bool) -> list[str]:
    """Refuses a folder without `train` that does not hold classes alone; notes where its folders may be no classes."""
    classes = [name for name in folders if find_images(root / name) and not _is_of_copies(root / name)]
    named = classes if all(split_named(name) for name in classes) else []
    roles = [name for name in classes if is_role_name(name) or name in SPLIT_NAMES or name in named]
    own = [name for name in classes if claims(root / name) or holds_splits(root / name)]
    if roles:
        raise ManifestError(
            f"{root}: {', '.join(roles[:_SHOWN])}: a folder of queries, references or a split, no class: expected "
            "train/<class>/ beside it, or bounding_box_train, bounding_box_test and query (image_train, image_test and "
            "image_query); rename it, or write a table with the column role"
        )
    if own:
        raise ManifestError(
            f"{root}: {', '.join(own[:_SHOWN])}: a data set of its own, no class: give data.root={root / own[0]}"
        )
    same = _same_inside(root, classes)
    splits = f"{same}, so they may be splits: then call them train, validation and test"
    if may_split and classes:
        return [splits] if same else []
    entries = ", ".join(sorted(entry.name for entry in root.iterdir())[:_SHOWN]) or "nothing"
    alone = "add data.validation_share=0.2 to split these class folders"
    alone = f"{splits}; if they are classes, {alone}" if same else alone
    way_out = alone if classes else "give the folder above with data.root="
    if flat and not classes:
        names = [image.relative_to(root).as_posix() for image in find_images(root)]
        way_out = f"make a folder for each class, write a table with the columns path and label, or {by_pattern(names)}"
    raise ManifestError(f"{root}: expected a folder train/<class>/ in it, found {entries}; {way_out}")


def _same_inside(root: Path, classes: list[str]) -> str:
    """In words that all of some folders hold folders of the same names, two or more, and no images; else empty."""
    if len(classes) < 2 or not all(_holds_folders_alone(root / name) for name in classes):
        return ""
    shared = sorted(set.intersection(*(set(folders_in(root / name)) for name in classes)))
    if len(shared) < 2:
        return ""
    return f"all {len(classes)} folders hold the same folders ({_few(shared)})"


def _read_split(
    root: Path, folder: Path, split: tuple[str, str], rows: list[_Row], problems: list[str], passed: PassedOver
) -> None:
    """Appends the images of one split folder; the first folder below it is the label."""
    if reason := unopened(folder):
        problems.append(f"{folder.relative_to(root).as_posix()}: {reason}")
        return
    linked: dict[str, str] = {}
    outside: list[str] = []
    for path, is_folder in entries_of(folder, passed):
        where = path.relative_to(root).as_posix()
        if _is_of_copies(path):
            continue
        if not is_folder:
            if is_image_name(path.name):
                outside.append(where)
            else:
                passed.add(path)
            continue
        if reason := unopened(path):
            problems.append(f"{where}: {reason}")
            continue
        if is_role_name(path.name) or claims(path):
            problems.append(f"{where}: a folder of a re-identification data set, no class: move or rename it")
            continue
        if not as_label(path.name):
            problems.append(f"{path.name!r} in {folder.name}: a folder whose name is blank: name it after its class")
            continue
        twin = linked.setdefault(os.path.realpath(path), where)
        if twin != where:
            problems.append(f"{where}: the same folder as {twin} (a link): remove one of them")
            continue
        images = find_images(path, passed)
        if not images:
            problems.append(f"{where}: a class with no images: add some or remove the folder")
        rows += [(image.relative_to(root).as_posix(), path.name, *split) for image in images]
    place = f"{folder.name}/<class>/" if folder != root else "<class>/"
    if len(outside) == 1:
        problems.append(f"{outside[0]}: an image outside any class folder: move it to {place}")
    elif outside:
        way_out = f" (or {by_pattern(outside)})" if not rows else ""
        problems.append(
            f"{len(outside)} images outside any class folder: move them to {place}: {_few(outside)}{way_out}"
        )


def _is_of_copies(folder: Path) -> bool:
    return has_file(folder, RECIPE)


def _few(names: list[str]) -> str:
    return f"{', '.join(names[:_SHOWN])}{', ...' if names[_SHOWN:] else ''}"


def _with_cameras(table: pd.DataFrame) -> pd.DataFrame:
    """Cameras and junk, where there are roles and every file name says the label of its folder and a camera."""
    if not (table["role"] != "").any():
        return table
    said = [label_and_camera(path.rpartition("/")[2]) for path in table["path"]]
    if all(pair and pair[0] == label and pair[1] is not None for pair, label in zip(said, table["label"], strict=True)):
        table["camera"] = pd.array([pair[1] if pair else None for pair in said], dtype="Int64")
        table["ignore"] = table["label"] == JUNK
    return table
