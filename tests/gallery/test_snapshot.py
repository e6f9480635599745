"""Images in memory follow every change, made here or elsewhere, and what was handed out before stays as it was."""

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from lookalike.gallery import snapshot as module
from lookalike.gallery.history import HistoryError
from lookalike.gallery.rows import Row, StoreError
from lookalike.gallery.snapshot import Lazily, Snapshot
from lookalike.gallery.sqlite_store import SqliteStore

SIZE = 8
ABOUT = {"fingerprint": "f" * 64, "precision": "float32", "dimensions": str(SIZE)}
LABELS = ["a", "b", "c", "d", "ä"]


def rows(rng: np.random.Generator, count: int, label: str = "a") -> list[Row]:
    vectors = rng.standard_normal((count, SIZE)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [Row(label, f"{rng.integers(9)}.jpg", vector.tobytes()[:9], vector.tobytes()) for vector in vectors]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    store = SqliteStore.create(tmp_path / "gallery.sqlite", ABOUT)
    store.add(rows(np.random.default_rng(0), 20), "")
    store.close()
    return tmp_path / "gallery.sqlite"


def content(snapshot: Snapshot) -> tuple[list[int], list[str], list[str], bytes]:
    references, numbers = snapshot.current()
    return numbers.tolist(), list(references.labels), list(references.paths), references.embeddings.tobytes()


def read_anew(file: Path) -> tuple[list[int], list[str], list[str], bytes]:
    """By a plain query of all rows."""
    store = SqliteStore(file)
    stored = store.rows()
    store.close()
    return (
        [row.id for row in stored],
        [row.label for row in stored],
        [row.source for row in stored],
        b"".join(row.embedding for row in stored),
    )


def test_while_nothing_changes_it_is_the_same_object(file: Path) -> None:
    store, other = SqliteStore(file), SqliteStore(file)
    snapshot = Snapshot(store)
    first = snapshot.current()
    assert snapshot.current()[0] is first[0]
    assert snapshot.current()[1] is first[1]
    assert other.remove("label", ["nobody"], "") == (0, ["nobody"])
    assert snapshot.current()[0] is first[0], "a change of no image is none"
    other.remove("id", [3], "")
    assert snapshot.current()[0] is not first[0]


STEPS: dict[str, Callable[[SqliteStore], object]] = {
    "add": lambda store: store.add(rows(np.random.default_rng(1), 3, "b"), ""),
    "rename": lambda store: store.rename("a", "z", ""),
    "move": lambda store: store.move([2, 5, 20], "y", ""),
    "merge": lambda store: (store.move([1, 2], "y", ""), store.merge(["a", "y"], "y", "")),
    "remove the first": lambda store: store.remove("id", [1], ""),
    "remove all": lambda store: store.remove("label", ["a"], ""),
    "remove and undo": lambda store: (store.remove("id", [4, 9], ""), store.undo(2, "")),
    "undo the add": lambda store: store.undo(1, ""),
    "add and remove": lambda store: (store.add(rows(np.random.default_rng(1), 2), ""), store.remove("id", [21], "")),
    "forget": lambda store: store.forget("id", [7, 8], ""),
    "forget all": lambda store: store.forget("label", ["a"], ""),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_change_by_another_connection_is_seen_and_what_was_handed_out_stays(file: Path, step: str) -> None:
    store, other = SqliteStore(file), SqliteStore(file)
    snapshot = Snapshot(store)
    references, numbers = snapshot.current()
    before = numbers.copy(), list(references.labels), references.embeddings.copy()
    STEPS[step](other)
    assert content(snapshot) == read_anew(file)
    assert np.array_equal(numbers, before[0])
    assert list(references.labels) == before[1]
    assert np.array_equal(references.embeddings, before[2])


def test_images_that_come_back_stand_where_they_were(file: Path) -> None:
    store, other = SqliteStore(file), SqliteStore(file)
    snapshot = Snapshot(store)
    snapshot.current()
    other.remove("id", [4, 9], "")
    assert snapshot.current()[1].tolist() == [number for number in range(1, 21) if number not in (4, 9)]
    other.add(rows(np.random.default_rng(1), 2), "")
    other.undo(2, "")
    assert snapshot.current()[1].tolist() == list(range(1, 23))
    assert content(snapshot) == read_anew(file)


def change(store: SqliteStore, rng: random.Random) -> None:
    """One change of those that there are, of random images."""
    label, numbers = rng.choice(LABELS), rng.sample(range(1, 60), rng.randint(1, 6))
    action = rng.choice(("add", "add", "rename", "merge", "move", "remove", "remove", "undo", "undo", "forget"))
    if action == "add":
        generator = np.random.default_rng(rng.randrange(2**32))
        store.add(rows(generator, rng.randint(1, 40), label), "")
    elif action == "rename":
        store.rename(label, rng.choice(LABELS), "")
    elif action == "merge":
        store.merge([label], rng.choice(LABELS), "")
    elif action == "undo":
        with suppress(HistoryError):  # other changes stand in the way
            store.undo(rng.randint(1, max(store.version, 1)), "")
    elif action == "forget":
        store.forget("id", numbers[:2], "")
    elif action == "move":
        store.move(numbers, label, "")
    else:
        store.remove("id", numbers, "")


@pytest.mark.parametrize("seed", range(6))
def test_after_any_sequence_of_changes_it_is_as_read_anew(file: Path, seed: int) -> None:
    """Changes come from two connections, one to four of them between two looks."""
    rng = random.Random(seed)
    mine, other = SqliteStore(file), SqliteStore(file)
    snapshot = Snapshot(mine)
    handed_out = []
    for _ in range(40):
        for _ in range(rng.randint(1, 4)):
            change(rng.choice((mine, other)), rng)
        references, numbers = snapshot.current()
        handed_out.append(
            (references, numbers, numbers.copy(), list(references.labels), references.embeddings.tobytes())
        )
        assert content(snapshot) == read_anew(file)
    for references, numbers, as_numbered, as_labelled, as_embedded in handed_out:
        assert np.array_equal(numbers, as_numbered)
        assert list(references.labels) == as_labelled
        assert references.embeddings.tobytes() == as_embedded
    assert len({len(numbers) for _, numbers, *_ in handed_out}) > 5, "they were changes indeed"


def test_many_more_images_than_there_was_room_for(file: Path) -> None:
    store, other = SqliteStore(file), SqliteStore(file)
    snapshot = Snapshot(store)
    first, _ = snapshot.current()
    kept = first.embeddings.copy()
    for count in (1000, 1500, 1):
        other.add(rows(np.random.default_rng(count), count, "b"), "")
        assert content(snapshot) == read_anew(file)
    assert np.array_equal(first.embeddings, kept)


def test_a_look_that_was_interrupted_leaves_nothing_half_done(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while embeddings are read, and when they are."""
    store, other = SqliteStore(file), SqliteStore(file)
    snapshot = Snapshot(store)
    snapshot.current()
    other.rename("a", "b", "")
    other.add(rows(np.random.default_rng(1), 3), "")

    def interrupted(*_: object) -> np.ndarray:
        raise KeyboardInterrupt

    for owner, name in ((store, "embeddings"), (module, "references_of")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, interrupted)
            with pytest.raises(KeyboardInterrupt):
                snapshot.current()
    assert content(snapshot) == read_anew(file)


def test_what_cannot_be_read_is_an_error_each_time(file: Path) -> None:
    store = SqliteStore(file)
    snapshot = Snapshot(store)
    store._connection.execute("DELETE FROM vectors WHERE image = 7")
    for _ in range(2):
        with pytest.raises(StoreError, match=r"damaged, the embedding of image 7 is missing"):
            snapshot.current()
    store.forget("id", [7], "")
    assert content(snapshot) == read_anew(file)
    store.close()
    with pytest.raises(StoreError, match=r"closed: open the gallery again"):
        snapshot.current()


def test_values_are_read_when_they_are_asked_for() -> None:
    asked: list[list[int]] = []

    def read(images: list[int]) -> list[str]:
        asked.append(images)
        return [f"no {image}" for image in images]

    values = Lazily(read, np.array([3, 5, 9]))
    assert len(values) == 3
    assert asked == []
    assert (values[1], values[-1], values[:2], values[5:]) == ("no 5", "no 9", ["no 3", "no 5"], [])
    assert list(values) == ["no 3", "no 5", "no 9"]
    assert asked[:2] == [[5], [9]]
