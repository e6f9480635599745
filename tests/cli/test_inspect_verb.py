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
    assert printed[-2] == "to measure it: lookalike eval ckpt_path=a.ckpt data.root=<folder> model.last_stride=1"
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


def test_json_does_not_replace_the_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written({"state_dict": tensors_of("resnet18")}, tmp_path, "a.json")
    assert main(["inspect", f"ckpt_path={file}", f"output={file}"]) == 2
    assert "ckpt_path" in capsys.readouterr().err
    assert file.stat().st_size > 1000
