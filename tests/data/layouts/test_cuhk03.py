"""CUHK03 by its new protocol: labelled and detected boxes, the split as MATLAB's file and as JSON."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from made_layouts import CUHK03, MADE, Pictures
from market_layout import layout, rows

WANTED = {
    "images_labeled/1_001_1_01.png": ("1_001", "train", "", 1, False),
    "images_labeled/1_001_2_06.png": ("1_001", "train", "", 2, False),
    "images_labeled/2_001_1_01.png": ("2_001", "test", "query", 1, False),
    "images_labeled/2_001_2_06.png": ("2_001", "test", "query", 2, False),
    "images_labeled/2_001_1_02.png": ("2_001", "test", "reference", 1, False),
    "images_labeled/2_001_2_07.png": ("2_001", "test", "reference", 2, False),
}


@pytest.fixture
def labeled(tmp_path: Path, pictures: Pictures) -> Path:
    return MADE["cuhk03-labeled"](tmp_path, pictures)


def test_person_1_of_two_pairs_of_cameras_is_two_people(labeled: Path) -> None:
    manifest = read_manifest(labeled)
    assert rows(manifest) == WANTED
    assert manifest.read_as.startswith("CUHK03 (labeled), by cuhk03_new_protocol_config_labeled.mat and images_labeled")
    assert manifest.notes == ()


def test_the_json_of_torchreid_and_fast_reid_says_the_same(labeled: Path) -> None:
    """Its paths are those of another computer, and its people of train are numbered anew."""
    (labeled / "cuhk03_new_protocol_config_labeled.mat").unlink()
    parts = {"train": CUHK03[:2], "query": CUHK03[2:4], "gallery": CUHK03[4:]}
    for before in ("/home/ann/reid-data/cuhk03/images_labeled/", "D:\\reid\\cuhk03\\images_labeled\\"):
        split = {
            part: [[f"{before}{name}.png", 0, int(name[6]) - 1] for name in names] for part, names in parts.items()
        }
        (labeled / "splits_new_labeled.json").write_text(json.dumps([{**split, "num_train_pids": 1}]))
        assert rows(read_manifest(labeled)) == WANTED


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '[{"train": 3}]', '[{"train": [], "query": [], "gallery": [[]]}]', "[" * 100_000]
)
def test_a_json_without_a_split_is_refused(labeled: Path, content: str) -> None:
    (labeled / "cuhk03_new_protocol_config_labeled.mat").unlink()
    (labeled / "splits_new_labeled.json").write_text(content)
    with pytest.raises(
        ManifestError, match=r"splits_new_labeled\.json: expected a list with one split of train, query"
    ):
        read_manifest(labeled)


def test_the_release_alone_says_that_its_images_must_be_extracted(labeled: Path) -> None:
    (labeled / "images_labeled").rename(labeled.parent / "elsewhere")
    with pytest.raises(ManifestError, match=r"CUHK03 without images_labeled/: its images are inside cuhk-03\.mat"):
        read_manifest(labeled)
    (labeled.parent / "elsewhere").rename(labeled / "images_labeled")


def test_a_split_that_does_not_fit_is_refused(labeled: Path) -> None:
    file = labeled / "cuhk03_new_protocol_config_labeled.mat"
    names = np.array([[f"{name}.png"] for name in CUHK03[:5]] + [["cat.png"]], dtype=object)
    indices = {"train_idx": np.array([1, 2]), "query_idx": np.array([3]), "gallery_idx": np.array([5, 6])}
    savemat(file, {"filelist": names, **indices})
    with pytest.raises(ManifestError, match=r"expected names such as 1_001_2_08\.png, found 'cat\.png' in gallery"):
        read_manifest(labeled)
    savemat(file, {"filelist": names, **indices, "gallery_idx": np.array([7])})
    with pytest.raises(ManifestError, match=r"gallery_idx names image 7 of 6: restore the file"):
        read_manifest(labeled)
    file.write_bytes(b"MATLAB 7.3 MAT-file".ljust(600, b"\0"))
    with pytest.raises(ManifestError, match=r"labeled\.mat: of MATLAB 7\.3 \(HDF5\), expected version 7 or older"):
        read_manifest(labeled)


def test_absent_images_are_listed_and_further_ones_noted(labeled: Path) -> None:
    layout(labeled, "images_labeled/9_009_1_01.png", "images_labeled/Thumbs.db")
    assert read_manifest(labeled).notes == ("1 image(s) in no list passed over: images_labeled/9_009_1_01.png",)
    (labeled / "images_labeled/2_001_1_02.png").unlink()
    with pytest.raises(ManifestError, match=r"images_labeled/2_001_1_02\.png: No such file"):
        read_manifest(labeled)


def test_the_folders_of_its_authors_name_both_where_both_lie_in_one(tmp_path: Path, pictures: Pictures) -> None:
    for boxes in ("labeled", "detected"):
        MADE["cuhk03-np"](tmp_path / boxes, pictures)
    with pytest.raises(
        ManifestError, match=r"detected, labeled: a data set of its own, no class: give data\.root=.*detected"
    ):
        read_manifest(tmp_path, validation_share=0.2)
    assert rows(read_manifest(tmp_path / "labeled"))["query/0003_c2_27.png"] == ("0003", "test", "query", 2, False)
