"""A gallery's history: told, taken back, seen as it was; what is forgotten is nowhere any more."""

import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from earlier_galleries import write_earlier
from lookalike import Gallery, Model
from lookalike.gallery import sqlite_store
from lookalike.gallery.about import SCHEMA
from lookalike.gallery.history import HistoryError, Move
from lookalike.gallery.rows import Row, StoreError
from lookalike.gallery.sql_store import SqlStore
from lookalike.gallery.sqlite_store import SqliteStore

from .conftest import Place

ABOUT = {"fingerprint": "f" * 64, "precision": "float32", "dimensions": "8"}


def row(label: str, seed: int) -> Row:
    rng = np.random.default_rng(seed)
    return Row(label, f"/photographs/{seed}.jpg", rng.bytes(900), rng.random(8).astype("<f4").tobytes(), seed)


@pytest.fixture
def store(place: Place) -> Iterator[SqlStore]:
    with closing(place.create(8)) as made:
        yield made


def state(store: SqlStore) -> dict[int, str]:
    return {stored.id: stored.label for stored in store.rows()}


def test_every_change_is_told_with_what_it_did(store: SqlStore) -> None:
    store.add([row("a", 1), row("a", 2), row("b", 3)], "new shelf")
    store.rename("a", "c", "")
    store.merge(["b", "c"], "d", "one thing")
    store.move([1], "e", "")
    store.remove("label", ["d"], "sold out")
    store.undo(5, "")
    moves = [
        (Move(None, "a", 2), Move(None, "b", 1)),
        (Move("a", "c", 2),),
        (Move("b", "d", 1), Move("c", "d", 2)),
        (Move("d", "e", 1),),
        (Move("d", None, 2),),
        (Move(None, "d", 2),),
    ]
    log = store.changes(None)
    assert [change.number for change in log] == [6, 5, 4, 3, 2, 1]
    assert [change.moves for change in reversed(log)] == moves
    assert [change.action for change in reversed(log)] == ["add", "rename", "merge", "move", "remove", "undo"]
    assert [change.note for change in reversed(log)] == ["new shelf", "", "one thing", "", "sold out", ""]
    assert store.changes(2) == log[:2]
    told = [str(change).partition(change.time)[2] for change in reversed(log)]
    assert told[0] == "  add: 2 images as 'a', 1 image as 'b' (new shelf)"
    assert told[3:5] == ["  move: 1 image from 'd' to 'e'", "  remove: 2 images of 'd' removed (sold out)"]


def test_any_change_is_undone_and_the_undoing_too(store: SqlStore) -> None:
    store.add([row("a", 1), row("b", 2)], "")
    before = state(store)
    for change in (
        lambda: store.add([row("c", 3)], ""),
        lambda: store.rename("a", "z", ""),
        lambda: store.merge(["a", "b"], "c", ""),
        lambda: store.move([2], "a", ""),
        lambda: store.remove("id", [1, 2], ""),
    ):
        change()
        after, number = state(store), store.changes(1)[0].number
        assert after != before
        store.undo(number, "")
        assert state(store) == before
        store.undo(number + 1, "")
        assert state(store) == after
        store.undo(number + 2, "")
        assert state(store) == before


def test_a_gallery_is_seen_as_it_was_after_any_change(store: SqlStore) -> None:
    rng = random.Random(0)
    states = [state(store)]
    for step in range(120):
        there = state(store)
        labels = sorted(set(there.values()))
        action = rng.choice(["add", "rename", "merge", "move", "remove", "undo"]) if len(there) > 2 else "add"
        if action == "add":
            store.add([row(rng.choice("abcdef"), 100 * step + place) for place in range(rng.randint(1, 4))], "")
        elif action == "rename":
            store.rename(rng.choice(labels), f"n{step}", "")
        elif action == "merge":
            store.merge(rng.sample(labels, min(2, len(labels))), f"m{step}", "")
        elif action == "move":
            store.move(rng.sample(sorted(there), 2), "moved", "")
        elif action == "remove":
            store.remove("id", rng.sample(sorted(there), 2), "")
        elif states[-1] != states[-2]:
            store.undo(len(states) - 1, "")
        if state(store) != states[-1]:
            states.append(state(store))
    assert len(states) > 80
    assert store.changes(1)[0].number == len(states) - 1
    for number, then in enumerate(states):
        rows = store.rows_at(number)
        assert {stored.id: stored.label for stored in rows} == then
        assert [stored.id for stored in rows] == sorted(then)
    assert store.rows_at(len(states) - 1) == store.rows()


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (9, r"^change 9: there is none of that number; they go from 1 to 3$"),
        (-1, r"^change -1: there is none of that number"),
        (1, r"^change 1: its images are not as it left them, since changes 3, 2: undo 3 first$"),
    ],
)
def test_what_cannot_be_undone_says_why(store: SqlStore, number: int, text: str) -> None:
    with pytest.raises(HistoryError, match=r"change 1: there is none of that number; nothing was changed yet"):
        store.undo(1, "")
    store.add([row("a", 1), row("b", 2)], "")
    store.rename("a", "c", "")
    store.remove("label", ["b"], "")
    before = state(store)
    with pytest.raises(HistoryError, match=text):
        store.undo(number, "")
    assert (state(store), len(store.changes(None))) == (before, 3)
    store.undo(3, "")
    store.undo(2, "")
    assert store.undo(1, "") == 2, "what was undone does not stand in the way"
    assert state(store) == {}
    with pytest.raises(HistoryError, match=r"change 1: its images are not as it left them, since changes 6, .*undo 6"):
        store.undo(1, "")


def test_an_image_that_is_enrolled_again_does_not_come_back_beside_itself(store: SqlStore) -> None:
    store.add([row("a", 1), row("a", 2)], "")
    store.remove("label", ["a"], "")
    assert store.add_new([row("b", 2)], "") == ([3], 1, 0), "what was removed is not there"
    with pytest.raises(HistoryError, match=r"^change 2: its image 2 is enrolled again as 3: remove that first$"):
        store.undo(2, "")
    assert state(store) == {3: "b"}
    store.remove("id", [3], "")
    store.undo(2, "")
    assert state(store) == {1: "a", 2: "a"}


def everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.iterdir()))


@pytest.mark.parametrize("closed", [True, False])
def test_what_is_forgotten_is_in_no_file(tmp_path: Path, closed: bool) -> None:
    """Among hundreds of images, with labels, notes, removals and names that they had before."""
    store = SqliteStore.create(tmp_path / "gallery.sqlite", ABOUT)
    rows = [row(f"person {number % 40}", number) for number in range(800)]
    store.add(rows, "all of them")
    store.rename("person 7", "Anna Katharina", "she is Anna Katharina")
    store.rename("person 8", "Bertha Luise", "")
    store.remove("id", [8, 48, 9], "a bad picture")
    store.add([row("Anna Katharina", number) for number in range(1000, 1400)], "more of Anna Katharina")
    store.move([1001], "person 1", "it was not Anna Katharina")
    store.rename("Bertha Luise", "person 8", "")
    if closed:
        store.close()
        store = SqliteStore(tmp_path / "gallery.sqlite")
    gone = [stored for stored in store.rows() if stored.label == "Anna Katharina"]
    assert len(gone) == 18 + 399
    pictures = [store.thumbnail(stored.id) for stored in gone]
    kept = [stored for stored in store.rows() if stored.label != "Anna Katharina"]
    assert store.forget("label", ["Anna Katharina"], "asked for") == 20 + 399, "the removed ones, too"
    content = everything_in(tmp_path)
    for stored, picture in zip(gone, pictures, strict=True):
        assert stored.embedding not in content
        assert picture not in content
        assert picture[100:164] not in content, "nor a part of it"
    assert b"Anna" not in content
    assert b"Katharina" not in content
    assert store.rows() == kept
    assert all(store.thumbnail(stored.id) in content for stored in kept)
    assert store.forget("label", ["Anna Katharina"], "") == 0
    log = store.changes(None)
    assert (log[0].action, log[0].note) == ("forget", "asked for")
    assert Counter(change.note for change in log) == {"": 7, "asked for": 1}
    assert {stored.id for stored in store.rows_at(1)} == {stored.id for stored in kept if stored.id <= 800} | {9}
    store.undo(4, "")
    assert len(store.rows()) == len(kept) + 1, "what others were removed with it comes back"


def test_nothing_is_known_of_a_change_whose_images_were_forgotten(store: SqlStore) -> None:
    store.add([row("a", 1)], "")
    store.add([row("b", 2)], "")
    store.forget("label", ["a"], "")
    with pytest.raises(HistoryError, match="change 1: nothing is known of what it changed"):
        store.undo(1, "")
    assert str(store.changes(None)[-1]).endswith("add: no image that is still known")
    assert [stored.label for stored in store.rows_at(2)] == ["b"]


def test_a_reader_that_holds_the_log_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "_BUSY_SECONDS", 0.05)
    store = SqliteStore.create(tmp_path / "gallery.sqlite", ABOUT)
    store.add([row("a", 1), row("b", 2)], "")
    reader = sqlite3.connect(store.file, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM images").fetchone()
    with pytest.raises(StoreError, match="forgotten, but another process reads the gallery, so the bytes are still"):
        store.forget("label", ["a"], "")
    assert state(store) == {2: "b"}
    with pytest.raises(StoreError, match="forgotten, but another process reads"):
        store.erase()
    reader.close()
    assert store.erase()
    assert not store.erase(), "nothing is left to do"
    assert row("a", 1).embedding not in everything_in(store.file.parent)


def test_a_gallery_without_a_history_gets_one(tmp_path: Path) -> None:
    """As a version before wrote it."""
    file = tmp_path / "old" / "gallery.sqlite"
    write_earlier(file, 1, ABOUT, [(1, row("a", 1), None), (2, row("b", 2), None)])
    again = SqliteStore(file)
    assert {name: again.about[name] for name in ("schema", "history")} == {"schema": str(SCHEMA), "history": "1"}
    assert state(again) == {1: "a", 2: "b"}
    assert [(change.number, change.moves) for change in again.changes()] == [(1, ())]
    again.remove("label", ["a"], "")
    assert [stored.id for stored in again.rows_at(1)] == [1, 2]
    again.undo(2, "")
    assert state(again) == {1: "a", 2: "b"}
    with pytest.raises(HistoryError, match=r"change 1: nothing is known of what it changed .* an earlier version"):
        again.undo(1, "")
    with pytest.raises(HistoryError, match=r"change 0: an earlier version made it and those until 1, and kept no"):
        again.rows_at(0)
    assert SqliteStore(file).about == again.about | {"last_change": "3"}


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda gallery: gallery.undo("1"), r"change='1': expected a whole number"),
        (lambda gallery: gallery.at(7), r"change 7: there is none of that number"),
        (
            lambda gallery: gallery.move(99, "x"),
            r"move: image=99 is not in .*: gallery list label=<label> shows the numbers of its images",
        ),
        (lambda gallery: gallery.move([1], " "), r"expected text that is not empty"),
        (lambda gallery: gallery.forget(), r"forget: expected one of label=, image= and source=: give exactly one"),
        (lambda gallery: gallery.forget(label="Digit 0"), r"has no label 'Digit 0'.*digit 0"),
        (lambda gallery: gallery.forget(image=[1, 99]), r"forget: image=99 is not in "),
        (lambda gallery: gallery.forget(source="x.png"), r"forget: source=x\.png is not in "),
    ],
)
def test_what_is_not_there_is_refused(
    bundle_path: Path, digits: Path, tmp_path: Path, call: Callable[[Gallery], object], text: str
) -> None:
    gallery = Gallery.create(tmp_path / "g", Model.load(bundle_path))
    gallery.add(sorted((digits / "train" / "digit 0").glob("*.png")))
    with pytest.raises(Exception, match=text):
        call(gallery)
    assert (len(gallery), len(gallery.log())) == (10, 1)
