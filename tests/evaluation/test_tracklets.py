"""Tracklets ask and answer as the mean of their pictures."""

import numpy as np
import pandas as pd
import pytest

from lookalike.data.protocol import Protocol
from lookalike.evaluation.tracklets import pooled


def rows(*pairs: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "path": [f"{number}.jpg" for number in range(len(pairs))],
            "tracklet": [tracklet for tracklet, _ in pairs],
            "label": [label for _, label in pairs],
            "camera": pd.array([1] * len(pairs), "Int64"),
            "ignore": False,
        }
    )


def test_means_are_those_of_a_plain_loop_and_have_unit_length() -> None:
    rng = np.random.default_rng(0)
    table = rows(("b", "1"), ("a", "2"), ("b", "1"), ("", "3"), ("a", "2"), ("", "4"), ("b", "1"))
    embeddings = rng.normal(size=(7, 5)).astype(np.float32)
    protocol = Protocol(table, table, np.arange(7))
    made, queries, references = pooled(protocol, embeddings, embeddings)
    wanted = {}
    for row, (tracklet, path) in enumerate(zip(table["tracklet"], table["path"], strict=True)):
        wanted.setdefault(tracklet or path, []).append(embeddings[row] / np.linalg.norm(embeddings[row]))
    for place, (tracklet, path) in enumerate(zip(made.references["tracklet"], made.references["path"], strict=True)):
        mean = np.mean(wanted[tracklet or path], axis=0)
        assert references[place] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert len(references) == len(made.references) == 4
    assert sorted(made.references["label"]) == ["1", "2", "3", "4"]
    assert np.array_equal(queries, references)
    assert made.own_row.tolist() == [0, 1, 2, 3], "a tracklet that answers, too, never finds itself"


def test_what_asks_and_what_answers_may_be_others() -> None:
    asking, answering = rows(("q", "1"), ("q", "1"), ("r", "2")), rows(("r", "2"), ("s", "1"), ("s", "1"))
    vectors = np.eye(3, dtype=np.float32)
    made, queries, references = pooled(Protocol(answering, asking, np.array([-1, -1, 0])), vectors, vectors)
    assert made.queries["tracklet"].tolist() == ["q", "r"]
    assert made.own_row.tolist() == [-1, 0]
    assert queries[0] == pytest.approx([0.5**0.5, 0.5**0.5, 0])
    assert references[1] == pytest.approx([0, 0.5**0.5, 0.5**0.5])


def test_pictures_that_cancel_out_give_zero_and_not_nan() -> None:
    vectors = np.array([[1, 0], [-1, 0]], np.float32)
    table = rows(("a", "1"), ("a", "1"))
    _, queries, _ = pooled(Protocol(table, table, np.array([-1, -1])), vectors, vectors)
    assert np.isfinite(queries).all()


def test_a_tracklet_is_ignored_where_all_of_its_pictures_are() -> None:
    table = rows(("a", "1"), ("a", "1"), ("b", "-1"), ("b", "-1")).assign(ignore=[True, False, True, True])
    made, _, _ = pooled(Protocol(table, table.iloc[:2], np.array([0, 1])), np.eye(4)[:2], np.eye(4))
    assert dict(zip(made.references["tracklet"], made.references["ignore"], strict=True)) == {"a": False, "b": True}
