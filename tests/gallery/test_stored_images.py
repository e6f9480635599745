"""What the stores read of one moment."""

from contextlib import closing

import numpy as np

from .conftest import Place, numbered


def test_what_changed_since_is_read_alone(place: Place) -> None:
    with closing(place.create()) as store:
        store.add([numbered("a", 1), numbered("b", 2)], "")
        store.move([1], "b", "")
        store.remove("id", [2], "")
        assert store.changed_since(1) == ({1: "b", 2: None}, 3)
        store.confirm([1], "")
        assert store.changed_since(3) == ({}, 4), "no label is another"
        numbers, labels, version = store.labelled()
        assert (numbers.tolist(), labels, version) == ([1], ["b"], 4)
        assert np.array_equal(store.embeddings([1]), np.frombuffer(numbered("a", 1).embedding, "<f4")[None])
        store.forget("id", [2], "")
        assert store.changed_since(4) == (None, 5)
        assert store.all_images() == [1]
        assert [row.label for row in store.rows_at(1)] == ["a"]
