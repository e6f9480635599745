"""Labels, cameras and all else out of the names of files."""

import re
from pathlib import Path

import pytest

from image_folders import column, pictures
from lookalike.data.dataset import Dataset
from lookalike.data.named_files import example_pattern
from lookalike.data.reading import read_data, read_manifest
from lookalike.data.tables import ManifestError

TRACKER = r"cam(?P<camera>\d+)/(?P<label>\d+)_t(?P<tracklet>\d+)_(?P<date>\d{8}T\d{6})"


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """What a tracker cuts out: two fishes before two cameras."""
    return pictures(
        tmp_path,
        "cam1/12_t1_20240531T142201.jpg",
        "cam1/12_t1_20240531T142202.jpg",
        "cam2/12_t5_20240531T142507.jpg",
        "cam2/40_t6_20240531T142509.png",
    )


def test_groups_of_the_pattern_are_columns(crops: Path) -> None:
    manifest = read_manifest(crops, pattern=TRACKER)
    assert column(manifest, "label") == ["12", "12", "12", "40"]
    assert column(manifest, "camera") == [1, 1, 2, 2]
    assert column(manifest, "tracklet") == ["1", "1", "5", "6"]
    assert column(manifest, "date")[0] == "20240531T142201"
    assert column(manifest, "split") == ["train"] * 4
    assert manifest.read_as == "names of files, by data.pattern"
    assert manifest.cameras_expected


def test_splits_roles_and_boxes_are_read_as_in_a_table(tmp_path: Path) -> None:
    pattern = (
        r"(?P<split>[a-z]+)-(?P<role>query|reference)?-(?P<label>.+?)(-b(?P<x1>\d)(?P<y1>\d)(?P<x2>\d)(?P<y2>\d))?"
    )
    manifest = read_manifest(
        pictures(tmp_path, "val-query-red fox-b0143.jpg", "val-reference-lynx.jpg", "train--lynx.jpg"), pattern=pattern
    )
    assert column(manifest, "split") == ["train", "validation", "validation"]
    assert column(manifest, "role") == ["", "query", "reference"]
    assert column(manifest, "label") == ["lynx", "red fox", "lynx"]
    assert manifest.table["x2"].tolist()[1] == 4
    assert manifest.table["x2"].isna().tolist() == [True, False, True]


def test_names_of_cameras_become_numbers(tmp_path: Path) -> None:
    root = pictures(tmp_path, "gate/a1.jpg", "barn/a2.jpg")
    manifest = read_manifest(root, pattern=r"(?P<camera>\w+)/(?P<label>[a-z])\d")
    assert manifest.camera_names == {0: "barn", 1: "gate"}


def test_a_layout_is_not_looked_for(tmp_path: Path) -> None:
    root = pictures(tmp_path, "train/kiwi/1.jpg", "train/leek/2.jpg")
    manifest = read_manifest(root, pattern=r"train/.+/(?P<label>\d)")
    assert column(manifest, "label") == ["1", "2"]


def test_every_name_that_does_not_match_is_told(crops: Path) -> None:
    pictures(crops, "cam1/lost.jpg", "other.jpg")
    with pytest.raises(ManifestError, match=r"2 problem\(s\)") as caught:
        read_manifest(crops, pattern=TRACKER)
    assert "  cam1/lost.jpg: data.pattern does not match it: correct the pattern, or move" in str(caught.value)
    assert "  other.jpg: data.pattern" in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(?P<label>", r"data.pattern=\(\?P<label>: no regular expression \(.*\): expected one such as \(\?P<label>"),
        (r"(?P<who>\w+)", r"expected a group \(\?P<label>...\), its groups are who: say which part"),
        (r".*", "its groups are none"),
        (r"(?P<label>.)(?P<path>.*)", "a group cannot be called path: give it another name"),
        (r".*(?P<label>x?)", r"cam1/12_t1_20240531T142201.jpg: no label: expected one in its name"),
        (r"(?P<split>cam)(?P<label>.*)", r"cam1/12_t1_\S+: split 'cam': expected one of train, validation, test"),
        (r".*(?P<label>\d)(?P<x1>\d)", r"cam1/12_t1_\S+jpg: a box of 1 numbers: expected x1, y1, x2, y2"),
        (r"(?P<label>.*)/(?P<ignore>.*)", r"cam1/12_t1_\S+jpg: ignore is '12_t1_\w+': expected true or false"),
    ],
)
def test_bad_patterns_and_cells_are_refused(crops: Path, pattern: str, text: str) -> None:
    with pytest.raises(ManifestError, match=text):
        read_manifest(crops, pattern=pattern)


def test_a_pattern_is_for_folders_without_another_layout(crops: Path) -> None:
    (crops / "data.csv").write_text("path,label\ncam1/12_t1_20240531T142201.jpg,a\n")
    text = "reads the names of files in a folder, so expected data.root=<a folder> and no data"
    with pytest.raises(ManifestError, match=text):
        read_manifest(crops / "data.csv", pattern=TRACKER)
    with pytest.raises(ManifestError, match=text):
        read_manifest(crops, pattern=TRACKER, layout="folders")


def test_a_data_set_keeps_its_pattern(crops: Path) -> None:
    data = Dataset(crops, pattern=TRACKER)
    assert Dataset(**data.source).manifest.table.equals(data.manifest.table)


@pytest.mark.parametrize(
    ("paths", "pattern"),
    [
        (
            ["cam3/0412_t007_00123.jpg", "cam4/0413_t008_00124.jpg"],
            r"cam(?P<camera>\d+)/(?P<label>[^_/]+)_[^_/]*_[^_/]*",
        ),
        (["0412_c3_000.jpg", "1_c4_2.png"], r"(?P<label>[^_/]+)_c(?P<camera>\d+)_[^_/]*"),
        (["IMG_001.jpg", "IMG_2.jpg"], r"(?P<label>[^_/]+)_[^_/]*"),
        (["kiwi.jpg"], r"(?P<label>[^_/]+)"),
        (["x/y/z.jpg", "q.jpg"], r"(.*/)?(?P<label>[^_/]+)[^/]*"),
        (["cam3.jpg"], r"(.*/)?(?P<label>[^_/]+)[^/]*"),
    ],
)
def test_an_example_matches_every_name(paths: list[str], pattern: str) -> None:
    assert example_pattern(paths) == pattern
    for path in paths:
        assert re.fullmatch(pattern, path.rpartition(".")[0])["label"]


def test_images_without_folders_are_told_of_patterns(tmp_path: Path, produce: Path) -> None:
    picture = next((produce / "train").glob("*/*.jpg")).read_bytes()
    for name in ("0412_c3_00123.jpg", "0413_c4_00124.jpg"):
        (tmp_path / name).write_bytes(picture)
    advice = r"let names tell the labels, as in 'data.pattern=(.*)'"
    with pytest.raises(ManifestError, match=advice) as refused:
        read_data(str(tmp_path))
    table = read_data(str(tmp_path), pattern=re.search(advice, str(refused.value))[1]).table
    assert table["label"].tolist() == ["0412", "0413"]
    assert table["camera"].tolist() == [3, 4]
