"""Enrolled images in memory: those of the store, whoever changed it, and read again only where something changed."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from lookalike.gallery.snapshot import Snapshot
from lookalike.gallery.sql_store import SqlStore

from .conftest import Place, numbered


@pytest.fixture
def store(place: Place) -> Iterator[SqlStore]:
    with closing(place.create()) as made:
        yield made


def test_a_snapshot_follows_what_another_connection_changes(store: SqlStore, place: Place) -> None:
    store.add([numbered(f"label {number % 4}", number) for number in range(50)], "")
    with closing(place.open()) as other:
        snapshot = Snapshot(other)
        for change in (
            lambda: store.add([numbered("new", number) for number in range(50, 60)], ""),
            lambda: store.rename("label 1", "renamed", ""),
            lambda: store.merge(["label 2", "new"], "merged", ""),
            lambda: store.move([1, 60], "moved", ""),
            lambda: store.remove("label", ["label 3"], ""),
            lambda: store.undo(6, ""),
            lambda: store.forget("id", [5, 6], ""),
        ):
            before = snapshot.current()
            assert snapshot.current()[0] is before[0], "nothing changed"
            change()
            references, numbers = snapshot.current()
            rows = store.rows()
            assert numbers.tolist() == [stored.id for stored in rows]
            assert references.labels == [stored.label for stored in rows]
            assert references.embeddings.tobytes() == b"".join(stored.embedding for stored in rows)
            assert list(references.paths) == [stored.source for stored in rows]


def test_what_was_handed_out_stays_as_it_was(store: SqlStore) -> None:
    store.add([numbered("a", number) for number in range(5)], "")
    snapshot = Snapshot(store)
    references, numbers = snapshot.current()
    before = references.embeddings.copy()
    store.add([numbered("b", number) for number in range(5, 9)], "")
    store.remove("id", [2], "")
    assert len(snapshot.current()[1]) == 8
    assert (references.embeddings == before).all()
    assert numbers.tolist() == [1, 2, 3, 4, 5]
    assert references.labels == ["a"] * 5
