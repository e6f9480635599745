"""Shards that jobs write beside each other are the embeddings of the whole table."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from lookalike import storage
from lookalike.data.tables import ManifestError
from lookalike.evaluation.sharded import Source, Written, begin, plan_of, source_of, write_shard
from lookalike.evaluation.stored import embed_any
from lookalike.inference.bundle import load_bundle
from lookalike.inference.encoder import Encoder, openvino_encoder
from lookalike.inference.references import GalleryError
from lookalike.inference.shards import load_embeddings, open_shards
from lookalike.storage import StorageError, storage_of
from object_store import Store


@pytest.fixture(scope="module")
def encoder(bundle_path: Path) -> Encoder:
    return openvino_encoder(load_bundle(bundle_path), "float32")


def data(root: Path | str, **more: Any) -> dict[str, Any]:
    return {"root": str(root), "validation_share": 0.0, "seed": 0, "archive": None, "exclude": None, **more}


def write(encoder: Encoder, source: Source, place: str | Path, shards: int, *only: int) -> list[Written]:
    storage, plan = storage_of(place), plan_of(encoder, source, shards)
    begin(storage, plan)
    return [write_shard(encoder, source, storage, plan, shard) for shard in only or range(1, shards + 1)]


@pytest.fixture(params=["folder", "store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "out")
    request.getfixturevalue("object_store")
    return "s3://bucket/out"


def test_shards_are_the_whole_and_one_that_lacks_is_made_alone(
    encoder: Encoder, digits: Path, tmp_path: Path, place: str
) -> None:
    root = Path(shutil.copytree(digits / "test", tmp_path / "flat"))
    (root / "digit 0" / "a bad.png").write_bytes(b"text")
    whole, (problem,) = embed_any(encoder, data(root), tmp_path / "whole")
    source = source_of(data(root))
    (first,) = write(encoder, source, place, 4, 3)
    assert first == Written(3, 5, 0, before=False)
    with pytest.raises(
        GalleryError, match=r"out: expected 4 whole shards, found 1: run lookalike embed with shard=1/4, "
    ):
        load_embeddings(place)
    made = write(encoder, source, place, 4)
    assert [(shard.rows, shard.broken, shard.before) for shard in made] == [
        *((4, 1, False), (5, 0, False), (5, 0, True), (6, 0, False))
    ]
    stored = load_embeddings(place)
    assert (stored.labels, list(stored.paths), stored.root) == (whole.labels, list(whole.paths), root.resolve())
    assert np.array_equal(stored.embeddings, whole.embeddings)
    assert (stored.fingerprint, stored.precision) == (encoder.fingerprint, "float32")
    storage = storage_of(place)
    broken = pq.read_table(storage.open("broken-00001-of-00004.parquet")).to_pylist()
    assert broken == [{"id": 4, "path": "digit 0/a bad.png", "reason": problem}]
    shards = open_shards(storage)
    assert shards is not None
    assert np.concatenate([part.ids for part in shards.rows()]).tolist() == [0, 1, 2, 3, *range(5, 21)]
    assert storage.names() == [
        "broken-00001-of-00004.parquet",
        *(f"shard-0000{number}-of-00004.parquet" for number in range(1, 5)),
        "shards.json",
    ]


def test_what_is_not_whole_is_made_again(encoder: Encoder, digits: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(digits / "test", tmp_path / "flat"))
    next((root / "digit 4").iterdir()).write_bytes(b"text")
    source, place = source_of(data(root)), tmp_path / "out"
    write(encoder, source, place, 2)
    before = load_embeddings(place)
    shard = place / "shard-00001-of-00002.parquet"
    shard.write_bytes(shard.read_bytes()[:-30])
    (place / "broken-00002-of-00002.parquet").unlink()
    assert [made.before for made in write(encoder, source, place, 2)] == [False, False]
    assert [made.before for made in write(encoder, source, place, 2)] == [True, True]
    assert np.array_equal(load_embeddings(place).embeddings, before.embeddings)
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 1  # in an embedding
    shard.write_bytes(content)
    with pytest.raises(
        GalleryError, match=r"shard-00001-of-00002\.parquet: damaged \(.*: remove it, run lookalike embed"
    ):
        load_embeddings(place)


def test_what_belongs_to_other_embeddings_is_refused(encoder: Encoder, digits: Path, tmp_path: Path) -> None:
    source, place = source_of(data(digits / "test")), tmp_path / "out"
    write(encoder, source, place, 4, 1)
    other = replace(encoder, fingerprint="e" * 64)
    for who, what, shards, text in (
        (encoder, source, 5, r"was begun with shards 4, now it is 5: give that number, or another output"),
        (other, source, 4, rf"was begun with fingerprint {encoder.fingerprint[:12]}, now it is eeee.*weights or pixel"),
        (
            replace(encoder, precision="bf16"),
            source,
            4,
            r"precision float32, now it is bf16: .* precision=float32 every",
        ),
        (encoder, replace(source, rows=source.rows.iloc[1:]), 4, r"with rows 20, now it is 19: the table has changed"),
        (
            encoder,
            replace(source, rows=source.rows.assign(label="x")),
            4,
            r"with table .*: the table has changed since, in",
        ),
        (
            encoder,
            replace(source, rows=source.rows.assign(camera=7)),
            4,
            "changed since, in its paths, labels, cameras",
        ),
        (encoder, replace(source, rows=source.rows.assign(ignore=True)), 4, "changed since, in its paths, labels, cam"),
        (
            encoder,
            replace(source, root="/else"),
            4,
            r"with root .*test, now it is /else: all jobs need the images at one",
        ),
    ):
        with pytest.raises(GalleryError, match=text):
            write(who, what, place, shards)
    mixed = storage_of(place)
    (place / "shards.json").unlink()
    with pytest.raises(ManifestError, match=r"output=.*out: exists and holds no shards \(shard-00001-of-00004"):
        write(other, source, place, 4)
    plan = plan_of(other, source, 4)
    mixed.write("shards.json", plan.to_bytes())
    with pytest.raises(
        GalleryError, match=rf"shard-00001.*: expected fingerprint eeee.*, found {encoder.fingerprint[:12]}"
    ):
        write(other, source, place, 4)
    (place / "shards.json").write_text('{"schema": 1, "rows": 3}')
    with pytest.raises(GalleryError, match=r"shards\.json: damaged \(.*: write the embeddings again into a new folder"):
        write(encoder, source, place, 4)
    with pytest.raises(ManifestError, match=r"test: no image in it: give a folder of images or a \.csv"):
        plan_of(encoder, replace(source, rows=source.rows.iloc[:0]), 4)


def test_more_shards_than_images_are_whole_too(encoder: Encoder, digits: Path, tmp_path: Path) -> None:
    made = write(encoder, source_of(data(digits / "test")), tmp_path / "out", 30)
    assert {shard.rows for shard in made} == {0, 1}
    assert len(load_embeddings(tmp_path / "out")) == 20


def put_digits(store: Store, digits: Path) -> list[Path]:
    files = sorted((digits / "test").rglob("*.png"))
    for file in files:
        store.put(f"photos/{file.parent.name}/{file.name}", file.read_bytes())
    return files


def test_images_of_an_object_store_give_the_same_embeddings(
    encoder: Encoder, digits: Path, tmp_path: Path, object_store: Store
) -> None:
    files = put_digits(object_store, digits)
    object_store.put("photos/digit 0/note.txt", b"no image")
    object_store.put("photos/digit 0/a bad.png", b"text")
    whole, _ = embed_any(encoder, data(digits / "test"), tmp_path / "whole")
    source = source_of(data("s3://bucket/photos"))
    assert source.lost == ("s3://bucket/photos: 1 file(s) passed over: not an image extension",)
    made = write(encoder, source, "s3://bucket/out", 3)
    assert [shard.broken for shard in made] == [1, 0, 0]
    stored = load_embeddings("s3://bucket/out")
    assert (stored.labels, list(stored.paths)) == (whole.labels, list(whole.paths))
    assert np.array_equal(stored.embeddings, whole.embeddings)
    gone = f"photos/{files[-1].parent.name}/{files[-1].name}"
    object_store.delete(gone)
    (last,) = write(encoder, source, tmp_path / "again", 3, 3)
    assert (last.rows, last.broken) == (6, 1)
    (line,) = pq.read_table(tmp_path / "again" / "broken-00003-of-00003.parquet").to_pylist()
    assert line["reason"] == f"s3://bucket/{gone}: no such object: restore it or remove its row"


def test_tables_name_images_of_an_object_store(
    encoder: Encoder, digits: Path, tmp_path: Path, object_store: Store
) -> None:
    files = put_digits(object_store, digits)
    lines = [f"photos/{file.parent.name}/{file.name},{file.parent.name}" for file in files[1:]]
    lines.append(f"s3://bucket/photos/{files[0].parent.name}/{files[0].name},first")
    text = "\n".join(["path,who", *lines])
    object_store.put("all.csv", text.encode())
    (tmp_path / "all.csv").write_text(text)
    columns = {"label": "who"}
    for number, given in enumerate(
        (
            data("s3://bucket/all.csv", columns=columns),
            data(tmp_path / "all.csv", columns=columns, images="s3://bucket"),
        )
    ):
        write(encoder, source_of(given), tmp_path / f"out{number}", 2)
        stored = load_embeddings(tmp_path / f"out{number}")
        assert (len(stored), stored.labels.count("first")) == (20, 1)
        expected = encoder.embed([digits / "test" / Path(path).relative_to("photos") for path in stored.paths[:-1]])
        assert np.array_equal(stored.embeddings[:-1], expected)
    object_store.put("bad.csv", b"path,label\na.png,\n")
    with pytest.raises(ManifestError, match=r"^s3://bucket/bad\.csv: 1 problem\(s\).*row 2: no label: give one"):
        source_of(data("s3://bucket/bad.csv"))
    with pytest.raises(ManifestError, match=r"^s3://bucket/none\.csv: no such table: check its address"):
        source_of(data("s3://bucket/none.csv"))
    with pytest.raises(
        ManifestError, match=r"^data\.exclude=x: is for data of this machine, s3://bucket/all\.csv is in"
    ):
        source_of(data("s3://bucket/all.csv", exclude="x"))
    with pytest.raises(
        ManifestError, match=r"^s3://bucket/photos: a folder, and data\.images and data\.columns are for"
    ):
        source_of(data("s3://bucket/photos", columns=columns))
    with pytest.raises(ManifestError, match=r"^s3://bucket/nothing: no image in it"):
        plan_of(encoder, source_of(data("s3://bucket/nothing")), 1)


def test_a_store_that_is_gone_stops_the_shard(
    encoder: Encoder, digits: Path, tmp_path: Path, object_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its images are not broken."""
    monkeypatch.setattr(storage, "_ATTEMPTS", 1)
    put_digits(object_store, digits)
    source = source_of(data("s3://bucket/photos"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageError, match=r"^s3://bucket: cannot be read"):
        write(encoder, source, tmp_path / "out", 1)
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["shards.json"]
