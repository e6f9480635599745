"""A data set read from any layout, with all its problems at once."""

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from image_folders import csv, pictures
from lookalike import Dataset
from lookalike.data.reading import broken_images, read_data, read_manifest, survey_data
from lookalike.data.tables import ManifestError
from lookalike.settings.check import SettingsError
from lookalike.settings.data import Data, HeldOut


def test_read_data_tells_what_was_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = pictures(tmp_path / "[red] :apple:", "train/a/1.png")  # neither markup nor an emoji
    (root / "train" / "readme.md").touch()
    read_data(str(root))
    assert capsys.readouterr().err == (
        f"{root}: read as class folders in train\n{root}: 1 file(s) ending in .md passed over: not an image extension\n"
    )
    with pytest.raises(ManifestError, match=r"data\.root: needs a value"):
        read_data(None)


def test_a_missing_folder_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"no such folder or table: expected train/<class>/\*\.jpg"):
        read_manifest(tmp_path / "no")


def test_zero_bytes_and_names_that_are_not_utf8_are_listed(tmp_path: Path) -> None:
    pictures(tmp_path, "train/a/1.png", "train/a/2.png")
    (tmp_path / "train/a/0.png").touch()
    (tmp_path / "train/a/2.png").rename(tmp_path / "train/a" / os.fsdecode(b"jalape\xf1o.png"))
    with pytest.raises(ManifestError, match="not UTF-8") as caught:
        read_manifest(tmp_path)
    assert str(caught.value).splitlines() == [
        f"{tmp_path}: 2 problem(s) in the data:",
        r"  train/a/jalape\udcf1o.png: the name is not UTF-8: rename it",
        "  train/a/0.png: zero bytes: replace or remove the file",
    ]


@pytest.mark.parametrize("kind", ["files", "cameras"])
def test_twenty_problems_are_shown_and_the_rest_counted(tmp_path: Path, kind: str) -> None:
    root = pictures(tmp_path, *(f"train/a/{number:02}.png" for number in range(23)))
    if kind == "files":
        for file in (root / "train/a").iterdir():
            file.write_bytes(b"")
    else:
        rows = "".join(f"train/a/{number:02}.png,a,2.5\n" for number in range(23))
        root = csv(tmp_path, "path,label,camera\n" + rows)
    with pytest.raises(ManifestError, match=r"23 problem\(s\)") as caught:
        read_manifest(root)
    lines = str(caught.value).splitlines()
    assert len(lines) == 1 + 20 + 1
    assert lines[-1].strip() == "... and 3 more"


def test_a_class_whose_training_images_are_all_ignored_has_no_reference(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "2.png", "3.png")
    file = csv(tmp_path, "path,label,split,ignore\n1.png,a,train,1\n2.png,b,train,\n3.png,a,test,\n")
    manifest = read_manifest(file)
    assert manifest.notes == (
        "test: 1 of 1 queries are of 1 label(s) that no reference has, so they are unknown individuals and must be "
        "turned away: a",
    )


def test_the_grocery_photographs_make_a_manifest(produce: Path) -> None:
    manifest = read_manifest(produce)
    counts = manifest.counts()
    files = {split: len(list((produce / split).glob("*/*.jpg"))) for split in ("train", "validation", "test")}
    assert counts.sum().to_dict() == {**files, "augmented": 0}
    assert len(manifest.labels) == 50
    assert manifest.notes == ()
    protocol = manifest.protocol("validation")
    assert len(protocol.queries) == files["validation"]
    assert len(protocol.references) == files["train"]


def test_a_survey_returns_the_problems_of_the_table_and_looks_at_no_file(tmp_path: Path) -> None:
    root = pictures(tmp_path, "train/Kiwi/1.png", "test/Leek/1.png")
    (root / "train/Kiwi/0.png").touch()
    manifest, problems = survey_data(str(root))
    assert not problems
    assert manifest.notes[0].startswith("test: 1 of 1 queries are of 1 label(s) that no reference has")
    assert len(manifest.table) == 3
    with pytest.raises(ManifestError, match=r"1 problem\(s\)") as caught:
        read_data(str(root))
    assert "0.png: zero bytes" in str(caught.value)
    with pytest.raises(ManifestError, match="no such folder or table"):
        survey_data(str(tmp_path / "no"))


def test_read_data_takes_the_settings_of_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = pictures(tmp_path / "data", *(f"a/{number}.png" for number in range(6)))
    (tmp_path / "list.csv").write_text("path,reason\na/0.png,dark\n")
    settings = {"root": str(root), "validation_share": 0.5, "seed": 3, "archive": None}
    manifest = read_data(**settings, exclude=str(tmp_path / "list.csv"))
    whole = read_data(**settings, exclude=None).table
    assert whole["split"].value_counts().to_dict() == {"train": 3, "validation": 3}
    rest = whole[whole["path"] != "a/0.png"].reset_index(drop=True)
    pd.testing.assert_frame_equal(manifest.table, rest)
    assert dict(manifest.left_out) == {"a/0.png": "dark"}
    assert manifest.folders
    assert not manifest.cameras_expected
    assert f"{root}: 1 images left out by list.csv" in capsys.readouterr().err
    assert read_manifest(root, validation_share=0.5, seed=3, exclude=tmp_path / "list.csv").table.equals(manifest.table)


def test_broken_images_names_each_file_once(tmp_path: Path) -> None:
    root = pictures(tmp_path, "1.png", "2.png")
    (root / "2.png").write_bytes((root / "2.png").read_bytes()[:40])
    boxes = "1.png,a,0,0,4,4\n2.png,a,0,0,4,4\n2.png,a,2,2,8,8\n"
    manifest = read_manifest(csv(root, "path,label,x1,y1,x2,y2\n" + boxes))
    (text,) = broken_images(manifest, manifest.table)
    assert text.startswith(f"{root / '2.png'}: not an image, whatever its name says")
    assert broken_images(manifest, manifest.table[:1]) == []


def test_lists_beside_the_table_and_with_its_images_are_both_read(tmp_path: Path) -> None:
    photos = pictures(tmp_path / "photos", *(f"{number}.png" for number in range(5)))
    file = csv(tmp_path, "path,label\n" + "".join(f"{number}.png,a\n" for number in range(5)))
    csv(tmp_path, "path,reason\n1.png,dark\n2.png,blurred\n", "exclude.csv")
    beside = read_manifest(file, images=photos)
    assert beside.table["path"].tolist() == ["0.png", "3.png", "4.png"]
    assert beside.notes == (f"2 images left out by {tmp_path / 'exclude.csv'}",)
    csv(photos, "path,reason\n2.png,twice\n4.png,odd\n9.png,gone\n", "exclude.csv")
    both = read_manifest(file, images=photos)
    assert both.table["path"].tolist() == ["0.png", "3.png"]
    assert dict(both.left_out) == {"1.png": "dark", "2.png": "blurred", "4.png": "odd", "9.png": "gone"}
    assert both.notes == (
        f"2 images left out by {tmp_path / 'exclude.csv'}",
        f"1 images left out by {photos / 'exclude.csv'}",
        f"1 lines of {photos / 'exclude.csv'} name no image here (first: 9.png)",
    )
    mine = csv(tmp_path, "path,reason\n0.png,mine\n", "mine.csv")
    assert read_manifest(file, images=photos, exclude=mine).table["path"].tolist() == [f"{n}.png" for n in range(1, 5)]
    same = read_manifest(csv(photos, file.read_text()), images=tmp_path / "photos" / ".." / "photos")
    assert same.notes[0] == "2 images left out by exclude.csv", "one folder, written in two ways"


@pytest.mark.parametrize(
    ("selection", "text"),
    [
        ({"validation_share": 2}, r"^validation_share=2: expected less than 1$"),
        ({"validation_share": 1}, r"^validation_share=1: expected less than 1$"),
        ({"test_share": -0.1}, r"^test_share=-0\.1: expected greater than or equal to 0$"),
        ({"seed": 2**32}, r"^seed=4294967296: expected less than 4294967296$"),
        ({"split": "sites"}, r"^split=sites: expected 'individual', 'site', 'date', 'scene' or 'stratified'$"),
        ({"columns": {"lable": "id"}}, r"^lable: unknown setting; did you mean label\?"),
    ],
)
def test_what_is_out_of_range_is_told_in_one_line(tmp_path: Path, selection: Any, text: str) -> None:
    pictures(tmp_path, "1.png")
    with pytest.raises(SettingsError, match=text) as caught:
        read_manifest(csv(tmp_path, "path,label\n1.png,a\n"), **selection)
    assert "\n" not in str(caught.value)


def test_a_division_is_told_where_the_split_that_is_asked_for_takes_part_in_it(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"{number}.png" for number in range(10)))
    rows = [f"{number}.png,{'ab'[number % 2]},train," for number in range(6)]
    own = [f"{number}.png,a,test,{'query' if number % 2 else 'reference'}" for number in range(6, 10)]

    def notes(rows: list[str], asked: str | None) -> tuple[str, ...]:
        return read_manifest(
            csv(tmp_path, "\n".join(["path,label,split,role", *rows, ""])), validation_share=0.4, asked=asked
        ).notes

    told = ("2 training images held out for validation (share 0.4, seed 0)",)
    assert notes([*rows, *own], None) == notes([*rows, *own], "validation") == notes([*rows, *own], "train") == told
    assert notes([*rows, *own], "test") == ()
    answered_by_training = [row.replace("reference", "query") for row in own]
    assert notes([*rows, *answered_by_training], "test") == told
    catalogue = [row + ("reference" if row.startswith("0") else "") for row in rows]
    assert notes([*catalogue, *own], "test") == told
    given = Data(
        root=str(tmp_path / "data.csv"),
        validation_share=0,
        seed=0,
        archive=None,
        exclude=None,
        keep_copies=False,
        split=None,
        test_share=None,
        images=None,
        columns={},
    )
    csv(tmp_path, "\n".join(["path,label,split,role", *rows, *own, ""]))
    quiet, loud = (Dataset.of_settings(given, HeldOut(validation_share=0.4), split) for split in ("test", None))
    assert (quiet.manifest.notes, loud.manifest.notes) == ((), told)
    assert quiet.manifest.table.equals(loud.manifest.table)
