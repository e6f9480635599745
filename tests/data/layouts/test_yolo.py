"""YOLO's boxes: shares of upright images become pixels; folders as Ultralytics and Roboflow write them."""

from pathlib import Path

import pytest
from PIL import Image

from lookalike.data.manifest import boxes_of
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from made_retrieval import Photographs, write, yolo, yolo_roboflow


def rows(root: Path) -> list[tuple[object, ...]]:
    table = read_manifest(root).table
    return list(zip(table["path"], table["label"], table["split"], boxes_of(table), strict=True))


def test_shares_become_pixels_and_polygons_their_boxes(tmp_path: Path, photographs: Photographs) -> None:
    assert rows(yolo(tmp_path, photographs)) == [
        ("images/train/a.jpg", "pear", "train", (0, 0, 24, 18)),
        ("images/train/a.jpg", "apple", "train", (12, 9, 36, 27)),
        ("images/train/b.png", "pear", "train", (0, 0, 48, 36)),
        ("images/val/a.jpg", "apple", "validation", pytest.approx((4.8, 3.6, 43.2, 32.4))),
    ]


def test_folders_of_roboflow_are_found_wherever_its_file_says_they_are(
    tmp_path: Path, photographs: Photographs
) -> None:
    made = rows(yolo_roboflow(tmp_path, photographs))
    assert [(row[0], row[2]) for row in made] == [
        ("test/images/test_jpg.rf.1.jpg", "test"),
        ("train/images/train_jpg.rf.1.jpg", "train"),
        ("valid/images/valid_jpg.rf.1.jpg", "validation"),
    ]


def test_a_box_lies_in_the_upright_image(tmp_path: Path, photographs: Photographs) -> None:
    yolo(tmp_path, photographs)
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(tmp_path / "images" / "val" / "a.jpg") as image:
        image.save(tmp_path / "images" / "val" / "a.jpg", exif=exif)
    write(tmp_path / "labels" / "val" / "a.txt", "0 0.5 0.25 1 0.5\n")
    assert rows(tmp_path)[-1] == ("images/val/a.jpg", "apple", "validation", (0, 0, 36, 24))


def test_lists_of_images_are_followed(tmp_path: Path, photographs: Photographs) -> None:
    plain = rows(yolo(tmp_path, photographs))
    write(tmp_path / "train.txt", "./images/train/a.jpg\nimages\\train\\b.png\n", "\r\n")
    write(
        tmp_path / "data.yaml", "train: train.txt\nval: [images/val]\nnames: [apple, pear]\n", "\r\n", b"\xef\xbb\xbf"
    )
    assert rows(tmp_path) == plain
    write(tmp_path / "train.txt", "images/train/none.jpg\n")
    with pytest.raises(ManifestError, match=r"train\.txt: 1 image\(s\) are not there: images/train/none\.jpg: restore"):
        read_manifest(tmp_path)


def test_images_without_boxes_and_boxes_without_images_are_counted(tmp_path: Path, photographs: Photographs) -> None:
    yolo(tmp_path, photographs)
    photographs.put(tmp_path, "images/train/background.jpg", "images/train/new.jpg")
    write(tmp_path / "labels" / "train" / "background.txt", "\r\n")
    write(tmp_path / "labels" / "train" / "gone.txt", "0 0.5 0.5 0.5 0.5\n")
    write(tmp_path / "labels" / "train" / "classes.txt", "apple\npear\n")
    write(tmp_path / "images" / "train" / "Thumbs.db", "x")
    write(tmp_path / "labels" / "train" / "b.txt", "1 0.9 0.5 0.5 0.5\n0 0.5 0.5 0.01 0.01\n0 0.5 0.5 0.9 0.9 0.87\n")
    manifest = read_manifest(tmp_path)
    assert len(manifest.table) == 5
    assert manifest.notes == (
        "1 image(s) have no file of boxes and are left out: images/train/new.jpg",
        "1 image(s) have no box in their file and are left out: images/train/background.jpg",
        "1 file(s) of boxes belong to no image: labels/train/gone.txt",
        "1 box(es) reach beyond their image and are cut to it: images/train/b.png",
        "1 box(es) hold less than 4 x 4 pixels of their image and are left out: images/train/b.png",
        "1 file(s) ending in .db passed over: not an image extension",
    )


def test_an_image_of_two_splits_is_a_problem(tmp_path: Path, photographs: Photographs) -> None:
    write(yolo(tmp_path, photographs) / "data.yaml", "train: images/train\nval: images\nnames: [apple, pear]\n")
    expected = r"2 image\(s\) of validation are of another split, too: images/train/a\.jpg, images/train/b\.png"
    with pytest.raises(ManifestError, match=expected):
        read_manifest(tmp_path)


def test_lines_that_are_no_boxes_are_told_at_once(tmp_path: Path, photographs: Photographs) -> None:
    yolo(tmp_path, photographs)
    write(tmp_path / "labels" / "val" / "a.txt", "0 0.5 0.5\nx 1 1 1 1\n7 0.5 0.5 1 1\n0 nan 0.5 1 1\n")
    (tmp_path / "images" / "train" / "b.png").write_bytes(b"no image")
    with pytest.raises(ManifestError) as error:
        read_manifest(tmp_path)
    for expected in (
        "labels/val/a.txt, line 1: expected 0 0.5 0.5 0.2 0.3, found '0 0.5 0.5'",
        "labels/val/a.txt, line 2: expected 0 0.5 0.5 0.2 0.3, found 'x 1 1 1 1'",
        "labels/val/a.txt, line 3: class 7: data.yaml names 2, from 0",
        "labels/val/a.txt, line 4: expected 0 0.5 0.5 0.2 0.3, found '0 nan 0.5 1 1'",
        "images/train/b.png: no image, so its boxes have no place: replace or remove it",
    ):
        assert expected in str(error.value)


def test_a_split_whose_folder_is_not_there_is_told(tmp_path: Path, photographs: Photographs) -> None:
    yolo(tmp_path, photographs)
    write(tmp_path / "data.yaml", "train: images/train\nval: /elsewhere/images\nnames: [apple, pear]\n")
    manifest = read_manifest(tmp_path)
    assert {*manifest.table["split"]} == {"train"}
    assert manifest.notes[0].startswith("data.yaml: val: /elsewhere/images: not below ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", r"cannot be read as YAML \("),
        ("- a", "expected train:, val: and names:, found list"),
        ("train: images/train", "expected names: with the name of each class, found None"),
        ("a: &a [x]\nnames: [*a, *a]", r"cannot be read as YAML \(it repeats \*a, expected each value written out"),
        ("names: [[x, y], z]", r"names: of class 0: expected a text, found \['x', 'y'\]: write its name"),
        ("names: {0: {x: y}}", "names: of class 0: expected a text, found {'x': 'y'}"),
        ("names: !!python/object/apply:os.system ['true']", r"cannot be read as YAML \("),
    ],
)
def test_a_list_of_classes_that_is_none_is_refused(
    tmp_path: Path, photographs: Photographs, text: str, expected: str
) -> None:
    write(yolo(tmp_path, photographs) / "data.yaml", text)
    with pytest.raises(ManifestError, match=expected):
        read_manifest(tmp_path)
