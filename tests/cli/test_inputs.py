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
    shutil.copyfile("zebras.csv", "data/all.csv")
    Path("out.csv").write_text("path,reason\nzebras,none\n")
    Path("data/exclude.csv").write_text("path,reason\nzebras,none\n")
    Path("t").mkdir()
    shutil.copyfile("zebras.csv", "t/all.csv")
    shutil.copyfile("data/exclude.csv", "t/exclude.csv")
    return tmp_path


def everything(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("eval data.root=zebras.parquet output=zebras.json", r"zebras\.parquet: .* is data\.root=zebras\.parquet"),
        ("eval data.root=data output=b/config.json", r"b/config\.json: .* is a file of bundle=b"),
        ("manifest data.root=zebras.csv output=./zebras.csv", r"zebras\.csv: .* is data\.root=zebras\.csv"),
        (
            "manifest data.root=zebras.csv data.exclude=out.csv output=out.csv",
            r"out\.csv: .* is data\.exclude=out\.csv",
        ),
        (
            "manifest data.root=t/all.csv data.images=data output=t/exclude.csv",
            r"t/exclude\.csv: .* is data\.exclude=t/exclude\.csv",
        ),
        (
            "manifest data.root=t/all.csv data.images=data output=data/exclude.csv",
            r"data/exclude\.csv: .* is a file of data\.images=data",
        ),
        ("manifest data.root=data output=data/exclude.csv", r"exclude\.csv: .* is a? ?(file of )?data\."),
        ("report data.root=data output=data.html", r"data: .* is data\.root=data"),
        ("audit data.root=data output=data", r"data: .* is data\.root=data"),
        ("augment data.root=data/all.csv data.images=. output=data", r"data: .* holds data\.root=data/all\.csv"),
        ("compare data.root=data output=data seeds=[1] name=c", r"data: .* is data\.root=data"),
        ("tune data.root=data output=data name=t", r"data: .* is data\.root=data"),
        ("embed data.root=b/rows.csv output=b", r"b: .* is bundle=b"),
        ("embed data.root=data output=.", r"\.: .* holds bundle=b"),
        (
            "embed model=timm model.backbone=test_resnet model.weights=b/w.pth data.root=zebras.csv output=b",
            r"b: .* holds model\.weights=b/w\.pth",
        ),
        ("quantize data.root=data output=b", r"b: .* is bundle=b"),
        ("predict image=one.png output=b", r"b: .* is bundle=b"),
        ("predict image=data/test output=./data/test/", r"data/test: .* is image=data/test"),
    ],
)
def test_what_is_read_stays_as_it_is(
    bundle_path: Path, here: Path, capsys: pytest.CaptureFixture[str], command: str, expected: str
) -> None:
    shutil.copytree(bundle_path, "b")
    shutil.copyfile("data/test/digit 0/" + next(Path("data/test/digit 0").iterdir()).name, "one.png")
    before = everything(here)
    verb, *arguments = command.split()
    without = verb in ("manifest", "augment", "compare", "tune") or arguments[0].startswith("model=")
    bundle = [] if without else ["bundle=b"]
    assert main([verb, *bundle, *arguments]) == 2
    error = capsys.readouterr().err
    assert re.search(expected, error), error
    assert error.count("\n") == 1
    assert everything(here) == before
