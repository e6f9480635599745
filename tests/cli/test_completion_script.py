"""What a shell proposes, asked of the shell itself where it is installed."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from lookalike.cli.completion_script import proposed_values, proposed_verbs, script
from lookalike.cli.main import main
from lookalike.cli.verbs import VERBS

ASKED = {
    "lookalike tra": ["train"],
    "lookalike gallery ren": ["rename"],
    "lookalike predict picture": ["picture_rows="],
    "lookalike gallery add all_or": ["all_or_nothing="],
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("completion")
    files = {shell: folder / f"lookalike.{shell}" for shell in ("bash", "zsh", "fish")}
    for shell, file in files.items():
        file.write_text(script(shell))
    return files


def test_every_verb_and_the_values_of_its_settings_are_proposed() -> None:
    assert {"train", "gallery", "doctor", "--version"} <= set(proposed_verbs())
    values = proposed_values(VERBS["predict"])
    assert values["device"] == ["auto", "cpu", "cuda"]
    assert values["image"] == []
    assert proposed_values(VERBS["eval"])["camera_rule"] == ["true", "false"]
    assert "efficientnet_lite0" in proposed_values(VERBS["train"])["model"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_reads_its_script(scripts: dict[str, Path], shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed here")
    done = subprocess.run([program, "-n", str(scripts[shell])], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed here")
def test_bash_proposes(scripts: dict[str, Path]) -> None:
    asked = {**ASKED, "lookalike predict device=c": ["cpu", "cuda"], "lookalike completion b": ["bash"]}
    ask = (
        'source "$1"; compopt() { :; }; COMP_LINE="$2"; COMP_POINT=${#2}; _lookalike; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    for line, proposed in asked.items():
        command = ["bash", "-c", ask, "bash", str(scripts["bash"]), line]
        assert subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.split() == proposed, line


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed here")
def test_fish_proposes(scripts: dict[str, Path]) -> None:
    asked = {**ASKED, "lookalike gallery add all_or": ["all_or_nothing=false", "all_or_nothing=true"]}
    for line, proposed in asked.items():
        command = ["fish", "-c", f"source {scripts['fish']}; complete -C '{line}'"]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.splitlines()
        assert [entry.partition("\t")[0] for entry in shown] == proposed, line


def test_the_name_of_the_shell_may_stand_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "fish", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["result"]["script"].startswith("# lookalike completion fish > ")
    assert main(["completion", "tcsh"]) == 2
    assert "shell=tcsh: expected 'bash', 'zsh' or 'fish'" in capsys.readouterr().err
