"""No verb writes over what it reads; it says so before it loads or makes anything."""

import re
import shutil
from pathlib import Path

import pytest

from lookalike.cli.main import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, digits: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The digits as a folder `data`, and as tables beside it, with a column of a person's own."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(digits, "data")
    lines = ["path,label,split,observer"]
    lines += [
        f"{file.as_posix()},{file.parent.name},{file.parent.parent.name},me" for file in sorted(Path().rglob("*.png"))
    ]
    Path("zebras.csv").write_text("\n".join(lines) + "\n")
    import pandas as pd

    pd.read_csv("zebras.csv").to_parquet("zebras.parquet")
    Path("out.csv").write_text("path,reason\nzebras,none\n")
    Path("data/exclude.csv").write_text("path,reason\nzebras,none\n")
    return tmp_path


def everything(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("eval data.root=zebras.parquet output=zebras.json", r"zebras\.parquet: .* is data\.root=zebras\.parquet"),
        ("eval data.root=data output=b/config.json", r"b/config\.json: .* is a file of bundle=b"),
    ],
)
def test_what_is_read_stays_as_it_is(
    bundle_path: Path, here: Path, capsys: pytest.CaptureFixture[str], command: str, expected: str
) -> None:
    shutil.copytree(bundle_path, "b")
    shutil.copyfile("data/test/digit 0/" + next(Path("data/test/digit 0").iterdir()).name, "one.png")
    before = everything(here)
    verb, *arguments = command.split()
    bundle = [] if verb in ("manifest", "augment", "compare", "tune") else ["bundle=b"]
    assert main([verb, *bundle, *arguments]) == 2
    error = capsys.readouterr().err
    assert re.search(expected, error), error
    assert error.count("\n") == 1
    assert everything(here) == before
