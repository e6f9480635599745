"""What was changed when in a gallery: told, taken back, seen as it was, or forgotten for good.

Every change has a number. For every image that it touched an event says which label the image had before and after;
none where it was not there. Removed images stay in the store, out of every search, until they are forgotten. The
statements are those that SQLite and PostgreSQL share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lookalike.errors import LookalikeError
from lookalike.gallery.connection import Connection
from lookalike.gallery.facts import described, lapsed, restored, set_facts, set_since
from lookalike.terminal import counted

FORGOTTEN = "forgotten by change "  # in the table about: how many images, as nothing else tells of them
Column = Literal["id", "label", "source"]
_SHOWN = 4  # moves of a change on one line
_ALL = 2**62  # rows at most, where all are asked for
_PARTS = ("vectors", "thumbnails", "extras", "events", "facts")  # tables that say more of an image
_TOUCHED_AGAIN = (  # later changes of images that are not as a change left them, the latest first
    "SELECT DISTINCT later.change FROM events e JOIN images i ON i.id = e.image "
    "JOIN events later ON later.image = e.image AND later.change > ? WHERE e.change = ? "  # no label is empty
    "AND coalesce(e.after, '') != CASE WHEN i.removed IS NULL THEN i.label ELSE '' END ORDER BY later.change DESC"
)
_RELABELLED = "id IN (SELECT image FROM events WHERE change = ? AND before IS NOT NULL AND after IS NOT NULL)"
_AGAIN = (  # an image that a change removed, enrolled once more since
    "SELECT old.id, new.id FROM events e JOIN images old ON old.id = e.image JOIN images new "
    "ON new.picture = old.picture AND new.vector = old.vector AND new.id != old.id AND new.removed IS NULL "
    "WHERE e.change = ? AND e.after IS NULL "
    "AND EXISTS (SELECT 1 FROM events n WHERE n.image = new.id AND n.change > ? AND n.before IS NULL)"
)


class HistoryError(LookalikeError):
    """A change cannot be taken back, or there is none of that number."""


@dataclass(frozen=True)
class Move:
    """Images that a change treated alike.

    Attributes:
        before: The label they had; None where they were not in the gallery.
        after: The label they had then; None where they were removed.
        images: How many.
    """

    before: str | None
    after: str | None
    images: int


@dataclass(frozen=True)
class Change:
    """One change of a gallery.

    Attributes:
        number: From 1; later changes have larger ones.
        time: When, ISO 8601 with the offset of the clock.
        action: `add`, `rename`, `merge`, `move`, `confirm`, `remove`, `undo`, `forget` or `reembed`.
        note: Why.
        moves: What it did; empty for what an earlier version changed, and for images that were forgotten.
        forgotten: How many images it deleted for good; None where that was not counted.
        described: Images whose camera or columns it set, and whose labels it left.
    """

    number: int
    time: str
    action: str
    note: str
    moves: tuple[Move, ...]
    forgotten: int | None = None
    described: int = 0

    def __str__(self) -> str:
        parts = [_told(move) for move in self.moves[:_SHOWN]]
        if len(self.moves) > _SHOWN:
            images = sum(move.images for move in self.moves[_SHOWN:])
            more = len(self.moves) - _SHOWN
            parts.append(f"and {counted(images, 'image')} of {more} more label{'' if more == 1 else 's'}")
        if self.described:
            how = "called right" if self.action == "confirm" else "described anew"
            parts.append(f"{counted(self.described, 'image')} {how}")
        if self.forgotten is not None:
            parts = [f"{counted(self.forgotten, 'image')} deleted for good"]
        done = ", ".join(parts) or (
            "all images by another model" if self.action == "reembed" else "no image that is still known"
        )
        return f"{self.number}  {self.time}  {self.action}: {done}{f' ({self.note})' if self.note else ''}"


class Writing:
    """One change while it is written, inside a transaction.

    Attributes:
        connection: In a transaction.
        number: Of the change.
        touched: How many rows were changed so far.
    """

    def __init__(self, connection: Connection, number: int) -> None:
        self.connection, self.number, self.touched = connection, number, 0

    def added(self, first: int, last: int) -> None:
        """Images were enrolled, with the numbers from the first to the last."""
        statement = "INSERT INTO events SELECT ?, id, NULL, label FROM images WHERE id BETWEEN ? AND ?"
        self._changed(statement, (self.number, first, last))

    def relabel(self, column: Column, value: str | int, new: str) -> int:
        """Gives the images of a label, number or source another label; returns how many."""
        chosen = f"removed IS NULL AND {column} = ? AND label != ?"
        self.connection.execute(
            f"INSERT INTO events SELECT ?, id, label, ? FROM images WHERE {chosen}", (self.number, new, value, new)
        )
        lapsed(self.connection, self.number, chosen, (value, new))
        return self._changed(f"UPDATE images SET label = ? WHERE {chosen}", (new, value, new))

    def describe(self, given: Mapping[int, Mapping[str, str]]) -> int:
        """Sets cameras and columns (JSON) of images; returns of how many one is another now."""
        images = set_facts(self.connection, self.number, given)
        self.touched += images
        return images

    def remove(self, column: Column, value: str | int) -> int:
        """Takes the images of a label, number or source out of the gallery; returns how many."""
        chosen = f"removed IS NULL AND {column} = ?"
        self.connection.execute(
            f"INSERT INTO events SELECT ?, id, label, NULL FROM images WHERE {chosen}", (self.number, value)
        )
        return self._changed(f"UPDATE images SET removed = ? WHERE {chosen}", (self.number, value))

    def _changed(self, statement: str, values: Sequence[Any]) -> int:
        rows = self.connection.execute(statement, values).rowcount
        self.touched += rows
        return rows

    def undo(self, number: int) -> int:
        """Takes an earlier change back; returns how many images it touched.

        Raises:
            HistoryError: There is no such change, nothing is known of it, its images are not as it left them, or an
                image that would come back is enrolled again.
        """
        _need_change(self.connection, number)
        events = self.connection.execute(
            "SELECT image, before, after FROM events WHERE change = ?", (number,)
        ).fetchall()
        self._need_untouched(number)
        self.connection.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?)",
            [(self.number, image, after, before) for image, before, after in events],
        )
        self.connection.executemany(
            "UPDATE images SET label = coalesce(?, label), removed = ? WHERE id = ?",
            [(before, self.number if before is None else None, image) for image, before, _ in events],
        )
        described = restored(self.connection, self.number, number)
        lapsed(self.connection, self.number, _RELABELLED, (number,))
        images = len(described.union(image for image, *_ in events))
        if not images:
            raise _nothing_known(self.connection, number)
        self.touched += images
        again = self.connection.execute(_AGAIN, (number, number)).fetchone()
        if again:
            raise HistoryError(
                f"change {number}: its image {again[0]} is enrolled again as {again[1]}: remove that first"
            )
        return images

    def _need_untouched(self, number: int) -> None:
        """Refuses to take a change back whose images are not as it left them."""
        rows = self.connection.execute(_TOUCHED_AGAIN, (number, number)).fetchall()
        later = sorted({*(int(row[0]) for row in rows), *set_since(self.connection, number)}, reverse=True)
        if later:
            by = f"changes {', '.join(map(str, later[:5]))}" if len(later) > 1 else f"change {later[0]}"
            raise HistoryError(
                f"change {number}: its images are not as it left them, since {by}: undo {later[0]} first"
            ).naming("changed_since", change=number, later=later[0])

    def forget(self, column: Column, values: Sequence[str | int]) -> int:
        """Deletes images for good, removed ones too, and all that the history says of them; returns how many.

        Notes of the changes that touched them, or the label, are emptied. Of a forgotten label nothing stays: images
        that had it once and have another now, are told as if they had always had that.
        """
        forgotten = 0
        for value in values:
            chosen = f"SELECT id FROM images WHERE {column} = ?"
            self.connection.execute(
                "UPDATE changes SET note = '' WHERE note != '' AND number IN "
                f"(SELECT change FROM events WHERE image IN ({chosen}) UNION "
                f"SELECT change FROM facts WHERE image IN ({chosen}))",
                (value, value),
            )
            for part in _PARTS:
                self.connection.execute(f"DELETE FROM {part} WHERE image IN ({chosen})", (value,))
            forgotten += self._changed(f"DELETE FROM images WHERE {column} = ?", (value,))
            if column == "label":
                self._forget_label(str(value))
        return forgotten

    def _forget_label(self, label: str) -> None:
        self.connection.execute(
            "UPDATE changes SET note = '' WHERE number IN (SELECT change FROM events WHERE before = ? OR after = ?)",
            (label, label),
        )
        for side in ("before", "after"):
            self._changed(
                f"UPDATE events SET {side} = (SELECT label FROM images WHERE id = image) WHERE {side} = ?", (label,)
            )
        self.connection.execute("DELETE FROM events WHERE before = after")


def changes_of(connection: Connection, most: int | None, before: int | None = None) -> list[Change]:
    """The changes, the latest first.

    Args:
        connection: Of the gallery.
        most: How many at most; None for all.
        before: Only those with a smaller number; None for the latest.
    """
    limit, end = _ALL if most is None else most, _ALL if before is None else before
    query = "SELECT number, time, action, note FROM changes WHERE number < ? ORDER BY number DESC LIMIT ?"
    rows = connection.execute(query, (end, limit)).fetchall()
    set_by = described(connection, rows[-1][0] if rows else 0, end)
    moves: dict[int, list[Move]] = {}
    first = rows[-1][0] if rows else 0
    query = (
        "SELECT change, before, after, count(*) FROM events WHERE change >= ? AND change < ? "
        "GROUP BY change, before, after"
    )
    for number, old, new, images in connection.execute(query, (first, end)):
        moves.setdefault(number, []).append(Move(old, new, images))
    sorted_moves = {number: tuple(sorted(parts, key=_by_labels)) for number, parts in moves.items()}
    query = "SELECT name, value FROM about WHERE name LIKE ?"
    counts = {
        int(name.removeprefix(FORGOTTEN)): int(count) for name, count in connection.execute(query, (f"{FORGOTTEN}%",))
    }
    return [
        Change(number, time, action, note, sorted_moves.get(number, ()), counts.get(number), set_by.get(number, 0))
        for number, time, action, note in rows
    ]


def _by_labels(move: Move) -> tuple[str, str]:
    return move.before or "", move.after or ""  # no label is empty


def labels_at(connection: Connection, number: int, begins: int) -> dict[int, str]:
    """Which images were there after a change, and their labels then, in the order of their numbers.

    Args:
        connection: Of the gallery.
        number: Of the change; 0 for before the first.
        begins: The last change that was made before there was a history.

    Raises:
        HistoryError: There is no such change, or it is older than the history.
    """
    if number:
        _need_change(connection, number)
    if number < begins:
        raise HistoryError(
            f"change {number}: an earlier version made it and those until {begins}, and kept no history: ask for "
            f"{begins} or a later one"
        )
    rows = connection.execute("SELECT id, label, removed FROM images ORDER BY id")
    labels: dict[int, str | None] = {image: None if removed else label for image, label, removed in rows}
    query = "SELECT image, before FROM events WHERE change > ? ORDER BY change DESC"
    labels.update((image, before) for image, before in connection.execute(query, (number,)))
    return {image: label for image, label in labels.items() if label is not None}


def _nothing_known(connection: Connection, number: int) -> HistoryError:
    """Of what a change did."""
    action = connection.execute("SELECT action FROM changes WHERE number = ?", (number,)).fetchone()[0]
    if action == "reembed":
        return HistoryError(f"change {number}: all images were embedded anew: reembed with the former model")
    return HistoryError(
        f"change {number}: nothing is known of what it changed (its images were forgotten, or an earlier version made "
        "it): change the images themselves"
    )


def _need_change(connection: Connection, number: int) -> None:
    if not connection.execute("SELECT 1 FROM changes WHERE number = ?", (number,)).fetchone():
        last = int(connection.execute("SELECT coalesce(max(number), 0) FROM changes").fetchone()[0])
        there = f"they go from 1 to {last}" if last else "nothing was changed yet"
        raise HistoryError(f"change {number}: there is none of that number; {there}")


def _told(move: Move) -> str:
    images = counted(move.images, "image")
    if move.before is None:
        return f"{images} as {move.after!r}"
    if move.after is None:
        return f"{images} of {move.before!r} removed"
    return f"{images} from {move.before!r} to {move.after!r}"
