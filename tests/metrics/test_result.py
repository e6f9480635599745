import json
from dataclasses import replace

import numpy as np

from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.result import Conditions
from metrics.random_problems import many
from metrics.rerank_problems import clusters


def test_the_result_is_readable_and_serialisable() -> None:
    query, reference, asked, labels = many(queries=40)
    ignore = np.arange(300) % 10 == 0
    result = evaluate(query, reference, asked, labels, ignore=ignore, exclude_self=np.r_[3, np.full(39, -1)])
    text = str(result)
    low, high = result.intervals["map"]
    assert f"{result.metrics['map']:.4f}   95 % {low:.4f} to {high:.4f}" in text
    assert text.splitlines()[0] == f"protocol: {result.protocol}"
    assert len(text.splitlines()) == 1 + len(result.metrics)
    for rule in ("40 queries", "270 references, 30 ignored", "no camera rule", "AP rectangle", "never finds itself"):
        assert rule in result.protocol
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert plain["metrics"] == result.metrics
    assert plain["counts"] == result.counts
    assert plain["intervals_95"]["map"] == [low, high]


def test_the_camera_rule_is_named_and_can_be_switched_off() -> None:
    arrays = np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), ["a", "b"], ["a", "b"]
    cameras = {"query_cameras": [1, 1], "reference_cameras": [1, 2]}
    on, off = evaluate(*arrays, **cameras), evaluate(*arrays, **cameras, camera_rule=False)
    assert (on.metrics["accuracy@1"], off.metrics["accuracy@1"]) == (0.5, 1.0)
    assert "same label and camera left out" in on.protocol
    assert "no camera rule" in off.protocol


def test_per_label_puts_the_worst_first() -> None:
    query = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2]]
    table = evaluate(query, np.eye(3, dtype=np.float32), list("aabbc"), ["a", "b", "d"]).per_label()
    assert table["map"].isna().tolist() == [True, False, False]
    plain = table.fillna(-1.0).to_dict("list")
    assert plain["label"] == ["c", "a", "b"]
    assert (plain["queries"], plain["accuracy@1"], plain["map"]) == ([1, 2, 2], [0.0, 1.0, 1.0], [-1.0, 1.0, 1.0])


def test_the_protocol_names_the_re_ranking_and_its_settings() -> None:
    arrays = clusters(8)
    plain, none = evaluate(*arrays), evaluate(*arrays, rerank="none", rerank_options={})
    assert plain.to_dict() == none.to_dict()
    assert "re-ranked" not in plain.protocol
    result = evaluate(*arrays, rerank="k_reciprocal", rerank_options={"k1": 10})
    assert "; re-ranked by k_reciprocal, k1 10, k2 6, weight 0.3" in result.protocol
    assert (
        "; re-ranked by expand, k 10, alpha 0.5"
        in evaluate(*arrays, rerank="expand", rerank_options={"alpha": 0.5}).protocol
    )
    assert (result.neighbour_similarity <= 0).all()
    assert (np.diff(result.neighbour_similarity) <= 0).all()


def test_rules_travel_as_fields_and_the_sentence_is_made_of_them() -> None:
    rows, labels = np.eye(3, dtype=np.float32), list("abb")
    cameras = {"query_cameras": [1, 1, 2], "reference_cameras": [1, 2, 2]}
    result = evaluate(rows, rows, labels, labels, exclude_self=True, ap="trapezoid", rerank="expand", **cameras)
    assert result.conditions == Conditions(
        camera_rule=True,
        ap="trapezoid",
        similarity="cosine",
        rerank="expand",
        rerank_options={"k": 10, "alpha": 3.0},
        own_rows=True,
    )
    assert json.loads(json.dumps(result.to_dict()["conditions"])) == {
        "camera_rule": True,
        "ap": "trapezoid",
        "similarity": "cosine",
        "rerank": "expand",
        "rerank_options": {"k": 10, "alpha": 3.0},
        "own_rows": True,
        "source": "",
        "camera_rule_seconds": None,
        "elsewhere_seconds": None,
    }
    assert result.protocol == (
        "3 queries (2 without a valid positive: wrong in accuracy, left out of the rest); "
        "1 of a label that no reference has; 3 references, 0 ignored, 0 distractors; "
        "same label and camera left out; AP trapezoid; re-ranked by expand, k 10, alpha 3; a query never finds itself"
    )
    of_a_split = replace(result, conditions=replace(result.conditions, source="3 queries of split test"))
    assert of_a_split.protocol == f"3 queries of split test; {result.protocol}"


def test_a_plain_evaluation_has_the_plain_conditions() -> None:
    rows = np.eye(2, dtype=np.float32)
    result = evaluate(rows, rows, ["a", "b"], ["a", "b"])
    assert result.conditions == Conditions(camera_rule=False)
    assert not evaluate(rows, rows, ["a", "b"], ["a", "b"], exclude_self=np.array([-1, -1])).conditions.own_rows
    distances = evaluate(rows, rows, ["a", "b"], ["a", "b"], similarity="euclidean")
    assert distances.conditions == Conditions(camera_rule=False, similarity="euclidean")
