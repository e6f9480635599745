"""The lists that are said to be read are those that a reader opens."""

import sys
from pathlib import Path

import pytest

from lookalike.cli.main import main
from lookalike.data.layouts.read_lists import LISTS, lists_of
from lookalike.data.layouts.registry import LAYOUTS
from lookalike.data.reading import read_data
from made_layouts import MADE, Pictures
from made_retrieval import MADE as RETRIEVAL
from made_retrieval import Photographs

OPENED: list[str] = []
_LISTENING: list[Path] = []
_LOOKED_AT = {"train_test_split.txt"}  # opened to know a data set by, or to say that it is not used


def _listen(event: str, arguments: tuple) -> None:
    if _LISTENING and event == "open" and isinstance(arguments[0], str | Path):
        OPENED.append(str(arguments[0]))


sys.addaudithook(_listen)  # for the life of the process; it is idle outside of these tests


def test_every_layout_has_its_lists() -> None:
    assert {layout.name for layout in LAYOUTS} == {*LISTS}


@pytest.mark.parametrize("key", [*MADE, *RETRIEVAL])
def test_what_is_said_to_be_read_is_read_and_nothing_else(
    key: str, tmp_path: Path, pictures: Pictures, photographs: Photographs
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    made = MADE[key](root, pictures) if key in MADE else RETRIEVAL[key][1](root, photographs)
    layout = key if key in MADE else RETRIEVAL[key][0]
    OPENED.clear()
    _LISTENING.append(made)
    try:
        manifest = read_data(str(made))
    finally:
        _LISTENING.clear()
    opened = {Path(file).resolve() for file in OPENED}
    opened = {file.relative_to(made).as_posix() for file in opened if file.is_relative_to(made) and file.is_file()}
    lists = {name for name in opened if Path(name).suffix.lower() not in (".jpg", ".png")}
    boxes = {name for name in lists if "labels/" in name}  # a file for each image
    read, absent = lists_of(layout, manifest.root)
    assert {*read} <= lists
    assert lists - {*read} - boxes <= _LOOKED_AT
    assert not {*absent} & lists


def test_the_verb_says_which_lists_it_read_and_which_are_not_there(
    tmp_path: Path, pictures: Pictures, capsys: pytest.CaptureFixture[str]
) -> None:
    root = MADE["vehicleid"](tmp_path / "data", pictures)
    assert main(["manifest", f"data.root={root}", f"output={tmp_path / 'made.csv'}"]) == 0
    assert (
        "lists read: train_test_split/train_list.txt, train_test_split/test_list_800.txt, "
        "train_test_split/test_list_1600.txt, attribute/color_attr.txt; not there: "
        "train_test_split/test_list_2400.txt, attribute/model_attr.txt\n" in capsys.readouterr().out
    )
