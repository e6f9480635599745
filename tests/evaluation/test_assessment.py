"""What was measured, as numbers, as a table, as a picture, and written down."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lookalike import LookalikeError
from lookalike.data.reading import read_manifest
from lookalike.evaluation.assessment import Assessment, assess, worst_rows
from lookalike.evaluation.identify import Rules
from lookalike.inference.bundle import load_bundle
from lookalike.inference.encoder import Encoder, openvino_encoder


@pytest.fixture(scope="module")
def encoder(bundle_path: Path) -> Encoder:
    return openvino_encoder(load_bundle(bundle_path), "float32")


@pytest.fixture(scope="module")
def folders(encoder: Encoder, digits: Path) -> Assessment:
    return assess(encoder, "tiny", read_manifest(digits), "test", Rules(), {"bundle": "models/tiny"})


@pytest.fixture(scope="module")
def market(encoder: Encoder, few_market: Path) -> Assessment:
    return assess(encoder, "tiny", read_manifest(few_market), "test", Rules(), {})


@pytest.mark.parametrize("layout", ["folders", "market"])
def test_the_table_of_queries_averages_to_the_metrics(layout: str, request: pytest.FixtureRequest) -> None:
    assessment: Assessment = request.getfixturevalue(layout)
    table, metrics = assessment.table(), assessment.metrics
    assert len(table) == len(assessment.protocol.queries)
    matched = table[table["positives"] > 0]
    for name in ("map", "minp", "cmc@1", "cmc@5"):
        assert matched[name].mean() == pytest.approx(metrics[name], abs=1e-12)
    assert table["accuracy@1"].mean() == pytest.approx(metrics["accuracy@1"], abs=1e-12)
    whole = "accuracy_whole@1" if layout == "market" else "accuracy@1"
    assert table[whole].mean() == pytest.approx(metrics["accuracy"], abs=1e-12)
    assert ("accuracy_whole@1" in table) == (layout == "market")
    labels = dict(zip(assessment.protocol.references["path"], assessment.protocol.references["label"], strict=True))
    assert [labels[near[0]] for near in table["neighbours"]] == table["predicted"].tolist()


def test_neighbours_are_those_of_the_embeddings(folders: Assessment) -> None:
    similarity = folders.embedded.queries @ folders.embedded.references.T
    paths = folders.protocol.references["path"].to_numpy(object)
    for row, near in enumerate(folders.table()["neighbours"]):
        assert near[0] == paths[similarity[row].argmax()]
    assert np.allclose(np.linalg.norm(folders.embedded.queries, axis=1), 1, atol=1e-5)


def test_plain_values_say_where_the_figures_come_from(folders: Assessment, market: Assessment) -> None:
    content = json.loads(json.dumps(folders.to_dict(), allow_nan=False))
    assert (content["bundle"], content["split"], content["copies_of_queries"]) == ("models/tiny", "test", 0)
    assert content["metrics"] == folders.metrics
    assert {name: tuple(pair) for name, pair in content["intervals_95"].items()} == folders.intervals
    assert sum(row["queries"] for row in content["per_label"]) == 20
    assert "per_camera_pair" not in content
    of_market = json.loads(json.dumps(market.to_dict(), allow_nan=False))
    assert "no camera rule" in of_market["protocol_of_accuracy"]
    assert of_market["per_camera_pair"]


def test_it_reads_as_a_report_and_as_a_line(folders: Assessment, market: Assessment) -> None:
    assert str(folders) == str(folders.identification)
    metrics = folders.metrics
    figures = f"accuracy {metrics['accuracy']:.4f}, map {metrics['map']:.4f}"
    assert repr(folders) == f"Assessment('tiny' on test, 20 queries: {figures})"
    assert "over all references, without the camera rule:" in str(market)


def test_the_worst_stand_first_and_those_without_a_positive_nowhere(market: Assessment) -> None:
    per_query = market.identification.result.per_query.copy()
    per_query.loc[3, "positives"] = 0
    rows = worst_rows(per_query)
    assert 3 not in rows
    assert sorted(rows) == [row for row in range(len(per_query)) if row != 3]
    assert per_query.loc[rows, "map"].is_monotonic_increasing
    tied = pd.DataFrame(
        {"positives": [1, 1, 1], "map": [0.5] * 3, "accuracy@1": [1, 0, 0], "similarity": [0.1, 0.9, 0.2]}
    )
    assert worst_rows(tied).tolist() == [2, 1, 0]


def test_report_table_and_picture_are_written_beside_each_other(market: Assessment, tmp_path: Path) -> None:
    written = market.write(str(tmp_path / "deep" / "r.json"), 3)
    assert written == [tmp_path / "deep" / name for name in ("r.json", "r.parquet", "r-worst.png")]
    assert json.loads(written[0].read_text())["metrics"] == market.metrics
    pd.testing.assert_frame_equal(
        pd.read_parquet(written[1]).drop(columns="neighbours"),
        market.table().drop(columns="neighbours"),
        check_dtype=False,
    )
    with Image.open(written[2]) as three:
        size = three.size
    assert market.write(tmp_path / "none.json", worst=0) == [tmp_path / "none.json", tmp_path / "none.parquet"]
    assert not (tmp_path / "none-worst.png").exists()
    twenty = market.write(tmp_path / "default.json")[2]
    with Image.open(twenty) as picture:
        assert picture.width == size[0]
        assert picture.height > 6 * size[1]


def test_a_report_never_replaces_itself(folders: Assessment, tmp_path: Path) -> None:
    for name in ("r.parquet", "report", "r.txt"):
        with pytest.raises(LookalikeError, match=rf"{name}: expected a report whose name ends in \.json"):
            folders.write(tmp_path / name)
    with pytest.raises(LookalikeError, match="worst=-1: expected how many queries are drawn, 0 for none"):
        folders.write(tmp_path / "r.json", worst=-1)
    assert not list(tmp_path.iterdir())
    assert folders == folders
    assert folders != 5


def test_an_unknown_split_or_a_data_set_without_answers_is_refused(encoder: Encoder, digits: Path) -> None:
    manifest = read_manifest(digits)
    with pytest.raises(LookalikeError, match=r"^split='night': expected train, validation"):
        assess(encoder, "tiny", manifest, "night", Rules(), {})
