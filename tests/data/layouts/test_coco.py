"""COCO's JSON: every box a row; numbers start anew in every file; what cannot be used is counted."""

import json
from pathlib import Path
from typing import Any

import pytest

from lookalike.data.images import read_image
from lookalike.data.manifest import boxes_of
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from made_retrieval import Photographs, coco, coco_json, coco_roboflow, write

TRAIN = "annotations/instances_train2017.json"


def edit(root: Path, place: str = TRAIN, **lists: list[dict[str, Any]]) -> None:
    """Puts records behind those of a file."""
    content = json.loads((root / place).read_text())
    for name, records in lists.items():
        content[name] += records
    (root / place).write_text(json.dumps(content))


def test_every_box_is_a_row_and_categories_go_by_name(tmp_path: Path, photographs: Photographs) -> None:
    """The numbers of apple and pear are exchanged between the two files, and images are numbered anew."""
    manifest = read_manifest(coco(tmp_path, photographs))
    rows = zip(*(manifest.table[name] for name in ("path", "label", "split")), boxes_of(manifest.table), strict=True)
    assert [tuple(row) for row in rows] == [
        ("train2017/000000000009.jpg", "apple", "train", (2, 3, 22, 18.5)),
        ("train2017/000000000009.jpg", "pear", "train", (10, 3, 40, 33)),
        ("train2017/000000000025.jpg", "apple", "train", (0, 0, 48, 36)),
        ("val2017/000000000139.jpg", "pear", "validation", (1, 1, 21, 21)),
        ("val2017/000000000139.jpg", "apple", "validation", (5, 5, 35, 35)),
    ]
    for row, box in zip(manifest.table["path"], boxes_of(manifest.table), strict=True):
        assert read_image(manifest.file(row), box=box).size
    protocol = manifest.protocol("validation")
    assert (len(protocol.queries), len(protocol.references)) == (2, 3)


@pytest.mark.parametrize("place", ["images/train2017", "images", "train", "images/train"])
def test_images_are_found_where_people_put_them(tmp_path: Path, photographs: Photographs, place: str) -> None:
    coco(tmp_path, photographs)
    (tmp_path / "annotations" / "instances_val2017.json").unlink()
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / "train2017").rename(tmp_path / place)
    assert {*read_manifest(tmp_path).table["path"]} == {f"{place}/000000000009.jpg", f"{place}/000000000025.jpg"}


def test_an_export_of_roboflow_needs_no_annotations_folder(tmp_path: Path, photographs: Photographs) -> None:
    manifest = read_manifest(coco_roboflow(tmp_path, photographs))
    assert manifest.table.groupby("split").size().to_dict() == {"test": 2, "train": 2, "validation": 2}
    assert manifest.labels == ["apple", "pear"]
    assert manifest.notes == ()


def test_what_cannot_be_used_is_counted(tmp_path: Path, photographs: Photographs) -> None:
    coco(tmp_path, photographs)
    photographs.put(tmp_path, "train2017/empty.jpg", "train2017/unlisted.jpg")
    boxes = [[-4, 0, 30, 30], [2, 3, 1, 20], [60, 3, 20, 20], [0, 0, 40, 30]]
    annotations = [{"image_id": 2, "category_id": 2, "bbox": box, "iscrowd": int(box[2] == 40)} for box in boxes]
    again = {"image_id": 1, "category_id": 1, "bbox": [2, 3, 20, 15.5]}
    empty = {"id": 3, "file_name": "empty.jpg", "width": 48, "height": 36}
    edit(tmp_path, annotations=[*annotations, again], images=[empty])
    manifest = read_manifest(tmp_path)
    assert len(manifest.table) == 6
    first, second = "train2017/000000000009.jpg", "train2017/000000000025.jpg"
    assert manifest.notes == (
        "1 image(s) have no box that can be used and are left out: train2017/empty.jpg",
        f"1 line(s) say again what another one says and are taken once: {first}",
        "1 image(s) that no list names are passed over: train2017/unlisted.jpg",
        f"1 box(es) reach beyond their image and are cut to it: {second}",
        f"2 box(es) hold less than 4 x 4 pixels of their image and are left out: {second}",
        f"1 box(es) are marked as crowds or groups and are left out: {second}",
    )


def test_annotations_of_nothing_are_problems(tmp_path: Path, photographs: Photographs) -> None:
    coco(tmp_path, photographs)
    good = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}
    wrong = [{"image_id": 99}, {"image_id": "1"}, {"category_id": 7}, {"bbox": [1, 2, 3]}, {"bbox": [0, 0, True, 9]}]
    edit(tmp_path, annotations=[good | part for part in wrong] + [good | {"bbox": [0, 0, 1e300, 9]}])
    with pytest.raises(ManifestError) as error:
        read_manifest(tmp_path)
    for expected in (
        f"{TRAIN}: 2 annotation(s) with an image_id that no image has: export it again",
        f"{TRAIN}: 1 annotation(s) with a category_id that no category has: export it again",
        f"{TRAIN}: 3 annotation(s) with no bbox of four numbers: export it again",
    ):
        assert expected in str(error.value)


def test_a_number_that_two_images_or_categories_have_is_a_problem_with_both_names(
    tmp_path: Path, photographs: Photographs
) -> None:
    coco(tmp_path, photographs)
    photographs.put(tmp_path, "train2017/second.jpg")
    edit(tmp_path, images=[{"id": 1, "file_name": "second.jpg"}], categories=[{"id": 1, "name": "quince"}])
    first = {kind: json.loads((tmp_path / TRAIN).read_text())[kind] for kind in ("images", "categories")}
    image, category = (
        next(item[name] for item in first[kind] if item["id"] == 1)
        for kind, name in (("images", "file_name"), ("categories", "name"))
    )
    with pytest.raises(ManifestError) as error:
        read_manifest(tmp_path)
    for expected in (
        f"{TRAIN}: id 1 stands twice in images, {image} and second.jpg: export it again",
        f"{TRAIN}: id 1 stands twice in categories, {category} and quince: export it again",
    ):
        assert expected in str(error.value)


def test_an_absent_image_is_one_problem_however_many_boxes_it_has(tmp_path: Path, photographs: Photographs) -> None:
    (coco(tmp_path, photographs) / "train2017" / "000000000009.jpg").unlink()
    with pytest.raises(ManifestError, match=r"1 problem\(s\) in the data:\s+train2017/000000000009\.jpg: No such file"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"images": [], "annotations": []}',
        '{"images": [{"id": 1}], "annotations": [], "categories": []}',
        '{"images": [{"id": [1], "file_name": "a"}], "annotations": [], "categories": []}',
        '{"images": [1], "annotations": [], "categories": []}',
        '{"images": [], "annotations": [{"image_id": {}}], "categories": []}',
        "[" * 100_000,
    ],
)
def test_what_is_not_cocos_json_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    write(tmp_path / TRAIN, text)
    with pytest.raises(ManifestError, match=r"^[^\n]*: cannot be read as COCO's JSON \([^\n]*\): export it again$"):
        read_manifest(tmp_path)


def test_files_that_name_no_split_are_refused_where_there_are_several(tmp_path: Path, photographs: Photographs) -> None:
    coco(tmp_path, photographs)
    write(tmp_path / "annotations" / "instances_default.json", coco_json([], [], {}))
    with pytest.raises(ManifestError, match=r"instances_default\.json: names no split: expected train, val or test"):
        read_manifest(tmp_path)
    for name in ("train2017", "val2017"):
        (tmp_path / "annotations" / f"instances_{name}.json").unlink()
    photographs.put(tmp_path, "images/default/a.jpg")
    text = coco_json(["a.jpg"], [(1, 1, [0, 0, 20, 20])], {1: "apple"})
    write(tmp_path / "annotations" / "instances_default.json", text, mark=b"\xef\xbb\xbf")
    manifest = read_manifest(tmp_path)
    assert manifest.table[["path", "split"]].to_numpy().tolist() == [["images/default/a.jpg", "train"]]
