"""The verbs that train, as a person types them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import TINY
from lookalike.cli.main import main
from lookalike.inference.bundle import load_bundle
from runs import arguments


def test_main_py_is_the_same_command(digits: Path, tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "main.py"
    command = [sys.executable, str(script), *arguments(digits, "r", "trainer.max_epochs=1")[1:]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, env={**os.environ})
    assert done.returncode == 0, done.stderr
    assert "bundle: models/r" in done.stdout
    assert "validation accuracy@1" in done.stderr
    assert not [line for line in done.stderr.splitlines() if "eprecat" in line or "Warning" in line]


def test_train_prints_the_figures_and_where_the_bundle_is(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = arguments(digits, "r", "trainer.max_epochs=1")
    assert main(command) == 0
    printed = capsys.readouterr().out
    stored = load_bundle(Path("models/r")).config.metrics["validation"]
    assert printed.startswith("protocol: 20 queries of split validation")
    assert f"accuracy@1    {stored.metrics['accuracy@1']:.4f}" in printed
    assert printed.endswith("bundle: models/r\n")
    assert main(command) == 0
    assert capsys.readouterr().out == "bundle: models/r\n", "a finished run has nothing to tell"


def test_quantize_writes_the_int8_form_beside_the_bundle(
    bundle_path: Path, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("nncf", reason="pip install 'lookalike[int8]'")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(bundle_path, "models/tiny")
    command = ["quantize", "bundle=models/tiny", f"data.root={digits}", "images=10", "max_loss=1"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "cosine to the float32 graph: at least 0." in printed
    assert printed.endswith(f"bundle: {tmp_path / 'models' / 'tiny-int8'}\n")
    assert load_bundle(Path("models/tiny-int8")).config.precision == "int8"
    assert main([*command, "output=elsewhere"]) == 0
    assert load_bundle(Path("elsewhere")).config.quantized is not None
    capsys.readouterr()
    assert main(["quantize", "bundle=elsewhere", f"data.root={digits}"]) == 2
    assert "expected a bundle that is not quantised yet, found int8" in capsys.readouterr().err


def test_a_comparison_always_goes_on(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["compare", f"data.root={digits}", "loss=arcface,cosface", "name=c", "resume=never", *TINY]) == 2
    assert "resume=never: a comparison always goes on: give name=<another> to start over" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
