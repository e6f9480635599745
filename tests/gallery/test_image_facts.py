"""What every store tells of images."""

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from lookalike.gallery.rows import StoreError
from lookalike.gallery.sql_store import SqlStore

from .conftest import Place, numbered


@pytest.fixture
def store(place: Place) -> Iterator[SqlStore]:
    with closing(place.create()) as made:
        yield made


def test_everything_is_asked_by_number(store: SqlStore) -> None:
    rows = [numbered("a", 1, size="1.5"), numbered("b", 2), numbered("a", 3, size='"x"', colour="null")]
    store.add(rows, "")
    assert store.sources([3, 1]) == ["/3.jpg", "/1.jpg"]
    assert store.cameras([1, 2, 3, 9]) == [1, 2, 0, None]
    assert store.columns([1, 2, 3]) == [{"size": 1.5}, {}, {"colour": None, "size": "x"}]
    assert list(store.columns([3])[0]) == ["colour", "size"]
    assert store.column_names() == ["colour", "size"]
    assert store.having("camera", [0, 2]) == {2, 3}
    assert store.having("source", ["/1.jpg", "?"]) == {1}
    assert store.having("size", ['"x"', "2"]) == {3}
    assert store.missing([1, 7, 3], False) == [7]
    store.remove("id", [3], "")
    assert (store.missing([3], False), store.missing([3], True)) == ([3], [])
    assert store.embeddings([1, 3]).tolist() == [np.frombuffer(rows[i].embedding, "<f4").tolist() for i in (0, 2)]
    assert store.embeddings([]).shape == (0, 2)
    with pytest.raises(StoreError, match=r"damaged, the embedding of image 7 is missing or has not 2 values: lookal"):
        store.embeddings([1, 7])


def test_more_images_than_go_into_one_statement(store: SqlStore) -> None:
    rows = [numbered("a", number, place=str(number)) for number in range(1234)]
    store.add(rows, "")
    images = list(range(1234, 0, -1))
    assert store.sources(images) == [f"/{image - 1}.jpg" for image in images]
    assert [values["place"] for values in store.columns(images)] == [image - 1 for image in images]
    assert store.embeddings(images[::-1]).tobytes() == b"".join(row.embedding for row in rows)
    assert store.missing([*images, 5000], False) == [5000]
    assert store.add_new(rows[:700], "") == (list(range(1, 701)), 0, 0)
