"""An audit as one page that needs no network: findings with pictures, and a list of what a person accepts."""

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lookalike.auditing.audit import Audit
from lookalike.auditing.findings_table import KINDS
from lookalike.pages import Picture, Table, render

_SHOWN = 60  # findings of one kind on the page; all are in the table
_SIDE = 96  # pixels of a picture
_TWICE = ("copy", "near_copy", "same_scene")  # kinds that are leaks where the splits differ


@dataclass(frozen=True)
class Card:
    """A finding on the page.

    Attributes:
        title: Split and label, or the file.
        reason: What was seen.
        suggestion: What to do.
        leak: Whether it is one picture in two splits.
        pictures: The image, and the second of a pair.
        name: Of the image, to leave it out.
        number: Of the image among those that can be left out; None where there is nothing to leave out.
    """

    title: str
    reason: str
    suggestion: str
    leak: bool
    pictures: list[Picture]
    name: str
    number: int | None


@dataclass(frozen=True)
class Section:
    """The findings of one kind.

    Attributes:
        key: Of the kind.
        title: Of the kind.
        advice: What to do about it.
        count: Findings there are.
        findings: Those on the page.
    """

    key: str
    title: str
    advice: str
    count: int
    findings: list[Card]


def page(audit: Audit) -> bytes:
    """The page, UTF-8; pictures are inside it."""
    accept: list[list[str]] = []
    return render(
        "audit.html",
        name=audit.manifest.root.resolve(),
        date=time.strftime("%Y-%m-%d"),
        images=len(audit.rows),
        usable=int(audit.facts.usable.sum()),
        classes=audit.rows["label"].nunique(),
        left_out=len(audit.manifest.left_out),
        leaks=_leaks(audit.leaks),
        kinds=[_section(audit, kind, accept) for kind in KINDS if (audit.findings["kind"] == kind).any()],
        reasons=accept,
    ).encode()


def _leaks(leaks: pd.DataFrame) -> Table:
    heads = ["queries", "accuracy@1", "with a copy", "without these", "with a copy or the same scene", "without these"]
    rows = [[str(split), *map(_figure, values)] for split, *values in leaks.itertuples(index=False)]
    return Table(["split", *heads], rows, frozenset(range(1, 7)))


def _figure(value: float) -> str:
    if isinstance(value, int | np.integer):
        return f"{value}"
    return f"{value:.4f}" if np.isfinite(value) else "none left"


def _section(audit: Audit, kind: str, accept: list[list[str]]) -> Section:
    """Findings of a kind; path and reason of those that can be left out are appended to `accept`."""
    findings = audit.findings[audit.findings["kind"] == kind]
    cards = []
    for row in findings.head(_SHOWN).to_dict("records"):
        path, reason = str(row["path"]), str(row["reason"])
        number = None
        if row["row"] >= 0 and kind != "confused":
            number = len(accept)
            accept.append([path, f"{kind}: {reason}"])
        pair = [place for place in (row["row"], row["other_row"]) if place >= 0]
        cards.append(
            Card(
                title=f"{row['split']} {row['label']}".strip() or path,
                reason=reason,
                suggestion=str(row["suggestion"]),
                leak=kind in _TWICE and audit.rows["split"].iloc[pair].nunique() > 1,
                pictures=[audit.facts.picture(place, _SIDE) for place in pair],
                name=f"{row['split']}/{path.rpartition('/')[2]}",
                number=number,
            )
        )
    title, advice = KINDS[kind]
    return Section(kind, title, advice[0].upper() + advice[1:], len(findings), cards)
