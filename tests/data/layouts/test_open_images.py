"""Open Images' tables: boxes of the images that are there, in pixels; the others are counted."""

from pathlib import Path

import pytest

from lookalike.data.manifest import boxes_of
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from made_retrieval import OPEN_IMAGES, Photographs, open_images, write

TABLE = "oidv6-train-annotations-bbox.csv"


def test_boxes_of_the_images_that_are_there_have_names_and_pixels(tmp_path: Path, photographs: Photographs) -> None:
    manifest = read_manifest(open_images(tmp_path, photographs))
    rows = zip(*(manifest.table[name] for name in ("path", "label", "split")), boxes_of(manifest.table), strict=True)
    assert [tuple(row) for row in rows] == [
        ("train/000026e7ee790996.jpg", "Pear, common", "train", (0, 0, 24, 18)),
        ("train/000026e7ee790996.jpg", "Apple", "train", (12, 18, 36, 36)),
        ("validation/0001eeaf4aed83f9.jpg", "Pear, common", "validation", pytest.approx((9.6, 3.6, 38.4, 28.8))),
    ]
    assert manifest.notes == (
        "1 image(s) of its tables are not there and are left out: 0000c64e1253d68f",
        "1 box(es) are marked as crowds or groups and are left out: train/000062a39995e348.jpg",
    )


def test_the_folders_of_fiftyone_are_found(tmp_path: Path, photographs: Photographs) -> None:
    photographs.put(tmp_path, "train/data/000026e7ee790996.jpg")
    write(tmp_path / "train" / "labels" / "detections.csv", OPEN_IMAGES, "\r\n", b"\xef\xbb\xbf")
    write(tmp_path / "train" / "metadata" / "classes.csv", "/m/014j1m,Apple\n/m/061_f,Pear\n")
    table = read_manifest(tmp_path).table
    assert table[["path", "label", "split"]].to_numpy().tolist() == [
        ["train/data/000026e7ee790996.jpg", "Pear", "train"],
        ["train/data/000026e7ee790996.jpg", "Apple", "train"],
    ]


@pytest.mark.parametrize("header", ["LabelName,DisplayName\n", ""])
@pytest.mark.parametrize("name", ["oidv7-class-descriptions-boxable.csv", "class-descriptions.csv"])
def test_lists_of_names_are_read_to_their_end_with_a_header_or_without(
    tmp_path: Path, photographs: Photographs, header: str, name: str
) -> None:
    (open_images(tmp_path, photographs) / "class-descriptions-boxable.csv").unlink()
    others = "".join(f"/m/{number:06},Thing {number}\n" for number in range(9000))
    write(tmp_path / name, f'{header}{others}/m/014j1m,Apple\n/m/061_f,"Pear, common"\n')
    manifest = read_manifest(tmp_path)
    assert manifest.labels == ["Apple", "Pear, common"]
    assert not any("have no name" in note for note in manifest.notes)


def test_classes_without_names_and_absent_images_are_counted(tmp_path: Path, photographs: Photographs) -> None:
    (open_images(tmp_path, photographs) / "class-descriptions-boxable.csv").unlink()
    more = "".join(f"{number:016x},xclick,/m/014j1m,1,0,1,0,1,0,0,0,0,0\n" for number in range(30))
    beyond = "000062a39995e348,xclick,/m/061_f,1,-0.5,0.5,0,1,0,0,0,0,0\n"
    write(tmp_path / TABLE, OPEN_IMAGES + more + beyond)
    manifest = read_manifest(tmp_path)
    assert manifest.notes[0].startswith("31 image(s) of its tables are not there and are left out: 0000c64e1253d68f, ")
    assert manifest.notes[0].endswith(" and 11 more")
    assert manifest.notes[1] == "2 classes have no name in class-descriptions-boxable.csv: /m/014j1m, /m/061_f"
    assert "1 box(es) reach beyond their image and are cut to it: train/000062a39995e348.jpg" in manifest.notes


def test_no_image_at_all_is_a_problem(tmp_path: Path, photographs: Photographs) -> None:
    write(tmp_path / TABLE, OPEN_IMAGES)
    expected = r"none of the 3 images of its tables is there: expected <split>/<ImageID>\.jpg"
    with pytest.raises(ManifestError, match=expected):
        read_manifest(tmp_path)


def test_rows_without_numbers_and_images_that_are_none_are_told(tmp_path: Path, photographs: Photographs) -> None:
    open_images(tmp_path, photographs)
    write(tmp_path / TABLE, OPEN_IMAGES + "000026e7ee790996,xclick,/m/061_f,1,x,1,0,1,0,0,0,0,0\n000062a39995e348\n")
    (tmp_path / "validation" / "0001eeaf4aed83f9.jpg").write_bytes(b"no image")
    with pytest.raises(ManifestError) as error:
        read_manifest(tmp_path)
    assert f"{TABLE}: 2 row(s) lack a class or four numbers: 6, 7: copy it again" in str(error.value)
    assert "validation/0001eeaf4aed83f9.jpg: no image, so its boxes have no place" in str(error.value)


def test_a_table_with_other_columns_is_not_taken_for_it(tmp_path: Path, photographs: Photographs) -> None:
    photographs.put(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "validation/a/1.jpg")
    write(tmp_path / "validation-annotations-bbox.csv", "ImageID,LabelName\n1,a\n")
    assert read_manifest(tmp_path).layout == ""
