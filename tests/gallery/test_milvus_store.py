"""What a gallery on Milvus does of its own: writers that are overtaken or killed, and servers that are not there."""

import subprocess
import sys
from contextlib import closing

import pytest

from lookalike.gallery import milvus_store
from lookalike.gallery.rows import StoreError
from lookalike.gallery.stores import create_store, open_store
from milvus_server import MilvusServer

from .conftest import numbered

ABOUT = {"fingerprint": "f" * 64, "precision": "float32", "dimensions": "2"}


@pytest.mark.parametrize("raises", [True, False])
def test_an_overtaken_writer_is_refused_whatever_the_next_one_did(
    milvus: MilvusServer, monkeypatch: pytest.MonkeyPatch, raises: bool
) -> None:
    monkeypatch.setattr(milvus_store, "LEASE_SECONDS", 0.2)
    address = milvus.url(f"overtaken_{int(raises)}")
    with closing(create_store(address, ABOUT)) as slow, closing(open_store(address)) as next_one:
        slow.add([numbered("a", 1)], "")
        with pytest.raises(StoreError, match="took over while this one paused, so nothing was changed: try again"):  # noqa: PT012, SIM117 - the next one works inside
            with slow._change("add", "late") as late:
                slow._insert(late, [numbered("late", 2)])
                if raises:
                    with pytest.raises(StoreError, match="expected embeddings of 2 values"):
                        next_one.add([numbered("b", 3), numbered("b", 4).__class__("b", "x", b"", b"1234", None)], "")
                else:
                    assert next_one.rename("none", "b", "") == (0, 0)
        for store in (slow, next_one):
            assert [row.label for row in store.rows()] == ["a"]
            assert store.own_problems([1]) == []
        assert slow.add([numbered("c", 5)], "") == [2]


KILLED = """
import os, sys
from lookalike.gallery.milvus_log import MilvusLog
from lookalike.gallery.rows import Row
from lookalike.gallery.stores import open_store
store, step = open_store(sys.argv[1]), sys.argv[2]
former = getattr(MilvusLog, step)
setattr(MilvusLog, step, lambda *values: os._exit(9))
store.add([Row("killed", "k", b"t", b"12345678")], "")
"""


@pytest.mark.parametrize(("step", "labels"), [("_claimed", ["a"]), ("publish", ["a"]), ("_settle", ["a", "killed"])])
def test_a_killed_writer_leaves_whole_commits(
    milvus: MilvusServer, monkeypatch: pytest.MonkeyPatch, step: str, labels: list[str]
) -> None:
    monkeypatch.setattr(milvus_store, "LEASE_SECONDS", 0.2)
    address = milvus.url(f"killed{step}")
    with closing(create_store(address, ABOUT)) as store:
        store.add([numbered("a", 1)], "")
        assert subprocess.run([sys.executable, "-c", KILLED, address, step]).returncode == 9
        assert store.rename("none", "b", "") == (0, 0)  # takes the turn, and finishes what can be finished
        assert [row.label for row in store.rows()] == labels
        store.add([numbered("b", 2)], "")
        assert [row.label for row in store.rows()] == [*labels, "b"]
        assert store.own_problems([1]) == []


def test_what_is_forgotten_leaves_the_server(milvus: MilvusServer) -> None:
    with closing(create_store(milvus.url("forgets"), ABOUT)) as store:
        store.add([numbered("a", 1), numbered("secret", 2)], "")
        store.forget("label", ["secret"], "")
        commits = store._log.commits()
        assert len(commits) == 1
        assert commits[0].whole
        names = store._log.client.query(store._log._pieces, filter='id != ""', limit=100, output_fields=["id"])
        assert [row["id"].split(":")[:2] for row in names] == [[str(commits[0].number), commits[0].salt]]
        assert "secret" not in str(store._log.content(commits[0]))


def test_a_server_that_is_not_there_is_one_line() -> None:
    with pytest.raises(StoreError, match="the server refused or could not be reached") as caught:
        open_store("milvus://me:s3cret@127.0.0.1:9/default?gallery=shop")
    assert "s3cret" not in str(caught.value)
    assert str(caught.value).startswith("milvus://me@127.0.0.1:9/default?gallery=shop: ")


def test_a_database_that_is_not_there_is_named(milvus: MilvusServer) -> None:
    with pytest.raises(StoreError, match=r"/none\?gallery=shop: .*database 'none' does not exist"):
        open_store(milvus.url("shop").replace("/default", "/none"))


def test_a_server_that_was_killed_goes_on_with_what_was_there() -> None:
    server = MilvusServer()
    try:
        with closing(create_store(server.url("shop"), ABOUT)) as store:
            store.add([numbered("a", 1)], "")
            server.kill()
            with pytest.raises(StoreError, match="the server refused or could not be reached"):
                store.add([numbered("b", 2)], "")
            server.start()
            with closing(open_store(server.url("shop"))) as other:
                assert [row.label for row in other.rows()] == ["a"]
                assert other.own_problems([1]) == []
            store.add([numbered("c", 3)], "")
            assert [row.label for row in store.rows()] == ["a", "c"]
    finally:
        server.remove()
