"""MARS: tracklets of listed pictures, junk, distractors, and queries that answer, too."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from made_layouts import MADE, Pictures, lines
from market_layout import layout


@pytest.fixture
def mars(tmp_path: Path, pictures: Pictures) -> Path:
    return MADE["mars"](tmp_path, pictures)


def test_pictures_know_their_tracklet_camera_and_role(mars: Path) -> None:
    manifest = read_manifest(mars)
    table = {
        row.path: (row.label, row.split, row.role, row.camera, row.ignore, row.tracklet)
        for row in manifest.table.itertuples()
    }
    assert len(table) == 11
    assert table["bbox_train/0001/0001C1T0001F002.jpg"] == ("0001", "train", "", 1, False, "train-1")
    assert table["bbox_test/00-1/00-1C1T0001F001.jpg"] == ("-1", "test", "reference", 1, True, "test-1")
    assert table["bbox_test/0000/0000C2T0002F001.jpg"] == ("0000", "test", "reference", 2, False, "test-2")
    assert table["bbox_test/0002/0002C1T0003F002.jpg"] == ("0002", "test", "both", 1, False, "test-3")
    assert table["bbox_test/0002/0002C1T0004F001.jpg"] == ("0002", "test", "reference", 1, False, "test-4")
    assert manifest.protocol("test").distractors == 1
    assert manifest.notes == ()


def test_absent_and_further_pictures(mars: Path) -> None:
    layout(mars, "bbox_test/0002/0002C6T0099F001.jpg", "bbox_test/Thumbs.db", "bbox_test/0002/Thumbs.db")
    assert read_manifest(mars).notes == ("1 image(s) in no list passed over: bbox_test/0002/0002C6T0099F001.jpg",)
    (mars / "bbox_train/0001/0001C2T0002F001.jpg").unlink()
    with pytest.raises(ManifestError, match=r"1 problem\(s\).*\n.*bbox_train/0001/0001C2T0002F001\.jpg: No such file"):
        read_manifest(mars)


def test_tracklets_that_do_not_fit_their_pictures_are_problems(mars: Path) -> None:
    lines(mars / "info" / "train_name.txt", "0001C1T0001F001.jpg", "0003C1T0001F002.jpg", "0001C2T0002F001.jpg")
    expected = r"tracks_train_info\.mat, tracklet 1: '0003C1T0001F002\.jpg' is not of person 0001 and camera 1"
    with pytest.raises(ManifestError, match=expected):
        read_manifest(mars)
    savemat(mars / "info" / "tracks_train_info.mat", {"track_train_info": np.array([[1, 9, 1, 1]])})
    with pytest.raises(ManifestError, match=r"tracklet 1: pictures 1 to 9 of 3: restore it"):
        read_manifest(mars)
    savemat(mars / "info" / "tracks_train_info.mat", {"track_train_info": np.array([[1, 1, 1]])})
    with pytest.raises(ManifestError, match=r"expected first and last picture, person and camera, found \(1, 3\)"):
        read_manifest(mars)


def test_queries_that_are_no_tracklet_are_refused(mars: Path) -> None:
    savemat(mars / "info" / "query_IDX.mat", {"query_IDX": np.array([[7]])})
    with pytest.raises(
        ManifestError, match=r"query_IDX\.mat: names a tracklet that is none of the 6 of tracks_test_info"
    ):
        read_manifest(mars)


def test_without_its_lists_it_is_never_taken_for_classes(mars: Path) -> None:
    (mars / "info" / "query_IDX.mat").unlink()
    with pytest.raises(ManifestError, match=r"MARS without info/query_IDX\.mat, so nobody knows who asks: copy"):
        read_manifest(mars)
