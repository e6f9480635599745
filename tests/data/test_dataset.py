"""`Dataset`: opened, it is checked, and says what is in it."""

import csv
import shutil
from pathlib import Path

import pytest

from lookalike import Dataset
from lookalike.data.market_archive import MarketError
from lookalike.data.tables import ManifestError
from lookalike.settings.check import SettingsError
from lookalike.settings.data import Columns, Data, HeldOut

NOTHING_ELSE = {"split": None, "test_share": None, "images": None, "columns": dict.fromkeys(Columns.model_fields)} | {
    "pattern": None,
    "layout": "auto",
    "fold": None,
}


def test_folders_are_counted_by_label_and_split(digits: Path) -> None:
    data = Dataset(digits)
    assert data.labels == [f"digit {number}" for number in range(5)]
    assert len(data) == 90
    assert data.counts.to_dict("index") == {label: {"train": 10, "validation": 4, "test": 4} for label in data.labels}
    assert repr(data) == f"Dataset({str(digits)!r}: 90 images (50 train, 20 validation, 20 test), 5 labels)"
    protocol = data.protocol("validation")
    assert (len(protocol.queries), len(protocol.references)) == (20, 50)
    assert Dataset(str(digits)).manifest.table.equals(data.manifest.table)


def test_photographs_have_the_classes_of_their_folders(produce: Path) -> None:
    data = Dataset(produce)
    assert data.labels == sorted(folder.name for folder in (produce / "train").iterdir())
    assert data.counts.loc["Kiwi", "train"] == len(list((produce / "train" / "Kiwi").iterdir()))


def test_market_1501_has_people_cameras_and_a_protocol(few_market: Path) -> None:
    data = Dataset(few_market, validation_share=0.2, seed=3)
    assert len(data.labels) == 32
    assert not set(data.labels) & set(data.protocol("test").queries["label"])
    assert data.protocol("test").references["ignore"].any()
    assert "validation" in repr(data)
    assert data.source == {
        "root": str(few_market),
        "validation_share": 0.2,
        "seed": 3,
        "archive": None,
        "exclude": None,
        "keep_copies": False,
        **NOTHING_ELSE,
    }


def test_a_table_and_a_list_of_what_is_left_out(digits: Path, tmp_path: Path) -> None:
    files = sorted(digits.glob("train/*/*.png"))
    with (tmp_path / "all.csv").open("w") as handle:
        csv.writer(handle).writerows(
            [("path", "label", "split"), *((file, file.parent.name, "train") for file in files)]
        )
    with (tmp_path / "bad.csv").open("w") as handle:
        csv.writer(handle).writerows([("path", "reason"), (files[0], "blurred")])
    whole, fewer = Dataset(tmp_path / "all.csv"), Dataset(tmp_path / "all.csv", exclude=tmp_path / "bad.csv")
    assert (len(whole), len(fewer)) == (50, 49)
    assert fewer.source["exclude"] == str(tmp_path / "bad.csv")


def test_all_problems_are_told_at_once(digits: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(digits, tmp_path / "data"))
    (root / "train" / "digit 0" / "empty.png").write_bytes(b"")
    (root / "test" / "digit 9").mkdir()
    with pytest.raises(ManifestError, match=r"data: 2 problem\(s\) in the data:\n  test/digit 9: .*\n  .*zero bytes"):
        Dataset(root)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"validation_share": 1.5}, r"^validation_share=1\.5: expected less than 1$"),
        ({"validation_share": -0.1}, r"^validation_share=-0\.1: expected greater than or equal to 0$"),
        ({"validation_share": "much"}, r"^validation_share=much: expected a valid number"),
        ({"seed": -1}, r"^seed=-1: expected greater than or equal to 0$"),
        ({"split": "sites"}, r"^split=sites: expected 'individual', 'site', "),
        ({"test_share": 1}, r"^test_share=1: expected less than 1$"),
        ({"columns": "label"}, r"^columns=label: expected a valid dictionary"),
        ({"columns": {"lable": "id"}}, r"^columns\.lable: unknown setting; did you mean label\?"),
        ({"validation_share": 2, "seed": 0.5}, r"^2 wrong settings:\n"),
    ],
)
def test_numbers_out_of_range_are_refused_before_anything_is_read(arguments: dict[str, object], text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        Dataset("/nowhere", **arguments)  # type: ignore[arg-type]


def test_nothing_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"nowhere: no such folder or table: expected train/<class>/\*\.jpg"):
        Dataset(tmp_path / "nowhere")
    for nothing in (None, ""):
        with pytest.raises(ManifestError, match=r"data\.root: needs a value"):
            Dataset(nothing)
    with pytest.raises(MarketError, match=r"gone\.zip"):
        Dataset(tmp_path / "data", archive=tmp_path / "gone.zip")


def test_a_data_set_stays_what_it_is_and_a_path_becomes_one(digits: Path) -> None:
    data = Dataset(digits)
    assert Dataset.of(data) is data
    assert len(Dataset.of(digits)) == len(Dataset.of(str(digits))) == 90


def test_the_hold_out_of_a_model_is_taken_over_unless_there_is_one(digits: Path, tmp_path: Path) -> None:
    shutil.copytree(digits / "train", tmp_path / "data" / "train")
    plain = Dataset(tmp_path / "data")
    assert plain.held_out_as(HeldOut(seed=7)) is plain
    held = plain.held_out_as(HeldOut(validation_share=0.2, seed=7))
    assert (held.source["validation_share"], held.source["seed"]) == (0.2, 7)
    assert held.counts.sum().to_dict() == {"train": 40, "validation": 10}
    assert held.manifest.table.equals(Dataset(tmp_path / "data", validation_share=0.2, seed=7).manifest.table)
    assert held.held_out_as(HeldOut(validation_share=0.5, seed=1)) is held, "its own hold-out stands"


def test_checked_settings_open_the_same(digits: Path, tmp_path: Path) -> None:
    shutil.copytree(digits / "train", tmp_path / "data" / "train")
    values = {
        "root": str(tmp_path / "data"),
        "validation_share": 0.0,
        "seed": 0,
        "archive": None,
        "exclude": None,
        "keep_copies": False,
        **NOTHING_ELSE,
    }
    asked = Data(**values)
    assert len(Dataset.of_settings(asked)) == 50
    held = Dataset.of_settings(asked, HeldOut(validation_share=0.2, seed=3))
    assert held.source == {**values, "validation_share": 0.2, "seed": 3}
    own = Dataset.of_settings(Data(**{**values, "validation_share": 0.5}), HeldOut(validation_share=0.2, seed=3))
    assert (own.source["validation_share"], own.source["seed"]) == (0.5, 0)
