"""What an audit can find, and the table of it."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from lookalike.files import readable

COLUMNS = ("kind", "path", "other", "split", "label", "score", "reason", "suggestion", "safe", "row", "other_row")
KINDS = {  # in the order of a report: title, and what to do about it
    "unusable": ("Files that cannot be used", "restore or replace the file"),
    "stray": ("Files that belong nowhere", "move it into a class folder or remove it"),
    "problem": ("Problems of the table", "correct the data set"),
    "wrong_suffix": ("Names that promise another format", "rename the file"),
    "copy": ("Copies, byte for byte", "keep one of them"),
    "near_copy": ("Copies that were re-encoded, resized, mirrored or cropped", "keep one of them"),
    "same_scene": ("The same scene in two splits or under two labels", "keep a scene in one split"),
    "label": ("Labels that are likely wrong", "look, and move it to the class it shows"),
    "outlier": ("Images that resemble no class", "look for foreign objects, lettering, collages"),
    "confused": ("Classes that are taken for each other", "compare their images; add images of both, or merge them"),
    "blank": ("Nearly blank", "look at it"),
    "dark": ("Very dark", "look at it"),
    "bright": ("Very bright", "look at it"),
    "blurred": ("Blurred", "look at it"),
    "small": ("Much smaller than the others", "look for a larger original"),
    "aspect": ("Long and narrow", "crop it to its object"),
    "few": ("Classes with fewer than 4 training images", "add images"),
    "missing": ("Classes without images in a split", "add images there, or take their figures as not measured"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that is odd.

    Attributes:
        kind: A key of `KINDS`.
        row: The image; None for what is about no image of the data set.
        reason: What was seen.
        other: The second image of a pair.
        score: Higher is worse, 0..1.
        suggestion: What to do; empty for the usual of its kind.
        safe: Whether the image can be left out without a second look.
        path: Of a file that is no image of the data set.
        label: Where there is no row.
    """

    kind: str
    row: int | None
    reason: str
    other: int | None = None
    score: float = float("nan")
    suggestion: str = ""
    safe: bool = False
    path: str = ""
    label: str = ""


class Findings:
    """Findings are gathered here; those of images name their row.

    Args:
        rows: The images, numbered from 0: path, split, label.
    """

    def __init__(self, rows: pd.DataFrame) -> None:
        self._images, self._lines = rows, list[dict[str, Any]]()

    def add(self, finding: Finding) -> None:
        """Adds one."""
        path, reason = map(readable, (finding.path, finding.reason))
        image = self._images.loc[finding.row] if finding.row is not None else None
        self._lines.append(
            {
                "kind": finding.kind,
                "path": image["path"] if image is not None else path,
                "other": self._images["path"][finding.other] if finding.other is not None else "",
                "split": image["split"] if image is not None else "",
                "label": image["label"] if image is not None else finding.label,
                "score": finding.score,
                "reason": reason,
                "suggestion": finding.suggestion or KINDS[finding.kind][1],
                "safe": finding.safe,
                "row": -1 if finding.row is None else finding.row,
                "other_row": -1 if finding.other is None else finding.other,
            }
        )

    def table(self) -> pd.DataFrame:
        """The worst of every kind first."""
        table = pd.DataFrame(self._lines, columns=COLUMNS)
        order = table["kind"].map({kind: place for place, kind in enumerate(KINDS)})
        return (
            table.assign(order=order)
            .sort_values(["order", "score", "path"], ascending=[True, False, True], kind="stable")
            .drop(columns="order")
            .reset_index(drop=True)
            .astype({"safe": bool, "score": float})
        )
