"""Files of settings: whatever they hold, one line is said, at once and with little memory."""

import json
import os
import tracemalloc
from pathlib import Path

import pytest

from lookalike.cli.arguments import read_settings
from lookalike.cli.main import main
from lookalike.cli.settings_file import read_settings_file
from lookalike.settings.compose import UsageError

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
CHAIN = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{x: *a{n - 1}}}\n" for n in range(1, 40))


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("c.yaml", BOMB, "more than 1000 values, aliases counted as often as they stand there"),
        ("c.yaml", CHAIN, "lists and groups inside each other beyond 12 levels"),
        ("c.yaml", "a: &a [*a]\n", r"line 1: \*a stands for nothing before it"),
        ("c.yaml", "a: " + "[" * 100_000, "lists and groups inside each other beyond 12 levels"),
        ("c.yaml", "a: " + "{b: " * 50_000, "lists and groups inside each other beyond 12 levels"),
        ("c.json", '{"a": ' + "[" * 100_000, "lists and groups inside each other beyond 12 levels"),
        ("c.json", '{"a": ' * 20 + "1" + "}" * 20, "lists and groups inside each other beyond 12 levels"),
        ("c.json", json.dumps({"a": [0] * 2000}), "more than 1000 values"),
        ("c.yaml", "".join(f"x{n}: 1\n" for n in range(2000)), "more than 1000 values"),
        ("c.yaml", "# " + "x" * 2**18, "more than 256 KiB, which is no file of settings"),
        ("c.json", " " * 2**18 + "{}", "more than 256 KiB, which is no file of settings"),
        ("c.yaml", b"run: caf\xe9\n", r"not YAML or JSON in UTF-8 \(byte 9\): save it again as UTF-8"),
        ("c.json", "{}".encode("utf-16"), r"not YAML or JSON in UTF-8 \(byte 1\)"),
        ("c.yaml", "k: 1\nimage: a\nk: 2\n", "line 3: k stands there twice: keep one of them"),
        ("c.json", '{"k": 1, "k": 2}', "k stands there twice: keep one of them"),
        ("c.yaml", "data: {root: a}\ndata.root: b\n", r"data\.root stands there twice"),
        ("c.json", '{"data": {"root": "a"}, "data.root": "b"}', r"data\.root stands there twice"),
        ("c.yaml", "- k: 1\n", "expected settings such as k: 10, got list"),
        ("c.yaml", "k\n", "expected settings such as k: 10, got str"),
        ("c.yaml", "# nothing\n", "expected settings such as k: 10, got nothing"),
        ("c.json", "7", "expected settings such as k: 10, got int"),
        ("c.yaml", "k: 1\n---\nk: 2\n", "line 2: a second document"),
        ("c.yaml", "? [a, b]\n: 1\n", "line 1: expected the name of a setting, found a list, a group or an alias"),
        ("c.yaml", "k: 1\n  image: 2\n", "not YAML or JSON .line 2: mapping values are not allowed"),
        ("c.yaml", "k: \0\n", "not YAML or JSON"),
        ("c.yaml", "k: !!python/object/apply:os.system [x]\nk: 1\n", "line 2: k stands there twice"),
        ("c.json", '{"k": ' + "9" * 5000 + "}", "Exceeds the limit"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(
    name: str, content: str | bytes, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match=f"^--config .*{text}") as caught:
            read_settings_file(file)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert main(["predict", "--config", str(file)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="no pipes among files there")
def test_only_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for place in (tmp_path, tmp_path / "pipe.yaml", Path("/dev/zero")):
        with pytest.raises(UsageError, match=r"expected a file, found a folder, a pipe or a device$"):
            read_settings_file(place)
    with pytest.raises(UsageError, match=r"cannot be read \(No such file or directory\)"):
        read_settings_file(tmp_path / "none.yaml")


def test_good_files_read_as_what_they_mean(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(
        b"\xef\xbb\xbf%YAML 1.1\n---\nk: &n 3\nimage: 'on'\nother: *n\ndata: {root: ~, seed: '~'}\nrun:\n...\n"
    )
    expected = [("k", "3"), ("image", "on"), ("other", "3"), ("data.root", None), ("data.seed", "~"), ("run", "")]
    assert read_settings_file(file) == expected
    (tmp_path / "c.JSON").write_text('{"k": 3, "data": {"root": null, "x": [1, "a"]}, "y": {}}')
    assert read_settings_file(tmp_path / "c.JSON") == [("k", 3), ("data.root", None), ("data.x", [1, "a"])]


@pytest.mark.parametrize("name", [".".join("a" * 5000), "data." + ".".join("b" * 20)])
def test_names_of_many_dots_are_no_settings(name: str, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps({name: 1}))
    for arguments in ([f"{name}=1"], ["--config", str(tmp_path / "c.json")]):
        with pytest.raises(UsageError, match=r"\.\.\.: unknown setting: no name has more than 8 dots$"):
            read_settings("train", arguments)


def test_a_wrong_value_is_shown_on_one_line_and_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.json").write_text(json.dumps({"k": "x\n\x1b[31m" + "y" * 90_000, "im\nage": 1}))
    assert main(["predict", "bundle=b", "image=i", "--config", str(tmp_path / "c.json")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "lookalike: 2 wrong settings:"
    assert lines[1].startswith("  k=x\\n\\x1b[31myyy")
    assert lines[1].endswith("y...: expected a valid integer, unable to parse string as an integer")
    assert len(lines[1]) < 300
    assert lines[2].startswith("  im\\nage: unknown setting")
