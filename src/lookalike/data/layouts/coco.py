"""COCO's JSON of boxes: `annotations/instances_train2017.json`, or Roboflow's `train/_annotations.coco.json`.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014; format: https://cocodataset.org/#format-data. Each
box becomes a row. Numbers of images and categories start anew in every file, so only names are compared between files.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lookalike.data.column_names import BOX
from lookalike.data.image_files import PassedOver, entries_of, has_file, has_folder
from lookalike.data.layouts.boxes import Boxes, Corners
from lookalike.data.layouts.layout import Layout, LayoutRows, utf8_only
from lookalike.data.layouts.listed import below, folder_with, shown, taken_once, tell_unlisted
from lookalike.data.table_file import decode, read_text_file
from lookalike.data.tables import ManifestError
from lookalike.files import readable
from lookalike.settings.split_names import split_named

_ROBOFLOW = "_annotations.coco.json"
_INSTANCES = re.compile(r"instances_(.+)\.json")
_FOLDERS = ("train", "valid", "val", "validation", "test")  # of exports
_Row = tuple[str, str, str, float, float, float, float]


class _File(NamedTuple):
    """A file of annotations: its path below the root, and what is written in its name or that of its folder."""

    place: str
    name: str


def read_coco(root: Path, passed: PassedOver) -> LayoutRows:
    """Reads the boxes; no image is opened.

    Args:
        root: The folder above `annotations/`, or above the folders of splits.
        passed: What is not read is added to it.

    Returns:
        A table with the columns path, label (the name of the category), split, x1, y1, x2, y2.

    Raises:
        ManifestError: A file is no such JSON, or names no split where there are several.
    """
    files = _files(root)
    notes: list[str] = []
    problems: list[str] = []
    boxes, rows, folders, without = Boxes(), list[_Row](), set[str](), list[str]()
    for file in files:
        content = _content(root / file.place)
        problems += _twice(file.place, content)
        images = {image["id"]: image for image in content["images"]}
        folder = _folder(root, file, [str(image["file_name"]) for image in content["images"][:20]])
        folders.add(folder)
        split = _split(file, len(files), root)
        made = list(_rows(file.place, content, folder, split, boxes, problems))
        with_boxes = {row[0] for row in made}
        paths = [below(folder, str(image["file_name"])) for image in images.values()]
        without += [path for path in paths if path not in with_boxes]
        rows += made
    if without:
        notes.append(f"{len(without)} image(s) have no box that can be used and are left out: {shown(without)}")
    table = pd.DataFrame(utf8_only(rows, problems), columns=["path", "label", "split", *BOX])
    table = taken_once(table, notes, problems)
    tell_unlisted(root, sorted(folders - {""}), [*table["path"], *without], passed, notes, (_ROBOFLOW,))
    return LayoutRows(table, [*notes, *boxes.notes], problems)


def coco_objects(file: Path, boxes: Boxes, problems: list[str]) -> list[_Row]:
    """The boxes of one file, wherever its images are: file_name, label, "", and four corners in pixels.

    Args:
        file: COCO's JSON.
        boxes: What became of them is added to it.
        problems: Likewise.

    Raises:
        ManifestError: It is no such JSON.
    """
    content = _content(file)
    problems += _twice(file.name, content)
    return list(_rows(file.name, content, "", "", boxes, problems))


def _rows(
    place: str, content: dict[str, Any], folder: str, split: str, boxes: Boxes, problems: list[str]
) -> Iterator[_Row]:
    """The boxes of a file."""
    images = {image["id"]: image for image in content["images"]}
    labels = {category["id"]: str(category["name"]).strip() for category in content["categories"]}
    unknown = {"image": 0, "category": 0, "box": 0}
    for annotation in content["annotations"]:
        image, label = images.get(annotation.get("image_id")), labels.get(annotation.get("category_id"))
        box = _corners(annotation.get("bbox"))
        if image is None or not label or box is None:
            unknown["image" if image is None else "box" if box is None else "category"] += 1
            continue
        path = below(folder, str(image["file_name"]))
        if annotation.get("iscrowd"):
            boxes.crowds.append(path)
            continue
        inside = boxes.inside(path, box, _size(image))
        if inside is not None:
            yield (path, label, split, *inside)
    texts = {"image": "an image_id that no image has", "category": "a category_id that no category has"}
    texts["box"] = "no bbox of four numbers"
    problems += [
        f"{place}: {count} annotation(s) with {texts[what]}: export it again"
        for what, count in unknown.items()
        if count
    ]


def _twice(place: str, content: dict[str, Any]) -> list[str]:
    """Problems: numbers that two images or two categories have, so that nobody knows which one a box is of."""
    problems = []
    for kind, called in (("images", "file_name"), ("categories", "name")):
        first: dict[Any, Any] = {}
        for item in content[kind]:
            other = first.setdefault(item["id"], item)
            if other is not item:
                both = " and ".join(readable(str(part[called]))[:60] for part in (other, item))
                problems.append(f"{place}: id {item['id']!r} stands twice in {kind}, {both}: export it again")
    return problems


def _corners(bbox: object) -> Corners | None:
    """From x, y, width, height; None where these are no numbers."""
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(type(value) in (int, float) for value in bbox):
        return None
    left, top, width, height = map(float, bbox)
    corners = (left, top, left + width, top + height)
    return corners if all(abs(value) < 2**53 for value in corners) else None


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    width, height = image.get("width"), image.get("height")
    return (int(width), int(height)) if type(width) is int and type(height) is int and min(width, height) > 0 else None


def _content(file: Path) -> dict[str, Any]:
    """What a file holds.

    Raises:
        ManifestError: It is not COCO's JSON.
    """
    try:
        content = json.loads(decode(read_text_file(file))[0])
        lists = [content[name] for name in ("images", "annotations", "categories")]
        whole = all(isinstance(part, list) and all(isinstance(item, dict) for item in part) for part in lists)
        named = whole and all({"id", "file_name"} <= item.keys() for item in lists[0])
        if not named or not all({"id", "name"} <= item.keys() for item in lists[2]):
            raise ValueError("expected lists images (id, file_name), annotations and categories (id, name)")
        hash_all = {item["id"] for item in (*lists[0], *lists[2])}
        hash_all |= {item.get(name) for item in lists[1] for name in ("image_id", "category_id")}
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ManifestError(f"{file}: cannot be read as COCO's JSON ({what}): export it again") from error
    return dict(content)


def _split(file: _File, files: int, root: Path) -> str:
    """What a file's name says; train where it says nothing and is alone.

    Raises:
        ManifestError: It says nothing, and there are others.
    """
    split = split_named(re.sub(r"[0-9]+$", "", file.name))
    if split is None and files > 1:
        raise ManifestError(
            f"{root / file.place}: names no split: expected train, val or test in its name, as there are {files} files "
            "of boxes: rename it, or move it elsewhere"
        )
    return split or "train"


def _folder(root: Path, file: _File, names: list[str]) -> str:
    """Where the images of a file lie."""
    if file.place.endswith(_ROBOFLOW):
        own = file.place.rpartition("/")[0]
        return folder_with(root, (own, below(own, "images")), names)
    bare = re.sub(r"[0-9]+$", "", file.name)
    places = [file.name, f"images/{file.name}", bare, f"images/{bare}", "images", ""]
    return folder_with(root, places, names)


def _files(root: Path) -> list[_File]:
    """The files of boxes, in `annotations/`, in folders of splits, or in the root."""
    files = []
    for path, is_folder in entries_of(root / "annotations", PassedOver()) if has_folder(root, "annotations") else []:
        named = _INSTANCES.fullmatch(path.name)
        if named and not is_folder:
            files.append(_File(f"annotations/{path.name}", named[1]))
    places = [_File(below(folder, _ROBOFLOW), folder) for folder in ("", *_FOLDERS)]
    return [*files, *(place for place in places if has_file(root, place.place))]


def _looks_like(root: Path) -> str | None:
    return ", ".join(file.place for file in _files(root)) or None


COCO = Layout("coco", "COCO boxes", _looks_like, read_coco, None, marks=("annotations", _ROBOFLOW, *_FOLDERS))
