"""`lookalike serve`: what stops it, each in one line and with exit code 2."""

import sys
from pathlib import Path

import pytest

from lookalike.cli.main import main

TOKEN = "writer-0123456789"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main(["serve", "port=0", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert "Traceback" not in shown.err
    return shown.err


@pytest.mark.parametrize(("arguments", "given"), [((), "neither"), (("gallery=shop", "demo=true"), "both")])
def test_what_is_served_is_not_clear(
    arguments: tuple[str, ...], given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"what is served: give gallery=<folder>, or demo=true for example photographs, got {given}"
    assert text in refused(capsys, *arguments)


def test_the_demo_has_its_own_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert "demo=true has a model of its own: leave out bundle=" in refused(capsys, "demo=true", "bundle=mine")


def test_the_demo_runs_as_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened: list[object] = []
    monkeypatch.setattr("lookalike.serving.demo.demo_gallery", lambda: tmp_path)
    monkeypatch.setattr("lookalike.gallery.gallery.Gallery.open", lambda *given: opened.append(given))
    monkeypatch.setattr("lookalike.serving.start.run_service", lambda settings, gallery, ready: gallery())
    assert main(["serve", "demo=true", "device=cpu", "precision=float32"]) == 0
    assert opened == [(tmp_path, None, {"device": "cpu", "precision": "float32"})]


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "prometheus_client"])
def test_a_package_is_missing(
    package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in [name for name in sys.modules if name.startswith("lookalike.serving.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    said = refused(capsys, f"gallery={tmp_path}")
    assert f"lookalike serve needs the package {package}: pip install " in said
    assert "[serve]'" in said


def test_other_computers_need_tokens(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = refused(capsys, f"gallery={tmp_path}", "host=0.0.0.0")
    assert "host=0.0.0.0: other computers reach it, so it needs tokens: " in said
    assert "then give tokens=tokens.txt" in said


def test_files_of_tokens_that_cannot_be_used(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "tokens.txt"
    said = refused(capsys, f"gallery={tmp_path}", f"tokens={file}")
    assert f"tokens={file}: No such file or directory: make it" in said
    file.write_text(f"write {TOKEN}\n")
    file.chmod(0o644)
    said = refused(capsys, f"gallery={tmp_path}", f"tokens={file}")
    assert f"tokens={file}: others on this computer can read or change it: chmod 600 {file}" in said
    file.chmod(0o600)
    file.write_text(f"all {TOKEN}\n")
    said = refused(capsys, f"gallery={tmp_path}", f"tokens={file}")
    assert "line 1: expected `read <token>` or `write <token>`: correct it" in said
    assert TOKEN not in said


def test_there_is_no_gallery(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert f"{tmp_path / 'none'}: no gallery there" in refused(capsys, f"gallery={tmp_path / 'none'}")


def test_another_model_made_the_gallery(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert f"{tmp_path / 'none'}" in refused(capsys, f"gallery={tmp_path}", f"bundle={tmp_path / 'none'}")


def test_its_help_says_what_tokens_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "file with a line `read <token>` or `write <token>` for each" in shown
