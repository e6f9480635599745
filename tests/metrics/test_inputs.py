import numpy as np
import pandas as pd
import pytest
import torch

from lookalike.metrics.inputs import (
    EvaluationError,
    camera_ids,
    checked_embeddings,
    checked_pair,
    label_ids,
    one_each,
    own_rows,
)

BIG = 2**24  # from here on float32 cannot tell neighbouring whole numbers apart
ROWS = np.eye(3, dtype=np.float32)


def test_embeddings_come_out_as_contiguous_float32() -> None:
    for given in (
        *(ROWS.tolist(), ROWS.astype(np.float64), np.asfortranarray(ROWS), ROWS[::-1][::-1], ROWS.astype(object)),
        *(pd.DataFrame(ROWS), pd.Series(list(ROWS), index=[2, 1, 0]), list(ROWS), np.ma.masked_array(ROWS)),
        *(torch.tensor(ROWS, requires_grad=True), torch.tensor(ROWS, dtype=torch.bfloat16)),
        *(list(torch.tensor(ROWS, requires_grad=True)), torch.tensor(ROWS, dtype=torch.int8), ROWS.astype(bool)),
    ):
        array = checked_embeddings(given, "query", "cosine")
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        assert array.tolist() == ROWS.tolist()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([["x"]], r"query embeddings: expected a float array \[N, D\], got values of type <U1"),
        ([[1.0], [1.0, 2.0]], r"query embeddings: expected a float array \[N, D\], got list: "),
        (ROWS + 1j, r"expected a float array \[N, D\], got values of type complex"),
        (np.ma.masked_array(ROWS, ROWS == 1), r"got one with masked values: fill or remove them"),
        (pd.DataFrame({"a": ["x"]}), r"expected a float array \[N, D\], got DataFrame: could not convert"),
        (np.array([ROWS[0], None], object), r"expected a float array \[N, D\], got ndarray: "),
        (iter(ROWS), r"expected a float array \[N, D\], got "),
        (ROWS[0], r"query embeddings: expected a float array \[N, D\] with N > 0, got shape \(3,\)"),
        (ROWS[:0], r"N > 0, got shape \(0, 3\)"),
        (ROWS * [[1], [0], [1]], r"1 row\(s\) are zero or not finite \(first: row 1\): check the weights"),
        (ROWS * [[1], [1], [np.nan]], r"1 row\(s\) are zero or not finite \(first: row 2\)"),
    ],
)
def test_embeddings_that_cannot_be_compared_are_refused(given, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        checked_embeddings(given, "query", "cosine")


def test_a_zero_has_a_distance_but_no_direction() -> None:
    assert checked_embeddings(np.zeros((2, 3)), "query", "euclidean").shape == (2, 3)


def test_one_array_on_both_sides_stays_one() -> None:
    query, reference = checked_pair(ROWS, ROWS, "cosine")
    assert query is reference
    query, reference = checked_pair(ROWS.copy(), ROWS, "cosine")
    assert query is not reference
    with pytest.raises(EvaluationError, match="embeddings of one size expected, got 3 and 2: embed both with one"):
        checked_pair(ROWS, ROWS[:, :2] + 1, "cosine")


def test_labels_are_compared_as_text_and_never_as_floats() -> None:
    ids, names = label_ids([BIG, BIG + 1, 7.0, "x"], np.array([BIG + 1, 7, BIG]))
    assert names[ids].tolist() == [str(BIG), str(BIG + 1), "7", "x", str(BIG + 1), "7", str(BIG)]
    assert ids.dtype == np.int64
    assert len(set(ids.tolist())) == len(names) == 4
    tuples, names = label_ids([("a", 1), ["a", 1]], [("a", 2)])
    assert names[tuples].tolist() == ["('a', 1)", "('a', 1)", "('a', 2)"]


def test_a_missing_label_is_named() -> None:
    with pytest.raises(EvaluationError, match=r"reference labels: 2 missing \(first: row 1\): give every row a label"):
        label_ids(["a"], ["a", None, np.nan])


@pytest.mark.parametrize(
    ("queries", "references"),
    [([1, 2], [2, 1]), (["1", "2"], [2.0, 1.0]), (np.array([1, 2]), ["2", "1"]), ([1.0, 2.0], np.array([2, 1]))],
)
def test_cameras_are_the_same_whatever_their_type(queries, references) -> None:
    seen, seen_by = camera_ids(queries, references)
    assert (seen[:, None] == seen_by).tolist() == [[False, True], [True, False]]


def test_missing_cameras_equal_nothing() -> None:
    seen, seen_by = camera_ids(["door", None, np.nan], [None, "door", np.nan])
    assert (seen[:, None] == seen_by).tolist() == [[False, True, False], [False] * 3, [False] * 3]


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        (False, [-1, -1]),
        (True, [0, 1]),
        (np.array([1, -1]), [1, -1]),
        ([0, 0], [0, 0]),
        (np.uint8([1, 0]), [1, 0]),
        (torch.tensor([[1], [0]]), [1, 0]),
    ],
)
def test_own_rows(given, rows: list[int]) -> None:
    own = own_rows(given, 2, 2)
    assert (own.tolist(), own.dtype) == (rows, np.int64)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.array([0.0, 1.0]), r"exclude_self: expected the reference row of each query \(or -1\), or True .* float64"),
        ([0], "got 1 rows from 0 up to 0, for 2 queries and 2 references"),
        ([0, 2], "got 2 rows from 0 up to 2"),
        ([-2, 0], "got 2 rows from -2 up to 0"),
    ],
)
def test_rows_that_are_none_are_refused(given, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        own_rows(given, 2, 2)
    with pytest.raises(EvaluationError, match="for 2 queries and 3 references"):
        own_rows(True, 2, 3)


def test_one_of_each_is_expected() -> None:
    one_each("query", 2, label=["a", "b"], camera=None)
    with pytest.raises(EvaluationError, match="one camera per query expected, got 2 embeddings and 1 of these"):
        one_each("query", 2, label=["a", "b"], camera=[1])
