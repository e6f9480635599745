"""What processes that train together tell each other."""

from typing import Any

import pytest

from lookalike.models.world import ALONE, World


def test_the_first_process_decides(of_two: list[dict[str, Any]]) -> None:
    first, second = (result["exchanges"] for result in of_two)
    assert (first["told"], second["told"]) == ("decided", "decided")
    assert (first["asked"], second["asked"]) == ([0], [])
    assert first["all"] == second["all"] == [True, False]
    assert (first["one by one"], second["one by one"]) == (0, 1)


def test_what_was_dealt_comes_back_in_order(of_two: list[dict[str, Any]]) -> None:
    first, second = (result["exchanges"] for result in of_two)
    assert (first["collected"], second["collected"]) == ([[0, 2, 4, 6], [1, 3, 5]], [])
    assert first["undealt"] == list(range(7))
    assert (first["few"], second["few"]) == ([9], [9]), "nobody has nothing to do"


def test_one_process_alone_exchanges_nothing() -> None:
    assert ALONE.told(lambda: 3) == 3
    assert ALONE.collected("x") == ["x"]
    assert not ALONE.all_of(False)
    ALONE.wait()
    assert ALONE.dealt([1, 2]) == ALONE.undealt([[1, 2]], 2) == [1, 2]
    assert ALONE.one_by_one(lambda: 7) == 7


@pytest.mark.parametrize(("size", "items"), [(2, 5), (3, 2), (4, 9), (3, 3)])
def test_dealing_keeps_every_item_once(size: int, items: int) -> None:
    worlds = [World(rank, size, rank, size) for rank in range(size)]
    parts = [world.dealt(list(range(1, items + 1))) for world in worlds]
    assert worlds[0].undealt(parts, items) == list(range(1, items + 1))


def test_a_batch_is_cut_into_equal_parts_in_order() -> None:
    rows = list(range(12))
    parts = [rows[World(rank, 3, rank, 3).share_of(12)] for rank in range(3)]
    assert [row for part in parts for row in part] == rows
    assert {len(part) for part in parts} == {4}
    assert World(4, 8, 0, 4).machines == 2
