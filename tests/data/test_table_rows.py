"""Problems of the rows of a table: where, how many, what to do."""

import pandas as pd
import pytest

from lookalike.data.table_rows import row_problems, rows_of


@pytest.mark.parametrize(
    ("places", "text"),
    [
        ([0], "row 2"),
        ([0, 7], "2 rows (2, 9)"),
        ([0, 1, 2, 3, 4], "5 rows (2, 3, 4, 5, 6)"),
        ([0, 1, 2, 3, 4, 5], "6 rows (2, 3, 4, 5, 6, ...)"),
    ],
)
def test_rows_are_counted_as_in_the_table(places: list[int], text: str) -> None:
    assert rows_of(places) == text


def test_every_problem_is_told_once_with_its_rows() -> None:
    rows = [("1", "a", "train"), ("", "a", "train"), ("1", "a", "test"), ("", "", "train"), ("2", "b", "nowhere")]
    table = pd.DataFrame(rows, columns=["path", "label", "split"])
    assert row_problems(table) == [
        "2 rows (3, 5): no path: give the image file, or remove these rows",
        "row 5: no label: give one, or remove these rows",
        "row 6: split 'nowhere': expected one of train, validation, test",
        "1: listed twice, in 2 rows (2, 4), with split 'train' and 'test': keep the right row",
    ]
    assert row_problems(table.iloc[[0]]) == []
    assert row_problems(table.iloc[:0]) == []


def test_boxes_of_one_image_are_rows_of_their_own() -> None:
    table = pd.DataFrame({"path": "1", "label": ["a", "b", "a"], "split": "train", "x1": [0.0, 4.0, 0.0]})
    table = table.assign(y1=0.0, x2=8.0, y2=8.0)
    assert row_problems(table) == ["1: listed twice, in 2 rows (2, 4), with the same values: keep one row"]
    whole = table.assign(x1=float("nan"), y1=float("nan"), x2=float("nan"), y2=float("nan"))
    assert row_problems(whole) == ["1: listed 3 times, in 3 rows (2, 3, 4), with label 'a' and 'b': keep the right row"]


def test_every_value_that_is_none_of_ours_is_told() -> None:
    table = pd.DataFrame(
        {"path": [f"{n}.png" for n in range(3000)], "label": "a", "split": [f"s{n}" for n in range(3000)]}
    )
    problems = row_problems(table)
    assert len(problems) == 3000
    assert problems[0] == "row 2: split 's0': expected one of train, validation, test"


def test_rows_of_one_wrong_value_are_told_together() -> None:
    table = pd.DataFrame({"path": list("abcd"), "label": "a", "split": ["x", "train", "y", "x"]})
    assert [problem.partition(": expected")[0] for problem in row_problems(table)] == [
        "2 rows (2, 5): split 'x'",
        "row 4: split 'y'",
    ]
