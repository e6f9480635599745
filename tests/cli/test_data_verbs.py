"""manifest, audit and augment through the real command."""

import re
import shutil
from pathlib import Path

import pytest

from lookalike.cli.main import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_manifest_prints_counts_and_names_broken_files(
    digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(digits, here / "data")
    victim = next((here / "data" / "test" / "digit 4").iterdir())
    victim.write_bytes(b"text")
    assert main(["manifest", "data.root=data"]) == 1
    captured = capsys.readouterr()
    assert re.search(r"digit 4\s+10\s+4\s+4", captured.out)
    assert "train 50, validation 20, test 20" in captured.out
    assert f"{victim.name}: not an image" in captured.err
    assert Path("reports/manifest.csv").is_file()
