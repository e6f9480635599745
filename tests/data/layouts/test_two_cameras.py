"""Sequences under two cameras: who asks, who answers, and people whose pictures are missing."""

from pathlib import Path

from lookalike.data.image_files import PassedOver
from lookalike.data.layouts.two_cameras import people_under, read_sequences
from market_layout import layout


def test_the_first_camera_asks_and_the_second_answers(tmp_path: Path) -> None:
    for person in ("p1", "p2", "p3"):
        layout(tmp_path, *(f"{camera}/{person}/{number}.png" for camera in "ab" for number in (1, 2)))
    layout(tmp_path, "a/p1/Thumbs.db")
    passed = PassedOver()
    read = read_sequences(tmp_path, ("a", "b"), {"train": ["p1"], "test": ["p3"]}, passed)
    assert read.problems == []
    assert passed.notes == ["1 file(s) ending in .db passed over: not an image extension"]
    rows = {row.path: (row.label, row.split, row.role, row.camera, row.tracklet) for row in read.table.itertuples()}
    assert len(rows) == 8
    assert rows["a/p1/1.png"] == ("p1", "train", "", 1, "p1-1")
    assert rows["a/p3/2.png"] == ("p3", "test", "query", 1, "p3-1")
    assert rows["b/p3/2.png"] == ("p3", "test", "reference", 2, "p3-2")
    assert people_under(tmp_path, "a") == ["p1", "p2", "p3"]
    assert people_under(tmp_path, "c") == []


def test_people_without_pictures_or_on_both_sides_are_problems(tmp_path: Path) -> None:
    layout(tmp_path, "a/p1/1.png", "b/p1/1.png", "a/p2/1.png")
    read = read_sequences(tmp_path, ("a", "b"), {"train": ["p1"], "test": ["p1", "p2", "p9"]}, PassedOver())
    assert read.problems == [
        "a/p9: no picture of it, but test lists it: restore its folder",
        "b/p2: no picture of it, but test lists it: restore its folder",
        "b/p9: no picture of it, but test lists it: restore its folder",
        "1 people are in train and in test, such as p1: correct the split",
    ]
