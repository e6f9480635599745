"""embed into shards and eval of them, through the real command."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from lookalike.cli.main import main
from lookalike.inference.shards import load_embeddings
from object_store import Store, closed_port


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_jobs_write_shards_that_eval_and_gallery_read_as_one(
    bundle_path: Path, digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(digits / "train", here / "known")
    (here / "known" / "digit 0" / "bad.png").write_bytes(b"x")
    what = [f"bundle={bundle_path}", "data.root=known", "output=known shards"]
    assert main(["embed", *what, "shard=2/3"]) == 0
    assert capsys.readouterr().out == "shard 2 of 3: 17 embeddings in shard-00002-of-00003.parquet\n"
    assert main(["eval", "queries=known shards"]) == 2
    assert "expected 3 whole shards, found 1: run lookalike embed with shard=1/3, 3/3, or" in capsys.readouterr().err
    assert main(["embed", *what, "shards=3"]) == 0
    captured = capsys.readouterr()
    assert "shard 2 of 3 is whole already: 17 embeddings in" in captured.out
    assert captured.out.endswith(
        "50 embeddings of 16 dimensions in 3 shards of known shards; 1 image could not be used\n"
    )
    assert "1 image could not be used: broken-00001-of-00003.parquet says why" in captured.err
    assert main(["embed", f"bundle={bundle_path}", f"data.root={digits / 'validation'}", "output=asked"]) == 0
    assert main(["eval", "queries=asked", "references=known shards"]) == 0
    report = json.loads((here / "reports" / "asked-known shards.json").read_text())
    assert main(["eval", f"bundle={bundle_path}", f"data.root={digits}"]) == 0
    whole = json.loads((here / "reports" / "tiny-validation.json").read_text())
    assert {name: whole["metrics"][name] for name in report["metrics"]} == report["metrics"]
    assert len(pd.read_parquet(here / "reports" / "asked-known shards.parquet")) == 20
    assert main(["gallery", "create", "gallery=g", f"bundle={bundle_path}"]) == 0
    assert main(["gallery", "import", "gallery=g", "input=known shards"]) == 0
    assert "50" in capsys.readouterr().out


def test_an_object_store_gets_shards(
    bundle_path: Path, digits: Path, object_store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in sorted((digits / "test").rglob("*.png")):
        object_store.put(f"photos/{file.parent.name}/{file.name}", file.read_bytes())
    assert main(["embed", f"bundle={bundle_path}", "data.root=s3://bucket/photos", "output=s3://bucket/out"]) == 0
    assert "20 embeddings of 16 dimensions in 1 shard of s3://bucket/out" in capsys.readouterr().out
    assert object_store.names("out/") == ["out/shard-00001-of-00001.parquet", "out/shards.json"]
    assert len(load_embeddings("s3://bucket/out")) == 20
    assert main(["eval", "queries=s3://bucket/out"]) == 0
    assert "protocol: 20 queries" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["shard=0/3"],
            "shard=0/3: expected a part of all from 1 on, such as 3/64 (1/64 to 64/64; where a cluster counts",
        ),
        (["shard=4/3"], "shard=4/3: expected a part of all from 1 on"),
        (["shard=3"], "shard=3: expected a part of all from 1 on"),
        (["shard=1/3", "shards=3"], "shard=1/3 and shards=3: one part, and all that lack: leave one of them out"),
        (["shards=0"], "shards=0: expected greater than or equal to 1"),
        (["shards=2", "output=photos"], "expected an output apart from what is read, but it is data.root=photos"),
    ],
)
def test_what_is_no_part_is_refused(
    arguments: list[str], text: str, bundle_path: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "photos").mkdir()
    assert main(["embed", f"bundle={bundle_path}", "data.root=photos", *arguments]) == 2
    assert text in capsys.readouterr().err


def test_nobody_answers(
    bundle_path: Path, object_store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", closed_port())
    assert main(["embed", f"bundle={bundle_path}", "data.root=s3://bucket/photos", "output=s3://bucket/out"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("lookalike: s3://bucket/out: cannot be reached (")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["references=e"], "references=e: who asks them: give queries=<what lookalike embed wrote>"),
        (["queries=e", "bundle=b"], "queries=e and bundle: embeddings are evaluated as they are: leave bundle out"),
        (["queries=e", "data.root=d"], "queries=e and data.root: embeddings are evaluated as they are"),
        (["queries=e", "pool=max"], "queries=e and pool: embeddings are evaluated as they are"),
        (["queries=e"], "e: not a readable gallery"),
    ],
)
def test_embeddings_are_evaluated_without_a_model(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", *arguments]) == 2
    assert text in capsys.readouterr().err
