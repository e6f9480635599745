"""Images held out of training: a function of the seed, never a whole class."""

from pathlib import Path

import pandas as pd
import pytest

from image_folders import column, csv, pictures
from lookalike.data.hold_out import hold_out_images, hold_out_people
from lookalike.data.layouts import read_manifest


def test_hold_out_is_a_function_of_the_seed_and_leaves_every_class_an_image(tmp_path: Path) -> None:
    pictures(
        tmp_path,
        *(f"{label}/{number}.png" for label, count in (("a", 10), ("b", 2), ("c", 1)) for number in range(count)),
    )
    read = {seed: read_manifest(tmp_path, validation_share=0.3, seed=seed) for seed in (0, 1, 2)}
    for seed, manifest in read.items():
        counts = manifest.counts()
        assert counts["validation"].to_dict() == {"a": 3, "b": 1, "c": 0}
        assert counts["train"].to_dict() == {"a": 7, "b": 1, "c": 1}
        assert manifest.notes == (f"4 training images held out for validation (share 0.3, seed {seed})",)
    assert read_manifest(tmp_path, validation_share=0.3, seed=1).table.equals(read[1].table)
    assert not all(read[seed].table.equals(read[0].table) for seed in (1, 2))


@pytest.mark.parametrize(("share", "held"), [(0.001, 1), (0.5, 2), (1.0, 3)])
def test_hold_out_takes_at_least_one_and_never_all(tmp_path: Path, share: float, held: int) -> None:
    pictures(tmp_path, *(f"train/a/{number}.png" for number in range(4)))
    assert column(read_manifest(tmp_path, validation_share=share), "split").count("validation") == held


def test_validation_images_that_are_there_are_used_and_nothing_is_held_out(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"train/a/{number}.png" for number in range(4)), "val/a/1.png")
    manifest = read_manifest(tmp_path, validation_share=0.5)
    assert column(manifest, "split").count("validation") == 1
    assert manifest.notes == ()


def test_copies_of_a_held_out_image_leave_training_with_it(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"{kind}{number}.png" for kind in "ac" for number in range(4)))
    rows = "".join(f"a{number}.png,x,\nc{number}.png,x,a{number}.png\n" for number in range(4))
    table = read_manifest(csv(tmp_path, "path,label,source\n" + rows), validation_share=0.5).table.set_index("path")
    for number in range(4):
        assert table["split"][f"a{number}.png"] == table["split"][f"c{number}.png"]
    assert sorted(table["split"]) == ["train"] * 4 + ["validation"] * 4


def shots(cameras: dict[str, list[int | None]]) -> pd.DataFrame:
    """Training images of people, one per camera named; None for an image without a camera."""
    rows = [
        (f"{label}-{number}.jpg", label, "train", "", camera, False)
        for label, own in cameras.items()
        for number, camera in enumerate(own)
    ]
    table = pd.DataFrame(rows, columns=["path", "label", "split", "role", "camera", "ignore"])
    return table.astype({"camera": "Int64"})


@pytest.mark.parametrize("seed", range(5))
def test_people_are_held_out_as_a_whole_and_every_query_keeps_a_reference(seed: int) -> None:
    table = shots({f"{number:02}": [1, 1, 2, 3] for number in range(10)})
    result = hold_out_people(table, 0.3, seed)
    held = result[result["split"] == "validation"]
    assert held["label"].nunique() == 3
    assert not set(held["label"]) & set(result["label"][result["split"] == "train"])
    assert len(held) == 12, "with all their images"
    for label, images in held.groupby("label"):
        queries, references = (images[images["role"] == role] for role in ("query", "reference"))
        assert queries["camera"].is_unique, label
        for camera in queries["camera"]:
            assert (references["camera"] != camera).any()
    assert (result["role"][result["split"] == "train"] == "").all()
    assert set(table["split"]) == {"train"}, "the table itself stays"


def test_junk_stays_in_training_and_is_nobody() -> None:
    table = shots({"a": [1, 2], "b": [1, 2], "c": [1, 2], "d": [1, 2], "-1": [1, 2, 3]})
    table["ignore"] = table["label"] == "-1"
    result = hold_out_people(table, 0.5, 0)
    assert set(result["split"][result["ignore"]]) == {"train"}
    assert result["label"][result["split"] == "validation"].nunique() == 2


def test_images_alone_of_their_class_stay_in_training() -> None:
    paths = [f"{label}/{number}.png" for label, count in (("a", 1), ("b", 2), ("c", 7)) for number in range(count)]
    table = pd.DataFrame({"path": paths, "label": [path[0] for path in paths], "split": "train", "source": ""})
    held = hold_out_images(table, 0.9, 0)
    assert held[held["split"] == "validation"]["label"].value_counts().to_dict() == {"c": 6, "b": 1}
