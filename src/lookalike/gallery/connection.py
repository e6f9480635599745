"""How a database is spoken to: as SQLite's own module does it, whatever stands behind it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol


class Answer(Protocol):
    """What a statement gives."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    def fetchone(self) -> Any:
        """The next row, None after the last."""

    def fetchall(self) -> list[Any]:
        """The rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """An open database: SQLite's own, or what speaks like it."""

    def execute(self, statement: str, values: Sequence[Any] = ..., /) -> Answer:
        """Does a statement, in which every `?` stands for a value."""

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Any:
        """Does a statement for every row."""
