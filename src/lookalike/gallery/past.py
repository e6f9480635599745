"""A gallery as it was after one of its changes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.gallery.enrolled import HasEncoder
from lookalike.gallery.searchable import Searchable
from lookalike.gallery.snapshot import need_finite, references_of
from lookalike.gallery.sql_store import SqlStore
from lookalike.inference.references import GalleryError, References

_CHANGING = (
    *("add", "add_embeddings", "import_from", "rename", "merge", "move", "confirm"),
    *("remove", "forget", "undo", "reembed"),
)


class PastError(GalleryError, AttributeError):
    """A gallery as it was cannot be changed."""


class PastGallery(Searchable):
    """A gallery as it was after one of its changes; made by `Gallery.at`.

    Attributes:
        number: Of the change.
    """

    def __init__(
        self, path: Path | str, model: HasEncoder | None, store: SqlStore, options: Mapping[str, Any], number: int
    ) -> None:
        super().__init__(path, model, store, options)
        self.number = number
        rows = store.rows_at(number)
        numbers = np.array([row.id for row in rows], np.int64)
        embeddings = np.frombuffer(b"".join(row.embedding for row in rows), "<f4").reshape(
            len(rows), int(store.about["dimensions"])
        )
        need_finite(store, numbers, embeddings)
        self._read = references_of(store, numbers, [row.label for row in rows], embeddings)

    def _snapshot(self) -> tuple[References, np.ndarray]:
        return self._read

    def __getattr__(self, name: str) -> object:
        if name in _CHANGING:
            raise PastError(
                f"{name}: the gallery as it was after change {self.number} is searched and never changed: change the "
                "gallery itself, or undo changes there"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]} after change {self.number})"
