"""manifest, audit and augment through the real command."""

import re
import shutil
from pathlib import Path

import pytest

from lookalike.cli.main import main
from lookalike.data.dataset import Dataset


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
    assert captured.err.splitlines()[-1].startswith("exit code 1: 1 of the data cannot be read, first ")
    assert Path("reports/manifest.csv").is_file()


def test_a_link_to_nothing_is_why_the_exit_code_is_1_and_a_long_label_is_cut(
    digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(digits, here / "data")
    (here / "data" / "train" / "digit 4").rename(here / "data" / "train" / ("long " * 40).strip())
    assert main(["manifest", "data.root=data"]) == 0
    (here / "data" / "train" / "gone").symlink_to(here / "nowhere")
    assert main(["manifest", "data.root=data"]) == 1
    captured = capsys.readouterr()
    assert re.search(
        r"^exit code 1: 1 of the data cannot be read, first data/train/gone: a link that leads",
        captured.err.splitlines()[-1],
    )
    assert max(map(len, captured.out.splitlines())) < 120


@pytest.mark.parametrize("name", ["all.csv", "deep/all.parquet"])
def test_the_table_that_manifest_writes_is_a_data_set(digits: Path, name: str) -> None:
    assert main(["manifest", f"data.root={digits}", f"output={name}"]) == 0
    table, folders = Dataset(name), Dataset(digits)
    assert table.counts.equals(folders.counts)
    assert [table.manifest.file(path).resolve() for path in table.manifest.table["path"]] == [
        folders.manifest.file(path).resolve() for path in folders.manifest.table["path"]
    ]


def test_manifest_looks_into_no_file_when_told_so(digits: Path, here: Path) -> None:
    shutil.copytree(digits, here / "data")
    next((here / "data" / "test" / "digit 4").iterdir()).write_bytes(b"text")
    assert main(["manifest", "data.root=data", "check=false"]) == 0


def test_augment_writes_copies_that_are_trained_on_and_never_searched(
    digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["augment", f"data.root={digits}", "per_class=12", "output=copies", "max_side=32"]) == 0
    assert "10 copies of " in capsys.readouterr().out
    copies = sorted((here / "copies").rglob("*.jpg"))
    assert len(copies) == 10
    assert {copy.parent.name for copy in copies} == {f"digit {number}" for number in range(5)}
    assert (here / "copies" / "manifest.csv").is_file()


def test_audit_writes_a_page_and_leaves_out_what_is_accepted(
    digits: Path, bundle_path: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(shutil.copytree(digits, here / "data"))
    shutil.copyfile(sorted((root / "test" / "digit 0").iterdir())[0], root / "train" / "digit 0" / "leak.png")
    command = ["audit", "data.root=data", f"bundle={bundle_path}", "output=out"]
    Path("out").mkdir()
    Path("out/audit.html").write_text("mine")
    assert main(command) == 0
    assert [file.read_text() for file in Path("out").glob("audit.html.*")] == ["mine"]
    printed = capsys.readouterr().out
    assert "91 images, 91 of them read now" in printed
    assert "1 images can be left out without a second look: apply=safe" in printed
    assert f"written: {Path('out/audit.html')}, {Path('out/audit.parquet')}" in printed
    assert (here / "out" / "audit.html").is_file()
    assert main([*command, "apply=safe"]) == 0
    assert "91 images, 0 of them read now" in capsys.readouterr().out
    assert "train/digit 0/leak.png" in (root / "exclude.csv").read_text()
    assert main(command) == 0
    assert "90 images, " in capsys.readouterr().out


def test_a_list_of_accepted_findings_that_is_none_stops_before_any_image_is_read(
    digits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", f"data.root={digits}", "output=out", "apply=gone.csv"]) == 2
    assert "gone.csv" in capsys.readouterr().err
    assert not (here / "out").exists()
