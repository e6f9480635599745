"""A gallery's file: every change is whole or not there at all, whoever dies, writes or reads meanwhile."""

import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import processes
from lookalike.gallery.about import SCHEMA
from lookalike.gallery.rows import OtherLabelError, Row, StoreError
from lookalike.gallery.sqlite_store import SqliteStore

ABOUT = {"fingerprint": "f" * 64, "precision": "float32", "dimensions": "2"}
TEXTS = ['<b>"Kiwi"</b>', "O'Brien", "two\nlines", "🍐", "'; DROP TABLE images; --", "日本", " ", "null", "a\0b"]


def row(label: str, source: str = "x.jpg", camera: int | None = None) -> Row:
    return Row(label, source, b"\xff\xd8" + label.encode(), b"\x00\x00\x80\x3f\x00\x00\x00\x00", camera)


def row_like(label: str, new: str) -> Row:
    """The image of another row under a new label."""
    return replace(row(label), label=new)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "gallery.sqlite"


@pytest.fixture
def store(file: Path) -> SqliteStore:
    return SqliteStore.create(file, ABOUT)


def labels(store: SqliteStore) -> list[str]:
    return [stored.label for stored in store.rows()]


def changes(file: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(file)
    listed = connection.execute("SELECT action, note FROM changes ORDER BY number").fetchall()
    connection.close()
    return listed


def run(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return processes.run(code, *arguments)


def test_what_was_enrolled_is_read_back_in_order(store: SqliteStore, file: Path) -> None:
    given = [row(text, f"/{text}.jpg", camera) for text, camera in zip(TEXTS, [None, 0, 3] * 3, strict=True)]
    assert store.add(given, "first") == list(range(1, 10))
    store.close()
    again = SqliteStore(file)
    assert {**again.about, **ABOUT, "schema": str(SCHEMA)} == again.about
    assert [(stored.label, stored.source, stored.embedding, stored.camera) for stored in again.rows()] == [
        (part.label, part.source, part.embedding, part.camera) for part in given
    ]
    assert [again.thumbnail(stored.id) for stored in again.rows()] == [part.thumbnail for part in given]
    assert again.thumbnail(99) == b""


def test_images_are_looked_up_by_an_index(store: SqliteStore) -> None:
    """Not by a scan per image."""
    told: list[str] = []
    store._connection.set_trace_callback(told.append)
    store.add_new([row("a"), row("b")], "")
    store._connection.set_trace_callback(None)
    looked_up = next(text for text in told if "WHERE picture IN" in text)
    plan = store._connection.execute(f"EXPLAIN QUERY PLAN {looked_up}").fetchall()
    assert "SEARCH images USING INDEX images_by_picture" in " ".join(str(line[3]) for line in plan)


def test_an_image_is_the_same_by_its_thumbnail_and_one_thing_more(store: SqliteStore) -> None:
    first = row("a")
    assert store.add([first], "") == [1]
    other = b"\x00\x00\x80\x3f\x00\x00\x80\x3f"
    same = [replace(first, source="y.jpg"), replace(first, embedding=other)]
    assert store.add_new(same, "") == ([1, 1], 0)
    new = [replace(first, thumbnail=b"t"), replace(first, source="y.jpg", embedding=other)]
    assert store.add_new([*new, *same], "") == ([2, 3, 1, 1], 2)


def test_numbers_are_never_used_twice(store: SqliteStore) -> None:
    assert store.add([row("a"), row("b")], "") == [1, 2]
    assert store.remove("id", [2], "") == 1
    assert store.add([row("c")], "") == [3]
    assert [stored.id for stored in store.rows()] == [1, 3]


def test_changes_are_counted_and_noted(store: SqliteStore, file: Path) -> None:
    versions = [store.version]
    store.add([row("a"), row("a"), row("b", "/b.jpg")], "new shelf")
    versions.append(store.version)
    assert store.rename("a", "b", "same thing") == (0, 1)
    assert store.merge(["a", "b"], "b", "same thing") == (2, [])
    versions.append(store.version)
    assert store.remove("source", ["/b.jpg"], "bad light") == 1
    versions.append(store.version)
    assert store.remove("label", ["b"], "") == 2
    versions.append(store.version)
    assert len(set(versions)) == 5
    assert changes(file) == [("add", "new shelf"), ("merge", "same thing"), ("remove", "bad light"), ("remove", "")]


def test_what_changes_nothing_leaves_no_trace(store: SqliteStore, file: Path) -> None:
    store.add([row("a")], "")
    before = store.version
    assert store.rename("z", "y", "") == (0, 0)
    assert store.rename("z", "a", "") == (0, 0)
    assert store.merge(["a", "z"], "y", "") == (0, ["z"])
    assert store.remove("label", ["z"], "") == store.remove("id", [7], "") == 0
    assert store.add_new([row("a")], "") == ([1], 0)
    with pytest.raises(OtherLabelError, match="1 images have another label") as caught:
        store.add_new([row("b", "y.jpg"), row_like("a", "b")], "")
    assert [(new.label, label) for new, label in caught.value.others] == [("b", "a")]
    assert store.add([], "") == []
    assert store.version == before
    assert changes(file) == [("add", "")]


def test_an_error_in_the_middle_of_a_change_takes_all_of_it_back(store: SqliteStore, file: Path) -> None:
    store.add([row("a")], "")
    wrong = Row("c", None, b"", b"", None)  # type: ignore[arg-type]
    with pytest.raises(StoreError, match=r"gallery\.sqlite: cannot be used \(NOT NULL constraint failed: images\.sou"):
        store.add([row("b"), wrong], "")
    assert labels(store) == ["a"]
    assert store.add([row("d")], "") == [2]
    assert changes(file) == [("add", ""), ("add", "")]


def test_another_connection_sees_whole_changes(store: SqliteStore, file: Path) -> None:
    reader = SqliteStore(file)
    before = reader.version
    store.add([row("a"), row("b")], "")
    assert reader.version != before
    assert labels(reader) == ["a", "b"]
    assert reader.version == reader.version, "reading is no change"


def test_a_second_gallery_in_the_same_place_is_refused(store: SqliteStore, file: Path) -> None:
    store.add([row("a")], "")
    with pytest.raises(StoreError, match=r"a gallery is there already: use Gallery\.open, or give another folder"):
        SqliteStore.create(file, ABOUT)
    assert labels(store) == ["a"]


@pytest.mark.parametrize("content", [b"", None])
def test_what_a_killed_process_began_to_make_is_made_whole(file: Path, content: bytes | None) -> None:
    """It got as far as an empty file, or as the journal's mode."""
    file.parent.mkdir()
    if content is None:
        connection = sqlite3.connect(file)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
    else:
        file.write_bytes(content)
    with pytest.raises(StoreError, match=r"cannot be used \(no such table: about\)"):
        SqliteStore(file)
    assert SqliteStore.create(file, ABOUT).rows() == []


def test_of_two_creators_one_wins(file: Path) -> None:
    def create(_: int) -> str:
        try:
            SqliteStore.create(file, ABOUT).close()
        except StoreError as error:
            return str(error)
        return "made"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(create, range(8)))
    assert answers.count("made") == 1
    assert all("a gallery is there already" in answer for answer in answers if answer != "made")
    assert SqliteStore(file).about["dimensions"] == "2"


KILLED = """
import os, signal, sys
from pathlib import Path
from lookalike.gallery import sql_store
from lookalike.gallery.rows import Row
from lookalike.gallery.sqlite_store import SqliteStore

store, moment = SqliteStore(Path(sys.argv[1])), sys.argv[2]

class Rows(list):
    def __iter__(self):
        for number, row in enumerate(list.__iter__(self)):
            if number == 700 and moment == "between rows":
                os.kill(os.getpid(), signal.SIGKILL)
            yield row

def now():
    if store._connection.in_transaction and store._connection.total_changes > 500 and moment == "before the commit":
        os.kill(os.getpid(), signal.SIGKILL)
    return "now"

sql_store.now = now
store.add(Rows([Row("b", "b.jpg", b"t" * 4000, b"12345678")] * 1000), "")
os.kill(os.getpid(), signal.SIGKILL)  # after the commit
"""


@pytest.mark.parametrize(
    ("moment", "rows"), [("between rows", 1), ("before the commit", 1), ("after the commit", 1001)]
)
def test_a_killed_writer_leaves_the_last_whole_change(store: SqliteStore, file: Path, moment: str, rows: int) -> None:
    store.add([row("a")], "")
    assert run(KILLED, str(file), moment).returncode == -signal.SIGKILL
    assert len(store.rows()) == rows, "an open reader"
    store.close()
    again = SqliteStore(file)
    assert len(again.rows()) == rows
    again.add([row("c")], "")
    assert labels(again)[-1] == "c"


WRITER = """
import sys
from pathlib import Path
from lookalike.gallery.rows import Row
from lookalike.gallery.sqlite_store import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
for number in range(40):
    store.add([Row(sys.argv[2], f"{number}", b"t", b"12345678")] * 3, sys.argv[2])
"""


def test_two_processes_write_by_turns_and_lose_nothing(store: SqliteStore, file: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(file), name]) for name in ("a", "b")]
    lengths = []
    while any(writer.poll() is None for writer in writers):
        lengths.append(len(store.rows()))
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(store.rows()) == 240
    assert sorted(lengths) == lengths
    assert all(length % 3 == 0 for length in lengths), "a reader saw half a change"
    assert sorted(note for _, note in changes(file)) == ["a"] * 40 + ["b"] * 40


def test_threads_of_one_process_take_turns(store: SqliteStore) -> None:
    def work(number: int) -> None:
        store.add([row(f"{number}")] * 2, "")
        store.rename(f"{number}", f"new {number}", "")
        store.rows()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    assert sorted(set(labels(store))) == sorted(f"new {number}" for number in range(40))
    assert len(store.rows()) == 80


FULL = """
import resource, signal, sys
from pathlib import Path
from lookalike.gallery.rows import Row, StoreError
from lookalike.gallery.sqlite_store import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
try:
    store.add([Row("b", "b.jpg", b"t" * 4000, b"12345678")] * 1000, "")
except StoreError as error:
    print(error)
"""


def test_a_full_disk_takes_the_change_back(store: SqliteStore, file: Path) -> None:
    """A limit on file size stands for a full disk."""
    store.add([row("a")], "")
    done = run(FULL, str(file))
    assert "cannot be used (" in done.stdout, done.stderr
    assert "check the disk and its permissions" in done.stdout
    assert labels(SqliteStore(file)) == labels(store) == ["a"]
    store.add([row("c")], "")
    assert labels(store) == ["a", "c"]


def spoil_header(file: Path) -> None:
    file.write_bytes(b"no database" * 500)


def spoil_pages(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xaa" * (len(content) - 4096)
    file.write_bytes(content)


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


@pytest.mark.parametrize("spoil", [spoil_header, spoil_pages, cut])
def test_a_damaged_file_is_named(store: SqliteStore, file: Path, spoil) -> None:
    store.add([row("a")] * 500, "")
    store.close()  # the journal is written into the file
    spoil(file)
    with pytest.raises(StoreError, match=r"gallery\.sqlite: cannot be used \(.*\): check the disk"):
        SqliteStore(file).rows()


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("UPDATE about SET value = '4' WHERE name = 'schema'", rf"gallery schema 4, .* up to {SCHEMA}: pip install -U"),
        ("DELETE FROM about WHERE name = 'schema'", r"gallery schema missing, this version reads up to"),
        ("DELETE FROM about WHERE name = 'fingerprint'", r"does not say its fingerprint: copy the gallery again"),
        ("DROP TABLE about", r"cannot be used \(no such table: about\)"),
        ("DROP TABLE images", r"cannot be used \(no such table: images\)"),
    ],
)
def test_a_file_of_something_else_is_refused(store: SqliteStore, file: Path, statement: str, text: str) -> None:
    store.close()
    connection = sqlite3.connect(file)
    connection.execute(statement)
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match=text):
        SqliteStore(file).rows()


def test_no_gallery_there_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nothing\.sqlite: no gallery there: make one with Gallery\.create"):
        SqliteStore(tmp_path / "nothing.sqlite")
    assert list(tmp_path.iterdir()) == [], "asking makes no file"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"gallery\.sqlite: cannot be used \((File exists|Not a directory)\): check"):
        SqliteStore.create(tmp_path / "file" / "gallery.sqlite", ABOUT)


def test_a_closed_store_says_so(store: SqliteStore) -> None:
    store.close()
    with pytest.raises(StoreError, match=r"gallery\.sqlite: closed: open the gallery again"):
        store.rows()
