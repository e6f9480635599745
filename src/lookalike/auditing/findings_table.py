"""What an audit can find, and the table of it."""

from typing import Any

import pandas as pd

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


class Findings:
    """Findings are gathered here; those of images name their row.

    Args:
        rows: The images, numbered from 0: path, split, label.
    """

    def __init__(self, rows: pd.DataFrame) -> None:
        self._rows, self._found = rows, list[dict[str, Any]]()

    def add(
        self,
        kind: str,
        row: int | None,
        reason: str,
        *,
        other: int | None = None,
        score: float = float("nan"),
        suggestion: str = "",
        safe: bool = False,
        path: str = "",
        label: str = "",
    ) -> None:
        """Adds one.

        Args:
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
        path, reason = (text.encode("utf-8", "backslashreplace").decode() for text in (path, reason))
        image = self._rows.loc[row] if row is not None else None
        self._found.append(
            {
                "kind": kind,
                "path": image["path"] if image is not None else path,
                "other": self._rows["path"][other] if other is not None else "",
                "split": image["split"] if image is not None else "",
                "label": image["label"] if image is not None else label,
                "score": score,
                "reason": reason,
                "suggestion": suggestion or KINDS[kind][1],
                "safe": safe,
                "row": -1 if row is None else row,
                "other_row": -1 if other is None else other,
            }
        )

    def table(self) -> pd.DataFrame:
        """The worst of every kind first."""
        table = pd.DataFrame(self._found, columns=COLUMNS)
        order = table["kind"].map({kind: place for place, kind in enumerate(KINDS)})
        return (
            table.assign(order=order)
            .sort_values(["order", "score", "path"], ascending=[True, False, True], kind="stable")
            .drop(columns="order")
            .reset_index(drop=True)
            .astype({"safe": bool, "score": float})
        )
