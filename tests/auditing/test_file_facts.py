"""Facts of every image: read once, kept between audits."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from audits import findings_of, look, untrained
from lookalike.auditing import file_facts
from lookalike.auditing.audit import audit
from lookalike.auditing.file_facts import gather, wrong_suffix
from lookalike.data.reading import survey_data
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
    by_other_weights = audit(manifest, problems, untrained, "other weights", cache)
    assert by_other_weights.facts.read == len(first.rows)
    assert "made with another model or version" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("share", "mark"), [(0.05, b""), (0.3, b""), (0.6, b""), (0.3, b"lookalike-sha255"), (0.3, b"x" * 81)]
)
def test_a_bit_of_the_cache_that_is_another_is_noticed(
    share: float, mark: bytes, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    first = look(data, cache)
    content = bytearray((cache / "images.parquet").read_bytes())
    content[int(share * len(content))] ^= 1
    if mark:
        place = content.index(b"lookalike-sha256:")
        content[place : place + len(mark)] = mark
    (cache / "images.parquet").write_bytes(content)
    again = look(data, cache)
    assert "images.parquet: damaged; every image is read again" in " ".join(capsys.readouterr().err.split())
    assert again.facts.read == len(first.rows)
    pd.testing.assert_frame_equal(first.findings, again.findings)
    assert look(data, cache).facts.read == 0


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
    def full(path: Path, _: object) -> None:
        raise DiskFullError(f"{path}: no space left")

    monkeypatch.setattr(file_facts, "write_bytes", full)
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


@pytest.mark.parametrize(
    ("path", "image_format", "wrong"),
    [
        ("a.jpg", "JPEG", False),
        ("a.JPEG", "JPEG", False),
        ("a.jfif", "MPO", False),
        ("a.png", "JPEG", True),
        ("a.jpg", "PNG", True),
        ("a.pgm", "PPM", False),
        ("a.tif", "TIFF", False),
        ("a", "GIF", True),
        ("a.xyz", "EPS", False),
        ("a.jpg", "", False),
    ],
)
def test_a_name_promises_its_format(path: str, image_format: str, wrong: bool) -> None:
    assert wrong_suffix(path, image_format) == wrong


def test_facts_are_those_of_the_upright_image(tmp_path: Path) -> None:
    picture = Image.fromarray(np.full((40, 60, 3), 200, np.uint8))
    picture.paste((0, 0, 0), (0, 0, 30, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "train/a").mkdir(parents=True)
    picture.save(tmp_path / "train/a/1.png", exif=exif)
    picture.save(tmp_path / "train/a/2.png")
    picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "train/a/3.png")
    (tmp_path / "train/a/4.png").write_bytes(b"no image")
    manifest, _ = survey_data(str(tmp_path))
    facts = gather(manifest, manifest.original, untrained, "x", tmp_path / "c.parquet")
    table = facts.table.set_index("path")
    assert facts.usable.tolist() == [True, True, True, False]
    assert table.loc["train/a/1.png", ["width", "height"]].tolist() == [40, 60]
    assert table.loc["train/a/2.png", ["width", "height", "format", "kind"]].tolist() == [60, 40, "PNG", ""]
    assert table.loc["train/a/2.png", ["darkest", "brightest"]].tolist() == pytest.approx([0, 200 / 255], abs=0.01)
    assert table.loc["train/a/2.png", "contrast"] == pytest.approx(100 / 255, abs=0.01)
    assert table.loc["train/a/2.png", "hash"] == table.loc["train/a/3.png", "hash_mirrored"]
    assert table.loc["train/a/4.png", ["kind", "hash"]].tolist() == ["not_an_image", 0]
    lengths = np.linalg.norm(facts.embeddings, axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 1, 0], atol=1e-5)
    content = (tmp_path / "train/a/2.png").read_bytes()
    assert facts.contents[1] == f"{hashlib.sha256(content).hexdigest()} "


def test_a_file_that_cannot_be_read_is_looked_at_again(data: Path, tmp_path: Path) -> None:
    file = sorted((data / "train").rglob("*.jpg"))[0]
    file.rename(tmp_path / "away")
    (data / "table.csv").write_text(f"path,label\n{file.relative_to(data)},a\n")
    first = look(data / "table.csv", tmp_path / "cache")
    assert first.facts.table["kind"].tolist() == ["unreadable"]
    (tmp_path / "away").rename(file)
    again = look(data / "table.csv", tmp_path / "cache")
    assert again.facts.read == 1
    assert again.facts.usable.all()
