"""Oxford and Paris revisited: boxes ask, and every query has right references of its own."""

from pathlib import Path

import pytest

from lookalike.data.grades import Grades
from lookalike.data.manifest import boxes_of
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from made_retrieval import LANDMARKS, Photographs, revisited


@pytest.mark.parametrize("suffix", [".pkl", ".mat", ".json"])
@pytest.mark.parametrize("name", ["roxford5k", "rparis6k"])
def test_queries_are_boxes_and_know_what_is_right(
    tmp_path: Path, photographs: Photographs, suffix: str, name: str
) -> None:
    manifest = read_manifest(revisited(tmp_path / name, photographs, suffix, name))
    protocol = manifest.protocol("test")
    assert protocol.queries["path"].tolist() == sorted(f"jpg/{image}.jpg" for image in LANDMARKS["qimlist"])
    assert protocol.references["path"].tolist() == sorted(f"jpg/{image}.jpg" for image in LANDMARKS["imlist"])
    boxes = dict(zip(protocol.queries["path"], boxes_of(protocol.queries), strict=True))
    assert boxes["jpg/all_souls_000013.jpg"] == (4.5, 3, 40, 33)
    assert boxes_of(protocol.references) == [None] * 7
    assert manifest.grades["jpg/all_souls_000013.jpg"] == Grades(
        frozenset({"jpg/all_souls_000001.jpg", "jpg/all_souls_000002.jpg"}),
        frozenset({"jpg/oxford_000003.jpg"}),
        frozenset({"jpg/radcliffe_camera_000004.jpg"}),
    )
    assert manifest.read_as == f"Oxford and Paris revisited {name}, by gnd_{name}{suffix}"


def test_labels_are_landmarks_and_what_is_right_for_nobody_is_a_distractor(
    tmp_path: Path, photographs: Photographs
) -> None:
    manifest = read_manifest(revisited(tmp_path, photographs))
    labels = dict(zip(manifest.table["path"].str[4:-4], manifest.table["label"], strict=True))
    assert labels["all_souls_000013"] == labels["oxford_000005"] == "all_souls"
    assert labels["radcliffe_camera_000004"] == labels["radcliffe_camera_000519"] == "radcliffe_camera"
    assert labels["oxford_000006"] == labels["oxford_000007"] == "distractor"
    assert "1 image(s) show several landmarks and have one as label: oxford_000003" in manifest.notes


@pytest.mark.parametrize(
    ("difficulty", "right", "out"), [("easy", "ab", "cdef"), ("medium", "abcd", "ef"), ("hard", "cd", "abef")]
)
def test_a_difficulty_says_what_is_right_and_what_is_left_out(difficulty: str, right: str, out: str) -> None:
    grades = Grades(frozenset("ab"), frozenset("cd"), frozenset("ef"))
    assert grades.sides(difficulty) == (frozenset(right), frozenset(out))


def test_a_second_form_beside_it_and_other_images_are_told(tmp_path: Path, photographs: Photographs) -> None:
    revisited(tmp_path, photographs)
    revisited(tmp_path, photographs, ".json")
    photographs.put(tmp_path, "jpg/oxford_009999.jpg")
    notes = read_manifest(tmp_path).notes
    assert "gnd_roxford5k.json passed over, as gnd_roxford5k.pkl says the same" in notes
    assert "1 image(s) that no list names are passed over: jpg/oxford_009999.jpg" in notes


def test_absent_photographs_are_problems(tmp_path: Path, photographs: Photographs) -> None:
    (revisited(tmp_path, photographs) / "jpg" / "oxford_000003.jpg").unlink()
    with pytest.raises(ManifestError, match=r"1 problem\(s\) in the data:\s+jpg/oxford_000003\.jpg: No such file"):
        read_manifest(tmp_path)
