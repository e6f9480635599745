"""VeRi-776: vehicles in folders like Market-1501's, with colours and types in a label file.

Liu et al., "PROVID: Progressive and Multimodal Vehicle Reidentification for Large-Scale Urban Surveillance", IEEE
Transactions on Multimedia 20(3), 2018. `0001_c001_00016450_0.jpg` is vehicle 0001 under camera 1. The readme of the
data set names its files: `name_train.txt`, `name_test.txt` and `name_query.txt` (an image a line), `train_label.xml`
and `test_label.xml` (GB2312; `<Item imageName= vehicleID= cameraID= colorID= typeID= />`), `list_color.txt` and
`list_type.txt` (`1 yellow`). The page of the data set (JDAI-CV/VeRidataset) tells that older ones have vehicles of type
0, which no list has. Query images are among the references, too; the camera rule leaves them out.
"""

import re
from functools import partial
from pathlib import Path

import pandas as pd

from lookalike.data.image_files import PassedOver, has_file
from lookalike.data.layouts.layout import Layout, LayoutRows, Standard
from lookalike.data.layouts.lists import compared, names_by_number, names_in
from lookalike.data.layouts.market import VERI_FOLDERS, label_and_camera, named, read_market
from lookalike.data.tables import ManifestError

_LISTS = {"name_train.txt": "image_train", "name_test.txt": "image_test", "name_query.txt": "image_query"}
_LABELS = ("train_label.xml", "test_label.xml")
_KINDS = {"color": ("colorID", "list_color.txt"), "type": ("typeID", "list_type.txt")}
_ITEM = re.compile(r"<Item\s+([^<>]*?)/?>")
_CELL = re.compile(r"""(\w+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


def read_veri(root: Path, passed: PassedOver) -> LayoutRows:
    """As `read_market`, with the columns `color` and `type` where the label files tell them.

    Args:
        root: The folder above the folders of images.
        passed: What is not read is added to it.
    """
    read = read_market(root, passed, VERI_FOLDERS)
    for name, folder in _LISTS.items():
        if has_file(root, name):
            notes, problems = compared(root / name, folder, names_in(root, folder))
            read.notes += notes
            read.problems += problems
    items: dict[str, dict[str, str]] = {}
    for name in _LABELS:
        if has_file(root, name):
            items |= _items_of(root / name, read)
    if items:
        _add_kinds(root, items, read)
    return read


def _items_of(file: Path, read: LayoutRows) -> dict[str, dict[str, str]]:
    """Image -> what the label file says of it; one that contradicts the name of its image becomes a problem."""
    try:
        text = file.read_bytes().decode("gb2312", "replace")
    except OSError as error:
        raise ManifestError(f"{file}: {error.strerror}: restore it, or remove it to do without colours") from error
    items: dict[str, dict[str, str]] = {}
    for item in _ITEM.finditer(text):
        cells = {cell[1]: cell[2] or cell[3] or "" for cell in _CELL.finditer(item[1])}
        name = cells.get("imageName", "")
        said = label_and_camera(name)
        vehicle = cells.get("vehicleID", "")
        if said and vehicle.isdigit() and int(vehicle) != int(said[0]):
            read.problems.append(f"{file.name}: {name} is vehicle {vehicle}, but its name says {said[0]}: correct one")
        items[name] = cells
    if not items:
        read.problems.append(f'{file.name}: expected <Item imageName="..." .../>, found none: restore or remove it')
    return items


def _add_kinds(root: Path, items: dict[str, dict[str, str]], read: LayoutRows) -> None:
    """Adds the columns, by name where a list tells it, else as the number; what is nameless is counted."""
    images = read.table["path"].str.rpartition("/")[2]
    for column, (cell, file) in _KINDS.items():
        names = names_by_number(root / file) if has_file(root, file) else {}
        numbers = images.map(lambda image, cell=cell: items.get(image, {}).get(cell, ""))
        listed = numbers.map(names) if names else numbers
        nameless = int((listed.isna() & (numbers != "")).sum())
        if nameless:
            read.notes.append(
                f"{nameless} image(s) have a {cell} that {file} does not list: their {column} is left empty"
            )
        read.table[column] = pd.Series(listed).fillna("")


VERI = Layout(
    "veri776",
    "VeRi-776",
    partial(named, folders=VERI_FOLDERS),
    read_veri,
    Standard(
        "image_query/ asks image_test/; references of the query's own vehicle and camera (jk_image.txt) are left out",
        ("map", "cmc@1", "cmc@5"),
        "Liu et al., IEEE TMM 2018 (JDAI-CV/VeRidataset: mAP, HIT@1, HIT@5); AP as fast-reid prints it",
        camera_rule=True,
    ),
    cameras=True,
    disjoint=True,
    marks=(VERI_FOLDERS.train, VERI_FOLDERS.references),
)
