"""What every store of a gallery does alike: one suite, for a folder and for a server."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.errors import LookalikeError
from lookalike.gallery import stores
from lookalike.gallery.about import SCHEMA
from lookalike.gallery.rows import MissingError, OtherLabelError, Row, StoreError
from lookalike.gallery.sql_store import SqlStore
from lookalike.gallery.sqlite_store import SqliteStore
from lookalike.gallery.stores import create_store, need_no_gallery, open_store

from .conftest import Place

TEXTS = ['<b>"Kiwi"</b>', "O'Brien", "two\nlines", "🍐", "'; DROP TABLE images; --", "日本", " ", "null", "50 % ?"]


def row(label: str, source: str = "x.jpg", camera: int | None = None) -> Row:
    return Row(label, source, b"\xff\xd8" + label.encode(), b"\x00\x00\x80\x3f\x00\x00\x00\x00", camera)


@pytest.fixture
def store(place: Place):
    with closing(place.create()) as made:
        yield made


def labels(store: SqlStore) -> list[str]:
    return [stored.label for stored in store.rows()]


def changes(store: SqlStore) -> list[tuple[str, str]]:
    return [(change.action, change.note) for change in reversed(store.changes(None))]


def test_what_was_enrolled_is_read_back_in_order(store: SqlStore, place: Place) -> None:
    given = [row(text, f"/{text}.jpg", camera) for text, camera in zip(TEXTS, [None, 0, 3] * 3, strict=True)]
    assert store.add(given, "first") == list(range(1, 10))
    store.close()
    again = place.open()
    about = {"fingerprint": "f" * 64, "precision": "float32", "dimensions": "2", "schema": str(SCHEMA)}
    assert {**again.about, **about} == again.about
    assert [(stored.label, stored.source, stored.embedding, stored.camera) for stored in again.rows()] == [
        (part.label, part.source, part.embedding, part.camera) for part in given
    ]
    assert [again.thumbnail(stored.id) for stored in again.rows()] == [part.thumbnail for part in given]
    assert again.thumbnail(99) == b""
    assert sorted(again.labels) == sorted(TEXTS)
    again.close()


def test_an_image_is_the_same_by_its_thumbnail_and_one_thing_more(store: SqlStore) -> None:
    first = row("a")
    assert store.add([first], "") == [1]
    other = b"\x00\x00\x80\x3f\x00\x00\x80\x3f"
    same = [replace(first, source="y.jpg"), replace(first, embedding=other)]
    assert store.add_new(same, "") == ([1, 1], 0, 0)
    new = [replace(first, thumbnail=b"t"), replace(first, source="y.jpg", embedding=other)]
    assert store.add_new([*new, *same], "") == ([2, 3, 1, 1], 2, 0)


def test_numbers_are_never_used_twice(store: SqlStore) -> None:
    assert store.add([row("a"), row("b")], "") == [1, 2]
    assert store.remove("id", [2], "") == (1, [])
    assert store.add([row("c")], "") == [3]
    assert store.forget("id", [3], "") == 1
    assert store.add([row("d")], "") == [4]
    assert [stored.id for stored in store.rows()] == [1, 4]


def test_changes_are_counted_and_noted(store: SqlStore) -> None:
    versions = [store.version]
    store.add([row("a"), row("a"), row("b", "/b.jpg")], "new shelf")
    versions.append(store.version)
    assert store.rename("a", "b", "same thing") == (0, 1)
    assert store.merge(["a", "b"], "b", "same thing") == (2, [])
    versions.append(store.version)
    assert store.remove("source", ["/b.jpg"], "bad light") == (1, [])
    versions.append(store.version)
    assert store.remove("label", ["b"], "") == (2, [])
    versions.append(store.version)
    assert len(set(versions)) == 5
    assert changes(store) == [("add", "new shelf"), ("merge", "same thing"), ("remove", "bad light"), ("remove", "")]


def test_what_changes_nothing_leaves_no_trace(store: SqlStore) -> None:
    store.add([row("a")], "")
    before = store.version
    assert store.rename("z", "y", "") == (0, 0)
    assert store.rename("z", "a", "") == (0, 0)
    assert store.merge(["a", "z"], "y", "") == (0, ["z"])
    assert store.remove("label", ["z", "a"], "") == (0, ["z"])
    assert store.remove("id", [1, 7], "") == (0, [7])
    assert store.move([8, 1], "y", "") == (0, [8])
    assert store.remove("source", ["/z.jpg"], "") == (0, [])
    assert store.forget("label", ["z"], "") == 0
    assert not store.erase(), "nothing was forgotten"
    assert store.add_new([row("a")], "") == ([1], 0, 0)
    with pytest.raises(OtherLabelError, match="1 images have another label") as caught:
        store.add_new([row("b", "y.jpg"), replace(row("a"), label="b")], "")
    assert [(new.label, label) for new, label in caught.value.others] == [("b", "a")]
    assert store.add([], "") == []
    assert store.version == before
    assert changes(store) == [("add", "")]


def test_an_error_in_the_middle_of_a_change_takes_all_of_it_back(store: SqlStore) -> None:
    store.add([row("a")], "")
    wrong = Row("c", None, b"", row("c").embedding, None)  # type: ignore[arg-type]
    with pytest.raises(StoreError, match=r"cannot be used \(.*(NOT NULL|not-null) constraint.*\): check"):
        store.add([row("b"), wrong], "")
    assert labels(store) == ["a"]
    assert store.add([row("d")], "") == [2]
    assert changes(store) == [("add", ""), ("add", "")]


def test_another_connection_sees_whole_changes(store: SqlStore, place: Place) -> None:
    with closing(place.open()) as reader:
        before = reader.version
        store.add([row("a"), row("b")], "")
        assert reader.version != before
        assert labels(reader) == ["a", "b"]
        assert reader.version == reader.version, "reading is no change"


def test_a_second_gallery_in_the_same_place_is_refused(store: SqlStore, place: Place) -> None:
    store.add([row("a")], "")
    with pytest.raises(
        StoreError, match=r"a gallery is there already: use .*\(?Gallery\.open in Python\), or give another"
    ):
        place.create()
    assert labels(store) == ["a"]


def test_of_two_creators_one_wins(place: Place) -> None:
    def create(_: int) -> str:
        try:
            place.create().close()
        except StoreError as error:
            return str(error)
        return "made"

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(create, range(6)))
    assert answers.count("made") == 1
    assert all("a gallery is there already" in answer for answer in answers if answer != "made")
    with closing(place.open()) as store:
        assert store.about["dimensions"] == "2"


WRITER = """
import sys
from lookalike.gallery.rows import Row
from lookalike.gallery.stores import open_store
store = open_store(sys.argv[1])
for number in range(40):
    store.add([Row(sys.argv[2], f"{number}", b"t", b"12345678")] * 3, sys.argv[2])
"""


def test_two_processes_write_by_turns_and_lose_nothing(store: SqlStore, place: Place) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, place.text, name]) for name in ("a", "b")]
    lengths = []
    while any(writer.poll() is None for writer in writers):
        lengths.append(len(store.rows()))
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(store.rows()) == 240
    assert sorted(lengths) == lengths
    assert all(length % 3 == 0 for length in lengths), "a reader saw half a change"
    assert sorted(note for _, note in changes(store)) == ["a"] * 40 + ["b"] * 40


def test_threads_of_one_process_take_turns(store: SqlStore) -> None:
    def work(number: int) -> None:
        store.add([row(f"{number}")] * 2, "")
        store.rename(f"{number}", f"new {number}", "")
        store.rows()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    assert sorted(set(labels(store))) == sorted(f"new {number}" for number in range(40))
    assert len(store.rows()) == 80


def test_no_gallery_there_says_how_to_make_one(place: Place, tmp_path: Path) -> None:
    with pytest.raises(
        StoreError, match=r"no gallery there: make one with lookalike gallery create gallery=.*\(Gallery\.create "
    ) as caught:
        place.open()
    assert str(caught.value).startswith(place.shown)
    assert list(tmp_path.iterdir()) == [], "asking makes no file"


def test_a_closed_store_says_so(store: SqlStore, place: Place) -> None:
    store.close()
    with pytest.raises(StoreError, match=r"closed: open the gallery again with Gallery\.open") as caught:
        store.rows()
    assert str(caught.value).startswith(place.shown)


def test_the_place_says_which_store(place: Place, store: SqlStore) -> None:
    assert type(store).__name__ == {"po": "PostgresStore", "mi": "MilvusStore"}.get(place.text[:2], "SqliteStore")
    assert str(stores.shown_place(place.text, "a test")) == place.shown
    if isinstance(store, SqliteStore):
        assert isinstance(stores.shown_place(Path(place.text), "a test"), Path)


def test_a_missing_package_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("psycopg", "lookalike.gallery.postgres_store", "lookalike.gallery.postgres_session"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    text = r"^postgresql://me@here/db\?gallery=gallery needs the package psycopg: pip install '.*\[postgres\]'$"
    for call in (stores.open_store, lambda place: stores.create_store(place, {})):
        with pytest.raises(LookalikeError, match=text):
            call("postgresql://me:secret@here/db")


def test_galleries_beside_a_misspelt_one_are_named(tmp_path: Path) -> None:
    for name in ("shop", "shelf"):
        Place(str(tmp_path / name), name).create().close()
    with pytest.raises(
        StoreError, match=r"shpo: no gallery there; did you mean shop\? Or make one with lookalike gallery"
    ):
        open_store(tmp_path / "shpo")


def test_a_file_is_no_folder_of_a_gallery(tmp_path: Path) -> None:
    Place(str(tmp_path / "shop"), "shop").create().close()
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"")
    with pytest.raises(StoreError, match=r"photo\.jpg: expected the folder of a gallery, found a file: give a folder$"):
        open_store(file)
    with pytest.raises(
        StoreError, match=r"shop/gallery\.sqlite: expected the folder of a gallery, found a file: give .*shop$"
    ):
        open_store(tmp_path / "shop" / "gallery.sqlite")
    for make in (need_no_gallery, lambda place: create_store(place, {})):
        with pytest.raises(
            StoreError, match=r"photo\.jpg: expected a folder for the gallery, found a file: give another name"
        ):
            make(file)
        with pytest.raises(StoreError, match=r"a gallery is there already: use lookalike gallery add gallery="):
            make(tmp_path / "shop")
    need_no_gallery(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_threads_read_while_another_process_writes(store: SqlStore, place: Place) -> None:
    store.add([row("a")], "")
    with closing(place.open()) as other, ThreadPoolExecutor() as threads:
        with other._open(), other._writing():
            renamed = threads.submit(store.rename, "a", "b", "")
            answers = [threads.submit(lambda: (store.version, labels(store))).result(20) for _ in range(5)]
            assert not renamed.done()
        assert renamed.result(60) == (1, 0)
    assert answers == [(1, ["a"])] * 5
    assert labels(store) == ["b"]


def test_several_are_forgotten_or_none(store: SqlStore) -> None:
    store.add([row("a"), row("b")], "")
    for column, values in (("label", ["a", "c"]), ("id", [2, 3])):
        with pytest.raises(MissingError, match="1 are not there") as raised:
            store.forget(column, values, "", all_there=True)
        assert raised.value.values == values[1:]
    assert (labels(store), store.version) == (["a", "b"], 1)
    assert store.forget("label", ["a", "b"], "", all_there=True) == 2


def test_what_is_given_back_leaves_threads_reading(store: SqlStore) -> None:
    store.add([row("a", f"{number}.jpg") for number in range(200)], "")
    store.forget("id", list(range(1, 150)), "")
    assert store.compact() >= 0
    assert len(labels(store)) == 51
