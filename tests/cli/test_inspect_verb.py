"""`lookalike inspect`: a page and JSON of what a checkpoint holds, and one line of what it does not."""

import json
from pathlib import Path

import pytest

from lookalike.cli.main import main
from outlines import blank, tensors_of, written


def test_a_page_and_its_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    state = {**tensors_of("resnet18", "net."), "net.embedding.weight": blank((64, 512))}
    written({"state_dict": state}, Path(), "a.ckpt")
    assert main(["inspect", "ckpt_path=a.ckpt", "model.last_stride=1", "output=a.json"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "a.ckpt: resnet18, 224 x 224 pixels"
    assert (
        printed[-2]
        == "to measure it: lookalike eval ckpt_path=a.ckpt data.root=<folder> split=test model.last_stride=1"
    )
    assert printed[-1] == "written: a.json"
    content = json.loads(Path("a.json").read_text())
    assert content["facts"]["last_stride"] == {"value": 1, "source": "given", "evidence": "model.last_stride"}
    assert content["layers"] == ["linear 64 (net.embedding)"]


def test_what_is_not_recognised_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written({"state_dict": {"a.weight": blank((3, 4))}}, tmp_path)
    assert main(["inspect", f"ckpt_path={file}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"lookalike: {file}: no network that is known here is wholly in it: 1 tensors, a.weight")
    assert error.count("\n") == 1


def test_an_open_question_comes_with_all_that_is_recognised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written({"state_dict": {**tensors_of("resnet18"), "fc.weight": blank((64, 512))}}, tmp_path)
    assert main(["inspect", f"ckpt_path={file}", f"output={tmp_path / 'a.json'}"]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert any(line.startswith("  architecture    resnet18") or "resnet18" in line for line in printed[2:6])
    assert any(line.startswith("  neck") and " ? " in line for line in printed)
    assert printed[-2].startswith("open: recognised resnet18; fc (64 x 512) may be its head or a classifier")
    assert json.loads((tmp_path / "a.json").read_text())["questions"] == [printed[-2].removeprefix("open: ")]


def test_a_folder_has_a_line_for_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "runs"
    (folder / "b").mkdir(parents=True)
    good = written({"state_dict": tensors_of("resnet18")}, folder, "a.pth")
    (folder / "b" / "broken.ckpt").write_bytes(b"")
    (folder / "notes.txt").write_text("no checkpoint")
    assert main(["inspect", f"ckpt_path={folder}", f"output={tmp_path / 'all.json'}"]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"{good}: resnet18, 224 x 224 pixels; head: none; weights: state_dict"
    assert printed[1].startswith(f"{folder / 'b' / 'broken.ckpt'}: not readable as plain tensors (an empty file)")
    assert printed[2] == "1 of 2 recognised"
    rows = json.loads((tmp_path / "all.json").read_text())
    assert [row["file"] for row in rows] == [str(good), str(folder / "b" / "broken.ckpt")]
    assert "error" in rows[1]
    assert main(["inspect", f"ckpt_path=[{good},{good}]"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 of 2 recognised"
    (tmp_path / "empty").mkdir()
    assert main(["inspect", f"ckpt_path={tmp_path / 'empty'}"]) == 2
    assert "no checkpoint in this folder" in capsys.readouterr().err


def test_json_does_not_replace_the_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written({"state_dict": tensors_of("resnet18")}, tmp_path, "a.json")
    assert main(["inspect", f"ckpt_path={file}", f"output={file}"]) == 2
    assert "ckpt_path" in capsys.readouterr().err
    assert file.stat().st_size > 1000
