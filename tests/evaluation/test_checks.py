"""Data that would give wrong figures is explained, on real images laid out as Market-1501."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lookalike.cli.main import main


@pytest.fixture
def copied(few_market: Path, tmp_path: Path) -> Path:
    """The data, to be spoilt."""
    root = tmp_path / "data"
    shutil.copytree(few_market, root)
    return root


def spoil_cameras(root: Path) -> None:
    for number, file in enumerate(sorted((root / "query").iterdir())):
        file.rename(file.with_name(f"{file.name.partition('_')[0]}_{number:04d}.jpg"))


def empty_queries(root: Path) -> None:
    shutil.rmtree(root / "query")
    (root / "query").mkdir()


def other_people(root: Path) -> None:
    for file in list((root / "query").iterdir()):
        file.rename(file.with_name(f"9{file.name}"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_cameras, "names tell no camera .* camera_rule=false"),
        (empty_queries, "query: "),
        (other_people, "no query has a valid positive: 25 query labels .* 0 in common"),
    ],
)
def test_bad_data_is_explained(
    bundle_path: Path,
    copied: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    spoil: Any,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import re

    monkeypatch.chdir(tmp_path)
    spoil(copied)
    assert main(["eval", f"bundle={bundle_path}", f"data.root={copied}", "split=test"]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not Path("reports").exists()


def test_without_cameras_all_references_are_ranked_when_asked(
    bundle_path: Path, copied: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    spoil_cameras(copied)
    command = ["eval", f"bundle={bundle_path}", f"data.root={copied}", "split=test", "output=o.json", "worst=0"]
    assert main([*command, "camera_rule=false"]) == 0
    report = json.loads(Path("o.json").read_text())
    assert "no camera rule" in report["protocol"]
    assert report["metrics"]["accuracy"] == report["metrics"]["cmc@1"]


def test_files_that_are_query_and_reference_are_counted(
    bundle_path: Path, copied: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in sorted((copied / "query").iterdir())[:3]:
        shutil.copyfile(file, copied / "bounding_box_test" / f"{file.stem}99.jpg")
    command = ["eval", f"bundle={bundle_path}", f"data.root={copied}", "split=test", "output=o.json", "worst=0"]
    assert main(command) == 0
    report = json.loads(Path("o.json").read_text())
    assert (report["copies_of_queries"], report["keep_copies"]) == (3, False)
    assert "copies of 3 queries among the references left out" in capsys.readouterr().out
    assert main([*command, "data.keep_copies=true"]) == 0
    kept = json.loads(Path("o.json").read_text())
    assert (kept["copies_of_queries"], kept["keep_copies"]) == (3, True)
    assert "copies of 3 queries among the references still answer, so figures are too good" in capsys.readouterr().out
    assert kept["metrics"]["accuracy"] >= report["metrics"]["accuracy"]
