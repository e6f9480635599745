"""What every store is asked; `test_stores` has what it does when it is changed."""

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from lookalike.gallery.sql_store import SqlStore

from .conftest import Place, numbered


@pytest.fixture
def store(place: Place) -> Iterator[SqlStore]:
    with closing(place.create()) as made:
        yield made


def test_what_later_changes_left(store: SqlStore) -> None:
    store.add([numbered("a", 1), numbered("a", 2), numbered("b", 3)], "")
    assert store.changed_since(0) == ({1: "a", 2: "a", 3: "b"}, 1)
    store.rename("a", "c", "")
    store.remove("id", [2], "")
    assert store.changed_since(1) == ({1: "c", 2: None}, 3)
    assert store.changed_since(3) == ({}, 3)
    numbers, labels, last = store.labelled()
    assert (numbers.dtype, numbers.tolist(), labels, last) == (np.int64, [1, 3], ["c", "b"], 3)
    store.forget("id", [2], "")
    assert store.changed_since(3) == (None, 4), "all is read again"
