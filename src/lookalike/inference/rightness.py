"""How many predictions are right, where folders or a table name the truth, and which images were not counted."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lookalike.data.labels import as_label
from lookalike.data.thumbnail import shows
from lookalike.inference.predict import Prediction
from lookalike.terminal import counted

_SAME = 0.999  # cosine of an image with itself, in arithmetic of less than float32, too


@dataclass(frozen=True)
class Rightness:
    """How many predictions are right.

    Attributes:
        right: Images that got their label.
        judged: Images of known labels, without those that are known images themselves.
        strangers: Images of labels that are not known.
        turned_away: How many of these were called unknown.
        themselves: Images that are among the known ones, and so find themselves: they are not counted.
        by_table: Whether the column `label` of a table names the truth; else the folder.
    """

    right: int
    judged: int
    strangers: int = 0
    turned_away: int = 0
    themselves: int = 0
    by_table: bool = False

    def lines(self, limited: bool) -> list[str]:
        """In words, a line each; none where nothing names a truth.

        Args:
            limited: Whether anything can be called unknown.
        """
        lines = []
        if self.themselves:
            lines.append(
                f"{counted(self.themselves, 'image')} not counted as right or wrong: known images themselves, which "
                "find themselves"
            )
        if not self.judged and not self.strangers:
            return lines
        by = "the column label of the table" if self.by_table else "the name of the folder"
        said = f"{self.right} of {self.judged} right, taking {by} as the label"
        if self.strangers:
            away = f", {self.turned_away} of them called unknown" if limited else ""
            said += (
                f"; {self.strangers} more {'is' if self.strangers == 1 else 'are'} of labels that are not known{away}"
            )
        return [*lines, said]


def with_truths(items: Sequence[Prediction], truths: Sequence[str], labels: Collection[str]) -> tuple[Prediction, ...]:
    """Predictions of which a table says what is right, not the folder.

    Args:
        items: One per image.
        truths: Their labels; "" where there is none.
        labels: The known ones: another one is no truth, as nothing could be right by it.
    """
    known_labels = set(labels)
    written = [as_label(truth) for truth in truths]
    return tuple(
        replace(item, truth=truth if truth in known_labels else None)
        for item, truth in zip(items, written, strict=True)
    )


def by_folders(items: Sequence[Prediction], base: Path | None) -> Rightness:
    """How many are right by the names of their folders.

    Folders that name no known label are labels that are not known where others beside them name one.

    Args:
        items: What was predicted.
        base: The folder that was asked for, see `truth_of`.
    """
    nameless = [item for item in items if item.truth is None and item.error is None and _has_folder(item, base)]
    named = any(item.truth is not None for item in items)
    return _counted(items, nameless if named else [], by_table=False)


def by_table(items: Sequence[Prediction], truths: Sequence[str]) -> Rightness:
    """How many are right by the column `label` of a table.

    Args:
        items: Of `with_truths`.
        truths: Their labels; "" where there is none.
    """
    strangers = [
        item
        for item, truth in zip(items, truths, strict=True)
        if truth.strip() and item.truth is None and item.error is None
    ]
    return _counted(items, strangers, by_table=True)


def _counted(items: Sequence[Prediction], strangers: list[Prediction], by_table: bool) -> Rightness:
    judged = [item for item in items if item.right is not None]
    others = [item for item in judged if not is_known_image(item)]
    right = sum(bool(item.right) for item in others)
    turned_away = sum(item.unknown for item in strangers)
    return Rightness(right, len(others), len(strangers), turned_away, len(judged) - len(others), by_table)


def _has_folder(item: Prediction, base: Path | None) -> bool:
    """Whether the image lies in a folder below the one that was asked for."""
    return base is not None and os.path.abspath(Path(item.image).parent) != os.path.abspath(base)  # noqa: PTH100


def is_known_image(item: Prediction) -> bool:
    """Whether an image is one of its own neighbours: by its file, or by what it shows.

    Args:
        item: What was predicted of it. Parts of one file are several images, so they are told by what they show alone.
    """
    image = item.image if item.query is None else item.query
    file = os.path.realpath(image) if isinstance(image, str | Path) and item.box is None else ""
    for near in item.neighbours:
        if file and os.path.realpath(near.source) == file:
            return True
        if near.similarity >= _SAME and _same_content(item, near.thumbnail, near.source):
            return True
    return False


def _same_content(item: Prediction, small: bytes, path: str) -> bool:
    image = Path(item.image) if item.query is None else item.query
    if small:
        return shows(image, small, item.box)
    if item.box is not None or not isinstance(image, str | Path):
        return False
    try:
        return Path(path).read_bytes() == Path(image).read_bytes()
    except (OSError, ValueError):
        return False
