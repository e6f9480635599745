"""A gallery's file: every change is whole or not there at all, whoever dies, writes or reads meanwhile."""

import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

import processes
from lookalike.gallery import sqlite_store
from lookalike.gallery.about import SCHEMA
from lookalike.gallery.rows import ReplacedError, Row, StoreError
from lookalike.gallery.sqlite_store import SqliteStore

ABOUT = {"fingerprint": "f" * 64, "precision": "float32", "dimensions": "2"}


def row(label: str, source: str = "x.jpg", camera: int | None = None) -> Row:
    return Row(label, source, b"\xff\xd8" + label.encode(), b"\x00\x00\x80\x3f\x00\x00\x00\x00", camera)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "gallery.sqlite"


@pytest.fixture
def store(file: Path) -> SqliteStore:
    return SqliteStore.create(file, ABOUT)


def labels(store: SqliteStore) -> list[str]:
    return [stored.label for stored in store.rows()]


def run(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return processes.run(code, *arguments)


def test_images_are_looked_up_by_an_index(store: SqliteStore) -> None:
    """Not by a scan per image."""
    told: list[str] = []
    store._connection.set_trace_callback(told.append)
    store.add_new([row("a"), row("b")], "")
    store._connection.set_trace_callback(None)
    looked_up = next(text for text in told if "WHERE picture IN" in text)
    plan = store._connection.execute(f"EXPLAIN QUERY PLAN {looked_up}").fetchall()
    assert "SEARCH images USING INDEX images_by_picture" in " ".join(str(line[3]) for line in plan)


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
    with pytest.raises(
        StoreError, match=r"gallery\.sqlite: holds no gallery, as where one was never finished: make one with"
    ):
        SqliteStore(file)
    assert SqliteStore.create(file, ABOUT).rows() == []


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


FULL = """
import resource, signal, sys
from pathlib import Path
from lookalike.gallery.rows import ReplacedError, Row, StoreError
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
    with pytest.raises(
        StoreError, match=r"gallery\.sqlite: no gallery, or a damaged one \(.*\): bring back a backup of it"
    ):
        SqliteStore(file).rows()


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("UPDATE about SET value = '5' WHERE name = 'schema'", rf"gallery schema 5, .* up to {SCHEMA}: pip install -U"),
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


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"file: expected a folder for the gallery, found a file: give another name"):
        SqliteStore.create(tmp_path / "file" / "gallery.sqlite", ABOUT)


def test_what_compacting_gives_back_is_counted_with_the_log(store: SqliteStore, file: Path) -> None:
    """Enrolled images are in the log before they are in the file."""
    store.add([row("a")] * 500, "")
    before = sum(path.stat().st_size for path in file.parent.glob("gallery.sqlite*"))
    assert before > file.stat().st_size
    store.forget("label", ["a"], "")
    held = sum(path.stat().st_size for path in file.parent.glob("gallery.sqlite*") if "shm" not in path.name)
    assert store.compact() == held - file.stat().st_size > 0
    assert store.compact() == 0


def test_compacting_beside_a_reader_gives_nothing_back_yet(
    store: SqliteStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "_BUSY_SECONDS", 0.05)
    store.add([row("a")] * 500, "")
    with SqliteStore(file).reading() as reading:
        reading.execute("SELECT count(*) FROM images").fetchone()
        assert store.compact() >= 0


@contextmanager
def written_by_another(file: Path) -> Iterator[sqlite3.Connection]:
    """A transaction of another connection, until it is ended or this is left."""
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def begun(store: SqliteStore) -> Event:
    """Set when the store first tries to begin a change."""
    tried = Event()
    store._connection.set_trace_callback(lambda text: tried.set() if text == "BEGIN IMMEDIATE" else None)
    return tried


def test_threads_read_while_one_waits_to_write(store: SqliteStore, file: Path) -> None:
    """The other writer ends when the readers are done, or too late for them."""
    store.add([row("a")], "")
    with written_by_another(file) as other, ThreadPoolExecutor() as threads:
        tried, read = begun(store), Event()
        renamed = threads.submit(store.rename, "a", "b", "")
        ended = threads.submit(lambda: (read.wait(20), other.execute("COMMIT"))[0])
        assert tried.wait(60)
        answers = [(store.version, labels(store)) for _ in range(5)]
        read.set()
        assert answers == [(1, ["a"])] * 5
        assert ended.result(60), "the readers waited until the other writer was done"
        assert renamed.result(60) == (1, 0)
    assert labels(store) == ["b"]


def test_who_waits_to_write_gives_up_as_ever(store: SqliteStore, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add([row("a")], "")
    monkeypatch.setattr(sqlite_store, "_BUSY_SECONDS", 0.1)
    text = r"gallery\.sqlite: cannot be used \(database is locked\): check the disk and its permissions, and whether an"
    with written_by_another(file), pytest.raises(StoreError, match=text):
        store.rename("a", "b", "")
    assert store.rename("a", "b", "") == (1, 0)


def test_who_waits_to_write_is_told_that_the_gallery_was_closed(store: SqliteStore, file: Path) -> None:
    store.add([row("a")], "")
    with written_by_another(file), ThreadPoolExecutor() as threads:
        tried = begun(store)
        renamed = threads.submit(store.rename, "a", "b", "")
        assert tried.wait(60)
        with store._turn:  # while the other thread pauses
            store.close()
        with pytest.raises(StoreError, match=r"gallery\.sqlite: closed: open the gallery again with Gallery\.open"):
            renamed.result(60)


def test_a_removed_file_is_not_read_on(store: SqliteStore, file: Path) -> None:
    """SQLite would: whoever asks whether the gallery is there must hear that it is not."""
    store.add([row("a")], "")
    for place in sorted(file.parent.iterdir()):
        place.unlink()
    for ask in (lambda: store.version, store.labelled, lambda: store.changes(1)):
        with pytest.raises(
            ReplacedError, match=r"gallery\.sqlite: was removed or replaced meanwhile: open the gallery"
        ):
            ask()


def test_threads_read_while_the_file_is_written_anew(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the moment before the log is emptied, when it would be held."""
    store.add([row("a"), row("b")], "")
    store.remove("id", [2], "")
    answers: list[list[str]] = []
    connect = sqlite_store._connect

    def connected(file: Path) -> sqlite3.Connection:
        made = connect(file)
        with ThreadPoolExecutor() as threads:
            made.execute("BEGIN IMMEDIATE")
            answers.append(threads.submit(labels, store).result(20))
            made.execute("COMMIT")
        return made

    monkeypatch.setattr(sqlite_store, "_connect", connected)
    store.compact()
    store.forget("label", ["a"], "")
    assert answers == [["a"], [], []]


def test_closing_waits_for_a_thread_that_reads(store: SqliteStore) -> None:
    """SQLite crashes where a connection is closed amid a statement."""
    store.add([row("a")] * 500, "")
    with store.reading() as connection:
        ending = Thread(target=store.close)
        ending.start()
        while not store.closed:
            pass
        for _ in range(200):
            assert connection.execute("SELECT count(*) FROM images").fetchone() == (500,)
    ending.join()
    with pytest.raises(StoreError, match="closed: open the gallery again"):
        store.rows()


def test_threads_that_forget_at_once_while_others_read_are_all_done(store: SqliteStore) -> None:
    store.add([row(f"label {number}") for number in range(24)], "")
    ended = Event()

    def read() -> None:
        while not ended.is_set():
            store.rows()

    reading = Thread(target=read)
    reading.start()
    try:
        with ThreadPoolExecutor(6) as pool:
            forgotten = list(pool.map(lambda number: store.forget("label", [f"label {number}"], ""), range(24)))
    finally:
        ended.set()
        reading.join()
    assert forgotten == [1] * 24
    assert not store.erase(), "nothing is left to do"
