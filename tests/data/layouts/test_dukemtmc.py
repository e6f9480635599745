"""DukeMTMC-reID and Occluded-Duke, which only lists or a name tell apart."""

from pathlib import Path

import pytest

from lookalike.data.layouts.registry import recognise
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from made_layouts import MADE, Pictures, lines
from market_layout import layout, rows


def test_people_and_cameras_are_those_of_the_names(tmp_path: Path, pictures: Pictures) -> None:
    manifest = read_manifest(MADE["dukemtmc"](tmp_path, pictures))
    assert rows(manifest)["query/0006_c5_f0047145.jpg"] == ("0006", "test", "query", 5, False)
    assert rows(manifest)["bounding_box_test/7138_c8_f0086543.jpg"] == ("7138", "test", "reference", 8, False)
    assert manifest.read_as.startswith("DukeMTMC-reID, by bounding_box_train, bounding_box_test, query with names such")
    assert manifest.notes == ()


@pytest.mark.parametrize("name", ["Occluded_Duke", "occluded-duke"])
def test_the_occluded_one_is_known_by_its_folder_where_lists_are_missing(
    name: str, tmp_path: Path, pictures: Pictures
) -> None:
    recognised = recognise(MADE["dukemtmc"](tmp_path / name, pictures))
    assert recognised
    assert recognised.layout.name == "occluded-duke"
    assert recognised.evidence.startswith("its name and bounding_box_train")
    whole = read_manifest(tmp_path / name, layout="dukemtmc")
    assert whole.read_as.startswith("DukeMTMC-reID, by"), "a setting chooses the other"


def test_lists_that_name_absent_images_are_counted_and_the_first_twenty_shown(
    tmp_path: Path, pictures: Pictures
) -> None:
    root = MADE["occluded-duke"](tmp_path, pictures)
    absent = [f"{number:04}_c1_f0000001.jpg" for number in range(100, 130)]
    lines(root / "gallery.list", "0005_c5_f0051781.jpg", *absent)
    with pytest.raises(ManifestError, match=r"30 problem\(s\) in the data") as refused:
        read_manifest(root)
    text = str(refused.value)
    assert "bounding_box_test/0100_c1_f0000001.jpg: not there, but gallery.list lists it: restore the image" in text
    assert absent[19] in text
    assert absent[20] not in text
    assert "... and 10 more" in text


def test_extra_images_and_files_are_told(tmp_path: Path, pictures: Pictures) -> None:
    root = MADE["occluded-duke"](tmp_path, pictures)
    layout(root, "query/0009_c1_f0000001.jpg", "query/Thumbs.db")
    assert read_manifest(root).notes == (
        "1 image(s) of query/ are not in query.list, but read: 0009_c1_f0000001.jpg",
        "1 file(s) ending in .db passed over: not an image extension",
        "test: 1 of 3 queries are of 1 label(s) that no reference has, so they are unknown individuals and must be "
        "turned away: 0009",
    )
