"""docs/gallery.md: every command of the story of a shop, in their order, on real photographs."""

import doctest
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from lookalike.cli.main import main
from shop_story import write_shop

PAGE = Path(__file__).parents[1] / "docs" / "gallery.md"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def commands() -> list[tuple[str, str]]:
    """Every command of the page and what it prints."""
    listed = []
    for block in re.findall(r"^```console\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            listed.append((command, output))
    return listed


def run(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints; `lookalike` in this process, errors beside the output."""
    name, *arguments = shlex.split(command)
    if name != "lookalike":
        return subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout
    capsys.readouterr()
    code = main(arguments)
    shown = capsys.readouterr()
    return shown.out if code == 0 else f"{shown.out}{shown.err}"


@pytest.mark.slow
def test_the_story_of_the_shop_goes_as_it_is_told(
    produce: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shop(produce, tmp_path)
    monkeypatch.chdir(tmp_path)
    listed = commands()
    assert len(listed) >= 22
    for command, expected in listed:
        output = run(command, capsys)
        assert doctest.OutputChecker().check_output(expected, output, FLAGS), f"$ {command}\n{output}"
    text = re.sub(r"^```.*$", "", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    shown: list[str] = []
    results = doctest.DocTestRunner(optionflags=FLAGS).run(examples, out=shown.append)
    assert results.failed == 0, "".join(shown)
    assert results.attempted >= 8
