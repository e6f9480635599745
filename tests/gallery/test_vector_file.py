"""Embeddings beside a gallery's database: a copy that may be missing, old, damaged or of something else."""

import signal
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import IO

import numpy as np
import pytest

import processes
from lookalike.errors import LookalikeError
from lookalike.gallery import vector_file
from lookalike.gallery.rows import Row
from lookalike.gallery.sqlite_store import SqliteStore
from lookalike.gallery.vector_file import VectorFile

SIZE = 6
ABOUT = {"fingerprint": "f" * 64, "precision": "float32", "dimensions": str(SIZE)}


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, SIZE)).astype(np.float32)


def write(file: VectorFile, images: np.ndarray, embeddings: np.ndarray) -> None:
    with file.begun() as handle:
        file.fill(handle, images, embeddings)
        file.put(handle, len(images))


@pytest.fixture
def file(tmp_path: Path) -> VectorFile:
    made = VectorFile(tmp_path / "g.vectors", "mine", SIZE)
    write(made, np.array([2, 3, 7, 9]), vectors(4))
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
    write(VectorFile(file.file, "another", SIZE), np.array([2, 3]), vectors(2, 1))


def other_size(file: VectorFile) -> None:
    write(VectorFile(file.file, "mine", 2), np.array([2, 3]), np.ones((2, 2), np.float32))


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
            write(newer, np.arange(2, 12), vectors(10, 5))
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


def test_one_process_at_a_time_writes_it(file: VectorFile) -> None:
    with (
        file.begun(),
        pytest.raises(LookalikeError, match=r"g\.vectors: another process writes it \(.*lock is held\): wait for it"),
        VectorFile(file.file, "mine", SIZE).begun(),
    ):
        raise AssertionError
    assert read(file, [2, 3, 7, 9])[1] == [True] * 4, "what was begun and not put leaves it as it was"
    assert [path.name for path in file.file.parent.iterdir() if path.suffix == ".new"] == []


def test_a_stale_writer_does_not_replace_a_file_of_more_images(file: VectorFile) -> None:
    write(file, np.array([2, 3]), vectors(2, 5))
    np.testing.assert_array_equal(read(file, [2, 3, 7, 9])[0], vectors(4))
    write(file, np.array([2, 3, 7, 9]), vectors(4, 5))
    np.testing.assert_array_equal(read(file, [2, 3, 7, 9])[0], vectors(4, 5))
    other_gallery(file)
    write(file, np.array([2]), vectors(1))
    assert file.numbers().tolist() == [2], "that of another gallery is of no use"


class Writing:
    """A store of 100 images whose flat file is being written by a thread, which waits at a moment of it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
        self.folder, self._reached, self._go = folder, Event(), Event()
        self.store = SqliteStore.create(folder / "gallery.sqlite", ABOUT)
        self.numbers = self.store.add(rows(100), "")
        monkeypatch.setattr(vector_file, "_WRITTEN_FROM", 10)
        monkeypatch.setattr(VectorFile, moment, self._stopped(getattr(VectorFile, moment)))
        self._thread = Thread(target=SqliteStore(folder / "gallery.sqlite").embeddings, args=(self.numbers,))
        self._thread.start()
        assert self._reached.wait(60)

    def _stopped(self, plain: Callable[..., object]) -> Callable[..., object]:
        """Waits in the thread of the writer, behind what the function did."""

        def stopped(*given: object) -> object:
            answer = plain(*given)
            if not self._reached.is_set():
                self._reached.set()
                assert self._go.wait(60)
            return answer

        return stopped

    def go_on(self) -> None:
        self._go.set()
        self._thread.join()

    def holding(self, images: list[int]) -> list[str]:
        """Files with the embedding of one of these images in them."""
        content = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        wanted = [vectors(100)[image - 1].tobytes() for image in images]
        return sorted(name for name, held in content.items() if any(row in held for row in wanted))


def test_others_change_the_gallery_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writing = Writing(tmp_path, monkeypatch, "fill")
    monkeypatch.setattr("lookalike.gallery.sqlite_store._BUSY_SECONDS", 1.0)
    other = SqliteStore(tmp_path / "gallery.sqlite")
    assert other.rename("1", "new", "") == (15, 0), "nothing waits, not even for a second"
    added = other.add(rows(50, 1), "")
    np.testing.assert_array_equal(other.embeddings([*writing.numbers, *added])[:100], vectors(100))
    assert not (tmp_path / "gallery.vectors").exists(), "one is being written"
    writing.go_on()
    assert VectorFile(tmp_path / "gallery.vectors", other.about["gallery"], SIZE).numbers().tolist() == writing.numbers
    assert other.own_problems(other.all_images()) == []


@pytest.mark.parametrize("moment", ["discard", "fill"])
def test_what_is_forgotten_while_it_is_written_is_in_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Before the first byte, and when all were written: from the moment `forget` returns."""
    writing = Writing(tmp_path, monkeypatch, moment)
    forgotten = [number for number in writing.numbers if (number - 1) % 7 == 2]
    assert writing.store.forget("label", ["2"], "") == len(forgotten)
    assert writing.holding(forgotten) == []
    writing.go_on()
    assert writing.holding(forgotten) == []
    assert not list(tmp_path.glob("*.new"))
    kept = sorted(set(writing.numbers) - set(forgotten))
    np.testing.assert_array_equal(writing.store.embeddings(kept), vectors(100)[[number - 1 for number in kept]])
    assert VectorFile(tmp_path / "gallery.vectors", writing.store.about["gallery"], SIZE).numbers().tolist() == kept


def test_another_model_meanwhile_leaves_no_file_of_the_former(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writing = Writing(tmp_path, monkeypatch, "fill")
    about = {**ABOUT, "fingerprint": "e" * 64, "model": "{}"}
    writing.store.switch_model(about, np.array(writing.numbers), vectors(100, 9), "")
    writing.go_on()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("gallery.vectors")]
    np.testing.assert_array_equal(writing.store.opened_again().embeddings(writing.numbers), vectors(100, 9))


KILLED = """
import os, signal, sys
from pathlib import Path
from lookalike.gallery import vector_file
from lookalike.gallery.sqlite_store import SqliteStore

vector_file._WRITTEN_FROM = 10
plain = vector_file.VectorFile.fill

def fill(*given):
    plain(*given)
    os.kill(os.getpid(), signal.SIGKILL)

vector_file.VectorFile.fill = fill
SqliteStore(Path(sys.argv[1])).embeddings(range(1, 101))
"""


def test_what_a_killed_writer_left_is_not_read_and_holds_nothing_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_file, "_WRITTEN_FROM", 10)
    store = SqliteStore.create(tmp_path / "gallery.sqlite", ABOUT)
    numbers = store.add(rows(100), "")
    for _ in range(2):
        assert processes.run(KILLED, str(store.file)).returncode == -signal.SIGKILL
        assert (tmp_path / "gallery.vectors.new").exists()
        assert not (tmp_path / "gallery.vectors").exists()
    store.forget("label", ["2"], "")
    assert not (tmp_path / "gallery.vectors.new").exists()
    kept = [number for number in numbers if (number - 1) % 7 != 2]
    np.testing.assert_array_equal(store.embeddings(kept), vectors(100)[[number - 1 for number in kept]])
    assert (tmp_path / "gallery.vectors").exists(), "the lock of a killed process is nobody's"
