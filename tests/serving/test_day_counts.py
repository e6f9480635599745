"""Counts per day: kept over a restart; a damaged file and a full disk cost them alone, which is told."""

import errno
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from lookalike.serving import day_counts

TODAY = "2026-03-14"


def counts_of(file: Path | None) -> day_counts.DayCounts:
    """Of a day that lasts as long as the test."""
    return day_counts.DayCounts(file, lambda: date.fromisoformat(TODAY))


def test_midnight_begins_another_day(tmp_path: Path) -> None:
    days = iter([date(2026, 11, 30), date(2026, 11, 30), date(2026, 12, 1)])
    counts = day_counts.DayCounts(tmp_path / "days.json", lambda: next(days))
    counts.add(5, 1)
    counts.save()
    counts.add(2, 2)
    counts.add(4, 0)
    counts.save()
    assert json.loads((tmp_path / "days.json").read_text()) == {"2026-11-30": [7, 3], "2026-12-01": [4, 0]}


def test_the_day_is_the_one_of_the_machine() -> None:
    counts, before = day_counts.DayCounts(None), date.today()
    counts.add(1, 0)
    ((day, *_),) = counts.days()
    assert before <= date.fromisoformat(day) <= date.today()


def test_kept_over_a_restart(tmp_path: Path) -> None:
    counts = counts_of(tmp_path / "days.json")
    counts.add(5, 1)
    counts.add(2, 2)
    counts.save()
    again = counts_of(tmp_path / "days.json")
    assert again.days() == [(TODAY, 7, 3)]
    again.add(1, 0)
    again.save()
    assert json.loads((tmp_path / "days.json").read_text()) == {TODAY: [8, 3]}


def test_written_once_a_minute_and_only_when_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(day_counts, "monotonic", lambda: now[0])
    file = tmp_path / "days.json"
    counts = counts_of(file)
    counts.save()
    counts.add(1, 0)
    assert not file.exists()
    now[0] = 61.0
    counts.add(1, 1)
    assert json.loads(file.read_text()) == {TODAY: [2, 1]}


def test_old_days_go(tmp_path: Path) -> None:
    file = tmp_path / "days.json"
    days = {date.fromordinal(730_000 + day).isoformat(): [day, 0] for day in range(500)}
    file.write_text(json.dumps(days))
    counts = counts_of(file)
    counts.add(1, 0)
    counts.save()
    kept = json.loads(file.read_text())
    assert len(kept) == 400
    assert list(kept) == sorted(kept)
    assert TODAY in kept


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"7", b"\xff", b"[" * 10**5, b'{"yesterday": [1, 2]}', b'{"2026-01-01": 3}'),
        *(b'{"2026-01-01": [1]}', b'{"2026-01-01": ["x", 2]}', b'{"2026-01-01": [1, null]}'),
    ],
)
def test_a_damaged_file_is_told(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "days.json"
    file.write_bytes(content)
    counts = counts_of(file)
    assert f"{file}: not readable (" in " ".join(capsys.readouterr().err.split())
    assert counts.days() == []
    counts.add(1, 1)
    counts.save()
    assert json.loads(file.read_text()) == {TODAY: [1, 1]}


def test_a_full_disk_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(file: Path, content: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(file))

    file = tmp_path / "days.json"
    counts = counts_of(file)
    counts.add(3, 1)
    with monkeypatch.context() as disk:
        disk.setattr(day_counts, "write_json", full)
        counts.save()
    assert "the counts of unknown images cannot be kept: [Errno 28] No space left" in " ".join(
        capsys.readouterr().err.split()
    )
    assert counts.days() == [(TODAY, 3, 1)]
    counts.save()
    assert json.loads(file.read_text()) == {TODAY: [3, 1]}


def test_without_a_file_they_are_in_memory() -> None:
    counts = counts_of(None)
    counts.add(3, 1)
    counts.save()
    assert counts.days() == [(TODAY, 3, 1)]


def test_services_that_share_a_gallery_lose_no_counts(tmp_path: Path) -> None:
    file = tmp_path / "days.json"
    services = [counts_of(file) for _ in range(3)]
    for _ in range(4):
        for service in services:
            service.add(2, 1)
            service.save()
    assert json.loads(file.read_text()) == {TODAY: [24, 12]}
    assert services[-1].days() == [(TODAY, 24, 12)]


def test_threads_that_count_and_write_lose_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_counts, "_SAVE_SECONDS", 0.0)
    file = tmp_path / "days.json"
    services = [counts_of(file), counts_of(file)]

    def count(place: int) -> None:
        for _ in range(10):
            services[place % 2].add(1, 0)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count, range(4)))
    for service in services:
        service.save()
    assert json.loads(file.read_text()) == {TODAY: [40, 0]}


def test_what_is_counted_while_a_file_is_written_is_written_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, write = tmp_path / "days.json", day_counts.write_json
    counts = counts_of(file)

    def written(place: Path, content: object) -> None:
        counts.add(5, 2)
        write(place, content)

    counts.add(1, 1)
    with monkeypatch.context() as writing:
        writing.setattr(day_counts, "write_json", written)
        counts.save()
    assert json.loads(file.read_text()) == {TODAY: [1, 1]}
    assert counts.days() == [(TODAY, 6, 3)]
    counts.save()
    assert json.loads(file.read_text()) == {TODAY: [6, 3]}


def test_a_file_that_cannot_be_read_for_now_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "days.json"
    file.write_text('{"2026-01-01": [7, 1]}')
    counts = counts_of(file)
    counts.add(1, 0)

    def fails(file: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as disk:
        disk.setattr(Path, "read_bytes", fails)
        counts.save()
        counts_of(file)
    assert "cannot be kept: [Errno 5]" in " ".join(capsys.readouterr().err.split())
    counts.save()
    assert json.loads(file.read_text()) == {"2026-01-01": [7, 1], TODAY: [1, 0]}
