"""Stored embeddings are evaluated as arrays in memory are, to the last bit."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lookalike.evaluation.streaming import StoredSide, evaluate_stored
from lookalike.inference.references import GalleryError, References
from lookalike.inference.shards import Plan, Rows, shard_bytes
from lookalike.metrics.columns import EvaluationError
from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.options import EvaluationOptions
from lookalike.storage import Storage, storage_of
from metrics.random_problems import with_duplicates
from metrics.test_streamed import assert_same

Table = pd.DataFrame


def write(storage: Storage, table: Table, embeddings: np.ndarray, shards: int, root: str = "/x", of: str = "f") -> None:
    """Shards as `lookalike embed` writes them."""
    import pyarrow as pa

    plan = Plan(of * 64, "float32", embeddings.shape[1], root, len(table), shards, hashlib.sha256(b"").hexdigest())
    storage.write("shards.json", plan.to_bytes())
    for shard in range(1, shards + 1):
        ids = plan.ids(shard)
        mine = table.iloc[ids.start : ids.stop]
        texts = [pa.array(mine[name].tolist(), pa.string()) for name in ("path", "label")]
        facts = pa.array(mine["camera"], pa.int64()), pa.array(mine["ignore"], pa.bool_())
        rows = Rows(np.arange(ids.start, ids.stop), *texts, *facts, embeddings[ids.start : ids.stop])
        storage.write(plan.name(shard), shard_bytes(plan, shard, rows, 0))


def made(seed: int, count: int) -> tuple[Table, np.ndarray]:
    rng = np.random.default_rng(seed)
    cameras = pd.array(rng.integers(0, 3, count), "Int64")
    cameras[rng.random(count) < 0.1] = pd.NA
    table = Table({"path": [f"{seed}/{row}.jpg" for row in range(count)], "camera": cameras})
    labels = [f"label {number}" for number in rng.integers(0, 30, count)]
    return table.assign(label=labels, ignore=rng.random(count) < 0.1), with_duplicates(rng, count, 16)


def test_references_in_shards_give_the_figures_of_memory(tmp_path: Path) -> None:
    (asking, query), (answering, reference) = made(1, 60), made(2, 500)
    asking.loc[3, "path"] = answering.loc[70, "path"]
    asking.loc[4, "path"] = "/x/2/71.jpg"
    write(storage_of(tmp_path / "queries"), asking, query, 2)
    for shards in (1, 7):
        write(storage_of(tmp_path / f"references{shards}"), answering, reference, shards)
    asks = np.flatnonzero(~asking["ignore"])
    own = np.full(60, -1)
    own[3:5] = 70, 71
    for rule in (True, False):
        whole = evaluate(
            query[asks],
            reference,
            asking["label"][asks].tolist(),
            answering["label"].tolist(),
            query_cameras=asking["camera"][asks],
            reference_cameras=answering["camera"],
            ignore=answering["ignore"].to_numpy(),
            exclude_self=own[asks],
            camera_rule=rule,
        )
        for shards in (1, 7):
            measured = evaluate_stored(tmp_path / "queries", tmp_path / f"references{shards}", camera_rule=rule)
            assert_same(measured.result, whole)
            assert measured.rows.tolist() == asks.tolist()
    table = measured.table
    assert table["path"].tolist() == asking["path"][asks].tolist()
    paths = answering["path"].to_numpy()
    assert table["neighbours"].tolist() == [paths[rows[rows >= 0]].tolist() for rows in whole.neighbours]
    assert measured.to_dict()["metrics"] == whole.metrics


def test_one_place_asks_itself_and_folders_are_read_too(tmp_path: Path) -> None:
    table, embeddings = made(3, 80)
    table = table.assign(ignore=False, camera=pd.array([pd.NA] * 80, "Int64"))
    write(storage_of(tmp_path / "shards"), table, embeddings, 3)
    labels = table["label"].tolist()
    (tmp_path / "folder").mkdir()
    References(embeddings, labels, table["path"].tolist(), Path("/x"), "f" * 64).save(tmp_path / "folder")
    whole = evaluate(embeddings, embeddings, labels, labels, exclude_self=True, ks=(1, 2))
    options = EvaluationOptions(ks=(1, 2))
    for place in ("shards", "folder"):
        assert_same(evaluate_stored(tmp_path / place, options=options).result, whole)
        same = evaluate_stored(str(tmp_path / place), str(tmp_path / place), options=options)
        assert_same(same.result, whole)
    assert_same(evaluate_stored(tmp_path / "folder", tmp_path / "shards", options=options).result, whole)


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    table, embeddings = made(3, 20)
    write(storage_of(tmp_path / "a"), table, embeddings, 1)
    write(storage_of(tmp_path / "b"), table, embeddings, 1, of="e")
    write(storage_of(tmp_path / "junk"), table.assign(ignore=True), embeddings, 1)
    write(storage_of(tmp_path / "nameless"), table.assign(label=[""] * 20), embeddings, 1)
    with pytest.raises(
        GalleryError, match=r"^the queries were made by ffff.*, the references by eeee.*: embeddings of"
    ):
        evaluate_stored(tmp_path / "a", tmp_path / "b")
    with pytest.raises(EvaluationError, match=r"junk: expected embeddings on both sides, found 0 and 20"):
        evaluate_stored(tmp_path / "junk", tmp_path / "a")
    with pytest.raises(EvaluationError, match=r"^reference labels: some are missing: give every image a label"):
        evaluate_stored(tmp_path / "a", tmp_path / "nameless")
    (tmp_path / "a" / "shard-00001-of-00001.parquet").unlink()
    with pytest.raises(GalleryError, match=r"a: expected 1 whole shards, found 0: run lookalike embed with shard=1/1"):
        StoredSide.of(tmp_path / "a")
