"""All layouts, and which of them a folder has; a folder that two of them claim is refused, not guessed."""

import os
from dataclasses import dataclass
from pathlib import Path

from lookalike.data.layouts.cars import CARS, CARS_BOXES
from lookalike.data.layouts.coco import COCO
from lookalike.data.layouts.cub import CUB, CUB_BOXES
from lookalike.data.layouts.cuhk03 import CUHK03_DETECTED, CUHK03_LABELED, CUHK03_NP
from lookalike.data.layouts.dukemtmc import DUKEMTMC, OCCLUDED_DUKE
from lookalike.data.layouts.ilids_vid import ILIDS_VID
from lookalike.data.layouts.in_shop import IN_SHOP
from lookalike.data.layouts.layout import Layout, root_with
from lookalike.data.layouts.market import FLAT, MARKET, MARKET_NAMED_OTHERWISE
from lookalike.data.layouts.mars import MARS
from lookalike.data.layouts.msmt17 import MSMT17
from lookalike.data.layouts.one_hot import ONE_HOT
from lookalike.data.layouts.online_products import ONLINE_PRODUCTS
from lookalike.data.layouts.open_images import OPEN_IMAGES
from lookalike.data.layouts.prid2011 import PRID_PICTURES, PRID_SEQUENCES
from lookalike.data.layouts.remnants import torn
from lookalike.data.layouts.revisited import REVISITED
from lookalike.data.layouts.vehicleid import VEHICLEID
from lookalike.data.layouts.veri import VERI
from lookalike.data.layouts.wildlife import WILDLIFE
from lookalike.data.layouts.yolo import YOLO
from lookalike.data.tables import ManifestError
from lookalike.errors import did_you_mean

AUTO, FOLDERS = "auto", "folders"  # values of `data.layout` that name no layout of a data set
LAYOUTS: tuple[Layout, ...] = (
    *(
        MARKET,
        MARKET_NAMED_OTHERWISE,
        DUKEMTMC,
        OCCLUDED_DUKE,
        CUHK03_NP,
        CUHK03_LABELED,
        CUHK03_DETECTED,
        MSMT17,
        FLAT,
    ),
    *(VERI, VEHICLEID),
    *(PRID_SEQUENCES, PRID_PICTURES, ILIDS_VID, MARS),
    *(IN_SHOP, ONLINE_PRODUCTS, CUB, CUB_BOXES, CARS, CARS_BOXES, REVISITED),
    *(WILDLIFE, COCO, YOLO, ONE_HOT, OPEN_IMAGES),
)
_MARKS = frozenset(name for layout in LAYOUTS for name in layout.marks)


@dataclass(frozen=True)
class Recognised:
    """Which layout a data set has.

    Attributes:
        layout: It.
        base: The folder that has it.
        evidence: Why it was taken for that one, in words.
    """

    layout: Layout
    base: Path
    evidence: str


def recognise(root: Path, wanted: str = AUTO) -> Recognised | None:
    """The layout of a data set; None for a table or class folders.

    Args:
        root: The data set, or the one folder above it.
        wanted: The setting `data.layout`: `auto`, `folders`, or the name of a layout.

    Raises:
        ManifestError: Several layouts claim it, the one wanted does not, a part of one is missing, or there is no
            layout of that name.
    """
    if wanted != AUTO:
        return None if wanted == FOLDERS else _as_wanted(root, wanted)
    base = root_with(root, lambda folder: bool(claims(folder)))
    if base is None:
        if problem := torn(root):
            raise ManifestError(problem)
        return None
    claimed = claims(base)
    if len(claimed) > 1:
        names = " and ".join(f"{layout.title} (by {evidence})" for layout, evidence in claimed)
        ways = " or ".join(f"data.layout={layout.name}" for layout, _ in claimed)
        raise ManifestError(f"{base}: looks like {names}: expected one data set; say which it is with {ways}")
    layout, evidence = claimed[0]
    if problem := torn(base, layout.name):
        raise ManifestError(problem)
    return Recognised(layout, base, evidence)


def claims(folder: Path) -> list[tuple[Layout, str]]:
    """The layouts that a folder looks like, each with its evidence; empty where it looks like none."""
    there = {name for name in _MARKS if os.path.lexists(f"{folder}/{name}")}
    asked = [entry for entry in LAYOUTS if not entry.asked_for and (not entry.marks or there & {*entry.marks})]
    claimed = [(layout, evidence) for layout in asked if (evidence := layout.looks_like(folder))]
    return [pair for pair in claimed if not (pair[0].gives_way and pair[0].gives_way(folder))]


def _as_wanted(root: Path, wanted: str) -> Recognised:
    by_name = {layout.name: layout for layout in LAYOUTS}
    if wanted not in by_name:
        names = [AUTO, FOLDERS, *by_name]
        raise ManifestError(
            f"data.layout={wanted}: no such layout{did_you_mean(wanted, names)}: expected one of {', '.join(names)}"
        )
    layout = by_name[wanted]
    base = root_with(root, lambda folder: layout.looks_like(folder) is not None)
    evidence = layout.looks_like(base) if base else None
    if base is None or evidence is None:
        raise ManifestError(
            f"{root}: nothing of {layout.title} in it, as data.layout={wanted} says: correct data.root, or leave "
            "data.layout out"
        )
    return Recognised(layout, base, evidence)
