"""What is asked of this machine, and what a broken one is told."""

import json
import os
from pathlib import Path

import pytest

from lookalike.cli import doctor_checks
from lookalike.cli.doctor_checks import Check, extras, network, packages, places, processor
from lookalike.cli.main import main


def by_name(checks: object) -> dict[str, Check]:
    return {check.name: check for check in checks}  # type: ignore[attr-defined]


def test_a_package_that_cannot_be_loaded_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_checks, "_IMPORTED", ("numpy", "a_package_that_is_nowhere"))
    checks = by_name(packages())
    assert checks["numpy"].right is True
    assert checks["a_package_that_is_nowhere"].right is False
    assert "No module named" in checks["a_package_that_is_nowhere"].value


def test_an_extra_says_what_it_lacks_and_what_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_checks, "_installed", lambda package: package != "imagehash")
    checks = by_name(extras())
    assert checks["audit"].value == "missing: imagehash"
    assert checks["audit"].advice.startswith("for audit: pip install '")
    assert (checks["serve"].value, checks["serve"].advice, checks["serve"].right) == ("there", "", None)


def test_a_place_that_cannot_be_written_to_is_broken(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    checks = by_name(places({"output": tmp_path / "new", "models_dir": file / "inside"}))
    assert checks["output"].right is True
    assert "GiB free" in checks["output"].value
    assert checks["models_dir"].right is False
    assert checks["models_dir"].advice == "give models_dir=<a folder that can be written to>"


def test_a_server_that_does_not_answer_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(doctor_checks, "_installed", lambda package: False)
    checks = by_name(network("http://127.0.0.1:9/mlflow"))
    assert set(checks) == {"hub", "tracker"}
    assert all(check.right is None and "no answer" in check.value for check in checks.values())


def test_limits_of_threads_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    checks = by_name(processor())
    assert checks["OMP_NUM_THREADS"].value == "1"
    assert checks["cores"].value.endswith(f"usable of {os.cpu_count()}")


def test_the_verb_ends_with_1_where_something_needed_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").write_text("no folder")
    assert main(["doctor", "network=false", "models_dir=models/inside"]) == 1
    shown = capsys.readouterr().out
    assert "\n  BAD models_dir" in shown
    assert shown.endswith("broken: models_dir\n")
    assert main(["doctor", "network=false", "models_dir=other", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["result"]["broken"] == []
    assert {check["topic"] for check in answer["result"]["checks"]} >= {"versions", "extras", "processor", "places"}
