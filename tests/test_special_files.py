"""Pipes and devices are told wherever a file is read or written: never waited for, read without end, or replaced."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lookalike.cli.main import main
from lookalike.errors import LookalikeError
from lookalike.files import set_aside, write_bytes
from lookalike.outputs import write_files
from lookalike.special_files import SpecialFileError, is_special

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, digits: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pipes and links to an endless device under names that files have."""
    monkeypatch.chdir(tmp_path)
    for suffix in ("csv", "tsv", "parquet", "zip", "json", "html"):
        os.mkfifo(f"pipe.{suffix}")
        Path(f"endless.{suffix}").symlink_to("/dev/zero")
    Path("data").symlink_to(digits)
    return tmp_path


def test_what_is_special() -> None:
    assert is_special(Path("pipe.csv"))
    assert is_special(Path("endless.csv"))
    assert not any(is_special(Path(name)) for name in ("data", "nowhere", ".", "a\0b"))


@pytest.mark.parametrize("kind", ["pipe", "endless"])
@pytest.mark.parametrize(
    "command",
    [
        *(f"manifest data.root=KIND.{suffix} output=o.csv" for suffix in ("csv", "tsv", "parquet")),
        "manifest data.root=data data.exclude=KIND.csv output=o.csv",
        "manifest data.archive=KIND.zip data.root=new output=o.csv",
        "eval bundle=BUNDLE data.root=KIND.csv",
        "predict bundle=BUNDLE image=KIND.csv",
        "predict bundle=BUNDLE image=KIND.parquet",
        "predict bundle=BUNDLE image=data --config=KIND.json",
    ],
)
def test_none_is_read(kind: str, command: str, bundle_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = command.replace("KIND", kind).replace("BUNDLE", str(bundle_path)).split()
    assert main(arguments) == 2
    error = capsys.readouterr().err
    last = error.splitlines()[-1]
    assert re.search(rf"lookalike: .*{kind}\.\w+: .*a pipe or a device", last), error


@pytest.mark.parametrize("kind", ["pipe", "endless"])
@pytest.mark.parametrize(
    "command",
    [
        "manifest data.root=data output=KIND.csv",
        "manifest data.root=data output=KIND.parquet",
        "eval bundle=BUNDLE data.root=data output=KIND.json worst=0",
        "report bundle=BUNDLE data.root=data output=KIND.html",
        "predict bundle=BUNDLE image=data/test output=KIND.csv",
    ],
)
def test_none_is_replaced(
    kind: str, command: str, bundle_path: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(here.iterdir())
    assert main(command.replace("KIND", kind).replace("BUNDLE", str(bundle_path)).split()) == 2
    error = capsys.readouterr().err
    assert f"lookalike: {kind}." in error
    assert "expected a file to write, found a pipe or a device: give another place" in error
    assert [path for path in sorted(here.iterdir()) if not path.name.startswith(".")] == before
    assert all(is_special(Path(f"{kind}.{suffix}")) for suffix in ("csv", "parquet", "json", "html"))


def test_no_way_to_write_replaces_one() -> None:
    pipe = Path("pipe.csv")
    for write in (lambda: write_bytes(pipe, b"x"), lambda: set_aside(pipe), lambda: write_files(pipe, {pipe: b"x"})):
        with pytest.raises(SpecialFileError, match=r"^pipe\.csv: expected a file to write, found a pipe or a device"):
            write()
    assert is_special(pipe)
    assert issubclass(SpecialFileError, LookalikeError)


def test_standard_output_is_no_file_to_replace() -> None:
    """As a link to a pipe, which `/dev/stdout` is here."""
    command = [sys.executable, "-m", "lookalike", "manifest", "data.root=data", "output=/dev/stdout"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "lookalike: /dev/stdout: expected" in done.stderr
    assert Path("/dev/stdout").exists()
