"""What a person accepts of an audit is left out, and no file is touched."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from image_folders import pictures
from lookalike.auditing.accepted import Accepted, exclude, read_accepted
from lookalike.auditing.audit import Audit
from lookalike.auditing.file_facts import Facts
from lookalike.auditing.findings_table import Findings
from lookalike.cli.main import main
from lookalike.data.exclusions import read_exclusions
from lookalike.data.reading import read_data, survey_data
from lookalike.data.tables import ManifestError


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_accepted_findings_are_left_out_and_no_file_is_touched(
    spoilt: tuple[Audit, pd.DataFrame, Path], tmp_path: Path
) -> None:
    result, faults, home = spoilt
    before = sorted((file, file.stat().st_size) for file in (home / "data").rglob("*") if file.is_file())
    list_file = tmp_path / "left out.csv"
    with pytest.raises(ManifestError, match=r"problem\(s\) in the data"):
        read_data(str(home / "data"))
    assert "images added" in exclude(result, read_accepted("safe"), str(list_file))
    after = sorted((file, file.stat().st_size) for file in (home / "data").rglob("*") if file.is_file())
    assert after == before
    manifest = read_data(str(home / "data"), exclude=str(list_file))
    copies = faults[faults["kind"] == "copy"]
    in_train = {
        path for pair in zip(copies["path"], copies["origin"], strict=True) for path in pair if path[:5] == "train"
    }
    gone = set(faults[faults["kind"] == "broken"]["path"]) | in_train
    assert set(read_exclusions(list_file)) == gone
    assert set(result.rows["path"]) - set(manifest.table["path"]) == gone
    assert exclude(result, read_accepted("safe"), str(list_file)).startswith("0 images added")


def test_accepted_lists_are_checked(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["audit", f"data.root={data}", f"output={tmp_path / 'audit'}"]
    assert main([*arguments, "apply=nowhere.csv"]) == 2
    assert "expected safe, or a CSV with the columns path,reason: no such file" in capsys.readouterr().err
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("path,reason\ntrain/none/of.jpg,why\n")
    assert main([*arguments, f"apply={wrong}"]) == 2
    assert "1 of 1 paths are not in the data set (first: train/none/of.jpg)" in capsys.readouterr().err
    wrong.write_text("file,why\na,b\n")
    assert main([*arguments, f"apply={wrong}"]) == 2
    assert "expected the columns path and reason, found file, why" in capsys.readouterr().err
    chosen = sorted((data / "train").rglob("*.jpg"))[0].relative_to(data).as_posix()
    wrong.write_text(f"path,reason\n{chosen},my eyes\n")
    target = tmp_path / "kept" / "list.csv"
    assert main([*arguments, f"apply={wrong}", f"data.exclude={target}"]) == 0
    assert read_exclusions(target) == {chosen: "my eyes"}


def audit_of(root: Path) -> Audit:
    """An audit that found nothing, of a data set whose `exclude.csv` may leave images out."""
    manifest, _ = survey_data(str(root))
    rows = manifest.original.reset_index(drop=True)
    facts = Facts(pd.DataFrame({"error": [""] * len(rows)}), np.zeros((len(rows), 2), np.float32), 0)
    return Audit(manifest, Findings(rows).table(), pd.DataFrame(), facts, rows, np.arange(len(rows)))


def listed(tmp_path: Path, text: str) -> Accepted:
    (tmp_path / "accepted.csv").write_text("path,reason\n" + text)
    return read_accepted(str(tmp_path / "accepted.csv"))


def test_what_is_accepted_is_read_once_and_counted(tmp_path: Path) -> None:
    root = pictures(tmp_path / "data", *(f"train/a/{number}.png" for number in range(5)))
    accepted = listed(tmp_path, "train/a/1.png,dark\ntrain/a/2.png,blurred\n")
    (tmp_path / "accepted.csv").unlink()
    audit = audit_of(root)
    assert exclude(audit, accepted, None) == f"2 images added to {root / 'exclude.csv'}; no file was touched"
    more = Accepted("mine.csv", {"train/a/2.png": "again", "train/a/3.png": "dark"})
    summary = f"1 image added to {root / 'exclude.csv'} (1 stood there already); no file was touched"
    assert exclude(audit_of(root), more, None) == summary
    assert list(read_exclusions(root / "exclude.csv")) == [f"train/a/{number}.png" for number in (1, 2, 3)]


def test_a_new_list_takes_over_what_the_old_one_leaves_out(tmp_path: Path) -> None:
    root = pictures(tmp_path / "data", *(f"train/a/{number}.png" for number in range(5)))
    (root / "exclude.csv").write_text("path,reason\ntrain/a/0.png,old\n")
    exclude(audit_of(root), listed(tmp_path, "train/a/1.png,new\n"), str(tmp_path / "other.csv"))
    assert read_exclusions(tmp_path / "other.csv") == {"train/a/0.png": "old", "train/a/1.png": "new"}


def test_paths_of_another_data_set_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    root = pictures(tmp_path / "data", "train/a/0.png")
    accepted = listed(tmp_path, "train/a/0.png,why\ntrain/b/9.png,why\n")
    with pytest.raises(ManifestError, match=r"accepted\.csv: 1 of 2 paths are not in the data set \(first: train/b/9"):
        exclude(audit_of(root), accepted, None)
    assert not (root / "exclude.csv").exists()


def test_nothing_safe_adds_nothing(tmp_path: Path) -> None:
    root = pictures(tmp_path / "data", "train/a/0.png")
    assert read_accepted("safe") == Accepted("safe", None)
    assert exclude(audit_of(root), read_accepted("safe"), None).startswith("0 images added")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give up its rights")
def test_a_list_that_cannot_be_written_says_where_else(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = pictures(Path(folder) / "data", "train/a/0.png")
        audit = audit_of(root)
        os.seteuid(65534)
        try:
            with pytest.raises(ManifestError, match=r"cannot be written \(Permission denied\): give data\.exclude=<a"):
                exclude(audit, Accepted("mine.csv", {"train/a/0.png": "why"}), None)
        finally:
            os.seteuid(0)
