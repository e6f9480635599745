"""CUB-200-2011 as it is distributed: divided by class, whole photographs unless boxes are asked for."""

from pathlib import Path

import pytest

from lookalike.data.manifest import boxes_of
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from made_retrieval import BIRDS, Photographs, cub, write


def test_classes_up_to_100_train_and_the_others_are_searched(tmp_path: Path, photographs: Photographs) -> None:
    manifest = read_manifest(cub(tmp_path / "CUB_200_2011", photographs).parent)
    table = manifest.table.set_index("path")
    for name, number, _, _ in BIRDS.values():
        row = table.loc[f"images/{name}"]
        assert row["label"] == name.partition("/")[0]
        assert (row["split"], row["role"]) == (("train", "") if number <= 100 else ("test", "both"))
    assert len(table) == len(BIRDS)
    assert "x1" not in table
    assert manifest.notes == (
        "divided as in metric learning: classes 1 to 100 train, the others are searched; train_test_split.txt, which "
        "divides every class, is not used; whole photographs, no boxes",
    )
    assert manifest.protocol("test").own_row.tolist() == [0, 1, 2, 3]


def test_boxes_are_used_where_they_are_asked_for(tmp_path: Path, photographs: Photographs) -> None:
    manifest = read_manifest(cub(tmp_path, photographs), layout="cub-200-2011-boxes")
    boxes = dict(zip(manifest.table["path"], boxes_of(manifest.table), strict=True))
    assert boxes[f"images/{BIRDS[1][0]}"] == (6, 7, 36, 27)
    assert boxes[f"images/{BIRDS[2][0]}"] == (1, 2, 41, 32)
    assert "only the box of each bird is used" in manifest.notes[0]
    assert manifest.layout == "cub-200-2011-boxes"


def test_windows_ends_of_lines_and_marks_change_nothing(tmp_path: Path, photographs: Photographs) -> None:
    plain = read_manifest(cub(tmp_path, photographs)).table
    for file in tmp_path.glob("*.txt"):
        write(file, file.read_text(), "\r\n", b"\xef\xbb\xbf")
    assert read_manifest(tmp_path).table.equals(plain)


def test_lists_that_do_not_fit_together_are_told_at_once(tmp_path: Path, photographs: Photographs) -> None:
    cub(tmp_path, photographs)
    labels = (tmp_path / "image_class_labels.txt").read_text().replace("59 2\n", "") + "777 5\n1 3\nx\n"
    (tmp_path / "image_class_labels.txt").write_text(labels)
    with pytest.raises(ManifestError) as error:
        read_manifest(tmp_path)
    for expected in (
        "image 59 (002.Laysan_Albatross/Laysan_Albatross_0002_1027.jpg) has no class: expected a line such as 59 1",
        "image 777 is not in images.txt: add it there",
        "image_class_labels.txt: 1 stands twice, as 1 and 3: keep the right line",
        "image_class_labels.txt, line 10: expected 1 1, found 'x'",
    ):
        assert expected in str(error.value)


@pytest.mark.parametrize("box", ["a b c d", "1 nan 3 4", "1 2 inf 4"])
def test_a_box_that_is_none_is_a_problem(box: str, tmp_path: Path, photographs: Photographs) -> None:
    (cub(tmp_path, photographs) / "bounding_boxes.txt").write_text(f"1 {box}\n")
    with pytest.raises(ManifestError, match=rf"bounding_boxes\.txt: image 1: expected four numbers, found '{box}'"):
        read_manifest(tmp_path, layout="cub-200-2011-boxes")


def test_without_its_names_of_classes_folders_name_them(tmp_path: Path, photographs: Photographs) -> None:
    (cub(tmp_path, photographs) / "classes.txt").unlink()
    assert read_manifest(tmp_path).labels == ["001.Black_footed_Albatross", "002.Laysan_Albatross"]


def test_the_same_lists_of_another_data_set_are_refused_with_the_way_out(
    tmp_path: Path, photographs: Photographs
) -> None:
    """NABirds: `images.txt`, `image_class_labels.txt` and `classes.txt` of 1,011 classes, images in folders `0817`."""
    image = "0000139e21dc4d0cbfe14cae3c85c829.jpg"
    photographs.put(tmp_path, *(f"images/{folder}/{name}" for folder in ("0817", "0860") for name in (image, "1.jpg")))
    number = "0000139e-21dc-4d0c-bfe1-4cae3c85c829"
    write(tmp_path / "images.txt", f"{number} 0817/{image}\n")
    write(tmp_path / "image_class_labels.txt", f"{number} 817\n")
    write(tmp_path / "classes.txt", "817 Oak Titmouse\n")
    with pytest.raises(
        ManifestError, match=r"images\.txt: not of CUB-200-2011: .* found '0817/0000.*data\.layout=folders data\.root="
    ):
        read_manifest(tmp_path)
    assert read_manifest(tmp_path / "images", layout="folders", validation_share=0.2).labels == ["0817", "0860"]


@pytest.mark.parametrize("number", ["0", "201"])
def test_a_class_that_it_has_not_is_a_problem(number: str, tmp_path: Path, photographs: Photographs) -> None:
    file = cub(tmp_path, photographs) / "image_class_labels.txt"
    file.write_text(file.read_text().replace("59 2\n", f"59 {number}\n"))
    with pytest.raises(ManifestError, match=rf"image 59: expected a class from 1 to 200, found {number}"):
        read_manifest(tmp_path)
