"""What readers of layouts share: the folder that has one, and paths that tables can hold."""

from pathlib import Path

from lookalike.data.image_files import has_folder
from lookalike.data.layouts.layout import root_with, utf8_only
from market_layout import layout


def has_query(folder: Path) -> bool:
    return has_folder(folder, "query")


def test_a_layout_is_found_in_the_root_or_one_folder_below(tmp_path: Path) -> None:
    inner = layout(tmp_path / "disk" / "inner", "query/a.jpg")
    assert root_with(inner, has_query) == inner
    assert root_with(inner.parent, has_query) == inner
    assert root_with(tmp_path, has_query) is None, "two folders above it"
    layout(tmp_path / "disk" / "second", "query/a.jpg")
    assert root_with(inner.parent, has_query) is None, "which of two is not guessed"


def test_a_folder_with_a_train_of_its_own_is_not_asked_below(tmp_path: Path) -> None:
    layout(tmp_path, "inner/query/a.jpg", "train/kiwi/a.jpg")
    assert root_with(tmp_path, has_query) is None


def test_names_that_are_not_utf8_become_problems() -> None:
    problems: list[str] = []
    rows = [("a.jpg", "1"), (b"\xff.jpg".decode("utf-8", "surrogateescape"), "2")]
    assert utf8_only(rows, problems) == [("a.jpg", "1")]
    assert len(problems) == 1
    assert problems[0].endswith(".jpg: the name is not UTF-8: rename it")
