from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lookalike.data.protocol import Protocol
from lookalike.metrics.columns import EvaluationError


def rows(labels: str, cameras: list[int | None], ignore: str = "") -> pd.DataFrame:
    """One row per letter; `ignore` has a 1 where a row is junk. The index is not that of the place."""
    marks = [mark == "1" for mark in ignore.ljust(len(labels), "0")]
    columns = {"path": [f"{n}.jpg" for n in range(len(labels))], "label": list(labels), "ignore": marks}
    frame = pd.DataFrame(columns | {"camera": pd.array(cameras, dtype="Int64")})
    return frame.set_index(np.arange(len(labels)) * 3 + 7)


def protocol(**changed: object) -> Protocol:
    """Queries a, b, z; references a (seen by the camera of query 0), a (query 0 itself), b (junk), b, c."""
    references = rows("aabbc", [1, 1, 2, None, 2], "00100")
    return replace(Protocol(references, rows("abz", [1, 2, None]), np.array([1, -1, -1]), "test"), **changed)


def test_the_problem_of_a_split_says_which_references_count() -> None:
    problem = protocol().problem(camera_rule=True)
    assert problem.valid(slice(None)).tolist() == [
        [False, False, False, True, True],
        [True, True, False, True, True],
        [True, True, False, True, True],
    ]
    assert problem.names[problem.query_labels].tolist() == ["a", "b", "z"]
    assert problem.names[problem.reference_labels].tolist() == list("aabbc")
    assert problem.own_row.tolist() == [1, -1, -1]
    assert problem.enrolled().tolist() == [True, True, False]


def test_without_the_camera_rule_only_junk_and_the_query_itself_are_left_out() -> None:
    problem = protocol().problem(camera_rule=False)
    assert problem.query_cameras is None
    assert problem.valid(0).tolist() == [True, False, False, True, True]


def test_the_camera_rule_needs_a_camera_on_some_side() -> None:
    nothing = [None] * 5
    without = protocol(references=rows("aabbc", nothing), queries=rows("abz", nothing[:3]))
    assert without.problem(camera_rule=True).query_cameras is None
    one_side = protocol(references=rows("aabbc", nothing)).problem(camera_rule=True)
    assert one_side.query_cameras is not None
    assert one_side.valid(0).tolist() == [True, False, True, True, True], "a camera that is unknown equals no other"


def test_own_rows_of_another_number_are_refused() -> None:
    with pytest.raises(EvaluationError, match=r"expected the reference row of each query .*, got 2 rows from -1 up to"):
        protocol(own_row=np.array([0, -1])).problem(camera_rule=True)


def test_the_sentence_is_made_of_the_fields() -> None:
    given = protocol()
    assert given.source == "3 queries and 5 references, both of split test"
    assert given.text == f"{given.source}; 1 junk; a query never finds itself"
    assert protocol(distractors=2, own_row=np.full(3, -1)).text == f"{given.source}; 2 distractors; 1 junk"
    mixed = protocol(of_training=2, split="test")
    assert mixed.source == "3 queries of split test, 5 references: 2 training images and 3 of split test"
    trained = protocol(from_training=True, split="validation", references=rows("ab", [1, 2]), own_row=np.full(3, -1))
    assert trained.text == trained.source
    assert trained.source == "3 queries of split validation, 2 references: the original training images"
