"""Stanford Online Products: two lists of products for sale; every test image asks all other test images.

Oh Song et al., "Deep Metric Learning via Lifted Structured Feature Embedding", CVPR 2016. The lists begin with
`image_id class_id super_class_id path`; a line is `1 1 1 bicycle_final/111085122871_0.JPG`.
"""

from pathlib import Path

import pandas as pd

from lookalike.data.image_files import PassedOver
from lookalike.data.layouts.layout import Layout, LayoutRows, Standard, utf8_only
from lookalike.data.layouts.listed import (
    cells_of,
    head_of,
    need_files,
    taken_once,
    tell_labels_of_both,
    tell_unlisted,
    top_folders,
)
from lookalike.data.layouts.lists import lines_of

_LISTS = {"Ebay_train.txt": ("train", ""), "Ebay_test.txt": ("test", "both")}
_HEADER = ["image_id", "class_id", "super_class_id", "path"]
_EXAMPLE = "1 1 1 bicycle_final/111085122871_0.JPG"


def read_online_products(root: Path, passed: PassedOver) -> LayoutRows:
    """Reads the lists; nothing is decoded.

    Args:
        root: The folder with the lists.
        passed: What is not read is added to it.

    Returns:
        A table with the columns path, label (the product), split, role and category (bicycle_final ...).

    Raises:
        ManifestError: A list is missing, or no text.
    """
    need_files(root, _LISTS, "Stanford Online Products", "what is trained on and what is searched")
    notes: list[str] = []
    problems: list[str] = []
    rows = []
    for name, (split, role) in _LISTS.items():
        cells = cells_of(lines_of(root / name)[1:], 4, f"{name}: {_EXAMPLE}", problems)
        rows += [(path, label, split, role, path.partition("/")[0]) for _, label, _, path in cells]
    columns = ["path", "label", "split", "role", "category"]
    table = taken_once(pd.DataFrame(utf8_only(rows, problems), columns=columns), notes, problems)
    tell_labels_of_both(table, notes)
    tell_unlisted(root, top_folders(table["path"]), table["path"], passed, notes)
    return LayoutRows(table, notes, problems)


def _looks_like(root: Path) -> str | None:
    lists = [name for name in _LISTS if head_of(root / name)[:1] and head_of(root / name)[0].split() == _HEADER]
    return ", ".join(lists) or None


ONLINE_PRODUCTS = Layout(
    "online-products",
    "Stanford Online Products",
    _looks_like,
    read_online_products,
    Standard(
        "every image of Ebay_test.txt asks all others of it; Recall@k: whether one of the first k shows its product",
        ("cmc@1", "cmc@10", "cmc@100", "cmc@1000"),
        "Oh Song et al., CVPR 2016",
        average_precision="none",
        cmc_name="Recall",
        lone_missed=True,
    ),
    disjoint=True,
    marks=tuple(_LISTS),
)
