"""Scenes by columns and names of files, and the word on a division that tears them apart."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from image_folders import csv, pictures
from lookalike.data.manifest import tidy
from lookalike.data.reading import read_manifest
from lookalike.data.scenes import scenes_of, torn_note


def groups(rows: dict[str, list[str | int | None]]) -> tuple[list[list[int]], str]:
    """Places of the rows of each scene, in the order of the table; paths are numbered where none are given."""
    count = len(next(iter(rows.values())))
    table = pd.DataFrame({"path": [f"{place:02}.jpg" for place in range(count)], "label": "a", **rows})
    scenes = scenes_of(tidy(table))
    return sorted(places.tolist() for places in scenes.numbers.groupby(scenes.numbers).indices.values()), scenes.source


def test_the_column_scene_tells_first() -> None:
    assert groups({"scene": ["s", "t", "s", ""], "date": ["2024"] * 4}) == ([[0, 2], [1], [3]], "by the column scene")


def test_a_minute_without_an_image_ends_the_scene_of_a_camera() -> None:
    times = [f"2024-05-31 10:{minute}" for minute in ("00:00", "00:50", "01:40", "02:41", "02:41")]
    told = "within a minute, by camera and date"
    assert groups({"date": times, "camera": [1, 1, 1, 1, 2]}) == ([[0, 1, 2], [3], [4]], told)
    labels = ["a", "b", "a", "a", "a"]
    assert groups({"date": times, "label": labels}) == ([[0], [1], [2], [3, 4]], told), "without cameras, of a label"
    assert groups({"date": times, "label": labels, "camera": [1] * 5})[0] == [[0, 1, 2], [3, 4]], "whoever is seen"


def test_days_alone_are_scenes_of_a_camera_and_a_label() -> None:
    days = ["2024-05-31", "2024-05-31", "2024-05-31", "2024-06-01", ""]
    told = "by camera, label and day"
    assert groups({"date": days, "camera": [1, 1, 2, 1, 1]}) == ([[0, 1], [2], [3], [4]], told)
    assert groups({"date": days, "label": ["a", "b", "a", "a", "a"]}) == ([[0, 2], [1], [3], [4]], told)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["IMG_20240531_142233.jpg", "IMG_20240531_142310.jpg", "IMG_20240531_152310.jpg"], [[0, 1], [2]]),
        (["PXL_20240531_142233123.jpg", "PXL_20240531_142234001.jpg", "other.jpg"], [[0, 1], [2]]),
        (["2024-05-31 14.22.33.jpg", "2024-05-31 14.22.59.jpg", "2024-06-31 14.22.59.jpg"], [[0, 1], [2]]),
        (["x/2024-05-31T142233.jpg", "y/2024-05-31T142233.jpg"], [[0], [1]]),
        (["hunt_frame_0001.jpg", "hunt_frame_0200.jpg", "rest-Frame7.jpg"], [[0, 1], [2]]),
        (["IMG_0001.jpg", "IMG_0002.jpg", "Kiwi_003.jpg"], [[0], [1], [2]]),
        (["0002_c1s1_000451_03.jpg", "0002_c1s1_000452_03.jpg"], [[0], [1]]),
        (["99999999999999.jpg", "20249931142233.jpg"], [[0], [1]]),
    ],
)
def test_names_of_files_tell_times_and_videos_and_plain_numbers_nothing(names: list[str], expected: object) -> None:
    found_scenes, source = groups({"path": list(names)})
    assert found_scenes == expected
    assert bool(source) == ("IMG_0001.jpg" not in names and "c1s1" not in names[0] and names[0][:2] != "99")


def test_boxes_of_one_image_are_one_scene() -> None:
    rows: dict[str, list[str | int | None]] = {"path": ["1.jpg", "1.jpg", "2.jpg"], "label": ["a", "b", "a"]}
    assert groups({**rows, "date": ["2024-05-31"] * 3})[0] == [[0, 1, 2]]
    assert groups(rows)[0] == [[0, 1], [2]]


def test_scenes_that_boxes_of_one_image_connect_are_one() -> None:
    chain: dict[str, list[str | int | None]] = {
        "path": ["1.jpg", "1.jpg", "2.jpg", "2.jpg", "3.jpg"],
        "label": ["a", "b", "b", "c", "a"],
        "date": [f"2024-05-31 10:{minute}" for minute in ("00:00", "00:00", "00:30", "00:30", "02:00")],
    }
    assert groups(chain)[0] == [[0, 1, 2, 3], [4]]
    ring = {"path": ["1.jpg", "1.jpg", "2.jpg", "2.jpg", "3.jpg", "3.jpg"], "scene": [*"xyzxyw"]}
    assert groups({**ring, "label": ["a"] * 6})[0] == [[0, 1, 2, 3, 4, 5]]


@pytest.mark.parametrize("seed", range(20))
def test_scenes_are_the_connected_parts_of_images_and_scenes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 60))
    table = tidy(
        pd.DataFrame(
            {
                "path": [f"{number}.jpg" for number in rng.integers(0, count, count)],
                "label": rng.choice([*"abc"], count),
                "scene": [*map(str, rng.integers(0, count, count))],
            }
        ).replace({"scene": {"0": "", "1": ""}})
    )
    numbers = scenes_of(table).numbers.to_numpy()
    path, scene = table["path"].to_numpy(object), table["scene"].to_numpy(object)
    same = (path[:, None] == path) | ((scene[:, None] == scene) & (scene != ""))
    for _ in range(count):  # reached by any number of steps
        same = (same.astype(int) @ same.astype(int)) > 0
    assert np.array_equal(np.equal.outer(numbers, numbers), same)


def test_a_torn_scene_is_told_once_with_its_number(tmp_path: Path) -> None:
    stamps = [f"IMG_20240531_1422{second:02}.png" for second in range(6)]
    pictures(tmp_path, *(f"train/a/{name}" for name in stamps[:3]), *(f"val/a/{name}" for name in stamps[3:5]))
    pictures(tmp_path, "val/b/IMG_20240531_142200.png", "train/b/IMG_20200101_000000.png", f"test/a/{stamps[5]}")
    assert read_manifest(tmp_path).notes == ()  # every folder is a place of its own
    table = pd.DataFrame(
        {
            "path": [*stamps, "IMG_20200101_000000.png"],
            "label": [*"aaaaab", "b"],
            "split": ["train"] * 3 + ["validation"] * 2 + ["test", "train"],
        }
    )
    note = torn_note(tidy(table), "mend it")
    assert note == [
        "2 of 2 validation images show a scene that is trained on, too (within a minute, by names of files), so "
        "figures are better than on new scenes: mend it"
    ]
    assert torn_note(tidy(table.assign(split="train")), "mend it") == []
    assert torn_note(tidy(table.assign(path=[f"{place}.png" for place in range(7)])), "mend it") == []


def test_a_random_hold_out_says_so_and_one_by_scene_does_not(tmp_path: Path) -> None:
    names = [f"{label}/IMG_2024053{day}_1422{second:02}.png" for label in "ab" for day in (0, 1) for second in range(4)]
    pictures(tmp_path, *names)
    torn = read_manifest(tmp_path, validation_share=0.25, seed=1).notes
    assert torn[0] == "4 training images held out for validation (share 0.25, seed 1)"
    assert torn[1].startswith(
        "4 of 4 validation images show a scene that is trained on, too (within a minute, by names"
    )
    assert torn[1].endswith(": data.split=scene keeps scenes together")
    whole = read_manifest(tmp_path, validation_share=0.5, split="scene").notes
    assert whole == (
        "divided by data.split=scene within a minute, by names of files (validation share 0.5, seed 0): train 8 images "
        "of 2 labels in 2 scenes; validation 8 images of 2 labels in 2 scenes",
    )


def test_a_given_split_that_tears_scenes_is_told_too(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "2.png", "3.png")
    rows = "1.png,a,train,s\n2.png,a,validation,s\n3.png,a,test,t\n"
    notes = read_manifest(csv(tmp_path, "path,label,split,scene\n" + rows)).notes
    assert notes == (
        "1 of 1 validation images show a scene that is trained on, too (by the column scene), so figures are better "
        "than on new scenes: lookalike audit shows them",
    )


def test_boxes_of_a_photograph_on_both_sides_are_told_whatever_their_labels(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "2.png", "3.png")
    rows = "1.png,a,train,0\n1.png,b,validation,4\n2.png,b,train,0\n3.png,a,test,0\n3.png,c,test,4\n2.png,a,test,4\n"
    boxes = "".join(f"{row[:-1]}{row[-1]},0,{int(row[-1]) + 4},4\n" for row in rows.splitlines())
    file = csv(tmp_path, "path,label,split,x1,y1,x2,y2\n" + boxes)
    assert read_manifest(file).notes[0] == (
        "1 of 1 validation images and 1 of 3 test images are boxes of photographs that are trained on, too, so figures "
        "may be better than on new photographs: give all boxes of a photograph one split"
    )
    whole = csv(tmp_path, "path,label,split,x1,y1,x2,y2\n" + "".join(boxes.splitlines(keepends=True)[2:5]), "w.csv")
    assert not [note for note in read_manifest(whole).notes if "photograph" in note]


def test_dates_that_cannot_be_read_are_told_where_scenes_are_looked_at() -> None:
    table = pd.DataFrame({"path": ["1.jpg", "2.jpg", "3.jpg"], "label": "a", "split": ["train", "train", "test"]})
    unread = torn_note(tidy(table.assign(date=["soon", "2024-05-31", "later"])), "mend it")
    assert unread == [
        "scenes are known in part, as dates cannot be read: 3.jpg: date is 'later': expected such as 2024-05-31 or "
        "31.05.2024 and 1 more"
    ]
    unclear = torn_note(tidy(table.assign(date=["03/04/2024", "03/04/2024", ""])), "mend it")
    assert unclear == [
        "scenes are known in part, as dates cannot be read: date is '03/04/2024': day or month first? No date of the "
        "column tells: write it as 2024-05-31"
    ]
    assert torn_note(tidy(table.assign(date=["soon", "2024-05-31", "later"], scene=[*"abc"])), "mend it") == []
    assert torn_note(tidy(table.assign(date="soon", split="train")), "mend it") == []
