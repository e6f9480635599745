"""MSMT17: its lists, its cameras, and people of train and test who only share numbers."""

from pathlib import Path

import pytest

from lookalike.data.layouts.registry import recognise
from lookalike.data.reading import read_data, read_manifest
from lookalike.data.tables import ManifestError
from market_layout import layout, rows

LISTS = {
    "train": ["0000/0000_000_01_0303morning_0015_0.jpg 0", "0000/0000_001_12_0303noon_0015_1_ex.jpg 0"],
    "val": ["0000/0000_002_02_0303afternoon_0015_0.jpg 0"],
    "query": ["0000/0000_003_03_0303morning_0015_0.jpg 0"],
    "gallery": ["0000/0000_004_04_0303morning_0015_0.jpg 0", "0001/0001_000_05_0303morning_0015_0.jpg 1"],
}


def msmt17(root: Path, train: str = "train", test: str = "test") -> Path:
    for name, lines in LISTS.items():
        folder = train if name in ("train", "val") else test
        layout(root, *(f"{folder}/{line.split()[0]}" for line in lines))
        (root / f"list_{name}.txt").write_text("\n".join(lines) + "\n")
    return root


@pytest.mark.parametrize("folders", [("train", "test"), ("mask_train_v2", "mask_test_v2")])
@pytest.mark.parametrize("below", [False, True])
def test_the_lists_say_who_asks_and_test_people_are_others(
    tmp_path: Path, folders: tuple[str, str], below: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    inner = msmt17(tmp_path / "MSMT17", *folders)
    for place in (tmp_path, inner):
        recognised = recognise(place)
        assert recognised
        assert (recognised.layout.name, recognised.base) == ("msmt17", inner)
    manifest = read_data(str(tmp_path if below else inner))
    train, test = folders
    assert manifest.root == inner
    assert rows(manifest) == {
        f"{train}/0000/0000_000_01_0303morning_0015_0.jpg": ("train-0000", "train", "", 1, False),
        f"{train}/0000/0000_001_12_0303noon_0015_1_ex.jpg": ("train-0000", "train", "", 12, False),
        f"{train}/0000/0000_002_02_0303afternoon_0015_0.jpg": ("train-0000", "validation", "", 2, False),
        f"{test}/0000/0000_003_03_0303morning_0015_0.jpg": ("test-0000", "test", "query", 3, False),
        f"{test}/0000/0000_004_04_0303morning_0015_0.jpg": ("test-0000", "test", "reference", 4, False),
        f"{test}/0001/0001_000_05_0303morning_0015_0.jpg": ("test-0001", "test", "reference", 5, False),
    }
    version = "V2" if train.startswith("mask") else "V1"
    assert f"read as MSMT17 {version}, by its lists" in capsys.readouterr().err
    assert manifest.protocol("test").distractors == 0


def test_without_its_lists_it_is_never_taken_for_classes(tmp_path: Path) -> None:
    for file in msmt17(tmp_path).glob("list_*.txt"):
        file.unlink()
    with pytest.raises(
        ManifestError, match=r"MSMT17 without list_train\.txt, .*list_query\.txt, so nobody knows who asks"
    ):
        read_manifest(tmp_path)


def test_lines_that_name_nobody_are_listed(tmp_path: Path) -> None:
    (msmt17(tmp_path) / "list_query.txt").write_text("0000/cat.jpg 0\n\n0000/0000_003_03_0303morning_0015_0.jpg 0\n")
    with pytest.raises(
        ManifestError, match=r"list_query\.txt, line 1: expected 0000/0000_000_01_.*, found '0000/cat\.jpg 0'"
    ):
        read_manifest(tmp_path)
    (tmp_path / "list_query.txt").write_text("0000/0000_009_03_0303morning_0015_0.jpg 0\n")
    with pytest.raises(ManifestError, match=r"test/0000/0000_009_03_0303morning_0015_0\.jpg: No such file"):
        read_manifest(tmp_path)
