"""Files are whole or not there at all, whatever goes wrong while they are written."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from lookalike.errors import LookalikeError
from lookalike.files import (
    DiskFullError,
    atomic_file,
    atomic_folder,
    need_place,
    only_one,
    set_aside,
    set_aside_for,
    sha256_of,
    write_bytes,
    write_json,
    write_new,
    write_once,
)

# A process that may write 1,000 bytes per file: what a full disk or a used-up quota looks like from inside.
NO_ROOM = """
import resource, signal, sys
from pathlib import Path
from lookalike.files import DiskFullError, atomic_folder, write_bytes

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
target = Path(sys.argv[1])
try:
    if target.is_dir():
        with atomic_folder(target) as folder:
            (folder / "small").write_bytes(b"y")
            (folder / "large").write_bytes(b"y" * 5000)
    else:
        write_bytes(target, b"y" * 5000)
except DiskFullError as error:
    print(error)
"""

KILLED = """
import os, signal, sys
from pathlib import Path
from lookalike.files import atomic_file, atomic_folder

target = Path(sys.argv[1])
with atomic_folder(target) if target.is_dir() else atomic_file(target) as half:
    if target.is_dir():
        (half / "half").write_bytes(b"y")
    else:
        half.write(b"y" * 100_000)
    os.kill(os.getpid(), signal.SIGKILL)
"""

# Another process that is in the middle of writing a file and a folder.
WRITING = """
import os, sys
from pathlib import Path
from lookalike.files import atomic_file, atomic_folder

target = Path(sys.argv[1])
with atomic_file(target / "file") as handle, atomic_folder(target / "folder") as folder:
    handle.write(b"y")
    (folder / "part").write_bytes(b"y")
    os.write(1, b"writing\\n")
    sys.stdin.readline()
os.write(1, b"written\\n")
"""

# Another process that holds the lock until it is told a word, or waits for it; it says what it does.
HOLDER = """
import os, sys
from pathlib import Path
from lookalike.files import only_one

def say(text):
    os.write(1, f"{text}\\n".encode())

file, how = sys.argv[1:]
with only_one(Path(file), "", lambda: say("waits")):
    if how == "with a child" and os.fork() == 0:
        say("child")
    else:
        say("holds")
    sys.stdin.readline()
say("let go")
"""


def tree(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_atomic_file_keeps_the_old_content_until_the_block_ends(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"old")
    with atomic_file(file) as handle:
        handle.write(b"new")
        handle.flush()
        assert file.read_bytes() == b"old"
    assert tree(tmp_path) == {"a.bin": b"new"}


@pytest.mark.parametrize("error", [RuntimeError("stop"), KeyboardInterrupt("stop"), OSError(errno.EIO, "stop")])
def test_atomic_file_keeps_the_old_content_when_the_block_raises(tmp_path: Path, error: BaseException) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"old")

    def write() -> None:
        with atomic_file(file) as handle:
            handle.write(b"new")
            raise error

    with pytest.raises(type(error), match="stop"):
        write()
    assert tree(tmp_path) == {"a.bin": b"old"}


def test_atomic_file_makes_missing_folders(tmp_path: Path) -> None:
    write_bytes(tmp_path / "new" / "deeper" / "a.bin", b"x")
    assert tree(tmp_path) == {"new/deeper/a.bin": b"x"}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_running_out_of_room_in_the_block_says_what_to_do(tmp_path: Path, code: int) -> None:
    file = tmp_path / "a.bin"
    expected = re.escape(f"{file}: no space left to write it ({os.strerror(code)}); what was there before is unchanged")
    with pytest.raises(DiskFullError, match=expected), atomic_file(file):
        raise OSError(code, os.strerror(code))
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("old", [{"target": b"old"}, {"target/old": b"old"}], ids=["file", "folder"])
def test_a_full_disk_leaves_the_old_content_and_no_temporary(tmp_path: Path, old: dict[str, bytes]) -> None:
    for name, content in old.items():
        write_bytes(tmp_path / name, content)
    target = tmp_path / "target"
    command = [sys.executable, "-c", NO_ROOM, str(target)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert f"{target}: no space left to write it (File too large)" in done.stdout
    assert "free some space, then run the same command again" in done.stdout
    assert tree(tmp_path) == old
    assert list(tmp_path.iterdir()) == [target]


def test_atomic_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "bundle"
    with atomic_folder(target) as folder:
        write_bytes(folder / "sub" / "a", b"1")
        assert not target.exists()
    assert tree(tmp_path) == {"deep/bundle/sub/a": b"1"}
    assert [entry.name for entry in target.parent.iterdir()] == ["bundle"]


def test_atomic_folder_leaves_nothing_when_the_block_raises(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    write_bytes(target / "a", b"old")

    def write() -> None:
        with atomic_folder(target) as folder:
            write_bytes(folder / "a", b"new")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write()
    assert tree(tmp_path) == {"bundle/a": b"old"}
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("old", [{"target": b"old"}, {"target/old": b"old"}], ids=["file", "folder"])
def test_a_killed_process_leaves_the_old_content_and_the_next_write_tidies_up(
    tmp_path: Path, old: dict[str, bytes]
) -> None:
    for name, content in old.items():  # not by us: a process tidies a folder up when it first writes there
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    target = tmp_path / "target"
    done = subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert {name: content for name, content in tree(tmp_path).items() if not name.startswith(".")} == old
    if target.is_dir():
        with atomic_folder(target) as folder:
            assert list(folder.iterdir()) == []
        assert len(list(tmp_path.iterdir())) == 2, "the folder and the older one set aside"
    else:
        write_bytes(target, b"new")
        assert tree(tmp_path) == {"target": b"new"}


def test_atomic_folder_sets_an_older_one_aside_under_a_dated_name(tmp_path: Path) -> None:
    target = tmp_path / "run.v2"
    for content in (b"1", b"2", b"3"):
        with atomic_folder(target) as folder:
            write_bytes(folder / "a", content)
    assert (target / "a").read_bytes() == b"3"
    aside = sorted(entry for entry in tmp_path.iterdir() if entry != target)
    assert sorted((entry / "a").read_bytes() for entry in aside) == [b"1", b"2"]
    assert all(re.fullmatch(r"run\.v2(-2)?\.\d{4}(-\d\d){2}T\d\d(-\d\d){2}", entry.name) for entry in aside), aside


def test_set_aside_of_nothing_is_nothing(tmp_path: Path) -> None:
    assert set_aside(tmp_path / "no") is None


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        ("a.json", [], "a.json"),
        ("a.json", ["a.json"], "a-2.json"),
        ("a.json", ["a.json", "a-2.json"], "a-3.json"),
        ("a.json", ["a.json", "a-3.json"], "a-2.json"),
        ("a.json", ["a-2.json"], "a.json"),
        ("a.json", ["a.png"], "a-2.json"),
        ("2025-01-01T00-00-00", ["2025-01-01T00-00-00"], "2025-01-01T00-00-00-2"),
    ],
)
def test_what_is_new_counts_up_to_the_first_free_name(
    tmp_path: Path, name: str, taken: list[str], expected: str
) -> None:
    for other in taken:
        (tmp_path / other).touch()
    assert write_new(tmp_path / name, b"new", beside=(".png",)) == tmp_path / expected
    assert tree(tmp_path) == {**dict.fromkeys(taken, b""), expected: b"new"}


@pytest.mark.parametrize("links", [True, False])
def test_many_at_once_get_a_name_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    if not links:
        monkeypatch.setattr(os, "link", refused)

    def write(number: int) -> tuple[Path, bytes]:
        content = f"{number}".encode() * 1000
        return write_new(tmp_path / "a.json", content), content

    with ThreadPoolExecutor(8) as pool:
        written = dict(pool.map(write, range(100)))
    assert len(written) == 100
    assert {tmp_path / name: content for name, content in tree(tmp_path).items()} == written


# A process that writes predictions into a folder, all of the same second; it says where each of its own went.
PREDICTING = """
import sys
from pathlib import Path
from lookalike import files
from lookalike.inference.predict import Prediction, Predictions

folder, own = sys.argv[1:]
sys.stdin.readline()
items = tuple(Prediction(f"{own} {number}", None, None, None, (), "no") for number in range(200))
from lookalike.inference import predict
predict.stamp = lambda: "2026-01-01T00-00-00"
for _ in range(25):
    print(Predictions("", "", "", 1, items).write(folder))
"""


def test_predictions_of_many_processes_are_their_own(tmp_path: Path) -> None:
    names = ["a", "b", "c", "d"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PREDICTING, str(tmp_path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert len({file for files in said for file in files}) == 100
    for name, files in zip(names, said, strict=True):
        for file in files:
            assert {item["image"].split()[0] for item in json.loads(Path(file).read_bytes())["items"]} == {name}
    assert len(list(tmp_path.iterdir())) == 100, "and nothing else"


def test_two_that_write_one_file_at_once_write_it_whole(tmp_path: Path) -> None:
    file = tmp_path / "a"
    with atomic_file(file) as first:
        first.write(b"1" * 10)
        with atomic_file(file) as second:
            second.write(b"2" * 20)
        assert file.read_bytes() == b"2" * 20
        first.write(b"1" * 10)
    assert tree(tmp_path) == {"a": b"1" * 20}


def test_of_two_that_write_one_folder_at_once_none_is_lost(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    with atomic_folder(target) as first:
        with atomic_folder(target) as second:
            write_bytes(second / "a", b"2")
        write_bytes(first / "a", b"1")
    assert (target / "a").read_bytes() == b"1"
    (aside,) = [entry for entry in tmp_path.iterdir() if entry != target]
    assert (aside / "a").read_bytes() == b"2"


def test_a_folder_that_comes_while_ours_is_renamed_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, late = tmp_path / "bundle", [b"2", b"3"]
    rename = Path.rename

    def renamed(path: Path, other: Path) -> Path:
        if other == target and late:
            target.mkdir()
            (target / "a").write_bytes(late.pop())
        return rename(path, other)

    monkeypatch.setattr(Path, "rename", renamed)
    with atomic_folder(target) as folder:
        write_bytes(folder / "a", b"1")
    assert sorted(tree(tmp_path).values()) == [b"1", b"2", b"3"]
    assert (target / "a").read_bytes() == b"1"


def test_a_link_that_was_prepared_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    treasure, folder = tmp_path / "treasure", tmp_path / "out"
    folder.mkdir()
    treasure.write_bytes(b"mine")
    for name in ("a", ".a.tmp", "b", "c", ".c.lock"):
        (folder / name).symlink_to(treasure)
    write_bytes(folder / "a", b"new")
    write_once(folder / "b", b"new")
    assert write_new(folder / "c", b"new") == folder / "c-2"
    with suppress(OSError), only_one(folder / ".c.lock", "busy"):
        pass
    assert treasure.read_bytes() == b"mine"
    assert (folder / "a").read_bytes() == b"new"
    assert not (folder / "a").is_symlink()


def test_what_another_process_is_writing_is_not_tidied_away(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITING, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert said(process) == "writing"
        assert len(list(tmp_path.iterdir())) == 2
        write_bytes(tmp_path / "other", b"x")
        let_go(process)
        assert said(process) == "written"
    finally:
        process.kill()
        process.communicate()
    assert tree(tmp_path) == {"file": b"y", "folder/part": b"y", "other": b"x"}


def test_files_of_others_that_end_like_ours_stay(tmp_path: Path) -> None:
    others = [".out.tmp", ".lookalike-x.tmp", "lookalike-0123456789abcdef.tmp"]
    for name in others:
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / ".lookalike-0123456789abcdef.tmp").write_bytes(b"left by a killed process")
    os.mkfifo(tmp_path / ".lookalike-0123456789abcdee.tmp")
    write_bytes(tmp_path / "a", b"new")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([*others, "a"])


def test_set_aside_keeps_what_has_the_name_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.files.stamp", lambda: "then")
    for content in (b"1", b"2"):
        (tmp_path / "a").write_bytes(content)
        set_aside(tmp_path / "a")
    (tmp_path / "a").symlink_to("nowhere")
    assert set_aside(tmp_path / "a") == tmp_path / "a-3.then"
    assert tree(tmp_path) == {"a.then": b"1", "a-2.then": b"2"}


def test_write_json_reads_back(tmp_path: Path) -> None:
    content = {"label": "jalapeño", "scores": [0.1, 1e-300], "none": None}
    write_json(tmp_path / "a.json", content)
    text = (tmp_path / "a.json").read_text("utf-8")
    assert json.loads(text) == content
    assert "jalapeño" in text


def test_write_json_keeps_a_file_name_that_is_not_utf8(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", [os.fsdecode(b"jalape\xf1o.jpg")])
    assert b"jalape\xf1o.jpg" in (tmp_path / "a.json").read_bytes()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_write_json_refuses_what_is_not_json_and_keeps_the_old_file(tmp_path: Path, value: float) -> None:
    file = tmp_path / "a.json"
    write_json(file, 1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(file, {"map": [value]})
    assert tree(tmp_path) == {"a.json": b"1\n"}


def test_sha256_of_is_the_standard_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")  # the first example of FIPS 180-2
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts processes that take the lock of this test; each is ended behind it."""
    started: list[subprocess.Popen[str]] = []

    def start(how: str = "") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLDER, str(tmp_path / "deep" / ".lock"), how]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def let_go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def take(tmp_path: Path) -> None:
    with only_one(tmp_path / "deep" / ".lock", "run x is being trained by another process"):
        pass


def test_a_lock_is_refused_while_another_process_holds_it(
    tmp_path: Path, other: Callable[..., subprocess.Popen]
) -> None:
    lock = tmp_path / "deep" / ".lock"
    process = other()
    assert said(process) == "holds"
    expected = f"run x is being trained by another process ({lock} is held): wait for it, or give another name"
    for _ in range(2):
        with pytest.raises(LookalikeError, match=f"^{re.escape(expected)}$"):
            take(tmp_path)
    let_go(process)
    assert said(process) == "let go"
    take(tmp_path)


def test_a_lock_is_let_go_when_its_holder_is_killed(tmp_path: Path, other: Callable[..., subprocess.Popen]) -> None:
    process = other()
    assert said(process) == "holds"
    process.kill()
    assert process.wait() == -signal.SIGKILL
    take(tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_does_not_keep_the_lock_of_a_killed_parent(
    tmp_path: Path, other: Callable[..., subprocess.Popen]
) -> None:
    """A loading process may outlive the training that started it by some seconds."""
    process = other("with a child")
    assert {said(process), said(process)} == {"holds", "child"}
    process.kill()
    process.wait()
    take(tmp_path)


def test_who_may_wait_is_told_once_and_takes_the_lock_next(
    tmp_path: Path, other: Callable[..., subprocess.Popen]
) -> None:
    first = other()
    assert said(first) == "holds"
    second = other()
    assert said(second) == "waits"
    let_go(first)
    assert said(second) == "holds"
    with pytest.raises(LookalikeError, match="is held"):
        take(tmp_path)
    let_go(second)
    assert said(second) == "let go"


def test_a_lock_is_let_go_after_an_error_and_its_file_may_stay(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    lock.write_text("of a run long ago")
    for _ in range(2):
        with pytest.raises(KeyError, match="stop"), only_one(lock, "busy"):
            raise KeyError("stop")
    with only_one(lock, "busy"), only_one(tmp_path / ".other", "busy"):
        pass


def test_a_place_without_room_for_a_lock_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file") as caught, only_one(tmp_path / "file" / ".lock", "busy"):
        pass
    assert str(caught.value.filename) == str(tmp_path / "file")


@pytest.mark.parametrize("name", ["there", "new", "deep/er"])
def test_a_place_is_looked_at_and_nothing_is_left_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "there").mkdir()
    need_place(tmp_path / name)
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


@pytest.mark.parametrize("under", ["", "a", "a/b"])
@pytest.mark.parametrize("kind", ["file", "lost link"])
def test_a_place_that_cannot_be_is_told(tmp_path: Path, kind: str, under: str) -> None:
    way = tmp_path / "way"
    if kind == "file":
        way.touch()
    else:
        way.symlink_to(tmp_path / "nowhere")
    with pytest.raises(
        LookalikeError, match=rf"{re.escape(str(way / under))}: nothing can be written there \(.*\): give"
    ):
        need_place(way / under)


def test_what_is_in_the_way_is_set_aside_only_when_the_new_file_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "t.csv"
    assert set_aside_for(target, b"1") is None
    assert set_aside_for(target, b"1") is None, "the same is not kept twice"
    aside = set_aside_for(target, b"2")
    assert aside is not None
    assert (target.read_bytes(), aside.read_bytes()) == (b"2", b"1")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskFullError, match=r"t\.csv: no space left to write it"):
        set_aside_for(target, b"3")
    assert sorted(file.read_bytes() for file in tmp_path.iterdir()) == [b"1", b"2"]
