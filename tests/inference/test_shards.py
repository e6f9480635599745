"""What the files of shards are, and what is said of damaged ones."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lookalike.inference.references import GalleryError, References
from lookalike.inference.shards import Plan, Rows, load_embeddings, open_shards, read_plan, shard_bytes, whole_shard
from lookalike.storage import storage_of


def plan(rows: int = 10, shards: int = 3) -> Plan:
    return Plan("f" * 64, "float32", 4, "/x", rows, shards, "0" * 64)


def rows_of(ids: range) -> Rows:
    texts = [pa.array([f"{kind} {number}" for number in ids], pa.string()) for kind in ("path", "label")]
    embeddings = np.eye(4, dtype=np.float32)[np.array(ids, int) % 4]
    count = len(ids)
    return Rows(np.array(ids, np.int64), *texts, pa.nulls(count, pa.int64()), pa.array([False] * count), embeddings)


@pytest.mark.parametrize(("rows", "shards"), [(10, 3), (1, 1), (2, 5), (1000, 7), (10**8, 64)])
def test_every_row_is_in_one_shard_and_sizes_differ_by_one(rows: int, shards: int) -> None:
    parts = [plan(rows, shards).ids(shard) for shard in range(1, shards + 1)]
    assert (parts[0].start, parts[-1].stop) == (0, rows)
    assert all(before.stop == after.start for before, after in pairwise(parts))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_shards_are_read_in_order_whoever_wrote_them_first(tmp_path: Path) -> None:
    storage = storage_of(tmp_path)
    assert read_plan(storage) is None
    assert open_shards(storage) is None
    storage.write("shards.json", plan().to_bytes())
    for shard in (3, 1, 2):
        assert whole_shard(storage, plan(), shard) is None
        storage.write(plan().name(shard), shard_bytes(plan(), shard, rows_of(plan().ids(shard)), 0))
        assert whole_shard(storage, plan(), shard) == (len(plan().ids(shard)), 0)
    shards = open_shards(storage)
    assert shards is not None
    assert len(shards) == 10
    assert [number for part in shards.rows(("id",)) for number in part.ids.tolist()] == list(range(10))
    loaded = load_embeddings(tmp_path)
    assert loaded.labels == [f"label {number}" for number in range(10)]
    assert loaded.embeddings.argmax(1).tolist() == [number % 4 for number in range(10)]


def test_a_shard_with_too_few_rows_or_without_a_footer_is_not_whole(tmp_path: Path) -> None:
    storage = storage_of(tmp_path)
    whole = shard_bytes(plan(), 1, rows_of(plan().ids(1)), 0)
    for content in (b"", b"PAR1", whole[:-1], whole[: len(whole) // 2], shard_bytes(plan(), 1, rows_of(range(1)), 0)):
        storage.write(plan().name(1), content)
        assert whole_shard(storage, plan(), 1) is None
    storage.write(plan().name(1), shard_bytes(plan(), 2, rows_of(plan().ids(1)), 0))
    with pytest.raises(GalleryError, match=r"shard-00001-of-00003\.parquet: expected shard 1, found 2: it belongs to"):
        whole_shard(storage, plan(), 1)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"schema": 2}', plan().to_bytes().replace(b'"shards": 3', b'"shards": 0'), b"\xff"]
)
def test_a_damaged_plan_is_said_to_be_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "shards.json").write_bytes(content)
    with pytest.raises(
        GalleryError, match=r"shards\.json: damaged \(.+\): write the embeddings again into a new folder"
    ):
        read_plan(storage_of(tmp_path))


def test_folders_without_shards_are_read_as_before(tmp_path: Path) -> None:
    References(np.eye(2, dtype=np.float32), ["a", "b"], ["1", "2"], Path("/x"), "f" * 64).save(tmp_path)
    assert load_embeddings(tmp_path).labels == ["a", "b"]
    with pytest.raises(GalleryError, match=r"not a readable gallery"):
        load_embeddings(tmp_path / "none")
