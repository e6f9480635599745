"""Tables of WildlifeDatasets: WildlifeReID-10k, AnimalCLEF and those of the package."""

from pathlib import Path

import pytest

from lookalike.data.manifest import boxes_of
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from made_retrieval import WILDLIFE, Photographs, wildlife, write


def test_the_database_is_searched_by_the_queries_that_have_a_name(tmp_path: Path, photographs: Photographs) -> None:
    manifest = read_manifest(wildlife(tmp_path, photographs))
    protocol = manifest.protocol("test")
    assert [path[-5:] for path in protocol.queries["path"]] == ["c.jpg", "e.jpg"]
    assert protocol.references["label"].tolist() == ["SeaTurtleID2022_t001"] * 2 + ["SeaTurtleID2022_t002"]
    assert manifest.carried == ["image_id", "date", "orientation", "species", "dataset"]
    assert manifest.notes == (
        "1 row(s) have no identity that is known and are left out: images/SeaTurtleID2022/query/d.jpg",
    )


SPLITS = """identity,path,date,original_split
a,1.jpg,2024-01-01,train
a,2.jpg,2024-01-02,test
b,3.jpg,2024-01-03,train
unknown,4.jpg,2024-01-04,train
b,5.jpg,2024-01-05,valid
"""


def test_the_division_of_the_authors_is_taken_where_there_is_no_other(tmp_path: Path, photographs: Photographs) -> None:
    table = read_manifest(wildlife(tmp_path, photographs, SPLITS)).table
    assert dict(zip(table["path"], table["split"], strict=True)) == {
        "1.jpg": "train",
        "2.jpg": "test",
        "3.jpg": "train",
        "5.jpg": "validation",
    }


def test_dates_divide_a_table_without_splits(tmp_path: Path, photographs: Photographs) -> None:
    text = "identity,path,date\n" + "".join(f"{'ab'[n % 2]},{n}.jpg,2024-01-{n + 1:02d}\n" for n in range(8))
    manifest = read_manifest(wildlife(tmp_path, photographs, text), split="date", validation_share=0.25)
    held_out = manifest.table[manifest.table["split"] == "validation"]
    assert held_out["date"].tolist() == ["2024-01-07", "2024-01-08"]


BOXES = """identity,path,bbox
a,1.jpg,"[2.0, 3.0, 20.0, 15.5]"
b,1.jpg,"[30, 3, 20, 30]"
b,2.jpg,
c,2.jpg,"[-4, 0, 20, 30]"
c,2.jpg,"[5, 5, 1, 1]"
"""


def test_several_animals_of_one_photograph_are_boxes(tmp_path: Path, photographs: Photographs) -> None:
    manifest = read_manifest(wildlife(tmp_path, photographs, BOXES))
    rows = zip(manifest.table["path"], manifest.table["label"], boxes_of(manifest.table), strict=True)
    assert sorted(map(str, rows)) == sorted(
        map(
            str,
            [
                ("1.jpg", "a", (2.0, 3.0, 22.0, 18.5)),
                ("1.jpg", "b", (30.0, 3.0, 50.0, 33.0)),
                ("2.jpg", "b", None),
                ("2.jpg", "c", (0.0, 0.0, 16.0, 30.0)),
            ],
        )
    )
    assert "1 box(es) hold less than 4 x 4 pixels of their image and are left out: 2.jpg" in manifest.notes
    assert "1 box(es) reach beyond their image and are cut to it: 2.jpg" in manifest.notes


NO_BOXES = ["[1, 2]", "[1, 2, NaN, 4]", "[1, 2, 1e999, 4]", "[1, 2, null, 4]", "[[1], 2, 3, 4]", "x", "{}"]


@pytest.mark.parametrize("box", NO_BOXES)
def test_a_box_that_is_none_is_a_problem(box: str, tmp_path: Path, photographs: Photographs) -> None:
    wildlife(tmp_path, photographs, f'identity,path,bbox\na,1.jpg,"{box}"\n')
    with pytest.raises(ManifestError) as error:
        read_manifest(tmp_path)
    assert f"metadata.csv: 1.jpg: bbox {box!r}: expected [x, y, width, height]" in str(error.value)


def test_a_box_as_numpy_prints_it_is_read(tmp_path: Path, photographs: Photographs) -> None:
    wildlife(tmp_path, photographs, "identity,path,bbox\na,1.jpg,[ 2.   3.5 20.  15. ]\n")
    assert boxes_of(read_manifest(tmp_path).table) == [(2, 3.5, 22, 18.5)]


def test_windows_makes_no_difference(tmp_path: Path, photographs: Photographs) -> None:
    plain = read_manifest(wildlife(tmp_path, photographs)).table
    write(tmp_path / "metadata.csv", WILDLIFE.replace("images/", "images\\"), "\r\n", b"\xef\xbb\xbf")
    assert read_manifest(tmp_path).table.equals(plain)


def test_an_image_of_two_animals_without_boxes_is_a_problem(tmp_path: Path, photographs: Photographs) -> None:
    wildlife(tmp_path, photographs, "identity,path\na,1.jpg\nb,1.jpg\n")
    with pytest.raises(ManifestError, match=r"1\.jpg: listed 2 times, with label 'a' and 'b': keep the right line"):
        read_manifest(tmp_path)


def test_a_table_of_that_name_with_other_columns_is_none(tmp_path: Path, photographs: Photographs) -> None:
    photographs.put(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "validation/a/1.jpg")
    write(tmp_path / "metadata.csv", "file,price\n1.jpg,3\n")
    assert read_manifest(tmp_path).layout == ""
