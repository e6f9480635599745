"""The command: help, version, exit codes, and errors on one line."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lookalike.cli.main import main
from lookalike.cli.verbs import VERBS
from lookalike.errors import LookalikeError, install


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "trian: no such verb; did you mean train?; verbs: demo, "),
        (["--nope"], "--nope: no such verb"),
        (["predict", "bundle=b"], "image: needs a value: give image=..."),
        (["predict", "image=i.jpg"], "what predicts: give bundle=<folder> or gallery=<folder>, got neither"),
        (["gallery", "ad", "images=i"], "gallery ad: expected an action; did you mean add?; actions: create, add, "),
        (["gallery", "gallery=g"], "gallery gallery=g: expected an action; actions: create, add, "),
        (["gallery", "add", "gallery=g"], "images: needs a value: give images=..."),
        (
            ["gallery", "list", "gallery=/no where"],
            "/no where: no gallery there: make one with lookalike gallery create",
        ),
        (["predict", "bundle=b", "image"], "image: expected setting=value; lookalike predict --help lists"),
        (["predict", "--k"], "--k: expected setting=value"),
        (["predict", "--kk", "3", "--bundle", "b", "image=i"], "kk: unknown setting; did you mean k?"),
        (["predict", "image=a", "k=2", "image=b"], "image: given twice: image=a and image=b: keep one of them"),
        (
            ["gallery", "add", "--images", "a", "gallery=g", "images=b"],
            "images: given twice: images=a and images=b: keep",
        ),
        (["predict", "=3"], "=3: expected setting=value"),
        (["predict", "--config"], "--config: needs a file"),
        (["predict", "bundle=b", "image=i", "k=0"], "k=0: expected greater"),
        (["predict", "bundle=/no where", "image=i.jpg"], "/no where"),
        (["eval", "bundle=/no where"], "/no where"),
        (["train", "loss=arcfase"], "loss=arcfase: no such option; did you mean arcface"),
        (["manifest", "data.root=/no where"], "/no where"),
        (["predict", "bundle=b", "image=/no where/*.jpg"], "image=/no where/*.jpg: no image there"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("lookalike: ")
    assert shown.err.count("\n") == 1
    assert message in shown.err
    with pytest.raises(LookalikeError):
        main([*arguments, "--debug"])


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_verb(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {verb.partition(' ')[0]} " in text for verb in VERBS)
    assert text.count("\n  gallery ") == 1


@pytest.mark.parametrize("arguments", [["gallery"], ["gallery", "--help"], ["gallery", "-h"], ["gallery", "help"]])
def test_help_of_galleries_names_every_action(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: lookalike gallery <action> gallery=<folder> [setting=value ...]")
    actions = [verb.partition(" ")[2] for verb in VERBS if verb.startswith("gallery ")]
    assert [line.split()[0] for line in text.split("actions:\n")[1].split("\n\n")[0].splitlines()] == actions


def test_version(capsys: pytest.CaptureFixture) -> None:
    from lookalike import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"lookalike {__version__}\n"


def test_an_option_may_stand_for_any_setting(capsys: pytest.CaptureFixture) -> None:
    assert main(["predict", "--bundle", "/no where", "--image=i.jpg"]) == 2
    assert capsys.readouterr().err.startswith("lookalike: /no where")


@pytest.mark.parametrize(
    "arguments", [["predict", "--help"], ["predict", "bundle=b", "-h"], ["predict", "--k", "--help"]]
)
def test_help_of_a_verb_wherever_it_is_asked_for(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("usage: lookalike predict [setting=value ...]\n\nname the nearest known")


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "train" / "a").mkdir(parents=True)
    (tmp_path / "train" / "a" / "1.jpg").write_bytes(b"x")
    (tmp_path / "file").touch()
    arguments = ["manifest", f"data.root={tmp_path}", f"output={tmp_path}/file/m.csv", "check=false"]
    assert main(arguments) == 2
    shown = capsys.readouterr().err.splitlines()[-1]
    reason = os.strerror(errno.ENOTDIR)
    assert shown.startswith(f"lookalike: {tmp_path}/file: nothing can be written there ({reason}): give another folder")
    with pytest.raises(LookalikeError, match="nothing can be written there"):
        main([*arguments, "--debug"])


def command(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in a fresh interpreter, some code before it."""
    start = f"{code}\nfrom lookalike.cli.main import entry\nentry()"
    return subprocess.run([sys.executable, "-c", start, *arguments], check=False, capture_output=True, text=True)


def test_the_exit_code_reaches_the_shell() -> None:
    assert command("", "--version").returncode == 0
    done = command("", "trian")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_reader_that_goes_away_is_no_error() -> None:
    """As `lookalike --help | head -0`."""
    reading, writing = os.pipe()
    os.close(reading)
    start = "from lookalike.cli.main import entry\nentry()"
    done = subprocess.run([sys.executable, "-uc", start, "--help"], check=False, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_ctrl_c_is_one_line() -> None:
    """The signal comes while the first module of a verb is imported."""
    code = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == "lookalike.data.reading":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
"""
    done = command(code, "manifest", "data.root=/no where")
    assert (done.returncode, done.stderr) == (130, "lookalike: stopped\n")


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        ("ImportError('libcusparse.so.12: cannot open shared object file')", "libcusparse.so.12: cannot open shared"),
        ("OSError('libtorch.so: wrong\\nELF class')", "libtorch.so: wrong ELF class"),
    ],
)
def test_a_broken_package_is_named(tmp_path: Path, raised: str, reason: str) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(f"raise {raised}")
    done = command(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})", "train", "data.root=/no where")
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"lookalike: this needs the package torch, which is there and cannot be imported ({reason}")
    assert last.endswith("): mend what that names, or pip install --force-reinstall torch")
    assert "Traceback" not in done.stderr


def test_a_missing_package_is_named() -> None:
    code = "import sys\nsys.modules['torch'] = None"
    done = command(code, "train", "data.root=/no where")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"lookalike: this needs the package torch: {install('train')}"
    assert "Traceback" in command(code, "train", "data.root=/no where", "--debug").stderr


ENDED = """
import os, sys
from tempfile import TemporaryDirectory
from lookalike.cli import main

class Unloaded:
    def __del__(self, write=os.write):
        write(1, b"unloaded\\n")

def run(arguments):
    sys.left = TemporaryDirectory(prefix="lookalike-")
    globals()['libraries'] = Unloaded()
    print(sys.left.name)
    return int(arguments[1])

main.main = run
main.entry()
"""


@pytest.mark.parametrize(
    ("arguments", "unloaded"), [(["serve", "0"], False), (["serve", "2"], True), (["eval", "0"], True)]
)
def test_a_service_removes_its_temporary_files_and_ends_without_unloading(arguments: list[str], unloaded: bool) -> None:
    done = subprocess.run([sys.executable, "-c", ENDED, *arguments], capture_output=True, text=True)
    folder, *more = done.stdout.splitlines()
    assert not Path(folder).exists()
    assert more == (["unloaded"] if unloaded else [])
    assert done.returncode == int(arguments[1])
