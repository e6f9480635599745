"""Text for a terminal: names of strangers steer nothing, make no line of their own and survive every encoding."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lookalike.cli.main import main
from lookalike.console import say
from lookalike.errors import LookalikeError, listed
from lookalike.terminal import Answer, complain, plain, show, visible, visible_line

FORGED_LINES = "\nlookalike: a forged one\n  lookalike: all 12 files are fine.jpg"
FORGED = "Kiwi\x1b[2J\nwritten: /etc/passwd \u202etxt.exe"
SPELT = r"Kiwi\x1b[2J\nwritten: /etc/passwd \u202etxt.exe"


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x9b31m", r"\x9b31m"),  # the same command in one character
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("right\rleft", r"right\rleft"),
        ("a\bb\x00", r"a\x08b\x00"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2067\u200f\u061c", r"\u2067\u200f\u061c"),
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d"),
        ("\udcff.jpg", r"\udcff.jpg"),
    ],
)
def test_what_would_steer_a_terminal_is_spelt_out(text: str, spelt: str) -> None:
    assert visible(text) == spelt
    assert visible_line(text) == spelt


@pytest.mark.parametrize(
    "text", ["Süßkartoffel", "猕猴桃", "كيوي", "👩\u200d🌾", "नीं\u200dबू", "tab\there", r"C:\new\x1b"]
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert visible(text) == visible_line(text) == text


def test_results_keep_their_lines_and_errors_those_of_their_problems(capsys: pytest.CaptureFixture[str]) -> None:
    show("two\nlines \x1b[1m")
    complain(LookalikeError(f"2 problems:\n  {listed(['first', 'second' + FORGED_LINES])}"))
    complain("gone" + FORGED_LINES)
    say("one\nline \x1b[1m")
    output, spelt = capsys.readouterr(), FORGED_LINES.replace("\n", "\\n")
    assert output.out == "two\nlines \\x1b[1m\n"
    assert output.err == (
        f"lookalike: 2 problems:\n  first\n  second{spelt}\nlookalike: gone{spelt}\n" + "one\\nline \\x1b[1m\n"
    )


@pytest.fixture
def forged(digits: Path, tmp_path: Path) -> Path:
    """Digits of which one label and one file have hostile names."""
    root = tmp_path / "forged"
    for split in ("train", "validation"):
        for folder in (digits / split).iterdir():
            shutil.copytree(
                folder, root / split / (FORGED.replace("/", "|") if folder.name == "digit 0" else folder.name)
            )
    first = next((root / "train" / "digit 1").iterdir())
    first.rename(first.with_name("x\x1b[2J\nlookalike: stopped.png"))
    return root


@pytest.mark.parametrize("verb", ["manifest", "embed", "predict"])
def test_no_verb_prints_a_name_raw(
    verb: str, forged: Path, bundle_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = forged / "validation" / "digit 1" / "y\x1b[2J\n  lookalike: fine\nwritten: z.png"
    damaged.write_bytes(b"no image")
    arguments = {
        "manifest": [f"data.root={forged}", f"output={tmp_path / 'table.csv'}", "check=true"],
        "embed": [f"bundle={bundle_path}", f"data.root={forged}", f"output={tmp_path / 'stored'}"],
        "predict": [f"bundle={bundle_path}", f"image={forged}", f"output={tmp_path / 'predictions'}"],
    }
    assert main([verb, *arguments[verb]]) == 1
    output = capsys.readouterr()
    text = output.out + output.err
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert not re.search(r"(?m)^[ ]*(lookalike: (stopped|fine)|written: z|written: \|etc)", text)
    assert r"y\x1b[2J\n  lookalike: fine\nwritten: z.png" in text


@pytest.mark.parametrize("encoding", ["ascii:strict", "ascii", "latin-1:strict", "utf-8:strict"])
def test_a_result_survives_every_encoding(encoding: str, bundle_path: Path, digits: Path, tmp_path: Path) -> None:
    image = tmp_path / "Süß 猕猴桃"
    image.mkdir()
    source = next((digits / "validation" / "digit 1").iterdir())
    shutil.copyfile(source, image / "ein Bild.png")
    shutil.copyfile(source, Path(os.fsdecode(os.fsencode(image) + b"/\xff.png")))
    arguments = ["predict", f"bundle={bundle_path}", f"image={image}", f"output={tmp_path / 'out'}"]
    done = subprocess.run(
        [sys.executable, "-m", "lookalike", *arguments],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    printed = done.stdout.decode(encoding.partition(":")[0])
    name = {"ascii": r"S\xfc\xdf \u7315", "latin-1": "Süß \\u7315", "utf-8": "Süß 猕"}[encoding.partition(":")[0]]
    assert f"{name}" in printed
    assert r"\udcff.png: " in printed
    assert "written: " in printed
    assert "Traceback" not in done.stderr.decode(errors="replace")


def test_an_answer_in_json_has_the_fields_and_no_text(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.csv"
    assert main(["manifest", f"data.root={digits}", f"output={table}", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["schema"], answer["verb"], answer["exit_code"], answer["error"]) == (1, "manifest", 0, None)
    assert answer["result"]["images"] == {"train": 50, "validation": 20, "test": 20}
    assert answer["written"] == [str(table)]


def test_whatever_makes_folders_names_them_for_programs(
    bundle_path: Path, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    images = f"data.root={digits / 'test'}"
    for arguments, folder in (
        (["embed", f"bundle={bundle_path}", images, "output=whole"], "whole"),
        (["embed", f"bundle={bundle_path}", images, "output=parts", "shards=2"], "parts"),
        (["gallery", "create", "gallery=shop", f"bundle={bundle_path}"], "shop"),
        (["gallery", "import", "gallery=shop", "input=whole"], None),
        (["gallery", "export", "gallery=shop", "output=taken"], "taken"),
        (["augment", f"data.root={digits}", "per_class=6", "output=copies"], "copies"),
    ):
        assert main([*arguments, "--json"]) == 0
        written = json.loads(capsys.readouterr().out)["written"]
        assert [Path(place).resolve() for place in written] == ([] if folder is None else [tmp_path / folder])
        assert all(Path(place).is_dir() for place in written)


def test_an_error_is_a_field_of_it_and_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gallery", "list", "gallery=/no where", "--json"]) == 2
    shown = capsys.readouterr()
    answer = json.loads(shown.out)
    assert (answer["verb"], answer["exit_code"], answer["result"]) == ("gallery list", 2, {})
    assert shown.err == f"lookalike: {answer['error']}\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (np.float32(0.5), 0.5),
        (np.array([1, 2]), [1, 2]),
        (Path("a/b"), "a/b"),
        ({1: (True, None)}, {"1": [True, None]}),
        (
            Answer("eval", {"k": 3}),
            {"verb": "eval", "result": {"k": 3}, "written": [], "error": None, "printed": False},
        ),
        (lambda: [Path("c")], ["c"]),
    ],
)
def test_values_become_those_of_json(value: object, expected: object) -> None:
    assert plain(value) == expected


def test_quiet_leaves_results_and_errors_alone(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["manifest", f"data.root={digits}", f"output={tmp_path / 't.csv'}"]
    assert main(command) == 0
    loud = capsys.readouterr()
    assert main([*command, "--quiet"]) == 0
    silent = capsys.readouterr()
    assert "read as class folders" in loud.err
    assert (silent.out, silent.err) == (loud.out, "")
    assert main(["gallery", "list", "gallery=/no where", "--quiet"]) == 2
    assert "no gallery there" in capsys.readouterr().err


def test_no_color_means_no_colour() -> None:
    """Of the bars, which alone have one."""
    program = (
        "from lookalike.console import console, progress\n"
        "with progress('embedding', 2) as advance:\n    advance(1)\nprint(console.is_terminal)"
    )
    shown = {}
    for name, value in (("coloured", ""), ("plain", "1")):
        environment = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color", "NO_COLOR": value}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout == "True\n"
        shown[name] = re.findall(r"\x1b\[[0-9;]*3[0-9][0-9;]*m", done.stderr)
    assert shown["coloured"]
    assert not shown["plain"]
