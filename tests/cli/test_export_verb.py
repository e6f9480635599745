"""`lookalike export` from the command line."""

import json
from pathlib import Path

import pytest

from lookalike.cli.main import main


def test_it_says_what_it_wrote(bundle_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    command = ["export", f"bundle={bundle_path}", f"output={tmp_path / 'out'}", "gallery=true"]
    assert main(command) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("onnx: cosine to the bundle at least 1.000000 on 16 images, largest difference ")
    assert second.startswith(f"written: {tmp_path / 'out'} (model.onnx, model.json, gallery.json; ")
    assert main([*command, "format=tensorrt", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["written"] == [str(tmp_path / "out")]
    assert answer["result"]["format"] == "tensorrt"
    assert answer["result"]["cosine"] >= 0.9999
    assert answer["result"]["cosine"] == answer["result"]["check"]["min_cosine"]
    assert answer["result"]["bytes"] == sum(file.stat().st_size for file in (tmp_path / "out").iterdir())


def test_torchscript_is_refused_with_the_reason(
    bundle_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["export", f"bundle={bundle_path}", "format=torchscript", f"output={tmp_path / 'out'}"]) == 2
    assert "TorchScript is deprecated by PyTorch" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_nothing_that_is_read_is_written_over(bundle_path: Path, digits: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["export", f"bundle={bundle_path}", f"output={bundle_path}"]) == 2
    assert f"but it is bundle={bundle_path}" in capsys.readouterr().err
    assert main(["export", f"bundle={bundle_path}", f"images={digits}", f"output={digits}"]) == 2
    assert f"but it is images={digits}" in capsys.readouterr().err
