"""Oxford and Paris revisited: queries are boxes of photographs, and each has easy, hard and junk references of its own.

Radenović et al., "Revisiting Oxford and Paris: Large-Scale Image Retrieval Benchmarking", CVPR 2018; the folder has
`gnd_roxford5k.pkl` (or `gnd_rparis6k.pkl`; `.mat` and `.json` are read, too) and the photographs in `jpg/`.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from lookalike.data.column_names import BOX
from lookalike.data.grades import DIFFICULTIES, Grades
from lookalike.data.image_files import PassedOver, has_file
from lookalike.data.layouts.ground_truth import GroundTruth, read_ground_truth
from lookalike.data.layouts.layout import Layout, LayoutRows, Standard, utf8_only
from lookalike.data.layouts.listed import below, folder_with, shown, tell_unlisted

_COLUMNS = ["path", "label", "split", "role", *BOX]
_FILES = tuple(f"gnd_{name}{suffix}" for suffix in (".pkl", ".mat", ".json") for name in ("roxford5k", "rparis6k"))
_NOBODY = "distractor"  # the label of references that are right for no query


def read_revisited(root: Path, passed: PassedOver) -> LayoutRows:
    """Reads the ground truth; nothing is decoded, and nothing in its pickle is executed.

    Args:
        root: The folder with `gnd_roxford5k.pkl` and `jpg/`.
        passed: What is not read is added to it.

    Returns:
        A table with the columns path, label (the landmark of a query without its number; of references the landmark of
        a query that they are right for, else `distractor`), split, role, x1, y1, x2, y2 of queries; and `grades`.

    Raises:
        ManifestError: The ground truth cannot be read.
    """
    file = root / _files(root)[0]
    truth = read_ground_truth(file)
    notes: list[str] = []
    problems: list[str] = []
    folder = folder_with(root, ("jpg", "images", ""), [f"{name}.jpg" for name in truth.images[:20]])
    images, queries = ([below(folder, f"{name}.jpg") for name in names] for names in (truth.images, truth.queries))
    both = sorted({*images} & {*queries})
    if both:
        problems.append(f"{file.name}: {len(both)} queries are among the images that are searched: {shown(both)}")
    labels = _labels(truth, notes)
    rows: list[tuple[str, str, str, str, tuple[float, ...]]]
    rows = [(path, label, "test", "reference", (np.nan,) * 4) for path, label in zip(images, labels, strict=True)]
    rows += [
        (path, _landmark(name), "test", "query", box)
        for path, name, box in zip(queries, truth.queries, truth.boxes, strict=True)
    ]
    table = pd.DataFrame([(*row[:4], *row[4]) for row in utf8_only(rows, problems)], columns=_COLUMNS)
    grades = {
        path: Grades(*(frozenset(images[place] for place in places[name]) for name in ("easy", "hard", "junk")))
        for path, places in zip(queries, truth.places, strict=True)
    }
    tell_unlisted(root, [folder] if folder else [], table["path"], passed, notes)
    if len(_files(root)) > 1:
        notes.append(f"{', '.join(_files(root)[1:])} passed over, as {file.name} says the same")
    return LayoutRows(table, notes, problems, variant=file.stem.removeprefix("gnd_"), grades=grades)


def _landmark(name: str) -> str:
    """What a query shows: `all_souls_000013` is one of all_souls."""
    head, _, number = name.rpartition("_")
    return head if head and number.isdigit() else name


def _labels(truth: GroundTruth, notes: list[str]) -> list[str]:
    """The landmark of each reference; one that is right for queries of several has that of the first."""
    labels, several = [""] * len(truth.images), set()
    for name, places in zip(truth.queries, truth.places, strict=True):
        for place in (*places["easy"], *places["hard"]):
            if labels[place] not in ("", _landmark(name)):
                several.add(truth.images[place])
            labels[place] = labels[place] or _landmark(name)
    if several:
        notes.append(f"{len(several)} image(s) show several landmarks and have one as label: {shown(sorted(several))}")
    return [label or _NOBODY for label in labels]


def _files(root: Path) -> list[str]:
    """Those with ground truth, the pickle first."""
    return [name for name in _FILES if has_file(root, name)]


def _looks_like(root: Path) -> str | None:
    return next(iter(_files(root)), None)


REVISITED = Layout(
    "revisited",
    "Oxford and Paris revisited",
    _looks_like,
    read_revisited,
    Standard(
        "the box of each query asks all images; right are its easy ones, its easy and hard ones (medium), or its hard "
        "ones; its junk, and what is right by another difficulty, is left out",
        tuple(f"{name}_{difficulty}" for difficulty in DIFFICULTIES for name in ("map", "mp@1", "mp@5", "mp@10")),
        "Radenović et al., CVPR 2018",
        average_precision="trapezoid",
    ),
    marks=_FILES,
)
