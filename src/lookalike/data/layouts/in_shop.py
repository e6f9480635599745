"""In-Shop Clothes Retrieval of DeepFashion: one list says what is trained on, who asks and who answers.

Liu et al., "DeepFashion: Powering Robust Clothes Recognition and Retrieval with Rich Annotations", CVPR 2016.
`list_eval_partition.txt` begins with the number of images and the names of its columns (described in mmfashion's
docs/dataset/IN_SHOP_DATASET.md); it lies in `Eval/`, or beside the images, as open-metric-learning wants it.
"""

from pathlib import Path

import pandas as pd

from lookalike.data.image_files import PassedOver
from lookalike.data.layouts.layout import Layout, LayoutRows, Standard, utf8_only
from lookalike.data.layouts.listed import (
    cells_of,
    folder_with,
    head_of,
    taken_once,
    tell_labels_of_both,
    tell_unlisted,
)
from lookalike.data.layouts.lists import lines_of

_LIST = "list_eval_partition.txt"
_PLACES = (_LIST, f"Eval/{_LIST}")
_HEADER = ["image_name", "item_id", "evaluation_status"]  # that of Consumer-to-Shop, of the same name, has four columns
_STATUS = {"train": ("train", ""), "query": ("test", "query"), "gallery": ("test", "reference")}
_EXAMPLE = "img/WOMEN/Dresses/id_00000002/02_1_front.jpg id_00000002 train"
_IMAGES = ("img", "Img/img", "img_highres", "Img/img_highres")  # what the list calls img/


def read_in_shop(root: Path, passed: PassedOver) -> LayoutRows:
    """Reads the list; nothing is decoded.

    Args:
        root: The folder with the list or with `Eval/`.
        passed: What is not read is added to it.

    Returns:
        A table with the columns path, label (the item), split, role and category (the folder of its items).

    Raises:
        ManifestError: The list is no text.
    """
    place = next(place for place in _PLACES if _is_list(root / place))
    notes: list[str] = []
    problems: list[str] = []
    lines = lines_of(root / place)
    cells = cells_of(lines[2:], 3, f"{place}: {_EXAMPLE}", problems, last_has_blanks=False)
    count = lines[0][1]
    if not count.isdigit() or int(count) != len(lines) - 2:
        problems.append(f"{place}: says {count[:20]} images, lists {len(lines) - 2}: copy it again, whole")
    names = [cell[0].removeprefix("img/") for cell in cells]
    folder = folder_with(root, _IMAGES, names)
    rows = []
    for name, (_, item, status) in zip(names, cells, strict=True):
        if status not in _STATUS:
            problems.append(f"{place}: {name}: {status!r}: expected one of {', '.join(_STATUS)}")
            continue
        rows.append((f"{folder or 'img'}/{name}", item, *_STATUS[status], "/".join(name.split("/")[:-2])))
    columns = ["path", "label", "split", "role", "category"]
    table = taken_once(pd.DataFrame(utf8_only(rows, problems), columns=columns), notes, problems)
    tell_labels_of_both(table, notes)
    tell_unlisted(root, [folder] if folder else [], table["path"], passed, notes)
    return LayoutRows(table, notes, problems)


def _is_list(file: Path) -> bool:
    head = head_of(file)
    return len(head) > 1 and head[1].split() == _HEADER


def _looks_like(root: Path) -> str | None:
    return next((place for place in _PLACES if _is_list(root / place)), None)


IN_SHOP = Layout(
    "in-shop",
    "In-Shop Clothes",
    _looks_like,
    read_in_shop,
    Standard(
        "images of status query ask those of status gallery; Recall@k: whether one of the first k shows its item",
        ("cmc@1", "cmc@10", "cmc@20", "cmc@30", "cmc@40", "cmc@50"),
        "Liu et al., CVPR 2016",
        average_precision="none",
        cmc_name="Recall",
        lone_missed=True,
    ),
    disjoint=True,
    marks=(_LIST, "Eval"),
)
