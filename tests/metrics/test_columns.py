"""One value per row, whatever people keep it in."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from lookalike.metrics.columns import EvaluationError, column_of, marks_of, on_cpu, texts_of
from lookalike.metrics.evaluate import evaluate

BIG = 2**53 + 1  # float64 cannot hold it
NUMBERS = [7, 0, 7, 12]
SAME = {
    "list": NUMBERS,
    "tuple": tuple(NUMBERS),
    "texts": [str(number) for number in NUMBERS],
    "mixed": [7, "0", b"7", 12.0],
    "array": np.array(NUMBERS),
    "uint8": np.array(NUMBERS, np.uint8),
    "float16": np.array(NUMBERS, np.float16),
    "numpy texts": np.array([str(number) for number in NUMBERS]),
    "numpy bytes": np.array([str(number).encode() for number in NUMBERS]),
    "objects": np.array([7, "0", np.int64(7), np.str_("12")], object),
    "column of an array": np.array(NUMBERS)[:, None],
    "lists of one": [[7], [0], [7], [12]],
    "series": pd.Series(NUMBERS, index=[3, 2, 1, 0]),
    "series of texts": pd.Series([str(number) for number in NUMBERS], dtype="string"),
    "index": pd.Index(NUMBERS),
    "categorical": pd.Categorical([str(number) for number in NUMBERS], categories=["12", "7", "0"]),
    "series of categories": pd.Series([str(number) for number in NUMBERS], dtype="category"),
    "nullable": pd.Series(NUMBERS, dtype="Int64"),
    "table": pd.DataFrame({"label": NUMBERS}),
    "arrow": pa.array(NUMBERS),
    "arrow texts": pa.chunked_array([["7", "0"], ["7", "12"]]),
    "tensor": torch.tensor(NUMBERS),
    "tensor of bytes": torch.tensor(NUMBERS, dtype=torch.uint8),
    "half tensor": torch.tensor(NUMBERS, dtype=torch.bfloat16),
    "tensor with gradients": torch.tensor(NUMBERS, dtype=torch.float32, requires_grad=True),
    "column of a tensor": torch.tensor(NUMBERS)[:, None],
    "list of tensors": list(torch.tensor(NUMBERS)),
}
EMBEDDINGS = np.random.default_rng(5).normal(size=(4, 3)).astype(np.float32)
LABELS, CAMERAS = [7, 0, 7, 0], [0, 0, 1, 0]


@pytest.mark.parametrize("values", SAME.values(), ids=list(SAME))
def test_what_means_the_same_becomes_the_same(values) -> None:
    assert texts_of(values, "labels").tolist() == ["7", "0", "7", "12"]


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan, pd.NA, pd.NaT, np.datetime64("NaT"), "", "  ", b""])
def test_what_is_missing_says_nothing(missing) -> None:
    assert texts_of(["a", missing], "cameras").tolist() == ["a", None]


def test_gaps_of_every_kind_of_column_are_missing() -> None:
    for column in (
        pd.Series([BIG, None], dtype="Int64"),
        pa.array([BIG, None]),
        np.ma.masked_array([BIG, 5], [False, True]),
        pd.Categorical([str(BIG), None]),
    ):
        assert texts_of(column, "labels").tolist() == [str(BIG), None]
    assert texts_of(np.array([7, np.nan]), "labels").tolist() == ["7", None]


def test_dates_and_pairs_are_the_same_in_every_kind_of_column() -> None:
    days = pd.Series(pd.to_datetime(["2024-05-01", "2024-05-02"]))
    assert texts_of(days, "labels").tolist() == texts_of(days.tolist(), "labels").tolist()
    assert texts_of(days.to_numpy(), "labels").tolist() == texts_of(days.tolist(), "labels").tolist()
    pairs = np.array([[1, 2], [3, 4]])
    for column in (pairs, torch.tensor(pairs), pairs.tolist(), [(1, 2), (3, 4)], [tuple(row) for row in pairs]):
        assert texts_of(column, "labels").tolist() == ["(1, 2)", "(3, 4)"]
    assert texts_of([True, 1, "True"], "labels").tolist() == ["True", "1", "True"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("abc", "labels: expected a list or an array with a value per row, got str"),
        (b"abc", "got bytes"),
        ({"a", "b"}, "with a value per row, got set"),
        ({"a": 1}, "with a value per row, got dict"),
        ((label for label in "ab"), "with a value per row, got generator"),
        (7, "with a value per row, got int"),
        (np.array(7), "got the one value 7"),
        (torch.tensor(7), "got the one value 7"),
        (pd.DataFrame({"a": [1], "b": [2]}), r"labels: expected one column, got 2: \['a', 'b'\]"),
        ([b"\xff"], r"labels: expected text, got bytes that are not UTF-8: b'\\xff'"),
        ([{"a": 1}], r"labels: expected a text or a whole number per row, got \{'a': 1\}"),
    ],
)
def test_what_has_no_order_or_no_meaning_is_refused(values, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        texts_of(values, "labels")


@pytest.mark.parametrize(
    "values",
    [
        [True, False],
        [1, 0],
        [np.bool_(True), False],
        np.array([[True], [False]]),
        np.array([1.0, 0.0]),
        pd.Series([True, False], index=[1, 0]),
        pd.Series([True, False], dtype="boolean"),
        pa.array([True, False]),
        torch.tensor([True, False]),
    ],
    ids=lambda values: type(values).__name__,
)
def test_a_mask_of_every_kind(values) -> None:
    marks = marks_of(values, "ignore")
    assert (marks.dtype, marks.tolist()) == (bool, [True, False])


@pytest.mark.parametrize(
    "values",
    [["True", "False"], [0, 2], [True, None], [1.0, np.nan], pd.Series([True, None], dtype="boolean"), [b"1", b""]],
    ids=lambda values: type(values).__name__,
)
def test_what_is_no_mask_is_refused(values) -> None:
    with pytest.raises(EvaluationError, match=r"ignore: expected True or False for every row, got .*: give a mask"):
        marks_of(values, "ignore")


def test_tensors_leave_their_gradients_and_half_types_behind() -> None:
    numbers = [[0.5, 1.0]]
    for tensor in (
        torch.tensor(numbers, requires_grad=True),
        torch.tensor(numbers, dtype=torch.bfloat16),
        torch.tensor(numbers, dtype=torch.float16),
        torch.tensor(numbers, dtype=torch.float64),
    ):
        assert on_cpu(tensor).tolist() == numbers
    assert column_of(["a"], "labels").tolist() == ["a"]


@pytest.mark.parametrize("kind", [key for key in SAME if key != "mixed"])
def test_labels_and_cameras_of_every_kind_give_the_same_figures(kind: str) -> None:
    """On one side only, so that types are mixed, and with a camera rule that matters."""
    makers = {
        "list": list,
        "tuple": tuple,
        "texts": lambda values: [str(value) for value in values],
        "array": np.array,
        "uint8": np.uint8,
        "float16": np.float16,
        "numpy texts": lambda values: np.array([str(value) for value in values]),
        "numpy bytes": lambda values: np.array([str(value).encode() for value in values]),
        "objects": lambda values: np.array(values, object),
        "column of an array": lambda values: np.array(values)[:, None],
        "lists of one": lambda values: [[value] for value in values],
        "series": lambda values: pd.Series(values, index=range(len(values))[::-1]),
        "series of texts": lambda values: pd.Series([str(value) for value in values], dtype="string"),
        "index": pd.Index,
        "categorical": pd.Categorical,
        "series of categories": lambda values: pd.Series(values, dtype="category"),
        "nullable": lambda values: pd.Series(values, dtype="Int64"),
        "table": lambda values: pd.DataFrame({"value": values}),
        "arrow": pa.array,
        "arrow texts": lambda values: pa.array([str(value) for value in values]),
        "tensor": torch.tensor,
        "tensor of bytes": lambda values: torch.tensor(values, dtype=torch.uint8),
        "half tensor": lambda values: torch.tensor(values, dtype=torch.bfloat16),
        "tensor with gradients": lambda values: torch.tensor(values, dtype=torch.float32, requires_grad=True),
        "column of a tensor": lambda values: torch.tensor(values)[:, None],
        "list of tensors": lambda values: list(torch.tensor(values)),
    }
    make = makers[kind]
    right = evaluate(
        EMBEDDINGS, EMBEDDINGS, LABELS, LABELS, query_cameras=CAMERAS, reference_cameras=CAMERAS, exclude_self=True
    )
    without = evaluate(EMBEDDINGS, EMBEDDINGS, LABELS, LABELS, exclude_self=True)
    assert right.metrics != without.metrics
    for labels, cameras in ((make, list), (list, make), (make, make)):
        result = evaluate(
            torch.tensor(EMBEDDINGS, requires_grad=True),
            EMBEDDINGS,
            labels(LABELS),
            LABELS,
            query_cameras=CAMERAS,
            reference_cameras=cameras(CAMERAS),
            ignore=make([0] * 4) if kind in ("array", "tensor", "nullable") else None,
            exclude_self=torch.arange(4) if kind == "tensor" else True,
        )
        assert result.metrics == right.metrics
        assert result.counts == right.counts


def test_labels_that_are_no_unicode_are_compared_readably() -> None:
    """Such as names of files in Latin-1, as `os.listdir` gives them."""
    assert texts_of(["caf\udce9", "b", None], "labels").tolist() == ["caf\\udce9", "b", None]
    rows = np.eye(3, dtype=np.float32)
    result = evaluate(rows, rows, ["caf\udce9", "b", "c"], ["caf\udce9", "b", "c"])
    assert result.metrics["accuracy@1"] == 1
    assert result.per_query["predicted"].tolist() == ["caf\\udce9", "b", "c"]
