"""Boxes of several things in a photograph: whose they are, from tables, COCO's JSON and YOLO's folders."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lookalike.inference.image_table import ImageTable
from lookalike.inference.object_boxes import read_boxes
from lookalike.inference.queries import PredictError


@pytest.fixture
def shelf(digits: Path, tmp_path: Path) -> Path:
    """Photographs 64 x 32 of two digits each: shelf/a/1.png, shelf/b/1.png and shelf/b/2.png."""
    files = sorted((digits / "test").rglob("*.png"))
    for place, name in enumerate(("a/1.png", "b/1.png", "b/2.png")):
        both = Image.new("RGB", (64, 32))
        for half in (0, 1):
            both.paste(Image.open(files[2 * place + half]), (32 * half, 0))
        (tmp_path / "shelf" / name).parent.mkdir(parents=True, exist_ok=True)
        both.save(tmp_path / "shelf" / name)
    return tmp_path / "shelf"


def table(file: Path, *rows: str, head: str = "path,x1,y1,x2,y2,label") -> Path:
    file.write_text("\n".join([head, *rows]) + "\n")
    return file


def images(shelf: Path) -> list[Path]:
    return sorted(shelf.rglob("*.png"))


def seen(made: ImageTable, shelf: Path) -> list[tuple[str, tuple[float, ...] | None]]:
    pairs = zip(made.files, made.boxes, strict=True)
    return [(file.relative_to(shelf).as_posix(), box) for file, box in pairs]


def test_rows_of_a_table_are_boxes_of_the_image_that_their_path_leads_to(shelf: Path) -> None:
    rows = ("a/1.png,0,0,32,32,four", "b/1.png,32,0,64,32,five", "a/1.png,32,0,64,32,six", "gone.png,0,0,9,9,x")
    made, notes = read_boxes(table(shelf / "boxes.csv", *rows), images(shelf)[:2])
    left, right = (0.0, 0.0, 32.0, 32.0), (32.0, 0.0, 64.0, 32.0)
    assert seen(made, shelf) == [("a/1.png", left), ("a/1.png", right), ("b/1.png", right)]
    assert made.truths == ["four", "six", "five"]
    assert made.names == ["path", "label", "x1", "y1", "x2", "y2"]
    assert notes == ["1 box of 1 image not asked for: passed over"]


def test_paths_from_elsewhere_belong_to_the_image_that_ends_so(shelf: Path, tmp_path: Path) -> None:
    boxes = table(tmp_path / "boxes.csv", "b/1.png,0,0,32,32", head="path,x1,y1,x2,y2")
    made, notes = read_boxes(boxes, images(shelf))
    assert seen(made, shelf) == [("b/1.png", (0.0, 0.0, 32.0, 32.0))]
    assert made.truths is None
    assert notes == [f"2 images without a box: passed over: {shelf}/a/1.png, {shelf}/b/2.png"]


def test_a_name_in_two_folders_is_nobodys(shelf: Path, tmp_path: Path) -> None:
    boxes = table(tmp_path / "boxes.csv", "1.png,0,0,32,32,x")
    with pytest.raises(PredictError, match=r"1.png may be .*/a/1.png, .*/b/1.png: write paths that lead from"):
        read_boxes(boxes, images(shelf))
    made, _ = read_boxes(boxes, images(shelf)[:1])
    assert seen(made, shelf) == [("a/1.png", (0.0, 0.0, 32.0, 32.0))], "of one that is asked for alone it is clear"
    both = table(tmp_path / "boxes.csv", "x/a/1.png,0,0,32,32,x", "1.png,0,0,9,9,x", "a/1.png,0,0,32,32,x")
    with pytest.raises(PredictError, match=r"1.png and a/1.png may both be .*a/1.png: write paths"):
        read_boxes(both, images(shelf)[:1])
    inside = table(shelf / "a" / "boxes.csv", "1.png,0,0,32,32,x")
    made, notes = read_boxes(inside, images(shelf))
    assert seen(made, shelf) == [("a/1.png", (0.0, 0.0, 32.0, 32.0))], "where the path leads to an image, it is of that"
    assert notes[0].startswith("2 images without a box: passed over")


def test_boxes_are_cut_to_their_image_and_told(shelf: Path) -> None:
    rows = ("a/1.png,-9,-9,32,32,x", "b/1.png,30,0,99,32,x", "b/2.png,1,1,3,3,x", "b/2.png,1,1,9,9,x")
    made, notes = read_boxes(table(shelf / "boxes.csv", *rows), images(shelf))
    assert [box for _, box in seen(made, shelf)] == [(0, 0, 32, 32), (30, 0, 64, 32), (1, 1, 9, 9)]
    assert notes == [
        f"2 box(es) reach beyond their image and are cut to it: {shelf}/a/1.png, {shelf}/b/1.png",
        f"1 box(es) hold less than 4 x 4 pixels of their image and are left out: {shelf}/b/2.png",
    ]
    with pytest.raises(PredictError, match=r"hold less than 4 x 4 pixels .*: no box is left: correct them"):
        read_boxes(table(shelf / "boxes.csv", rows[2]), images(shelf))


def coco(file: Path, **changes: Any) -> Path:
    content = {
        "images": [{"id": 1, "file_name": "a/1.png", "width": 64, "height": 32}, {"id": 2, "file_name": "c.png"}],
        "categories": [{"id": 4, "name": "four"}],
        "annotations": [
            {"image_id": 1, "category_id": 4, "bbox": [32, 0, 40, 32]},
            {"image_id": 2, "category_id": 4, "bbox": [0, 0, 9, 9]},
            {"image_id": 2, "category_id": 4, "bbox": [-5, 0, 9, 9]},
        ],
    }
    file.write_text(json.dumps({**content, **changes}))
    return file


def test_json_of_coco_beside_the_images_or_elsewhere(shelf: Path, tmp_path: Path) -> None:
    for folder in (shelf, tmp_path):
        made, notes = read_boxes(coco(folder / "boxes.json"), images(shelf))
        assert seen(made, shelf) == [("a/1.png", (32.0, 0.0, 64.0, 32.0))]
        assert made.truths == ["four"]
        assert notes == [
            f"1 box(es) reach beyond their image and are cut to it: {shelf}/a/1.png",
            "2 boxes of 1 image not asked for: passed over",
            f"2 images without a box: passed over: {shelf}/b/1.png, {shelf}/b/2.png",
        ]
    (shelf / "boxes.json").write_text("{}")
    with pytest.raises(PredictError, match=r"boxes=.*boxes.json: cannot be read as COCO's JSON \(no 'images'\)"):
        read_boxes(shelf / "boxes.json", images(shelf))
    with pytest.raises(PredictError, match=r"1 annotation\(s\) with an image_id that no image has: export it again"):
        read_boxes(coco(shelf / "boxes.json", annotations=[{"image_id": 9, "category_id": 4}]), images(shelf))


def test_folders_of_yolo_with_names_and_without(shelf: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(shelf, root / "images")
    for name, text in (("a/1", "1 0.25 0.5 0.5 1\n0 0.75 0.5 0.5 1\n"), ("b/1", "0 0.5 0.5 1 1\n")):
        (root / "labels" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "labels" / f"{name}.txt").write_text(text)
    expected = [("a/1.png", (0.0, 0.0, 32.0, 32.0)), ("a/1.png", (32.0, 0.0, 64.0, 32.0))]
    made, notes = read_boxes(root / "labels", images(root / "images")[:1])
    assert (seen(made, root / "images"), made.truths) == (expected, None)
    assert notes == ["1 box of 1 image not asked for: passed over"]
    (root / "data.yaml").write_text("names: [four, five]\n")
    for place in (root, root / "labels"):
        made, _ = read_boxes(place, images(root / "images")[:1])
        assert (seen(made, root / "images"), made.truths) == (expected, ["five", "four"])
    with pytest.raises(PredictError, match=r"none of its 3 boxes is of an image that was asked for"):
        read_boxes(root, images(shelf)[:1])  # their own images are there
    shutil.rmtree(root / "images")
    made, _ = read_boxes(root, images(shelf)[:1])
    assert seen(made, shelf) == expected, "images elsewhere, by the end of their path"
    shutil.copyfile(root / "labels" / "a" / "1.txt", tmp_path / "1.txt")
    (tmp_path / "flat").mkdir()
    shutil.move(tmp_path / "1.txt", tmp_path / "flat" / "1.txt")
    with pytest.raises(PredictError, match=r"1 may be .*a/1.png, .*b/1.png: write paths"):
        read_boxes(tmp_path / "flat", images(shelf))
    (tmp_path / "flat" / "1.txt").write_text("0 0.5 0.5\n")
    with pytest.raises(PredictError, match=r"1.txt, line 1: expected 0 0.5 0.5 0.2 0.3, found '0 0.5 0.5': correct it"):
        read_boxes(tmp_path / "flat", images(shelf))
    (tmp_path / "none").mkdir()
    with pytest.raises(PredictError, match=r"no text file of boxes in this folder: expected a table"):
        read_boxes(tmp_path / "none", images(shelf))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("gone.csv", None, r"boxes=.*gone.csv: no such file or folder: expected a table \(.csv"),
        ("boxes.txt", "x", r"expected a table .*, found .txt"),
        ("boxes.csv", "a,b\n1,2\n", r"boxes=.*boxes.csv: expected a column path .*found a, b"),
        (
            "boxes.csv",
            "path,label\na/1.png,x\n",
            r"expected columns path and x1, y1, x2, y2 with a box, found path",
        ),
        (
            "boxes.csv",
            "path,x1,y1,x2,y2\na/1.png,1,2,x,4\n",
            r"row 2: x2 is 'x': expected a number of pixels",
        ),
        ("boxes.csv", "path,x1,y1,x2,y2\na/1.png,1,2,9,9\nb/1.png,,,,\n", r"b/1.png: no box: expected x1, y1, x2, y2"),
        (
            "boxes.csv",
            "path,x1,y1,x2,y2\nz.png,1,2,9,9\n",
            r"none of its 1 box is of an image .*\(it names z.png",
        ),
    ],
)
def test_what_is_no_file_of_boxes_is_refused(shelf: Path, name: str, text: str | None, said: str) -> None:
    if text is not None:
        (shelf / name).write_text(text)
    with pytest.raises(PredictError, match=said):
        read_boxes(shelf / name, images(shelf))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a/1.png,30,0,10,32,x", r"a/1\.png: expected x1 < x2 and y1 < y2, found 30, 0, 10, 32: correct it"),
        (
            "a/1.png,0,0,0.5,1,x",
            r"a/1\.png: expected pixels of the upright image, found 0, 0, 0\.5, 1, which look like",
        ),
    ],
)
def test_corners_that_are_none_are_told_with_their_numbers(shelf: Path, tmp_path: Path, row: str, said: str) -> None:
    boxes = table(tmp_path / "boxes.csv", row)
    with pytest.raises(PredictError, match=said):
        read_boxes(boxes, images(shelf))
