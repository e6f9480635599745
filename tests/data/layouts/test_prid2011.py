"""PRID 2011: sequences by the splits of others, single pictures with the distractors of camera B."""

import json
from pathlib import Path

import pytest

from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from made_layouts import MADE, Pictures
from market_layout import layout, rows


@pytest.fixture
def sequences(tmp_path: Path, pictures: Pictures) -> Path:
    return MADE["prid2011"](tmp_path / "prid", pictures)


def test_the_first_split_is_read_and_told(sequences: Path) -> None:
    manifest = read_manifest(sequences)
    place = "prid_2011/multi_shot"
    assert rows(manifest)[f"{place}/cam_a/person_0003/0001.png"] == ("person_0003", "test", "query", 1, False)
    assert rows(manifest)[f"{place}/cam_b/person_0003/0002.png"] == ("person_0003", "test", "reference", 2, False)
    assert len(manifest.table) == 16
    assert manifest.notes == (
        "split 1 of 2 is read (data.fold); papers train and test on each, print the mean",
        "1 people under cam_a in no part of the split passed over",
    )


def test_the_split_may_lie_beside_the_folder_that_is_read(sequences: Path) -> None:
    assert len(read_manifest(sequences / "prid_2011").table) == 16


def test_without_a_split_or_with_a_broken_one_nothing_is_guessed(sequences: Path) -> None:
    file = sequences / "splits_prid2011.json"
    file.write_text(json.dumps([{"train": ["person_0001"], "test": ["person_0099"]}]))
    with pytest.raises(ManifestError, match=r"cam_a/person_0099: no picture of it, but test lists it"):
        read_manifest(sequences)
    file.write_text("[]")
    with pytest.raises(ManifestError, match=r"splits_prid2011\.json: no split in it, expected ten: copy it"):
        read_manifest(sequences)
    for content in ("", "[3]", '{"train": []}', "[" * 100_000):
        file.write_text(content)
        with pytest.raises(
            ManifestError, match=r"splits_prid2011\.json: expected a list of splits with train and test"
        ):
            read_manifest(sequences)
    file.unlink()
    with pytest.raises(
        ManifestError, match=r"PRID 2011 without splits_prid2011\.json, so nobody knows who is trained on"
    ):
        read_manifest(sequences)


def test_single_pictures_and_people_of_one_camera(tmp_path: Path, pictures: Pictures) -> None:
    """Person 201 is somebody else under the other camera."""
    root = MADE["prid2011-single"](tmp_path, pictures)
    layout(root, "single_shot/cam_a/Thumbs.db")
    manifest = read_manifest(root)
    table = manifest.table
    assert (table["split"] == "train").sum() == 4
    asking, answering = (table[table["role"] == role] for role in ("query", "reference"))
    assert len(asking) == 2
    assert set(answering["label"]) == {*asking["label"], "b-0201", "b-0745"}
    assert not (table["path"] == "single_shot/cam_a/person_0201.png").any()
    assert manifest.notes == (
        "2 of 4 people under both cameras train, drawn as split 1 (data.fold); papers average ten",
        "1 people under cam_a alone passed over",
        "1 file(s) ending in .db passed over: not an image extension",
    )
    layout(root, "single_shot/cam_b/cat.png")
    with pytest.raises(ManifestError, match=r"cam_b/cat\.png: expected person_0001\.png; rename or remove it"):
        read_manifest(root)


def test_another_split_is_a_setting(sequences: Path, tmp_path: Path, pictures: Pictures) -> None:
    table = read_manifest(sequences, fold=2).table
    assert set(table.loc[table["split"] == "test", "label"]) == {"person_0001", "person_0002"}
    for fold in (0, 3):
        with pytest.raises(ManifestError, match=rf"data\.fold={fold}: expected 1 to 2, the splits in .*\.json"):
            read_manifest(sequences, fold=fold)
    single = MADE["prid2011-single"](tmp_path / "single", pictures)
    drawn = [frozenset(read_manifest(single, fold=fold).protocol("test").queries["label"]) for fold in range(1, 11)]
    assert len(set(drawn)) > 1
    assert drawn[0] == frozenset(read_manifest(single).protocol("test").queries["label"])
    for root in (MADE["market1501"](tmp_path / "market", pictures), layout(tmp_path / "own", "train/a/1.jpg")):
        with pytest.raises(ManifestError, match=r"data\.fold=2: .*: leave .*out"):
            read_manifest(root, fold=2)


def test_of_both_in_one_archive_the_splits_tell_which_is_meant(sequences: Path, pictures: Pictures) -> None:
    MADE["prid2011-single"](sequences / "prid_2011", pictures)
    assert read_manifest(sequences).layout == "prid2011"
    assert read_manifest(sequences, layout="prid2011-single").layout == "prid2011-single"
    (sequences / "splits_prid2011.json").unlink()
    assert read_manifest(sequences).layout == "prid2011-single"
    with pytest.raises(ManifestError, match=r"PRID 2011 without splits_prid2011\.json"):
        read_manifest(sequences, layout="prid2011")
