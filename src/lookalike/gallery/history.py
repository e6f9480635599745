"""What was changed when, in a gallery's SQLite file: told, taken back, seen as it was, or forgotten for good.

Every change has a number. For every image that it touched an event says which label the image had before and after;
none where it was not there. Removed images stay in the file, out of every search, until they are forgotten.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lookalike.errors import LookalikeError
from lookalike.gallery.rows import START

Column = Literal["id", "label", "source"]
TABLES = (
    "CREATE TABLE IF NOT EXISTS events (change INTEGER NOT NULL, image INTEGER NOT NULL, before TEXT, after TEXT, "
    "PRIMARY KEY (image, change)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS events_by_change ON events (change)",
)
_TOUCHED_AGAIN = (  # later changes of images that are not as a change left them, the latest first
    "SELECT DISTINCT later.change FROM events e JOIN images i ON i.id = e.image "
    "JOIN events later ON later.image = e.image AND later.change > ? "
    "WHERE e.change = ? AND e.after IS NOT CASE WHEN i.removed IS NULL THEN i.label END ORDER BY later.change DESC"
)
_AGAIN = (  # an image that a change removed, enrolled once more since
    "SELECT old.id, new.id FROM events e JOIN images old ON old.id = e.image JOIN images new "
    f"ON substr(new.embedding, 1, {START}) = substr(old.embedding, 1, {START}) AND new.embedding = old.embedding "
    "AND new.thumbnail = old.thumbnail AND new.id != old.id AND new.removed IS NULL "
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
        action: `add`, `rename`, `merge`, `move`, `remove`, `undo` or `forget`.
        note: Why.
        moves: What it did; empty for what an earlier version changed, and for images that were forgotten.
    """

    number: int
    time: str
    action: str
    note: str
    moves: tuple[Move, ...]

    def __str__(self) -> str:
        done = ", ".join(_told(move) for move in self.moves) or "no image that is still known"
        return f"{self.number}  {self.time}  {self.action}: {done}{f' ({self.note})' if self.note else ''}"


class Writing:
    """One change while it is written, inside a transaction.

    Args:
        connection: In a transaction.
        number: Of the change.
    """

    def __init__(self, connection: sqlite3.Connection, number: int) -> None:
        self.connection, self.number = connection, number

    def added(self, image: int, label: str) -> None:
        """An image was enrolled."""
        self.connection.execute("INSERT INTO events VALUES (?, ?, NULL, ?)", (self.number, image, label))

    def relabel(self, column: Column, value: str | int, new: str) -> int:
        """Gives the images of a label, number or source another label; returns how many."""
        chosen = f"removed IS NULL AND {column} = ? AND label != ?"
        self.connection.execute(
            f"INSERT INTO events SELECT ?, id, label, ? FROM images WHERE {chosen}", (self.number, new, value, new)
        )
        return self.connection.execute(f"UPDATE images SET label = ? WHERE {chosen}", (new, value, new)).rowcount

    def remove(self, column: Column, value: str | int) -> int:
        """Takes the images of a label, number or source out of the gallery; returns how many."""
        chosen = f"removed IS NULL AND {column} = ?"
        self.connection.execute(
            f"INSERT INTO events SELECT ?, id, label, NULL FROM images WHERE {chosen}", (self.number, value)
        )
        return self.connection.execute(f"UPDATE images SET removed = ? WHERE {chosen}", (self.number, value)).rowcount

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
        if not events:
            raise HistoryError(
                f"change {number}: nothing is known of what it changed (its images were forgotten, or an earlier "
                "version made it): change the images themselves"
            )
        later = [str(row[0]) for row in self.connection.execute(_TOUCHED_AGAIN, (number, number))]
        if later:
            by = f"changes {', '.join(later[:5])}" if len(later) > 1 else f"change {later[0]}"
            raise HistoryError(
                f"change {number}: its images are not as it left them, since {by}: undo {later[0]} first"
            )
        self.connection.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?)",
            [(self.number, image, after, before) for image, before, after in events],
        )
        self.connection.executemany(
            "UPDATE images SET label = coalesce(?, label), removed = ? WHERE id = ?",
            [(before, self.number if before is None else None, image) for image, before, _ in events],
        )
        again = self.connection.execute(_AGAIN, (number, number)).fetchone()
        if again:
            raise HistoryError(
                f"change {number}: its image {again[0]} is enrolled again as {again[1]}: remove that first"
            )
        return len(events)

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
                f"(SELECT change FROM events WHERE image IN ({chosen}))",
                (value,),
            )
            self.connection.execute(f"DELETE FROM events WHERE image IN ({chosen})", (value,))
            forgotten += self.connection.execute(f"DELETE FROM images WHERE {column} = ?", (value,)).rowcount
            if column == "label":
                self._forget_label(str(value))
        return forgotten

    def _forget_label(self, label: str) -> None:
        self.connection.execute(
            "UPDATE changes SET note = '' WHERE number IN (SELECT change FROM events WHERE before = ?1 OR after = ?1)",
            (label,),
        )
        for side in ("before", "after"):
            self.connection.execute(
                f"UPDATE events SET {side} = (SELECT label FROM images WHERE id = image) WHERE {side} = ?", (label,)
            )
        self.connection.execute("DELETE FROM events WHERE before = after")


def next_number(connection: sqlite3.Connection) -> int:
    """The number of a change that is begun; none is used twice."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'changes'").fetchone()
    return (int(row[0]) if row else 0) + 1


def changes_of(connection: sqlite3.Connection, most: int | None) -> list[Change]:
    """The changes, the latest first.

    Args:
        connection: Of the gallery.
        most: How many at most; None for all.
    """
    limit = -1 if most is None else most
    query = "SELECT number, time, action, note FROM changes ORDER BY number DESC LIMIT ?"
    rows = connection.execute(query, (limit,)).fetchall()
    moves: dict[int, list[Move]] = {}
    first = rows[-1][0] if rows else 0
    query = (
        "SELECT change, before, after, count(*) FROM events WHERE change >= ? GROUP BY change, before, after "
        "ORDER BY change, before, after"
    )
    for number, before, after, images in connection.execute(query, (first,)):
        moves.setdefault(number, []).append(Move(before, after, images))
    return [Change(number, time, action, note, tuple(moves.get(number, ()))) for number, time, action, note in rows]


def labels_at(connection: sqlite3.Connection, number: int, begins: int) -> dict[int, str]:
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


def _need_change(connection: sqlite3.Connection, number: int) -> None:
    if not connection.execute("SELECT 1 FROM changes WHERE number = ?", (number,)).fetchone():
        last = int(connection.execute("SELECT coalesce(max(number), 0) FROM changes").fetchone()[0])
        there = f"they go from 1 to {last}" if last else "nothing was changed yet"
        raise HistoryError(f"change {number}: there is none of that number; {there}")


def _told(move: Move) -> str:
    images = f"{move.images} image{'s' if move.images > 1 else ''}"
    if move.before is None:
        return f"{images} as {move.after!r}"
    if move.after is None:
        return f"{images} of {move.before!r} removed"
    return f"{images} from {move.before!r} to {move.after!r}"
