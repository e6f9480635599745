"""A gallery on a server: whoever is killed, what was acknowledged is there; what was forgotten is not."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from image_folders import files_of
from lookalike import Gallery, Model
from lookalike.gallery import postgres_store, sql_store
from lookalike.gallery.about import SCHEMA
from lookalike.gallery.postgres_session import Session
from lookalike.gallery.postgres_store import PostgresStore
from lookalike.gallery.rows import Row, StoreError
from lookalike.gallery.snapshot import Snapshot
from lookalike.inference.references import GalleryError
from postgres_server import PASSWORD, Server

ABOUT = {"fingerprint": "f" * 64, "precision": "float32", "dimensions": "8"}
_NUMBERS = count()


def row(label: str, seed: int, picture: int = 3000) -> Row:
    rng = np.random.default_rng(seed)
    return Row(label, f"/photographs/{seed}.jpg", rng.bytes(picture), rng.random(8).astype("<f4").tobytes(), seed)


@pytest.fixture
def place(server: Server) -> str:
    return server.url(f"store{next(_NUMBERS)}")


@pytest.fixture
def store(place: str) -> Iterator[PostgresStore]:
    with closing(PostgresStore.create(place, ABOUT)) as made:
        yield made


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    """A server that tests kill."""
    made = Server.make()
    yield made
    made.remove()


def schema(store: PostgresStore) -> str:
    return store.name.partition("?gallery=")[2]


def end_connections(server: Server) -> None:
    """Of every gallery, as a restart or a firewall would."""
    server.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'lookalike'")


KILLED = """
import os, signal, sys
from lookalike.gallery.postgres_session import Session
from lookalike.gallery.rows import Row
from lookalike.gallery.stores import open_store

store, moment = open_store(sys.argv[1]), sys.argv[2]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

class Rows(list):
    def __iter__(self):
        for number, row in enumerate(list.__iter__(self)):
            if number == 700 and moment == "between rows":
                die()
            yield row

if moment == "before the commit":
    Session.commit = die
store.add(Rows([Row("b", "b.jpg", b"t" * 4000, b"12345678" * 4)] * 1000), "")
die()  # after the commit
"""


@pytest.mark.parametrize(
    ("moment", "rows"), [("between rows", 1), ("before the commit", 1), ("after the commit", 1001)]
)
def test_a_killed_writer_leaves_the_last_whole_change(store: PostgresStore, place: str, moment: str, rows: int) -> None:
    store.add([row("a", 1)], "")
    assert subprocess.run([sys.executable, "-c", KILLED, place, moment]).returncode == -signal.SIGKILL
    assert len(store.rows()) == rows
    store.add([row("c", 2)], "")
    assert store.rows()[-1].label == "c"
    assert store.changes(1)[0].number == (3 if rows > 1 else 2)


def test_what_was_acknowledged_survives_a_killed_server(mortal: Server) -> None:
    place = mortal.url("survives")
    with closing(PostgresStore.create(place, ABOUT)) as store, closing(PostgresStore(place)) as reader:
        snapshot = Snapshot(reader)
        acknowledged: list[int] = []
        errors: list[str] = []

        def write() -> None:
            try:
                for number in range(100_000):
                    acknowledged.extend(store.add([row("a", number, 100)] * 3, str(number)))
            except StoreError as error:
                errors.append(str(error))

        writer = threading.Thread(target=write)
        writer.start()
        while len(acknowledged) < 150:
            snapshot.current()
        mortal.kill()
        writer.join()
        assert "the connection was lost (" in errors[0] or "cannot be opened (" in errors[0]
        with pytest.raises(StoreError, match=r"cannot be opened \(.*\): check host, port, database, user and password"):
            store.rows()
        mortal.start()
        numbers = [stored.id for stored in store.rows()]
        assert numbers[: len(acknowledged)] == acknowledged
        assert len(numbers) - len(acknowledged) in (0, 3), "the last may be done, and whole"
        assert len(store.changes()) * 3 == len(numbers)
        assert snapshot.current()[1].tolist() == numbers
        assert store.add([row("b", 1)], "") == [numbers[-1] + 1]


def test_a_connection_that_broke_between_calls_is_opened_again(server: Server, store: PostgresStore) -> None:
    snapshot = Snapshot(store)
    store.add([row("a", 1)], "")
    before = snapshot.current()
    end_connections(server)
    assert store.add([row("b", 2)], "") == [2], "a change that had not begun"
    assert snapshot.current()[0].labels == ["a", "b"]
    end_connections(server)
    after = snapshot.current()
    assert after[0] is not before[0], "another server may have lost changes: all is read again"
    assert after[1].tolist() == [1, 2]
    assert snapshot.current()[0] is after[0]


def test_a_connection_that_breaks_inside_a_change_changes_nothing(
    server: Server, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add([row("a", 1)], "")
    monkeypatch.setattr(sql_store, "now", lambda: end_connections(server) or "now")
    with pytest.raises(StoreError, match=r"the connection was lost \(.*\) before the change was whole, so nothing"):
        store.add([row("b", 2)], "")
    monkeypatch.undo()
    assert [stored.label for stored in store.rows()] == ["a"]


def test_a_connection_that_breaks_at_the_commit_leaves_it_open_whether_it_is_done(
    server: Server, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Session.commit

    def lost_answer(session: Session) -> None:
        commit(session)
        end_connections(server)
        commit(session)

    monkeypatch.setattr(Session, "commit", lost_answer)
    with pytest.raises(StoreError, match=r"while the change was committed, so it may be done or not: look at the log"):
        store.add([row("b", 2)], "the lost one")
    with pytest.raises(StoreError, match=r"the connection was lost \(.*\) while the gallery was read: try again"):
        store.rows()
    monkeypatch.undo()
    assert [change.note for change in store.changes()] == ["the lost one"]


def test_a_promoted_standby_goes_on(tmp_path: Path) -> None:
    primary = Server.make()
    standby = primary.standby()
    try:
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
        place = primary.url("shop", target_session_attrs="read-write").replace(f"127.0.0.1:{primary.port}", hosts)
        store = PostgresStore.create(place, ABOUT)
        snapshot = Snapshot(store)
        for number in range(20):
            store.add([row("a", number)], str(number))
        assert len(snapshot.current()[1]) == 20
        with closing(PostgresStore(standby.url("shop"))) as follower:
            deadline = time.monotonic() + 20
            while follower.version < 20:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert follower.rows() == store.rows(), "a standby is searched"
            with pytest.raises(StoreError, match=r"a standby, which only reads: name all hosts, and add target_s"):
                follower.add([row("b", 1)], "")
        primary.kill()
        with pytest.raises(StoreError, match=rf"@{hosts}/lookalike\?gallery=shop: cannot be opened \("):
            store.add([row("b", 20)], "")
        standby.promote()
        standby.sql("ALTER SYSTEM SET synchronous_standby_names = ''")
        standby.sql("SELECT pg_reload_conf()")
        assert store.add([row("b", 20)], "") == [21]
        assert len(store.changes()) == 21, "nothing that was acknowledged is lost"
        assert snapshot.current()[1].tolist() == list(range(1, 22))
        store.close()
    finally:
        primary.remove()
        standby.remove()


def test_writers_wait_for_each_other_and_not_for_ever(
    server: Server, store: PostgresStore, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_store, "BUSY", "100ms")
    with closing(PostgresStore(place)) as other, other._writing():
        with pytest.raises(StoreError, match="another process changes the gallery all the time: wait for it and"):
            store.add([row("a", 1)], "")
        assert store.rows() == [], "reading waits for nobody"
        with closing(PostgresStore.create(server.url(f"store{next(_NUMBERS)}"), ABOUT)) as elsewhere:
            assert elsewhere.add([row("a", 1)], "") == [1]
    assert store.add([row("a", 1)], "") == [1]


def test_what_cannot_be_erased_now_is_erased_by_the_next_call(
    store: PostgresStore, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add([row("a", 1), row("b", 2)], "")
    monkeypatch.setattr(postgres_store, "BUSY", "100ms")
    with closing(PostgresStore(place)) as reader, reader._reading() as connection:
        with pytest.raises(StoreError, match=r"forgotten, but its bytes are still in the tables \(.*\): end the pro"):
            store.forget("label", ["a"], "")
        assert connection.execute("SELECT count(*) FROM vectors").fetchone() == (2,), "it sees its moment"
    assert [stored.label for stored in store.rows()] == ["b"]
    assert store.erase()
    assert not store.erase()


def test_others_ask_it_by_sql(server: Server, store: PostgresStore) -> None:
    rows = [row("a", number) for number in range(50)]
    store.add(rows, "")
    query = np.frombuffer(rows[17].embedding, "<f4").tolist()
    assert server.sql(
        f'SELECT i.source FROM "{schema(store)}".vectors v JOIN "{schema(store)}".images i ON i.id = v.image '
        "ORDER BY v.embedding <=> %s::vector LIMIT 1",
        str(query),
    ) == [("/photographs/17.jpg",)]


def test_whoever_may_use_a_gallery_may_use_it_when_its_owner_brought_it_forward(
    server: Server, store: PostgresStore, place: str
) -> None:
    server.sql("CREATE ROLE \"a worker\" LOGIN PASSWORD 'worker-secret'")
    for rights in ("USAGE ON SCHEMA", "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA"):
        server.sql(f'GRANT {rights} "{schema(store)}" TO "a worker"')
    store.add([row("a", 1)], "")
    server.sql(f'DROP TABLE "{schema(store)}".facts')
    server.sql(f"UPDATE \"{schema(store)}\".about SET value = '3' WHERE name = 'schema'")
    workers = server.url(schema(store), user="a%20worker", password="worker-secret")
    with pytest.raises(StoreError, match=r"of an earlier version, and not brought forward \(permission denied for sch"):
        PostgresStore(workers)
    server.sql(f'GRANT CREATE ON SCHEMA "{schema(store)}" TO "a worker"')
    with pytest.raises(StoreError, match=r"not brought forward \(must be owner of table events\): let its owner open"):
        PostgresStore(workers)
    PostgresStore(place).close()
    with closing(PostgresStore(workers)) as worker:
        assert worker.confirm([1], "") == (1, [])
        assert worker.undo(2, "") == 1


def test_a_gallery_that_is_closed_meanwhile_gets_no_new_connection(store: PostgresStore) -> None:
    """By a thread, as another waits for its turn to write."""
    with store._writing_turn:
        raised: list[pytest.ExceptionInfo[StoreError]] = []

        def add() -> None:
            with pytest.raises(StoreError, match=r"closed: open the gallery again with Gallery\.open") as caught:
                store.add([row("a", 1)], "")
            raised.append(caught)

        waiting = threading.Thread(target=add)
        waiting.start()
        store.close()
    waiting.join()
    assert len(raised) == 1
    assert not store._sessions


def test_rights_are_the_servers(server: Server, store: PostgresStore) -> None:
    server.sql("CREATE ROLE guest LOGIN PASSWORD 'guest-secret'")
    place = server.url(schema(store), user="guest", password="guest-secret")
    store.add([row("a", 1)], "")
    with pytest.raises(StoreError, match=r"no gallery there: make one .*, or let its owner grant this user USAGE on"):
        PostgresStore(place)
    with pytest.raises(StoreError, match=r"not allowed \(permission denied for database lookalike\): let the owner of"):
        PostgresStore.create(server.url("mine", user="guest", password="guest-secret"), ABOUT)
    server.sql(f'GRANT USAGE ON SCHEMA "{schema(store)}" TO guest')
    server.sql(f'GRANT SELECT ON ALL TABLES IN SCHEMA "{schema(store)}" TO guest')
    with closing(PostgresStore(place)) as guest:
        assert guest.rows() == store.rows()
        with pytest.raises(StoreError, match=r"not allowed \(permission denied for table images\): let the owner"):
            guest.add([row("b", 2)], "")
        server.sql(f'GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "{schema(store)}" TO guest')
        assert guest.add([row("b", 2)], "") == [2]
        with pytest.raises(StoreError, match=r"forgotten, but its bytes are still .* call forget again as the owner"):
            guest.forget("label", ["b"], "")
    assert store.erase()


def test_a_gallery_dropped_while_in_use(server: Server, store: PostgresStore, place: str) -> None:
    store.add([row("a", 1)], "")
    server.sql(f'DROP SCHEMA "{schema(store)}" CASCADE')
    for call in (store.rows, lambda: store.add([row("b", 2)], "")):
        with pytest.raises(
            StoreError, match=r"no gallery there: make one with lookalike gallery create gallery=<that address>"
        ):
            call()
    PostgresStore.create(place, ABOUT).close()
    for call in (store.rows, lambda: store.add([row("b", 2)], "")):
        with pytest.raises(
            StoreError, match=r"another gallery is there now, or it has another model: run the command again"
        ):
            call()


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("UPDATE about SET value = '5' WHERE name = 'schema'", rf"gallery schema 5, .* up to {SCHEMA}: pip install -U"),
        ("DELETE FROM about WHERE name = 'fingerprint'", r"does not say its fingerprint: copy the gallery again"),
        ("DROP TABLE about", r"no gallery there: make one with lookalike gallery create gallery=<that address>"),
    ],
)
def test_tables_of_something_else_are_refused(
    server: Server, store: PostgresStore, place: str, statement: str, text: str
) -> None:
    server.sql(statement.replace("about", f'"{schema(store)}".about'))
    with pytest.raises(StoreError, match=text):
        PostgresStore(place)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda store: store.add([row("a\0b", 1)], ""),
            r"text with a NUL cannot be kept \(.*\): leave it out of",
        ),
        (lambda store: store.rename("a", "a\0b", ""), r"text with a NUL cannot be kept \(.*\): leave it out of"),
        (lambda store: store.add([row("a", 1)], "\ud800"), r"text that is no Unicode cannot be kept \(.*\): write it"),
        (lambda store: store.add([Row("a", "", b"", b"1234")], ""), r"expected embeddings of 8 values, found 1: embed"),
        (
            lambda store: store.add([Row("a", "", b"", np.full(8, np.nan, "<f4").tobytes())], ""),
            r"cannot be used \(NaN not allowed in vector\): check the server",
        ),
    ],
)
def test_what_cannot_be_kept_is_told_and_nothing_changes(
    store: PostgresStore, call: Callable[[PostgresStore], object], text: str
) -> None:
    store.add([row("a", 0)], "")
    with pytest.raises(StoreError, match=text):
        call(store)
    assert ([stored.label for stored in store.rows()], len(store.changes())) == (["a"], 1)
    assert store.add([row("b", 2)], "") == [2]


def test_the_password_is_nowhere(store: PostgresStore, server: Server) -> None:
    assert store.name == f"postgresql://lookalike@127.0.0.1:{server.port}/lookalike?gallery={schema(store)}"
    assert PASSWORD not in f"{store!r} {store.__dict__} {store._sessions!r}"


def test_it_is_searched_as_a_folder_is(
    gallery: Gallery, model: Model, digits: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows and similarities to the last bit, after the same changes."""
    place = server.url("digits")
    shared = Gallery.create(place, model)
    shared.add(digits / "train")
    with Gallery.open(place, model) as other:
        for changed in (gallery, shared):
            changed.merge(["digit 0", "digit 1"], "merged")
            changed.remove(image=[7, 8])
            changed.forget(image=3)
            changed.move(12, "moved")
        queries = model.encoder.embed(files_of(digits, "test/*/*.png"))
        for there in (shared, other):
            assert [part.tobytes() for part in there.search(queries, 48)] == [
                part.tobytes() for part in gallery.search(queries, 48)
            ]
            assert there.labels == gallery.labels
        files = files_of(digits, "test/digit 3/*.png")
        assert [str(item.neighbours) for item in other.predict(files)] == [
            str(item.neighbours) for item in gallery.predict(files)
        ]
        assert other.at(1).labels.keys() == {f"digit {number}" for number in range(5)}
        shown = f"postgresql://lookalike@127.0.0.1:{server.port}/lookalike?gallery=digits"
        assert (str(other.path), repr(other)) == (shown, f"Gallery({shown!r}: 47 images of 5 labels)")
        with pytest.raises(GalleryError, match="has no label 'x'") as caught:
            other.remove(label="x")
        assert str(caught.value).startswith(f"{shown}: ")
    shared.close()
    assert PASSWORD not in "".join(capsys.readouterr())
