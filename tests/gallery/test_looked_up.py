"""What is there and what is missing, in stores of both kinds."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from lookalike.gallery.looked_up import count_of, images_of, missing_of
from lookalike.gallery.sql_store import SqlStore

from .conftest import Place, numbered


@pytest.fixture
def store(place: Place) -> Iterator[SqlStore]:
    """Images 1 to 4, the last of which is removed."""
    with closing(place.create()) as made:
        made.add([numbered(label, number) for number, label in enumerate("aabc", 1)], "")
        made.remove("id", [4], "")
        yield made


def test_what_is_missing_is_named_in_the_order_it_was_asked_for(store: SqlStore) -> None:
    with store.reading() as connection:
        assert missing_of(connection, "id", [9, 1, 4, 7]) == [9, 4, 7]
        assert missing_of(connection, "id", [9, 1, 4, 7], removed=True) == [9, 7]
        assert missing_of(connection, "label", ["c", "a", "z"]) == ["c", "z"]
        assert missing_of(connection, "source", ["/1.jpg", "/9.jpg"]) == ["/9.jpg"]
        many = list(range(1, 1202))
        assert missing_of(connection, "id", many) == many[3:], "more than one statement takes"
        assert missing_of(connection, "id", []) == []


def test_removed_images_count_for_what_forgets_them_alone(store: SqlStore) -> None:
    with store.reading() as connection:
        assert [count_of(connection, label) for label in "abcz"] == [2, 1, 0, 0]
        assert images_of(connection, "label", ["c", "a", "a"]) == [1, 2, 4]
        assert images_of(connection, "source", ["/2.jpg", "/4.jpg"]) == [2, 4]
