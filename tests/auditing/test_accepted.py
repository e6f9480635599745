"""What a person accepts of an audit is left out, and no file is touched."""

from pathlib import Path

import pandas as pd
import pytest

from lookalike.auditing.accepted import exclude, read_accepted
from lookalike.auditing.audit import Audit
from lookalike.cli.main import main
from lookalike.data.dataset import read_data
from lookalike.data.exclusions import read_exclusions
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
