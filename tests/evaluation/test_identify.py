import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lookalike.data.protocol import Protocol
from lookalike.data.tables import ManifestError
from lookalike.evaluation.identify import Rules, evaluate_rows, identify
from lookalike.metrics.camera_pairs import per_camera_pair
from lookalike.metrics.evaluate import evaluate
from metrics.random_problems import unit


def rows(rng: np.random.Generator, count: int, cameras: bool) -> pd.DataFrame:
    seen = rng.choice([1, 2, 3, None], count) if cameras else [None] * count
    columns = {"label": rng.choice(list("abcd"), count), "ignore": rng.random(count) < 0.1}
    return pd.DataFrame(columns | {"camera": pd.array(seen, dtype="Int64")})


def split(seed: int, cameras: bool = True) -> tuple[np.ndarray, np.ndarray, Protocol]:
    """Embeddings and protocol of 40 queries, a few of them references themselves, and 90 references."""
    rng = np.random.default_rng(seed)
    queries, references = rows(rng, 40, cameras).assign(ignore=False), rows(rng, 90, cameras)
    own = np.where(rng.random(40) < 0.2, rng.integers(0, 90, 40), -1)
    embeddings = unit(rng, 40, 8), unit(rng, 90, 8)
    for row in np.flatnonzero(own >= 0):
        embeddings[0][row] = embeddings[1][own[row]]
        queries.loc[row, ["label", "camera"]] = references.loc[own[row], ["label", "camera"]]
    return *embeddings, Protocol(references, queries, own, "test")


def plain(queries: np.ndarray, references: np.ndarray, protocol: Protocol, **settings: object):
    """The same by `evaluate`, from labels and cameras as they are."""
    return evaluate(
        queries,
        references,
        protocol.queries["label"].tolist(),
        protocol.references["label"].tolist(),
        query_cameras=protocol.queries["camera"].astype(object).tolist(),
        reference_cameras=protocol.references["camera"].astype(object).tolist(),
        ignore=protocol.references["ignore"].to_numpy(),
        exclude_self=protocol.own_row,
        **settings,
    )


@pytest.mark.parametrize(
    ("rules", "settings"),
    [
        (Rules(), {}),
        (Rules(camera_rule=False), {"camera_rule": False}),
        (Rules(similarity="euclidean"), {"similarity": "euclidean"}),
        (Rules(rerank="expand"), {"rerank": "expand"}),
        (Rules(rerank="k_reciprocal"), {"rerank": "k_reciprocal"}),
    ],
)
def test_a_split_is_measured_as_its_arrays_are(rules: Rules, settings: dict) -> None:
    arrays = split(0)
    result, expected = evaluate_rows(*arrays, rules), plain(*arrays, **settings)
    assert result.metrics == expected.metrics
    assert result.intervals == expected.intervals
    pd.testing.assert_frame_equal(result.per_query, expected.per_query, check_exact=True)
    assert result.conditions == replace(expected.conditions, source="40 queries and 90 references, both of split test")
    assert result.protocol == f"{arrays[2].source}; {expected.protocol}"


def test_two_views_where_cameras_are_known() -> None:
    arrays = split(1)
    identified = identify(*arrays, Rules())
    whole = plain(*arrays, camera_rule=False)
    assert identified.result.conditions.camera_rule
    assert not identified.whole.conditions.camera_rule
    assert identified.metrics["accuracy"] == whole.metrics["accuracy@1"] == identified.metrics["accuracy_whole@1"]
    assert identified.metrics["accuracy@5"] == plain(*arrays).metrics["accuracy@5"] != whole.metrics["accuracy@5"]
    assert identified.intervals["accuracy_whole@5"] == whole.intervals["accuracy@5"]
    lines = str(identified).splitlines()
    assert lines[0].startswith(f"accuracy      {whole.metrics['accuracy@1']:.4f}   95 % ")
    assert lines[0].endswith(f"40 queries, nearest of all {whole.counts['references']} references")
    assert "over all references, without the camera rule:" in lines
    assert lines[-1].startswith("accuracy_whole@10")
    stored = json.loads(json.dumps(identified.to_dict()))
    assert next(iter(stored)) == "headline"
    assert (stored["headline"]["name"], stored["headline"]["value"]) == ("accuracy", whole.metrics["accuracy@1"])
    assert stored["headline"]["protocol"] == identified.whole.protocol
    assert list(stored["groups"]) == ["cross_camera", "all_references"]
    figures, pairs = identified.named_by_protocol()
    assert list(figures)[:2] == ["accuracy", "cross_camera/accuracy@1"]
    assert "accuracy@1" not in figures, "every figure but the headline names its protocol"
    assert figures["cross_camera/map"] == identified.result.metrics["map"]
    assert pairs["all_references/accuracy@5"] == whole.intervals["accuracy@5"]
    assert "no camera rule" in stored["protocol_of_accuracy"]
    assert stored["conditions"]["camera_rule"] is True
    assert len(stored["per_camera_pair"]) == 6


def test_the_table_of_cameras_is_that_of_the_arrays() -> None:
    queries, references, protocol = split(2)
    names = [part["camera"].astype(object).tolist() for part in (protocol.queries, protocol.references)]
    labels = [part["label"].tolist() for part in (protocol.queries, protocol.references)]
    ignore = protocol.references["ignore"].to_numpy()
    for rules in (Rules(), Rules(camera_rule=False), Rules(similarity="euclidean")):
        table = identify(queries, references, protocol, rules).camera_pairs
        expected = per_camera_pair(queries, references, *labels, *names, ignore, rules.similarity)
        pd.testing.assert_frame_equal(table, expected)


def test_cameras_that_have_names_are_called_by_them() -> None:
    queries, references, protocol = split(2)
    called = {1: "river", 2: "a hill", 3: "", None: ""}
    named = [
        part.assign(camera_name=[called[None if pd.isna(camera) else camera] for camera in part["camera"]])
        for part in (protocol.queries, protocol.references)
    ]
    expected = identify(queries, references, protocol, Rules()).camera_pairs
    table = identify(
        queries, references, replace(protocol, queries=named[0], references=named[1]), Rules()
    ).camera_pairs
    assert expected is not None
    assert table is not None
    shown = {1: "river", 2: "a hill", 3: "3"}
    for side in ("query_camera", "reference_camera"):
        expected[side] = expected[side].map(shown)
    expected = expected.sort_values(["query_camera", "reference_camera"], ignore_index=True)
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)
    assert table["query_camera"].tolist() == ["3", "3", "a hill", "a hill", "river", "river"]


@pytest.mark.parametrize(("cameras", "rules"), [(False, Rules()), (True, Rules(camera_rule=False))])
def test_one_view_where_no_camera_rule_applies(cameras: bool, rules: Rules) -> None:
    identified = identify(*split(3, cameras), rules)
    assert identified.result is identified.whole
    assert identified.metrics["accuracy"] == identified.metrics["accuracy@1"]
    assert not any("whole" in name for name in identified.metrics)
    assert "protocol_of_accuracy" not in identified.to_dict()
    assert ("per_camera_pair" in identified.to_dict()) == cameras
    assert str(identified) == f"{identified.headline}\n{identified.result}"


def test_too_many_cameras_make_no_table() -> None:
    queries, references, protocol = split(4)
    sequences = protocol.queries.assign(camera=pd.array(range(40), "Int64"))
    many = replace(
        protocol, queries=sequences, references=protocol.references.assign(camera=pd.array(range(90), "Int64"))
    )
    assert identify(queries, references, many, Rules()).to_dict()["per_camera_pair"] == []


def test_where_nothing_can_be_found_the_error_says_why() -> None:
    queries, references, protocol = split(5)
    strangers = replace(protocol, queries=protocol.queries.assign(label="z"))
    message = (
        r"no query has a valid positive: 1 query labels \(z ...\), 4 reference labels \(a, b, c ...\), 0 in common"
    )
    with pytest.raises(ManifestError, match=message):
        identify(queries, references, strangers, Rules())
