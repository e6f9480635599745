"""Pairs are compared once; what is kept is used again, and a cache that cannot be used is made anew."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from lookalike.auditing import compared_pairs
from lookalike.auditing.compared_pairs import compare_pairs
from lookalike.auditing.file_facts import Facts
from lookalike.auditing.same_picture import compare
from lookalike.data.images import read_image
from lookalike.data.pixels import PixelSettings
from lookalike.files import DiskFullError

PAIRS = np.array([[0, 1], [2, 3], [0, 2], [1, 3], [0, 3]])


@pytest.fixture(scope="module")
def facts(few_produce: Path) -> Facts:
    files = sorted((few_produce / "train").rglob("*.jpg"))[::15][:3]
    images = [read_image(file, PixelSettings(160, 160)) for file in files]
    images.append(np.ascontiguousarray(images[0][:, ::-1]))
    thumbs = [cv2.imencode(".jpg", image[:, :, ::-1])[1].tobytes() for image in images]
    table = pd.DataFrame({"sha256": [f"{number}" * 64 for number in range(4)], "box": "", "error": "", "thumb": thumbs})
    return Facts(table, np.zeros((4, 8), np.float32), 0)


def test_results_are_those_of_each_pair_alone_in_the_order_of_the_pairs(facts: Facts, tmp_path: Path) -> None:
    results = compare_pairs(facts, PAIRS, tmp_path / "pairs.parquet")
    for (first, second), result in zip(PAIRS.tolist(), results, strict=True):
        thumbs = (np.frombuffer(facts.table["thumb"][row], np.uint8) for row in (first, second))
        assert result == compare(*(cv2.imdecode(thumb, cv2.IMREAD_COLOR_RGB) for thumb in thumbs))
    assert results[4].same_picture
    assert results[4].mirrored


def test_what_is_kept_is_not_compared_again(facts: Facts, tmp_path: Path) -> None:
    cache = tmp_path / "pairs.parquet"
    first = compare_pairs(facts, PAIRS[:3], cache)
    no_thumbs = Facts(facts.table.assign(thumb=b""), facts.embeddings, 0)  # they could not be decoded
    assert compare_pairs(no_thumbs, PAIRS[:3][::-1], cache) == first[::-1]
    assert compare_pairs(facts, PAIRS, cache)[:3] == first
    kept = pd.read_parquet(cache)
    assert len(kept) == 5
    assert compare_pairs(facts, np.empty((0, 2), np.int64), cache) == []


def test_the_same_file_with_another_box_is_another_image(facts: Facts, tmp_path: Path) -> None:
    cache = tmp_path / "pairs.parquet"
    (whole,) = compare_pairs(facts, PAIRS[4:], cache)
    boxed = Facts(
        facts.table.assign(box="0,0,9,9", thumb=facts.table["thumb"].to_numpy()[[0, 1, 2, 2]]), facts.embeddings, 0
    )
    (part,) = compare_pairs(boxed, PAIRS[4:], cache)
    assert whole.same_picture
    assert not part.same_picture


@pytest.mark.parametrize("damage", ["torn", "bit", "mark", "text", "columns", "schema"])
def test_a_cache_that_cannot_be_used_is_made_anew(facts: Facts, tmp_path: Path, damage: str) -> None:
    cache = tmp_path / "pairs.parquet"
    expected = compare_pairs(facts, PAIRS, cache)
    table = pd.read_parquet(cache)
    if damage == "torn":
        cache.write_bytes(cache.read_bytes()[:100])
    elif damage == "bit":
        table.assign(correlation=0.5).to_parquet(cache)  # the checksum is that of the earlier file
        assert table.attrs["checksum"].startswith("lookalike-sha256:")
    elif damage == "mark":
        table.attrs["checksum"] = "?"
        table.assign(correlation=0.5).to_parquet(cache)
    elif damage == "text":
        cache.write_text("no table")
    elif damage == "columns":
        table = table.drop(columns="points")
        table.attrs["schema"] = "1"
        table.to_parquet(cache)
    else:
        table.attrs["schema"] = "0"
        table.assign(correlation=0.5).to_parquet(cache)
    assert compare_pairs(facts, PAIRS, cache) == expected
    assert len(pd.read_parquet(cache)) == len(PAIRS)


def test_a_full_disk_costs_only_the_memory_of_it(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, _: object) -> None:
        raise DiskFullError(f"{path}: no space left")

    monkeypatch.setattr(compared_pairs, "write_bytes", full)
    assert len(compare_pairs(facts, PAIRS, tmp_path / "pairs.parquet")) == len(PAIRS)
    assert "comparisons cannot be kept" in capsys.readouterr().err
