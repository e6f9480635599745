"""Classes with too few images, or none in a split."""

from pathlib import Path

from image_folders import csv, pictures
from lookalike.auditing.class_balance import check_balance
from lookalike.auditing.findings_table import Findings
from lookalike.data.reading import survey_data


def balance(root: Path) -> set[tuple[str, str, str]]:
    manifest, _ = survey_data(str(root))
    findings = Findings(manifest.original.reset_index(drop=True))
    check_balance(findings, manifest)
    return set(findings.table()[["kind", "label", "reason"]].itertuples(index=False, name=None))


def test_few_and_missing_images_are_counted_per_class(tmp_path: Path) -> None:
    counts = {"train/few": 3, "train/many": 4, "train/alone": 4, "validation/few": 1, "validation/many": 1}
    for folder, count in counts.items():
        pictures(tmp_path, *(f"{folder}/{number}.png" for number in range(count)))
    assert balance(tmp_path) == {
        ("few", "few", "3 training images: fewer than 4"),
        ("missing", "alone", "no image in validation: it is not measured there"),
    }


def test_splits_that_bring_their_own_references_miss_nothing(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"{number}.png" for number in range(6)))
    rows = "".join(f"{number}.png,a,train,\n" for number in range(4)) + "4.png,b,test,query\n5.png,b,test,reference\n"
    assert balance(csv(tmp_path, "path,label,split,role\n" + rows)) == set()


def test_people_of_market_are_not_balanced(few_market: Path) -> None:
    assert balance(few_market) == set()
