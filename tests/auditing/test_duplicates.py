"""What it means that two images are alike: a leak between splits, a contradiction of labels, or neither."""

import re
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from lookalike.auditing.duplicates import check_duplicates, exact_groups, groups_of
from lookalike.auditing.file_facts import Facts
from lookalike.auditing.findings_table import Findings
from lookalike.data.images import read_image
from lookalike.data.pixels import PixelSettings

THUMB = PixelSettings(160, 160)


def facts_of(images: list[np.ndarray], contents: list[str], usable: list[bool] | None = None) -> Facts:
    """Facts of images that differ in their embeddings; equal contents stand for equal files."""
    thumbs = [cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes() for image in images]
    good = usable or [True] * len(images)
    table = pd.DataFrame(
        {
            "sha256": contents,
            "box": "",
            "error": ["" if fine else "damaged" for fine in good],
            "hash": np.arange(len(images)) * 0x0123456789ABCDE,
            "hash_mirrored": -np.arange(len(images)) * 0x0123456789ABCDE,
            "thumb": thumbs,
        }
    )
    embeddings = np.random.default_rng(0).standard_normal((len(images), 8)).astype(np.float32)
    return Facts(table, embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), 0)


def rows_of(*places: tuple[str, str, bool]) -> pd.DataFrame:
    table = pd.DataFrame(places, columns=["split", "label", "ignore"])
    return table.assign(path=[f"{number}.jpg" for number in range(len(table))])


@pytest.fixture(scope="module")
def photographs(few_produce: Path) -> list[np.ndarray]:
    return [read_image(file, THUMB) for file in sorted((few_produce / "train").rglob("*.jpg"))[::20][:6]]


def checked(rows: pd.DataFrame, facts: Facts, cache: Path) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    findings = Findings(rows)
    usable = np.flatnonzero(facts.usable)
    nearest = np.array([np.delete(np.arange(len(usable)), place) for place in range(len(usable))])
    copies, scenes = check_duplicates(findings, facts, rows, nearest, cache)
    return findings.table(), copies, scenes


def test_an_exact_copy_in_train_of_a_test_image_is_safe_to_leave_out(
    photographs: list[np.ndarray], tmp_path: Path
) -> None:
    images = [photographs[number] for number in (0, 1, 0, 1, 2, 2)]
    facts = facts_of(images, ["x", "y", "x", "y", "z", "z"])
    rows = rows_of(
        ("train", "a", False),
        ("train", "b", False),
        ("test", "a", False),
        ("train", "c", False),
        ("train", "d", False),
        ("test", "d", True),
    )
    table, copies, _ = checked(rows, facts, tmp_path / "pairs.parquet")
    lines = table[table["kind"] == "copy"].set_index("path")
    assert lines["other"].to_dict() == {"0.jpg": "2.jpg", "3.jpg": "1.jpg", "4.jpg": "5.jpg"}
    assert lines["reason"].to_dict() == {
        "0.jpg": "leak: train and test",
        "3.jpg": "contradiction: c and b",
        "4.jpg": "leak: train and test",
    }
    assert lines["safe"].to_dict() == {"0.jpg": True, "3.jpg": False, "4.jpg": False}, "junk would leave no image"
    assert lines.loc["0.jpg", "suggestion"] == "leave this one out of train"
    assert {tuple(sorted(pair)) for pair in copies.tolist()} == {(0, 2), (1, 3), (4, 5)}


def test_a_mirrored_picture_is_a_near_copy_and_names_both_reasons(
    photographs: list[np.ndarray], tmp_path: Path
) -> None:
    images = [photographs[0], np.ascontiguousarray(photographs[0][:, ::-1]), photographs[3]]
    rows = rows_of(("train", "a", False), ("validation", "b", False), ("train", "a", False))
    table, copies, _ = checked(rows, facts_of(images, ["x", "y", "z"]), tmp_path / "pairs.parquet")
    (line,) = table[table["kind"] == "near_copy"].to_dict("records")
    assert (line["path"], line["other"]) == ("0.jpg", "1.jpg"), "the one in train is to go"
    reason = r"leak: train and validation; contradiction: a and b \(mirrored, correlation (0\.99\d|1\.000)\)"
    assert re.fullmatch(reason, line["reason"])
    assert line["suggestion"] == "leave this one out of train"
    assert not line["safe"]
    assert copies.tolist() == [[0, 1]]


def test_unusable_images_are_in_no_pair(photographs: list[np.ndarray], tmp_path: Path) -> None:
    facts = facts_of([photographs[0]] * 3 + [photographs[1]], ["x", "x", "x", "y"], [False, True, True, True])
    assert [group.tolist() for group in exact_groups(facts)] == [[1, 2]]
    rows = rows_of(*[("train", "a", False)] * 4)
    table, copies, scenes = checked(rows, facts, tmp_path / "pairs.parquet")
    assert table["reason"].tolist() == ["in one split and class"]
    assert copies.tolist() == [[1, 2]]
    assert scenes.shape == (0, 2)


def test_a_scene_seen_from_another_side_is_told_of_the_image_that_asks(
    photographs: list[np.ndarray], tmp_path: Path
) -> None:
    corners = np.float32([[0, 0], [160, 0], [160, 160], [0, 160]])
    turned = np.float32([[0, 0], [160, 40], [160, 160], [0, 160]])
    view = cv2.warpPerspective(photographs[0], cv2.getPerspectiveTransform(turned, corners), (160, 160))
    images = [photographs[0], view]
    for labels, reason in ((("a", "a"), "leak: test and train ("), (("a", "b"), "leak: test and train; contradiction")):
        rows = rows_of(("train", labels[0], False), ("test", labels[1], False))
        table, _, scenes = checked(rows, facts_of(images, ["x", "y"]), tmp_path / "pairs.parquet")
        assert scenes.tolist() == [[0, 1]]
        (line,) = table.to_dict("records")
        assert (line["kind"], line["path"], line["other"]) == ("same_scene", "1.jpg", "0.jpg"), "the test image asks"
        assert line["reason"].startswith(reason)
        assert "matching points" in line["reason"]
    rows = rows_of(("train", "a", False), ("train", "a", False))
    table, _, _ = checked(rows, facts_of(images, ["x", "y"]), tmp_path / "pairs.parquet")
    assert table.empty, "views of one thing in one split and class are what training is for"


def test_groups_are_joined_through_others() -> None:
    groups = groups_of(np.array([[0, 3], [3, 5], [1, 2]]), 7)
    assert groups[0] == groups[3] == groups[5]
    assert groups[1] == groups[2] != groups[0]
    assert len(set(groups.tolist())) == 4
    assert len(set(groups_of(np.empty((0, 2), np.int64), 4).tolist())) == 4
