"""Folders and object stores do the same, and a store that does not answer is told in one line."""

from pathlib import Path

import pytest

from lookalike.storage import Bucket, Folder, Storage, StorageError, address_of, is_address, joined, storage_of
from object_store import KEY, SECRET, Store, closed_port, failing_first, point_to, silent_server


@pytest.fixture(params=["folder", "store"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return storage_of(tmp_path / "some")
    request.getfixturevalue("object_store")
    return storage_of("s3://bucket/some")


def test_both_kinds_write_read_and_list_alike(storage: Storage) -> None:
    assert storage.names() == []
    storage.write("b.bin", b"abc")
    storage.write("a.bin", b"first")
    storage.write("a.bin", b"again", once=True)
    storage.write("deep/c.bin", b"")
    assert storage.names() == ["a.bin", "b.bin"]
    assert list(storage.below()) == [("a.bin", 5), ("b.bin", 3), ("deep/c.bin", 0)]
    assert storage.read("a.bin") == b"first"
    assert storage.read("a.bin", 2) == b"fi"
    storage.write("b.bin", b"new")
    with storage.open("b.bin") as file:
        file.seek(1)
        assert file.read() == b"ew"
    for read in (storage.read, storage.open):
        with pytest.raises(FileNotFoundError):
            read("none.bin")


def test_addresses() -> None:
    for text in ("s3://b-1/x/y", "s3:/b-1/x/y/", "S3://b-1//x/y"):
        assert is_address(text)
        assert address_of(text) == "s3://b-1/x/y"
    assert address_of("s3://bucket") == "s3://bucket"
    assert not any(map(is_address, ("/s3/x", "x/s3://y", "gs://b/x", "s3")))
    assert joined("s3://b-1/x", "a/b.jpg") == "s3://b-1/x/a/b.jpg"
    assert joined("/data", "s3://b-2/c.jpg") == "s3://b-2/c.jpg"
    assert joined("/data", "a.jpg") == "/data/a.jpg"
    with pytest.raises(StorageError, match=r"^s3://bucket/x: a login in an address would stand in logs: leave it out"):
        address_of(f"s3://{KEY}:{SECRET}@bucket/x")
    with pytest.raises(StorageError, match=r"^s3://x: expected the name of a bucket, as in s3://bucket/prefix"):
        address_of("s3:///x")


def test_nobody_and_who_never_answers_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with silent_server() as silent:
        for address, reason in ((closed_port(), "Could not connect"), (silent, "Timeout was reached")):
            point_to(address, monkeypatch)
            server = address.removeprefix("http://")
            text = rf"^s3://bucket/x: cannot be reached \(.*{reason}.*\): check the bucket, the server \({server}; A"
            with pytest.raises(StorageError, match=text) as caught:
                storage_of("s3://bucket/x")
            assert "\n" not in str(caught.value)
            assert SECRET not in str(caught.value)


def test_a_bucket_must_be_there(object_store: Store) -> None:
    with pytest.raises(StorageError, match=r"^s3://no-such-bucket/x: there is no bucket no-such-bucket: make it first"):
        storage_of("s3://no-such-bucket/x")


def test_keys_are_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    point_to(closed_port(), monkeypatch)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "Could not connect")  # as if the answer told the key
    with pytest.raises(StorageError, match=r"cannot be reached \(.*\*\*\*") as caught:
        storage_of("s3://bucket/x")
    assert "Could not connect" not in str(caught.value)


def test_a_store_that_fails_for_a_moment_is_asked_again(object_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    object_store.put("x/a.bin", b"here")
    with failing_first(object_store, 2) as (address, answered):
        point_to(address, monkeypatch)
        assert Bucket("bucket/x").read("a.bin") == b"here"
        assert answered[:2] == [503, 503]
    with failing_first(object_store, 10**6) as (address, answered):
        point_to(address, monkeypatch)
        with pytest.raises(StorageError, match=r"^s3://bucket/x: cannot be read"):
            Bucket("bucket/x").read("a.bin")
        assert len(answered) == 5


def test_a_folder_is_made_by_its_first_file(tmp_path: Path) -> None:
    storage = Folder(tmp_path / "a" / "b")
    assert storage.names() == []
    storage.write("c", b"x")
    assert [entry.name for entry in (tmp_path / "a" / "b").iterdir()] == ["c"]
