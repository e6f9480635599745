"""iLIDS-VID: places of people in a sorted list, of which the first half is for test."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from lookalike.data.layouts.registry import claims
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from made_layouts import MADE, Pictures
from market_layout import layout

SPLITS = "train-test people splits/train_test_splits_ilidsvid.mat"


@pytest.fixture
def ilids(tmp_path: Path, pictures: Pictures) -> Path:
    return MADE["ilids-vid"](tmp_path / "ilids-vid", pictures)


def test_numbers_are_places_of_people_and_not_their_names(ilids: Path) -> None:
    """The first row is 4 1 | 2 3: the fourth (person009) and the first test."""
    table = read_manifest(ilids).table
    assert set(table.loc[table["split"] == "test", "label"]) == {"person001", "person009"}
    assert set(table.loc[table["split"] == "train", "label"]) == {"person002", "person005"}
    assert table.groupby("role")["camera"].unique().map(list).to_dict() == {"": [1, 2], "query": [1], "reference": [2]}
    assert read_manifest(ilids).notes == (
        "split 1 of 2 is read (data.fold); papers train and test on each, print the mean",
    )


def test_another_split_is_a_setting(ilids: Path) -> None:
    table = read_manifest(ilids, fold=2).table
    assert set(table.loc[table["split"] == "test", "label"]) == {"person001", "person002"}


def test_own_sequences_are_not_taken_for_it(tmp_path: Path) -> None:
    layout(tmp_path, "sequences/cam1/zebra/1.png", "sequences/cam2/zebra/1.png")
    assert claims(tmp_path) == []


def test_splits_that_do_not_fit_are_refused(ilids: Path) -> None:
    savemat(ilids / SPLITS, {"ls_set": np.array([[1, 2, 3, 9]])})
    with pytest.raises(ManifestError, match=r"expected numbers of the 4 people of .*cam1, found 1 to 9: restore"):
        read_manifest(ilids)
    for empty in (np.zeros((2, 0)), np.zeros((0, 0))):
        savemat(ilids / SPLITS, {"ls_set": empty})
        with pytest.raises(ManifestError, match=r"expected numbers of the 4 people of .*cam1, found none: restore"):
            read_manifest(ilids)
    savemat(ilids / SPLITS, {"other": np.array([[1]])})
    with pytest.raises(ManifestError, match=r"expected the variables ls_set, found .*ls_set is missing"):
        read_manifest(ilids)
    (ilids / SPLITS).unlink()
    with pytest.raises(ManifestError, match=r"iLIDS-VID without train-test people splits/.*unpack the splits"):
        read_manifest(ilids)
