"""A table of figures: as texts for a page, as numbers in CSV, and as LaTeX."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["text", "count", "figure", "percent", "whole_percent", "rate", "interval", "between", "similarity"]

_SHOWN: dict[Kind, Callable[..., str]] = {
    "text": str,
    "count": str,
    "figure": "{:.4f}".format,
    "similarity": "{:.4f}".format,
    "percent": lambda share: f"{100 * share:.1f} %",
    "whole_percent": lambda share: f"{100 * share:.0f} %",
    "rate": lambda share: f"{100 * share:g} %",
    "interval": lambda pair: "{:.4f} to {:.4f}".format(*pair),
    "between": lambda shares: "{:.1f} % ({:.1f} to {:.1f})".format(*(100 * share for share in shares)),
}
_FORMULA = re.compile(r"[=@\t\r\n]|[+-](?![0-9.]+$)")  # what a spreadsheet computes, numbers aside
_ENDS = ("95 % low", "95 % high")
_LATEX = {**{sign: f"\\{sign}" for sign in "&%$#_{}"}, "\\": r"\textbackslash{}", "~": r"\textasciitilde{}"} | {
    **{"^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}"}
}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        head: Its title.
        values: A cell per row: texts, numbers, the two ends of an interval, or for `between` a share and its two ends;
            None or NaN for an empty one.
        kind: What they are, so how they are written.
    """

    head: str
    values: Sequence[object]
    kind: Kind = "text"

    @property
    def texts(self) -> list[str]:
        """The cells as a person reads them."""
        return ["" if _missing(value) else _SHOWN[self.kind](value) for value in self.values]


@dataclass(frozen=True)
class Sheet:
    """A table whose cells are numbers until they are written; a page shows it as a `pages.Table`.

    Attributes:
        columns: From left to right, of one length.
        sortable: Whether a click on a title sorts.
    """

    columns: list[Column]
    sortable: bool = False

    @property
    def heads(self) -> list[str]:
        """A title per column."""
        return [column.head for column in self.columns]

    @property
    def rows(self) -> list[list[str]]:
        """Texts, as many as there are heads in each."""
        return [list(row) for row in zip(*(column.texts for column in self.columns), strict=True)]

    @property
    def numbers(self) -> frozenset[int]:
        """Columns that are set to the right."""
        return frozenset(place for place, column in enumerate(self.columns) if column.kind != "text")

    def to_csv(self) -> bytes:
        """The numbers themselves, shares as 0 to 1, an interval as two columns named after the one before; UTF-8.

        A text that a spreadsheet would take for a formula has a `'` before it.
        """
        columns: list[tuple[str, list[object]]] = []
        for place, column in enumerate(self.columns):
            head = column.head or ("name", "value")[min(place, 1)]
            of = self.columns[place - 1].head if column.kind == "interval" else head
            names = {"interval": _ENDS, "between": ("", *_ENDS)}.get(column.kind)
            if names is None:
                columns.append((head, ["" if _missing(value) else value for value in column.values]))
                continue
            for part, name in enumerate(names):
                cells = ["" if _missing(value) else value[part] for value in column.values]  # type: ignore[index]
                columns.append((f"{of} {name}".strip(), cells))
        text = io.StringIO()
        heads, parts = zip(*columns, strict=True)
        csv.writer(text).writerows([heads, *(map(_plain, row) for row in zip(*parts, strict=True))])
        return text.getvalue().encode("utf-8", "backslashreplace")

    def to_latex(self) -> bytes:
        """A `tabular` that needs no package, UTF-8."""
        sides = "".join("r" if place in self.numbers else "l" for place in range(len(self.columns)))
        # What follows \\ and begins with [ or * would be its argument.
        rows = [" & ".join(map(_escaped, row)) + r" \\" for row in [self.heads, *self.rows]]
        lines = ["{}" + row if row.startswith(("[", "*")) else row for row in rows]
        head = [lines[0], r"\hline"] if any(self.heads) else []
        parts = [rf"\begin{{tabular}}{{{sides}}}", r"\hline", *head, *lines[1:], r"\hline", r"\end{tabular}", ""]
        return "\n".join(parts).encode("utf-8", "backslashreplace")


def _plain(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float | np.floating) and not np.isfinite(value))


def _escaped(text: str) -> str:
    """Text that LaTeX sets as it is, on one line."""
    return re.sub(r"[\\&%$#_{}~^<>]", lambda sign: _LATEX[sign[0]], " ".join(text.split()))
