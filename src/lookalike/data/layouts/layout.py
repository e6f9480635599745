"""What a layout of a data set is: how it is recognised, how it is read, and how its papers measure.

A reader touches no pixel, skips nothing in silence, and tells all problems at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import pandas as pd

from lookalike.data.grades import Grades
from lookalike.data.image_files import PassedOver, entries_of
from lookalike.files import readable

AveragePrecision = Literal["rectangle", "trapezoid", "none"]
AnyRow = TypeVar("AnyRow", bound=tuple[Any, ...])


@dataclass(frozen=True)
class Standard:
    """How the papers measure that use a data set; `lookalike eval` does the same without a setting.

    Attributes:
        protocol: In words: who asks, who answers, what is left out.
        metrics: The figures they print, by their names in docs/evaluation.md, the first one first.
        source: Where that stands: a paper, or the code of the authors.
        camera_rule: Whether references of the query's own label and camera are left out.
        average_precision: Which AP they print; `none` where they print none.
        draws: How many random galleries of one image of each label are averaged; 0 where there is one fixed gallery.
        subsets: Tests of their own that such galleries are drawn from; an image names its tests in the column `tests`,
            with a blank between them.
        tracklets: Whether the images of one tracklet (column `tracklet`) ask and answer as their mean.
        cmc_name: What the papers call cmc, such as `Recall` for Recall@k.
        lone_missed: Whether a query that no reference can answer counts as missed; else it is left out.
    """

    protocol: str
    metrics: tuple[str, ...]
    source: str
    camera_rule: bool = False
    average_precision: AveragePrecision = "rectangle"
    draws: int = 0
    subsets: tuple[str, ...] = ()
    tracklets: bool = False
    cmc_name: str = "cmc"
    lone_missed: bool = False

    def called(self, name: str) -> str:
        """What the papers call a metric.

        Args:
            name: Ours, one of `metrics`.
        """
        return name.replace("cmc@", f"{self.cmc_name}@")


@dataclass
class LayoutRows:
    """What the reader of a layout made.

    Attributes:
        table: A row per image: path (relative to `base`), label, and where they are known split, role, camera, ignore,
            and further columns as text.
        notes: What was passed over, and what a user should know, in words.
        problems: What must be mended before anything is read, in words; empty where all is well.
        base: The folder that paths start from; None for the folder that was read.
        variant: The version of the data set, behind the title in what is told; "" where there is only one.
        standard: How this version is measured; None for the layout's own.
        grades: Path of a query -> which references are right for it, where its label does not say that.
    """

    table: pd.DataFrame
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    base: Path | None = None
    variant: str = ""
    standard: Standard | None = None
    grades: Mapping[str, Grades] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """A layout of a data set.

    Attributes:
        name: Of the setting `data.layout`: small letters, digits and dashes.
        title: What the data set is called.
        looks_like: The evidence that a folder (or file) has this layout, such as `its lists`; None where it has not. It
            opens few files, as every folder of a data set may be asked.
        read: Reads the folder; what it passes over is added to the second argument.
        standard: How its papers measure; None where they agree on nothing.
        cameras: Whether its labels are people (or vehicles, animals) whose images name their cameras.
        disjoint: Whether train and test have no label in common, so that validation is held out by whole labels, too.
        marks: Names of which a folder with this layout holds at least one, so that others are not looked into; empty
            where there are none.
        gives_way: Whether another layout of the same folder is meant, so that only `data.layout` chooses this one; None
            where that is never so.
        read_fold: Reads one of the splits of the people that the data set comes with, numbered from 1; None where
            there is one split, which `read` reads.
        asked_for: Whether it is only read when `data.layout` names it, as another one claims the same folder.
    """

    name: str
    title: str
    looks_like: Callable[[Path], str | None]
    read: Callable[[Path, PassedOver], LayoutRows]
    standard: Standard | None
    cameras: bool = False
    disjoint: bool = False
    marks: tuple[str, ...] = ()
    gives_way: Callable[[Path], bool] | None = None
    read_fold: Callable[[Path, PassedOver, int], LayoutRows] | None = None
    asked_for: bool = False


def root_with(root: Path, has_layout: Callable[[Path], bool]) -> Path | None:
    """The folder with a layout: `root`, else, where it has no `train` of its own, its one subfolder that has; or None.

    Args:
        root: Where it is looked for.
        has_layout: Whether a folder has the layout.
    """
    if has_layout(root):
        return root
    if not root.is_dir() or (root / "train").is_dir():
        return None
    inside = [path for path, is_folder in entries_of(root, PassedOver()) if is_folder and has_layout(path)]
    return inside[0] if len(inside) == 1 else None


def utf8_only(rows: list[AnyRow], problems: list[str]) -> list[AnyRow]:
    """The rows whose first cell, a path, is UTF-8 (tables hold nothing else); the others become problems."""
    names = [readable(row[0]) for row in rows]
    problems += [
        f"{name}: the name is not UTF-8: rename it" for row, name in zip(rows, names, strict=True) if name != row[0]
    ]
    return [row for row, name in zip(rows, names, strict=True) if name == row[0]]
