"""VeRi-776: cameras from names, colours and types from label files, lists that are compared."""

from pathlib import Path

import pytest

from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from made_layouts import MADE, Pictures, lines
from market_layout import layout, rows


@pytest.fixture
def veri(tmp_path: Path, pictures: Pictures) -> Path:
    return MADE["veri776"](tmp_path, pictures)


def test_vehicles_cameras_colours_and_types(veri: Path) -> None:
    manifest = read_manifest(veri)
    assert rows(manifest)["image_test/0005_c011_00085815_0.jpg"] == ("0005", "test", "reference", 11, False)
    kinds = {row.path: (row.color, row.type) for row in manifest.table.itertuples()}
    assert kinds["image_train/0003_c002_00016970_0.jpg"] == ("gray", "sedan")
    assert kinds["image_train/0004_c001_00084260_0.jpg"] == ("green", "suv")
    assert kinds["image_query/0002_c002_00030600_0.jpg"] == ("red", ""), "told of the same image in image_test"
    assert kinds["image_query/0005_c012_00072030_0.jpg"] == ("", "")
    assert "3 image(s) have a typeID that list_type.txt does not list: their type is left empty" in manifest.notes
    protocol = manifest.protocol("test")
    assert protocol.copies == 1, "a query that is among the references, too, never finds itself"
    assert not protocol.references["ignore"].any(), "but others may find it"


def test_without_lists_of_names_the_numbers_are_kept(veri: Path) -> None:
    (veri / "list_color.txt").unlink()
    table = read_manifest(veri).table
    assert set(table["color"]) == {"", "3", "4", "5"}


def test_a_label_file_that_contradicts_a_name_is_a_problem(veri: Path) -> None:
    text = (veri / "train_label.xml").read_bytes().replace(b'vehicleID="0004"', b'vehicleID="0040"')
    (veri / "train_label.xml").write_bytes(text)
    with pytest.raises(ManifestError, match=r"0004_c001_00084260_0\.jpg is vehicle 0040, but its name says 0004"):
        read_manifest(veri)
    (veri / "train_label.xml").write_bytes(b"<!DOCTYPE x [<!ENTITY a 'aaaa'>]><Items>&a;</Items>")
    with pytest.raises(ManifestError, match=r"train_label\.xml: expected <Item imageName=.*found none"):
        read_manifest(veri)


def test_lists_and_folders_are_compared(veri: Path) -> None:
    lines(veri / "name_test.txt", "0002_c002_00030600_0.jpg", "0002_c003_00030670_1.jpg", "0099_c003_00000001_1.jpg")
    layout(veri, "image_test/Thumbs.db")
    with pytest.raises(
        ManifestError, match=r"image_test/0099_c003_00000001_1\.jpg: not there, but name_test\.txt lists"
    ):
        read_manifest(veri)
    lines(veri / "name_test.txt", "0002_c002_00030600_0.jpg")
    assert (
        "2 image(s) of image_test/ are not in name_test.txt, but read: 0002_c003_00030670_1.jpg, "
        "0005_c011_00085815_0.jpg"
    ) in read_manifest(veri).notes
