"""Images held out of training: a function of the seed, never a whole class."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from image_folders import column, csv, pictures
from lookalike.data.hold_out import hold_out_images, hold_out_people
from lookalike.data.reading import read_manifest


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


@pytest.mark.parametrize(("share", "held"), [(0.001, 1), (0.5, 2), (0.99, 3)])
def test_hold_out_takes_at_least_one_and_never_all(tmp_path: Path, share: float, held: int) -> None:
    pictures(tmp_path, *(f"train/a/{number}.png" for number in range(4)))
    assert column(read_manifest(tmp_path, validation_share=share), "split").count("validation") == held


def test_validation_images_that_are_there_are_used_and_nothing_is_held_out(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"train/a/{number}.png" for number in range(4)), "val/a/1.png")
    manifest = read_manifest(tmp_path, validation_share=0.5)
    assert column(manifest, "split").count("validation") == 1
    assert manifest.notes == ("data.validation_share=0.5 is not used: the data has 1 validation images already",)


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


def in_photographs(seed: int, photographs: int, labels: int, most: int) -> pd.DataFrame:
    """Boxes of photographs: 1 to `most` of each."""
    rng = np.random.default_rng(seed)
    paths = np.repeat([f"{number:03}.jpg" for number in range(photographs)], rng.integers(1, most + 1, photographs))
    names = [f"L{number}" for number in rng.integers(0, labels, len(paths))]
    return pd.DataFrame({"path": paths, "label": names, "split": "train", "source": ""})


@pytest.mark.parametrize("most", [2, 4, 9])
@pytest.mark.parametrize("seed", range(8))
def test_boxes_of_one_photograph_stay_together(seed: int, most: int) -> None:
    table = in_photographs(seed, 120, 5, most)
    held = hold_out_images(table, 0.25, seed)
    assert (held.groupby("path")["split"].nunique() == 1).all()
    shares = (held["split"] == "validation").groupby(held["label"]).mean()
    assert shares.between(0.1, 0.4).all(), shares
    assert held.equals(hold_out_images(table, 0.25, seed))
    assert not held.equals(hold_out_images(table, 0.25, seed + 100))
    assert set(table["split"]) == {"train"}, "the table itself stays"


def test_every_label_with_two_photographs_of_its_own_is_on_both_sides() -> None:
    paths = [f"{label}{number}.jpg" for label in "abc" for number in (0, 0, 0, 0, 1, 1, 1, 1)]
    table = pd.DataFrame({"path": paths, "label": [path[0] for path in paths], "split": "train", "source": ""})
    held = hold_out_images(table, 0.1, 0)
    assert held.groupby("split")["label"].value_counts().tolist() == [4] * 6


def test_a_label_of_one_photograph_stays_in_training() -> None:
    paths = ["1.jpg"] * 3 + ["2.jpg", "3.jpg", "4.jpg", "5.jpg"]
    table = pd.DataFrame({"path": paths, "label": [*"aaabbbb"], "split": "train", "source": ""})
    for seed in range(6):
        held = hold_out_images(table, 0.5, seed)
        assert held["label"][held["split"] == "validation"].tolist() == ["b", "b"]


@pytest.mark.parametrize("seed", range(6))
def test_queries_of_people_are_drawn_as_a_look_at_every_image_would(seed: int) -> None:
    """The same rule written out: of each camera one image asks, as long as every one that asks keeps a match."""
    rng = np.random.default_rng(seed)
    people = {f"{number:02}": [*rng.choice([1, 2, 3, None], rng.integers(1, 8))] for number in range(12)}
    table = shots(people)
    result = hold_out_people(table, 1.0, seed)
    held = result[result["split"] == "validation"]
    for label, images in held.groupby("label"):
        asking = images[images["role"] == "query"]
        rest = images[images["role"] == "reference"]
        assert asking["camera"].isna().sum() <= 1, label
        for camera in asking["camera"]:
            assert len(rest) if pd.isna(camera) else (rest["camera"].isna() | (rest["camera"] != camera)).any()
        for camera in {None if pd.isna(own) else own for own in rest["camera"]} - set(asking["camera"].dropna()):
            if camera is None and asking["camera"].isna().any():
                continue
            own = rest[rest["camera"].isna() if camera is None else rest["camera"] == camera]
            fewer = rest.drop(own.index[0])
            more = [*asking["camera"].dropna(), *([None] if asking["camera"].isna().any() else []), camera]
            lone = [
                query
                for query in more
                if not (len(fewer) if query is None else (fewer["camera"].isna() | (fewer["camera"] != query)).any())
            ]
            assert lone, f"{label}: camera {camera} could have asked"


@pytest.mark.parametrize("seed", [0, 7])
def test_photographs_without_boxes_are_divided_label_after_label(produce: Path, seed: int) -> None:
    table = read_manifest(produce).table.assign(split="train")
    rng = np.random.default_rng(seed)
    held: list[int] = []
    for _, rows in table.groupby("label", sort=True):
        count = min(max(1, round(len(rows) * 0.2)), len(rows) - 1)
        held += rng.permutation(rows.index.to_numpy())[:count].tolist()
    result = hold_out_images(table, 0.2, seed)
    assert result.index[result["split"] == "validation"].tolist() == sorted(held)
