"""Embeddings beside a gallery's database: a copy that may be missing, old, damaged or of something else."""

from pathlib import Path
from typing import IO

import numpy as np
import pytest

from lookalike.gallery import vector_file
from lookalike.gallery.rows import Row
from lookalike.gallery.sqlite_store import SqliteStore
from lookalike.gallery.vector_file import VectorFile

SIZE = 6
ABOUT = {"fingerprint": "f" * 64, "precision": "float32", "dimensions": str(SIZE)}


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, SIZE)).astype(np.float32)


@pytest.fixture
def file(tmp_path: Path) -> VectorFile:
    made = VectorFile(tmp_path / "g.vectors", "mine", SIZE)
    made.write(np.array([2, 3, 7, 9]), vectors(4))
    return made


def read(file: VectorFile, images: list[int]) -> tuple[np.ndarray, list[bool]]:
    into = np.zeros((len(images), SIZE), np.float32)
    filled = file.read(np.array(images, np.int64), into)
    return into, filled.tolist()


@pytest.mark.parametrize(
    "images", [[2, 3, 7, 9], [2, 3, 7, 9, 12, 13], [1, 2, 3, 7, 9], [3, 9], [1, 4, 20], [], [2, 3, 5, 7, 9]]
)
def test_what_is_in_the_file_is_read(file: VectorFile, images: list[int]) -> None:
    into, filled = read(file, images)
    there = dict(zip([2, 3, 7, 9], vectors(4), strict=True))
    assert filled == [image in there for image in images]
    for image, row in zip(images, into, strict=True):
        np.testing.assert_array_equal(row, there.get(image, np.zeros(SIZE)))


def test_what_was_erased_is_in_no_byte_and_not_read(file: VectorFile) -> None:
    file.erase([3, 4, 9])
    content = file.file.read_bytes()
    assert [row.tobytes() in content for row in vectors(4)] == [True, False, True, False]
    assert read(file, [2, 3, 7, 9])[1] == [True, False, True, False]


def other_gallery(file: VectorFile) -> None:
    VectorFile(file.file, "another", SIZE).write(np.array([2, 3]), vectors(2, 1))


def other_size(file: VectorFile) -> None:
    VectorFile(file.file, "mine", 2).write(np.array([2, 3]), np.ones((2, 2), np.float32))


def cut(file: VectorFile) -> None:
    file.file.write_bytes(file.file.read_bytes()[:-1])


def no_header(file: VectorFile) -> None:
    file.file.write_bytes(b"\0" * 9000)


def empty(file: VectorFile) -> None:
    file.file.write_bytes(b"")


def gone(file: VectorFile) -> None:
    file.file.unlink()


@pytest.mark.parametrize("spoil", [other_gallery, other_size, cut, no_header, empty, gone])
def test_what_cannot_be_used_holds_nothing(file: VectorFile, spoil) -> None:
    spoil(file)
    assert read(file, [2, 3, 7])[1] == [False] * 3
    file.erase([2])
    assert not file.file.exists(), "nothing of it can be told apart, so it goes"


def rows(count: int, seed: int = 0) -> list[Row]:
    return [
        Row(f"{place % 7}", f"{seed}-{place}", b"", row.tobytes()) for place, row in enumerate(vectors(count, seed))
    ]


def test_a_store_reads_the_same_with_and_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_file, "_WRITTEN_FROM", 100)
    store = SqliteStore.create(tmp_path / "gallery.sqlite", ABOUT)
    beside = tmp_path / "gallery.vectors"
    numbers = store.add(rows(80), "")
    store.embeddings(numbers)
    assert not beside.exists(), "few are read from the database"
    numbers += store.add(rows(80, 1), "")
    expected = np.concatenate([vectors(80), vectors(80, 1)])
    np.testing.assert_array_equal(store.embeddings(numbers), expected)
    assert beside.exists()
    statements: list[str] = []
    store._connection.set_trace_callback(statements.append)
    np.testing.assert_array_equal(store.embeddings(numbers), expected)
    assert not [text for text in statements if "FROM vectors" in text], "now they are not"
    store._connection.set_trace_callback(None)
    numbers += store.add(rows(80, 2), "")
    expected = np.concatenate([expected, vectors(80, 2)])
    np.testing.assert_array_equal(store.embeddings(numbers), expected)
    beside.write_bytes(b"rubbish")
    np.testing.assert_array_equal(store.embeddings(numbers[5:200]), expected[5:200])
    assert VectorFile(beside, store.about["gallery"], SIZE).numbers().tolist() == numbers[5:200]
    beside.unlink()
    np.testing.assert_array_equal(store.embeddings(numbers), expected)


def test_what_a_store_forgets_is_not_beside_it_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_file, "_WRITTEN_FROM", 10)
    store = SqliteStore.create(tmp_path / "gallery.sqlite", ABOUT)
    numbers = store.add(rows(100), "")
    store.embeddings(numbers)
    store.remove("label", ["2"], "")
    assert store.forget("label", ["2", "3"], "") == 28
    content = (tmp_path / "gallery.vectors").read_bytes()
    assert [row.tobytes() in content for row in vectors(100)] == [place % 7 not in (2, 3) for place in range(100)]
    kept = [number for number in numbers if (number - 1) % 7 not in (2, 3)]
    np.testing.assert_array_equal(store.embeddings(kept), vectors(100)[[number - 1 for number in kept]])
    (tmp_path / "gallery.vectors").unlink()
    store.embeddings(kept)
    assert VectorFile(tmp_path / "gallery.vectors", store.about["gallery"], SIZE).numbers().tolist() == kept


def test_a_file_that_is_replaced_while_it_is_read_gives_its_own_rows(
    file: VectorFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process puts a longer one in its place between the numbers and the rows."""
    newer = VectorFile(file.file, "mine", SIZE)
    plain = VectorFile._numbers

    def numbers(self: VectorFile, handle: IO[bytes]) -> np.ndarray:
        answer = plain(self, handle)
        if self is file:
            newer.write(np.arange(2, 12), vectors(10, 5))
        return answer

    monkeypatch.setattr(VectorFile, "_numbers", numbers)
    into, filled = read(file, [2, 3, 7, 9])
    assert filled == [True] * 4
    np.testing.assert_array_equal(into, vectors(4))


def test_a_part_of_the_images_does_not_replace_all_of_them(file: VectorFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_file, "_WRITTEN_FROM", 2)
    assert not file.wants(3, 3), "four are in it"
    assert file.wants(3, 7)
    assert not file.wants(2, 7)
