"""What is known of images besides their labels: set by changes, taken back with them, gone with the images."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike import Gallery
from lookalike.gallery import postgres_tables, sqlite_tables
from lookalike.gallery.about import SCHEMA
from lookalike.gallery.history import HistoryError
from lookalike.gallery.rows import Row
from lookalike.gallery.sql_store import SqlStore
from lookalike.gallery.sqlite_store import SqliteStore
from lookalike.inference.references import GalleryError

from .conftest import Place, numbered


@pytest.fixture
def store(place: Place) -> Iterator[SqlStore]:
    """Three images: two of a, one of b."""
    with closing(place.create()) as made:
        made.add([numbered("a", 1, shelf='"B3"'), numbered("a", 2), numbered("b", 3)], "")
        yield made


def again(number: int, camera: int | None, label: str = "a", **columns: object) -> Row:
    given = tuple(sorted((name, json.dumps(value)) for name, value in columns.items()))
    return replace(numbered(label, number), camera=camera, columns=given)


def known(store: SqlStore, *images: int) -> list[tuple[int | None, dict[str, object]]]:
    return list(zip(store.cameras(images), store.columns(images), strict=True))


def test_what_is_given_of_an_image_that_is_there_is_set_and_taken_back(store: SqlStore) -> None:
    given = [again(1, 7, shelf="C1", price=1.5), again(2, None)]
    assert store.add_new(given, "moved") == ([1, 2], 0, 1)
    assert known(store, 1, 2) == [(7, {"price": 1.5, "shelf": "C1"}), (2, {})]
    (change, _) = store.changes(None)
    assert (change.action, change.moves, change.described) == ("add", (), 1)
    assert str(change).endswith("  add: 1 image described anew (moved)")
    before = store.version
    assert store.add_new(given, "once more") == ([1, 2], 0, 0)
    assert store.version == before, "nothing was changed"
    assert store.undo(2, "") == 1
    assert known(store, 1) == [(1, {"shelf": "B3"})]
    assert store.undo(3, "") == 1
    assert known(store, 1) == [(7, {"price": 1.5, "shelf": "C1"})]
    assert store.having("shelf", ['"C1"']) == {1}


def test_of_the_same_image_given_twice_the_last_columns_are_set(store: SqlStore) -> None:
    new = [again(9, 1, shelf="A", day=1), again(9, 1, shelf="B")]
    assert store.add_new(new, "") == ([4, 4], 1, 1)
    assert known(store, 4) == [(1, {"day": 1, "shelf": "B"})]
    assert store.undo(2, "") == 1, "one image"
    assert known(store, 4) == [(1, {"day": 1, "shelf": "A"})]


def test_a_change_that_was_followed_by_another_of_the_same_column_is_not_taken_back(store: SqlStore) -> None:
    store.add_new([again(1, 1, shelf="C1")], "")
    store.add_new([again(1, 1, shelf="C2")], "")
    store.add_new([again(1, 1, price=3)], "")
    with pytest.raises(HistoryError, match="change 2: its images are not as it left them, since change 3: undo 3 fir"):
        store.undo(2, "")
    store.undo(3, "")
    store.undo(2, "")
    assert known(store, 1) == [(1, {"price": 3, "shelf": "B3"})]


def test_labels_are_called_right_and_that_is_taken_back(store: SqlStore) -> None:
    assert store.confirm([1, 2], "looked at") == (2, [])
    assert store.confirmed() == {1, 2}
    assert str(store.changes(1)[0]).endswith("  confirm: 2 images called right (looked at)")
    assert store.confirm([2, 3], "") == (1, [])
    assert store.confirm([3], "") == (0, [])
    assert store.change_of_thread is None
    assert store.confirm([1, 99], "") == (0, [99])
    assert store.undo(3, "") == 1
    assert store.undo(2, "") == 2
    assert store.confirmed() == set()


def test_another_label_was_not_called_right(store: SqlStore) -> None:
    store.confirm([1, 2, 3], "")
    store.move([1], "c", "")
    store.merge(["a", "b"], "b", "")
    assert store.confirmed() == {3}
    store.undo(4, "")
    assert store.confirmed() == {2, 3}
    store.undo(3, "")
    assert store.confirmed() == {1, 2, 3}, "as the label that it had"
    assert [change.described for change in store.changes(5)] == [0, 0, 0, 0, 3]


def test_a_label_that_is_taken_back_was_not_called_right(store: SqlStore) -> None:
    store.move([1], "c", "")
    store.confirm([1], "")
    store.undo(2, "")
    assert store.confirmed() == set()
    store.undo(4, "")
    assert store.confirmed() == {1}


def test_it_stays_with_a_removed_image_and_is_forgotten_with_it(store: SqlStore) -> None:
    store.confirm([1, 2], "Anna")
    store.add_new([again(1, 5, shelf="Annas")], "")
    store.remove("id", [1], "")
    with store.reading() as connection:
        assert connection.execute("SELECT count(*) FROM facts WHERE image = 1").fetchone()[0] == 3
    assert store.forget("id", [1], "") == 1
    with store.reading() as connection:
        assert connection.execute("SELECT count(*) FROM facts WHERE image = 1").fetchone()[0] == 0
    assert [change.note for change in store.changes(None)] == [""] * 5
    assert store.confirmed() == {2}
    with pytest.raises(HistoryError, match="change 3: nothing is known of what it changed"):
        store.undo(3, "")


def make_former(place: Place) -> SqlStore:
    """One image, in a store of the version before; closed."""
    with closing(place.create()) as made:
        made.add([numbered("a", 1)], "")
        with made._open_to_write(), made._writing() as connection:
            connection.execute("DROP TABLE facts")
            connection.execute("UPDATE about SET value = '3' WHERE name = 'schema'")
    return made


def test_a_store_of_the_version_before_gets_the_table(sql_place: Place) -> None:
    made = make_former(sql_place)
    with closing(sql_place.open()) as opened, closing(sql_place.open()) as other:
        assert opened.about["schema"] == other.about["schema"] == str(SCHEMA)
        assert opened.about["gallery"] == other.about["gallery"] != made.about["gallery"]
        assert opened.confirm([1], "") == (1, [])
        assert other.confirmed() == {1}


def test_of_two_processes_one_brings_it_forward_and_both_go_on(
    sql_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has read that it is of the version before when the first brings it forward."""
    kind = type(make_former(sql_place))
    first: list[SqlStore] = []
    usual = kind._open_to_write

    def late(store: SqlStore) -> AbstractContextManager[None]:
        monkeypatch.undo()
        first.append(sql_place.open())
        return usual(store)

    monkeypatch.setattr(kind, "_open_to_write", late)
    with closing(sql_place.open()) as second, closing(first[0]):
        assert second.about == first[0].about
        assert second.confirm([1], "") == (1, [])
        assert first[0].confirmed() == {1}


def test_what_is_not_brought_forward_whole_is_as_it_was(sql_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    before = make_former(sql_place).about["gallery"]
    for module in (sqlite_tables, postgres_tables):
        monkeypatch.setattr(module, "uuid4", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError, match="division"):
        sql_place.open()
    monkeypatch.undo()
    with closing(sql_place.open()) as opened:
        assert opened.about["gallery"] != before
        assert opened.confirm([1], "") == (1, [])
        assert [row.label for row in opened.rows()] == ["a"]


def test_a_gallery_is_told_and_says_what_is_right(gallery: Gallery, digits: Path) -> None:
    file = sorted((digits / "train" / "digit 1").iterdir())[0]
    assert gallery.confirm(3, note="seen") == 1
    assert gallery.confirm([3]) == 0
    for given, text in (
        (99, "confirm: image=99 is not in .*shop"),
        ([], "image=nothing"),
        ("3", "image='3': expected a"),
    ):
        with pytest.raises(GalleryError, match=text):
            gallery.confirm(given)  # type: ignore[arg-type]
    (number,) = gallery.add(file, "digit 1", camera=4, columns={"shelf": "B3"})
    assert (gallery.last_added, gallery.last_described) == (0, 1)
    assert gallery.images("digit 1")[0].columns == {"shelf": "B3"}
    assert gallery.predict(file, 1, where={"shelf": "B3", "camera": 4}).neighbours[0].number == number
    assert gallery.predict(file, 1, where={"confirmed": True}).neighbours[0].number == 3
    gallery.add(file, "digit 1")
    assert gallery.last_described == 0
    with pytest.raises(AttributeError, match="confirm: the gallery as it was after change 1 is searched"):
        gallery.at(1).confirm(3)  # type: ignore[attr-defined]
    assert gallery.verify()


def test_rows_that_belong_to_no_image_are_told(tmp_path: Path) -> None:
    from lookalike.gallery.verification import verify

    with closing(
        SqliteStore.create(tmp_path / "gallery.sqlite", {"fingerprint": "f", "precision": "f", "dimensions": "2"})
    ) as store:
        store.add([numbered("a", 1)], "")
        store._connection.execute("INSERT INTO facts VALUES (1, 9, 'shelf', NULL, '1')")
        assert "1 row of facts belongs to no image" in verify(store).problems
