"""Boxes of several things in a photograph: which box of a file is of which image that was asked for.

A table (path, x1, y1, x2, y2), COCO's JSON, or a folder of YOLO's text files. A box belongs to the image that its path
leads to from the file of boxes; where nothing is there, to the one image whose path ends in it. Nothing is guessed
where that is true of several.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.data.column_names import BOX
from lookalike.data.layouts.boxes import Boxes, Corners, upright_sizes
from lookalike.data.layouts.coco import coco_objects
from lookalike.data.layouts.listed import shown
from lookalike.data.layouts.yolo import yolo_names, yolo_objects
from lookalike.data.tables import ManifestError
from lookalike.inference.image_table import ImageTable, is_table, read_image_table
from lookalike.inference.queries import PredictError
from lookalike.terminal import counted

_EXPECTED = "a table (.csv, .tsv, .parquet), COCO's JSON (.json), or a folder of YOLO's text files"
_FEW = 3  # names in a line


@dataclass(frozen=True)
class _Object:
    """A box of a file.

    Attributes:
        name: Of its image, as it is written: parts of a path, without its ending where YOLO names it.
        place: Where that leads from the file of boxes, without ending likewise.
        label: Of the thing; "" where none is told.
        box: In pixels, or in shares of the image.
    """

    name: str
    place: str
    label: str
    box: Corners


@dataclass
class _Read:
    """What a file of boxes holds.

    Attributes:
        objects: In its order.
        shares: Whether boxes are shares of their image, as YOLO's are, whose files name no ending of images.
        became: What was left out or cut already.
        problems: What cannot be used of it.
    """

    objects: list[_Object] = field(default_factory=list)
    shares: bool = False
    became: Boxes = field(default_factory=Boxes)
    problems: list[str] = field(default_factory=list)


def read_boxes(place: Path, files: list[Path]) -> tuple[ImageTable, list[str]]:
    """A row per box of the images that were asked for, in the order of these and then of the file, and what to say.

    Args:
        place: A table, COCO's JSON, or a folder.
        files: Images that were asked for.

    Raises:
        PredictError: Nothing such is there, it cannot be read, a box may be of several images, or there is none for
            any of them.
    """
    read = _read(place)
    if read.problems:
        raise PredictError(f"boxes={place}: {'; '.join(read.problems[:_FEW])}{_and_more(len(read.problems))}")
    owners = _owners(place, read, files)
    objects: dict[Path, list[_Object]] = {}
    others = [each for each in read.objects if each.name not in owners]
    for each in read.objects:
        if each.name in owners:
            objects.setdefault(owners[each.name], []).append(each)
    if not objects:
        names = shown(dict.fromkeys(each.name for each in read.objects), _FEW)
        raise PredictError(
            f"boxes={place}: none of its {_boxes(len(read.objects))} is of an image that was asked for (it "
            f"names {names or 'none'}; asked for {shown(map(str, files), _FEW)}): give the boxes of these images"
        )
    rows, became = _inside(objects, files, read)
    notes = [f"{note}" for note in became.notes]
    if others:
        images = len({each.name for each in others})
        what = f"{counted(images, 'image')} not asked for"
        notes.append(f"{_boxes(len(others))} of {what}: passed over")
    if without := [str(file) for file in dict.fromkeys(files) if file not in objects]:
        notes.append(f"{counted(len(without), 'image')} without a box: passed over: {shown(without, _FEW)}")
    if not rows:
        raise PredictError(f"boxes={place}: {'; '.join(notes)}: no box is left: correct them")
    return _table(place, rows), notes


def _boxes(count: int) -> str:
    return f"{count} box" if count == 1 else f"{count} boxes"


def _and_more(count: int) -> str:
    return f" and {count - _FEW} more: correct them" if count > _FEW else ": correct it"


def _read(place: Path) -> _Read:
    if not os.path.lexists(place):
        raise PredictError(f"boxes={place}: no such file or folder: expected {_EXPECTED}")
    try:
        if place.is_dir():
            return _of_yolo(place)
        if place.suffix.lower() == ".json":
            return _of_coco(place)
    except ManifestError as error:
        raise PredictError(f"boxes={place}: {str(error).removeprefix(f'{place}: ')}") from error
    if not is_table(str(place)):
        raise PredictError(f"boxes={place}: expected {_EXPECTED}, found {place.suffix or 'a file without ending'}")
    return _of_table(place)


def _of_table(place: Path) -> _Read:
    try:
        table = read_image_table(place)
    except PredictError as error:
        raise PredictError(f"boxes={str(error).removeprefix('image=')}") from error
    names = [name.strip().casefold() for name in table.names]
    if not any(table.boxes) and not table.problems:
        columns = ", ".join(table.names[:20])
        raise PredictError(f"boxes={place}: expected columns path and x1, y1, x2, y2 with a box, found {columns}")
    labels = table.truths or [""] * len(table.files)
    cells = table.columns[names.index("path")] if "path" in names else [str(file) for file in table.files]
    paths = [cell for row, cell in enumerate(cells) if row not in table.problems] if "path" in names else cells
    problems = [f"row {row + 2}: {text}" for row, text in table.problems.items()]
    objects = []
    for path, file, label, box in zip(paths, table.files, labels, table.boxes, strict=True):
        if box is None:
            problems.append(f"{path}: no box: expected x1, y1, x2, y2")
            continue
        if problem := _no_corners(box):
            problems.append(f"{path}: {problem}")
            continue
        objects.append(_Object(_plain(path), str(file), label, box))
    return _Read(objects, problems=problems)


def _no_corners(box: Sequence[float]) -> str:
    """What is wrong with the corners of a box of a table; empty where nothing is."""
    x1, y1, x2, y2 = box
    written = f"found {x1:g}, {y1:g}, {x2:g}, {y2:g}"
    if x1 >= x2 or y1 >= y2:
        return f"expected x1 < x2 and y1 < y2, {written}"
    if max(box) <= 1:
        return f"expected pixels of the upright image, {written}, which look like shares of its sides"
    return ""


def _of_coco(place: Path) -> _Read:
    became, problems = Boxes(), list[str]()
    rows = coco_objects(place, became, problems)
    objects = [
        _Object(_plain(path), str(place.parent / _plain(path)), label, (x1, y1, x2, y2))
        for path, label, _, x1, y1, x2, y2 in rows
    ]
    return _Read(objects, became=became, problems=problems)


def _of_yolo(folder: Path) -> _Read:
    """Every text file below a folder, its classes named by `data.yaml` in it or above it."""
    names = yolo_names(folder) or yolo_names(folder.parent)
    files = sorted(file for file in folder.rglob("*.txt") if file.name != "classes.txt")
    if not files:
        raise PredictError(f"boxes={folder}: no text file of boxes in this folder: expected {_EXPECTED}")
    read = _Read(shares=True)
    for file in files:
        name = file.relative_to(folder).with_suffix("").as_posix()
        parts = name.split("/")
        inner = parts[len(parts) - parts[::-1].index("labels") :] if "labels" in parts else parts
        beside = _images_of(file.with_suffix(""))
        lines = yolo_objects(file, file.relative_to(folder).as_posix(), names, read.problems)
        read.objects += [_Object("/".join(inner), beside, label, box) for label, box in lines]
    return read


def _images_of(label_file: Path) -> str:
    """Where the image of a file of boxes lies: in `images/` where that lies in `labels/`, else beside it."""
    parts = list(label_file.parts)
    if places := [number for number, part in enumerate(parts[:-1]) if part == "labels"]:
        parts[places[-1]] = "images"
    return str(Path(*parts))


def _plain(name: str) -> str:
    return name.strip().replace("\\", "/").removeprefix("./")


def _owners(place: Path, read: _Read, files: list[Path]) -> dict[str, Path]:
    """Name in the file of boxes -> the image that was asked for.

    Raises:
        PredictError: A name may be of several images, or two names of one.
    """
    asked = {_key(file, read.shares): file for file in files}
    if read.shares and len(asked) < len(set(files)):
        raise PredictError(f"boxes={place}: two images differ in their endings alone, so nobody knows whose they are")
    owners: dict[str, Path] = {}
    unplaced: dict[str, None] = {}
    for each in read.objects:
        whole = _whole(each.place)
        if whole in asked:
            owners[each.name] = asked[whole]
        elif not _is_there(whole, read.shares):
            unplaced[each.name] = None
    left = {key: file for key, file in asked.items() if file not in set(owners.values())}
    by_end = _by_last_part(left)
    for name in unplaced:
        ends = [part for part in name.split("/") if part not in ("", ".", "..")]
        near = [key for key in by_end.get(ends[-1] if ends else "", []) if _parts(key)[-len(ends) :] == ends]
        if len(near) > 1:
            raise PredictError(
                f"boxes={place}: {name} may be {shown((str(left[key]) for key in near), _FEW)}: write paths that lead "
                "from the file of boxes to its images"
            )
        for key in near:
            owners[name] = left[key]
    _need_one_name(place, owners)
    return owners


def _need_one_name(place: Path, owners: dict[str, Path]) -> None:
    """Refuses two names of one image: the boxes of one of them are of another image."""
    names: dict[Path, str] = {}
    for name, file in owners.items():
        other = names.setdefault(file, name)
        if other != name and os.path.normpath(other) != os.path.normpath(name):
            raise PredictError(
                f"boxes={place}: {other} and {name} may both be {file}: write paths that lead from the file of boxes "
                "to its images"
            )


def _whole(path: str) -> str:
    """From the root, links of folders followed: a link to a file keeps its own name and ending."""
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)


def _key(file: Path, bare: bool) -> str:
    """The whole path of an image, without its ending where files of boxes name none."""
    whole = _whole(str(file))
    return os.path.splitext(whole)[0] if bare else whole


def _is_there(whole: str, bare: bool) -> bool:
    if not bare:
        return os.path.lexists(whole)
    folder, name = os.path.split(whole)
    return os.path.isdir(folder) and any(  # noqa: PTH112
        os.path.splitext(entry)[0] == name and not entry.endswith(".txt")
        for entry in os.listdir(folder)  # noqa: PTH208
    )


def _parts(whole: str) -> list[str]:
    return whole.replace(os.sep, "/").split("/")


def _by_last_part(keys: Iterable[str]) -> dict[str, list[str]]:
    by_end: dict[str, list[str]] = {}
    for key in keys:
        by_end.setdefault(_parts(key)[-1], []).append(key)
    return by_end


def _inside(
    objects: dict[Path, list[_Object]], files: list[Path], read: _Read
) -> tuple[list[tuple[Path, str, Corners]], Boxes]:
    """Image, label and box in pixels, cut to the image; and what became of those that reach beyond or are too small."""
    owned = {each.name: str(file) for file, group in objects.items() for each in group}
    became = Boxes(*(list(_asked(paths, owned)) for paths in vars(read.became).values()))
    sizes = upright_sizes(list(objects))
    rows: list[tuple[Path, str, Corners]] = []
    for file in dict.fromkeys(files):
        size = sizes.get(file)
        for each in objects.get(file, []):
            box = each.box
            if isinstance(size, str) or size is None:  # the image says so itself, when it is read
                rows.append((file, each.label, box))
                continue
            if read.shares:
                box = box[0] * size[0], box[1] * size[1], box[2] * size[0], box[3] * size[1]
            inside = became.inside(str(file), box, size)
            if inside is not None:
                rows.append((file, each.label, inside))
    return rows, became


def _asked(paths: list[str], owned: dict[str, str]) -> Iterator[str]:
    return (owned[_plain(path)] for path in paths if _plain(path) in owned)


def _table(place: Path, rows: list[tuple[Path, str, Corners]]) -> ImageTable:
    files, labels, boxes = (list(column) for column in zip(*rows, strict=True))
    names = ["path", *(["label"] if any(labels) else []), *BOX]
    sides = [[f"{box[side]:g}" for box in boxes] for side in range(len(BOX))]
    columns = [[str(file) for file in files], *([labels] if any(labels) else []), *sides]
    return ImageTable(place, names, columns, files, boxes)
