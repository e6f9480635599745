"""The tables of a shared gallery: made whole, and written anew without what was forgotten."""

from contextlib import closing

import numpy as np
import psycopg
import pytest

from lookalike.gallery.postgres_store import PostgresStore
from lookalike.gallery.rows import Row, StoreError
from postgres_server import Server

ABOUT = {"fingerprint": "f" * 64, "precision": "float32", "dimensions": "8"}


def row(label: str, seed: int, picture: int = 3000) -> Row:
    rng = np.random.default_rng(seed)
    return Row(label, f"/photographs/{seed}.jpg", rng.bytes(picture), rng.random(8).astype("<f4").tobytes(), seed)


def bytes_of_tables(server: Server, database: str) -> bytes:
    """All files of the database, its catalogue included."""
    server.sql("CHECKPOINT")
    ((number,),) = server.sql("SELECT oid FROM pg_database WHERE datname = %s", database)
    return b"".join(file.read_bytes() for file in (server.folder / "data" / "base" / str(number)).iterdir())


def test_what_is_forgotten_is_in_no_table(server: Server) -> None:
    """Though somebody's old transaction could still see it, and the planner took samples."""
    server.sql("CREATE DATABASE forgetful")
    store = PostgresStore.create(server.url(database="forgetful"), ABOUT)
    store.add([row(f"person {number % 20}", number) for number in range(100)], "all of them")
    store.rename("person 7", "Anna Katharina", "she is Anna Katharina")
    store.remove("id", [8, 28, 9], "a bad picture")
    store.add([row("Anna Katharina", number) for number in range(1000, 1050)], "more of Anna Katharina")
    store.move([101], "person 1", "it was not Anna Katharina")
    server.sql("ANALYZE", database="forgetful")
    gone = [stored for stored in store.rows() if stored.label == "Anna Katharina"]
    kept = [stored for stored in store.rows() if stored.label != "Anna Katharina"]
    pictures = {stored.id: store.thumbnail(stored.id) for stored in [*gone, *kept]}
    content = bytes_of_tables(server, "forgetful")
    assert all(pictures[stored.id][100:164] in content for stored in [*gone, *kept])
    with psycopg.connect(server.url(database="forgetful")) as other:
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT 1").fetchone()
        assert store.forget("label", ["Anna Katharina"], "asked for") == len(gone) + 2
        content = bytes_of_tables(server, "forgetful")
    for stored in gone:
        assert np.frombuffer(stored.embedding, "<f4").astype(">f4").tobytes() not in content
        assert pictures[stored.id][100:164] not in content
        assert stored.source.encode() + b"\0" not in content
    assert b"Anna" not in content
    assert store.rows() == kept
    assert all(pictures[stored.id][100:164] in content for stored in kept)
    assert all(store.thumbnail(stored.id) == pictures[stored.id] for stored in kept)
    assert not store.erase(), "nothing is left to do"
    store.close()


def test_compacting_gives_room_back(server: Server) -> None:
    store = PostgresStore.create(server.url("compacted"), ABOUT)
    store.add([row("a", number) for number in range(300)], "")
    for label in ("b", "c", "d"):
        store.merge(["a" if label == "b" else chr(ord(label) - 1)], label, "")
    before = store.rows()
    assert store.compact() > 0
    assert store.rows() == before
    assert store.own_problems([1]) == []
    store.close()


def test_a_database_without_the_extension(server: Server) -> None:
    server.sql("CREATE ROLE plain LOGIN PASSWORD 'plain-secret'")
    server.sql("CREATE DATABASE bare OWNER plain")
    place = server.url("shop", user="plain", password="plain-secret", database="bare")
    text = r"has no extension vector, and it cannot be made \({}.*\): let an administrator install pgvector on the"
    with pytest.raises(StoreError, match=text.format("permission denied to create extension")):
        PostgresStore.create(place, ABOUT)
    hidden = server.url("shop", database="bare", options="-c extension_control_path=/nowhere")
    with pytest.raises(StoreError, match=text.format('extension "vector" is not available')):
        PostgresStore.create(hidden, ABOUT)
    server.sql("CREATE SCHEMA extensions", database="bare")
    server.sql("CREATE EXTENSION vector SCHEMA extensions", database="bare")
    server.sql("GRANT USAGE ON SCHEMA extensions TO plain", database="bare")
    with closing(PostgresStore.create(place, ABOUT)) as store:
        assert store.add([row("a", 1)], "") == [1]
        assert store.forget("label", ["a"], "") == 1


def test_a_schema_that_is_there_is_taken_unless_tables_are_in_the_way(server: Server) -> None:
    server.sql("CREATE SCHEMA made_before")
    server.sql("CREATE TABLE made_before.other (x INT)")
    PostgresStore.create(server.url("made_before"), ABOUT).close()
    server.sql("CREATE SCHEMA taken")
    server.sql("CREATE TABLE taken.events (x INT)")
    with pytest.raises(
        StoreError, match=r"other tables \(events\) are there already: use it \(Gallery\.open in Python\), or give"
    ):
        PostgresStore.create(server.url("taken"), ABOUT)


def test_a_database_of_another_encoding_is_refused(server: Server) -> None:
    server.sql("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(StoreError, match=r"expected a database in UTF8, found LATIN1: make one with CREATE DATABASE"):
        PostgresStore.create(server.url(database="latin"), ABOUT)
