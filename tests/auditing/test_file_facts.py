"""Facts of every image: read once, kept between audits."""

from pathlib import Path

import pandas as pd
import pytest

from audits import findings_of, look
from lookalike.auditing import file_facts
from lookalike.auditing.audit import audit
from lookalike.data.dataset import survey_data
from lookalike.export.untrained import untrained_encoder
from lookalike.files import DiskFullError


def test_a_damaged_or_foreign_cache_is_read_again(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    first = look(data, cache)
    for file in ("images.parquet", "pairs.parquet"):
        content = (cache / file).read_bytes()
        (cache / file).write_bytes(content[: len(content) // 2])
    again = look(data, cache)
    assert "damaged; every image is read again" in capsys.readouterr().err
    pd.testing.assert_frame_equal(first.findings, again.findings)
    manifest, problems = survey_data(str(data))
    by_other_weights = audit(manifest, problems, lambda: untrained_encoder(cache), "other weights", cache)
    assert by_other_weights.facts.read == len(first.rows)
    assert "made with another model or version" in capsys.readouterr().err


def test_only_what_changed_is_read(data: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    look(data, cache)
    files = sorted((data / "train").rglob("*.jpg"))
    files[0].write_bytes(files[1].read_bytes())
    files[2].unlink()
    assert look(data, cache).facts.read == 1


def test_a_full_disk_costs_only_the_memory_of_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path) -> None:
        raise DiskFullError(f"{path}: no space left")

    monkeypatch.setattr(file_facts, "atomic_file", full)
    assert len(look(data, tmp_path / "cache").rows) > 0
    assert "what was read cannot be kept" in capsys.readouterr().err


def test_boxes_of_one_file_are_images_of_their_own(data: Path, tmp_path: Path) -> None:
    files = sorted((data / "train").rglob("*.jpg"))[:30]
    rows = [
        (file.relative_to(data), file.parent.name, *box)
        for file in files
        for box in ((0, 0, 150, 150), (100, 100, 250, 250))
    ]
    pd.DataFrame(rows, columns=["path", "label", "x1", "y1", "x2", "y2"]).to_csv(data / "table.csv", index=False)
    result = look(data / "table.csv", tmp_path / "cache")
    assert len(result.rows) == 60
    assert findings_of(result, "copy").empty
    assert set(zip(result.facts.table["width"], result.facts.table["height"], strict=True)) == {(150, 150)}
