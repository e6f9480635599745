"""`Suggestions`: groups of unknown images as a table that a person edits and a page beside it.

Letters in shapes: N images.
"""

import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.data.table_file import line_end
from lookalike.data.thumbnail import picture
from lookalike.inference.references import GalleryError
from lookalike.outputs import need_folder, write_files
from lookalike.pages import Picture, render
from lookalike.settings.paths import path_of
from lookalike.terminal import counted

COLUMNS = ("path", "label", "group", "order", "similarity", "nearest_known")
_FIRST, _OF_GROUP, _ALONE = 14, 35, 70  # images on the page; all are in the table
_BOM = b"\xef\xbb\xbf"  # Excel takes a table for UTF-8 by it


@dataclass(frozen=True)
class Group:
    """Images that probably show one new thing.

    Attributes:
        label: Proposed, such as `new 1`.
        rows: Its images, places among the N; the most central first.
        observations: How many times it was seen: the images of a burst are one.
        nearest: The known label that its mean is most similar to, "" without references.
        similarity: Cosine of that, NaN without references.
    """

    label: str
    rows: tuple[int, ...]
    observations: int
    nearest: str
    similarity: float


@dataclass(frozen=True, eq=False)
class Suggestions:
    """What unknown images probably are.

    Attributes:
        files: N images.
        groups: The largest first.
        singles: Images of no group, places among the N; the one to be labelled first stands first.
        order: int64 [N], 1 for the image whose label helps most.
        nearest: N known labels, "" without references.
        similarity: float32 [N], cosine to the nearest reference; NaN without references.
        cut: The mean similarity, cosine, that the parts of a group had at least when they were joined.
    """

    files: tuple[Path, ...]
    groups: tuple[Group, ...]
    singles: tuple[int, ...]
    order: np.ndarray
    nearest: tuple[str, ...]
    similarity: np.ndarray
    cut: float

    def write(self, folder: str | Path) -> Path:
        """Writes `suggestions.csv`, to be edited, and `suggestions.html`, to look at; returns the table's path.

        A table that was edited since it was written is kept under a dated name.

        Args:
            folder: Of both files; made where it is not there.

        Raises:
            GalleryError: The name of an image is no Unicode.
            OutputError: The folder is a file.
            DiskFullError: There is no room.
        """
        place = path_of(folder, "Suggestions.write")
        need_folder(place, {})
        table, page = place / "suggestions.csv", place / "suggestions.html"
        contents = {table: self._table(place), page: self._page().encode()}
        write_files(page, contents)
        return table

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"cut": self.cut, "items": [dict(zip(COLUMNS, row, strict=True)) for row in self._rows(None)]}

    def __len__(self) -> int:
        return len(self.files)

    def __str__(self) -> str:
        inside, images = len(self) - len(self.singles), counted(len(self), "image")
        joined = f"joined down to a mean similarity of {self.cut:.3f}"
        if not self.groups:
            return f"{images}: none alike enough to be of one new thing ({joined})"
        groups = counted(len(self.groups), "group")
        return f"{images}: {inside} in {groups}, each probably of one new thing, {len(self.singles)} alone ({joined})"

    def __repr__(self) -> str:
        return f"Suggestions({self})"

    def _rows(self, folder: Path | None) -> list[tuple[str, str, int | None, int, float | None, str]]:
        """Cells as of `COLUMNS`: groups, then what is alone; paths below a folder start there."""
        places = [(row, group.label, number) for number, group in enumerate(self.groups, 1) for row in group.rows]
        return [
            (
                _written(self.files[row], folder),
                label,
                number,
                int(self.order[row]),
                None if np.isnan(self.similarity[row]) else round(float(self.similarity[row]), 4),
                self.nearest[row],
            )
            for row, label, number in [*places, *((row, "", None) for row in self.singles)]
        ]

    def _table(self, folder: Path) -> bytes:
        rows = self._rows(folder)
        end = line_end("".join(f"{row[0]}{row[-1]}" for row in rows))
        text = io.StringIO()
        csv.writer(text, lineterminator=end).writerows([COLUMNS, *rows])
        try:
            return _BOM + text.getvalue().encode()
        except UnicodeEncodeError as error:
            names = [row[0] for row in rows if not _is_unicode(row[0])]
            raise GalleryError(
                f"{names[0]!r}: the name of the image is no UTF-8, which a table needs, and so are those of "
                f"{len(names) - 1} more: rename them"
            ) from error

    def _page(self) -> str:
        sections = [
            {
                "group": group,
                "count": len(group.rows),
                "pictures": [self._picture(row) for row in group.rows[:_OF_GROUP]],
            }
            for group in self.groups
        ]
        first = np.argsort(self.order, kind="stable")[:_FIRST].tolist()
        return render(
            "suggestions.html",
            suggestions=self,
            sections=sections,
            first=[self._picture(row) for row in first],
            alone=[self._picture(row) for row in self.singles[:_ALONE]],
            references=bool(any(self.nearest)),
        )

    def _picture(self, row: int) -> Picture:
        hint = (f"near {self.nearest[row]}, {self.similarity[row]:.2f}",) if self.nearest[row] else ()
        return picture(self.files[row], f"{self.order[row]}.", (self.files[row].name, *hint))


def _written(file: Path, folder: Path | None) -> str:
    """A path as it stands in a table: below the table's folder from there, so that both can move; else whole."""
    whole = Path(os.path.abspath(file))  # noqa: PTH100 - links keep the names that they have here
    if folder is not None and (base := Path(os.path.abspath(folder))) in whole.parents:  # noqa: PTH100
        return whole.relative_to(base).as_posix()
    return str(whole)


def _is_unicode(text: str) -> bool:
    return text.encode("utf-8", "replace").decode() == text
