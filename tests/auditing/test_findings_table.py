"""Findings become a table, the worst of every kind first."""

import numpy as np
import pandas as pd
import pytest

from lookalike.auditing.findings_table import COLUMNS, KINDS, Finding, Findings

ROWS = pd.DataFrame(
    {"path": ["train/a/1.jpg", "test/a/2.jpg"], "split": ["train", "test"], "label": ["a", "a"]},
)


def test_an_empty_table_has_its_columns() -> None:
    table = Findings(ROWS).table()
    assert tuple(table.columns) == COLUMNS
    assert table.empty
    assert (table["safe"].dtype, table["score"].dtype) == (bool, float)


def test_findings_of_images_name_their_row_and_the_other_image() -> None:
    findings = Findings(ROWS)
    findings.add(Finding("copy", 0, "leak", other=1, score=1.0, safe=True, suggestion="leave it out"))
    findings.add(Finding("stray", None, "no image", path="train/notes.txt"))
    findings.add(Finding("few", None, "1 training images", label="a", score=0.75))
    table = findings.table().set_index("kind")
    assert table.loc["copy"].to_dict() == {
        "path": "train/a/1.jpg",
        "other": "test/a/2.jpg",
        "split": "train",
        "label": "a",
        "score": 1.0,
        "reason": "leak",
        "suggestion": "leave it out",
        "safe": True,
        "row": 0,
        "other_row": 1,
    }
    assert table.loc["stray", ["path", "label", "row", "other_row"]].tolist() == ["train/notes.txt", "", -1, -1]
    assert np.isnan(table.loc["stray", "score"])
    assert table.loc["stray", "suggestion"] == KINDS["stray"][1], "the usual advice of its kind"
    assert table.loc["few", ["path", "label"]].tolist() == ["", "a"]


def test_kinds_stand_in_the_order_of_a_report_and_the_worst_first() -> None:
    findings = Findings(ROWS)
    for kind, row, score in [("few", None, 0.2), ("dark", 1, 0.5), ("dark", 0, 0.9), ("few", None, 0.7)]:
        findings.add(Finding(kind, row, "why", score=score))
    findings.add(Finding("unusable", 1, "damaged"))
    table = findings.table()
    assert table["kind"].tolist() == ["unusable", "dark", "dark", "few", "few"]
    assert table["score"].tolist()[1:] == [0.9, 0.5, 0.7, 0.2]


def test_names_that_are_not_utf8_can_be_written(tmp_path: pytest.TempPathFactory) -> None:
    findings = Findings(ROWS)
    findings.add(Finding("stray", None, "no image \udcff", path="no\udcff.txt"))
    (line,) = findings.table().to_dict("records")
    assert (line["path"], line["reason"]) == ("no\\udcff.txt", "no image \\udcff")
    findings.table().to_parquet(tmp_path / "findings.parquet")  # type: ignore[operator]


def test_a_kind_must_be_one_of_the_list() -> None:
    with pytest.raises(KeyError, match="odd"):
        Findings(ROWS).add(Finding("odd", 0, "why"))
