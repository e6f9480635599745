from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lookalike.auditing.leaks import leaks, shown_to
from lookalike.data.manifest import Manifest, tidy
from metrics.random_problems import numbered, unit


def manifest(seed: int, cameras: bool) -> Manifest:
    """Training images and the queries of two splits, on three cameras or none; some are junk."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "path": [f"{n:03}.jpg" for n in range(120)],
            "label": rng.choice(list("abcde"), 120),
            "split": rng.choice(["train", "validation", "test"], 120, p=[0.5, 0.25, 0.25]),
            "camera": pd.array(rng.choice([1, 2, 3, None] if cameras else [None], 120), "Int64"),
            "ignore": rng.random(120) < 0.1,
        }
    )
    return Manifest(Path(), tidy(table))


def plain_leaks(data: Manifest, split: str, usable: np.ndarray, same: np.ndarray) -> tuple[list[int], list[bool]]:
    """Images of a split that ask, and whether an image that counts as a reference goes with each, pair by pair."""
    images = data.original.to_dict("records")
    asking, leaked = [], []
    for n, image in enumerate(images):
        if image["split"] != split or image["ignore"] or not usable[n]:
            continue
        asking.append(n)
        leaked.append(False)
        for m, other in enumerate(images):
            counts = other["split"] == "train" and not other["ignore"] and usable[m] and m != n
            seen = not pd.isna(image["camera"]) and not pd.isna(other["camera"]) and image["camera"] == other["camera"]
            if counts and same[n, m] and not (seen and image["label"] == other["label"]):
                leaked[-1] = True
    return asking, leaked


@pytest.mark.parametrize("cameras", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_leaks_are_those_of_all_pairs(seed: int, cameras: bool) -> None:
    data, rng = manifest(seed, cameras), np.random.default_rng(seed)
    embeddings, usable = unit(rng, 120, 8), rng.random(120) < 0.9
    copies = rng.integers(0, 90, 120)
    copies = np.array([np.flatnonzero(copies == picture)[0] for picture in copies])
    scenes = rng.integers(0, 120, (20, 2))
    picture = copies[:, None] == copies
    scene = np.zeros_like(picture)
    for first, second in copies[scenes].tolist():
        scene |= (copies == first)[:, None] & (copies == second)
        scene |= (copies == second)[:, None] & (copies == first)
    table = leaks(data, embeddings, usable, copies, scenes).set_index("split")
    assert table.index.tolist() == ["validation", "test"]
    for split, line in table.iterrows():
        asking, leaked = plain_leaks(data, split, usable, picture)
        _, in_scene = plain_leaks(data, split, usable, picture | scene)
        assert (line["queries"], line["copies"], line["scenes"]) == (len(asking), sum(leaked), sum(in_scene))
        assert 0 < line["copies"] <= line["scenes"]
        assert 0 <= line["accuracy"] <= 1


def test_accuracy_is_told_with_and_without_what_leaked() -> None:
    """Three queries of one picture each: a copy that is right, a copy that is wrong, none of it and right."""
    rows = pd.DataFrame(
        {
            "path": [f"{n}.jpg" for n in range(6)],
            "label": ["a", "b", "a", "a", "b", "b"],
            "split": ["train", "train", "train", "test", "test", "test"],
        }
    )
    data = Manifest(Path(), tidy(rows))
    degrees = np.radians([0, 90, 50, 1, 49, 88])
    embeddings = np.stack([np.cos(degrees), np.sin(degrees)], 1).astype(np.float32)
    copies = np.array([0, 1, 2, 0, 2, 5])
    line = leaks(data, embeddings, np.ones(6, bool), copies, np.zeros((0, 2), int)).iloc[0]
    assert (line["queries"], line["accuracy"], line["copies"], line["without_copies"]) == (3, 2 / 3, 2, 1.0)
    everything = leaks(data, embeddings, np.ones(6, bool), np.array([0, 1, 2, 0, 2, 1]), np.zeros((0, 2), int)).iloc[0]
    assert np.isnan(everything["without_copies"])
    assert leaks(data, embeddings, np.arange(6) < 3, copies, np.zeros((0, 2), int)).empty, "nobody asks"


def test_a_reference_that_does_not_count_shows_nothing() -> None:
    labels = np.zeros(2, np.int64)
    pictures = np.array([4, 5]), np.array([4, 5])
    plain = numbered(labels, labels)
    assert shown_to(plain, *pictures, {}).tolist() == [True, True]
    assert shown_to(numbered(labels, labels, np.array([0, -1])), *pictures, {}).tolist() == [False, True]
    assert shown_to(numbered(labels, labels, ignore=np.array([False, True])), *pictures, {}).tolist() == [True, False]
    cameras = {"query_cameras": np.array([1, 1]), "reference_cameras": np.array([1, 2])}
    assert shown_to(numbered(labels, labels, **cameras), *pictures, {}).tolist() == [False, True]
    assert shown_to(plain, np.array([7, 5]), np.array([4, 4]), {7: {4}}).tolist() == [True, False]
