"""Where a person lets files be written: never over what is read, and never over what this program did not write there.

Beside the main file of a call lies a list, `.<name>.written`, of the SHA-256 of every file that it wrote. Such a file
is replaced, or removed when the next call has none of its name, as long as nobody changed it; any other is kept under
a dated name. The list names the source of the files, too (model and data, say), so that nothing of another source is
replaced where nobody named the file.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from lookalike.console import say
from lookalike.errors import LookalikeError
from lookalike.files import need_place, numbered, only_one, readable, set_aside_for, sha256_of, write_bytes, write_json
from lookalike.special_files import need_no_special


class OutputError(LookalikeError):
    """Something cannot be written where it was asked for without a loss."""


@dataclass(frozen=True)
class _Written:
    """What an earlier call wrote: of what, and name -> the SHA-256 that its content may have."""

    source: str = ""
    files: dict[str, list[str]] = field(default_factory=dict)


def need_files(main: Path, others: Iterable[Path], inputs: Mapping[str, Path]) -> None:
    """Sees that files can be written and are nothing that is read, before any work is done.

    Args:
        main: The file that was asked for.
        others: What is written besides.
        inputs: Setting -> the file or folder that is read.

    Raises:
        OutputError: One is an input, an existing file inside one that is not of an earlier call, or a folder.
        SpecialFileError: One is a pipe or a device.
        DiskFullError: There is no room.
        LookalikeError: Nothing can be written there.
    """
    written = _written(main).files
    for file in (main, *others):
        if not os.path.lexists(file):
            need_place(file.parent)
            continue
        need_no_special(file)
        for name, source in inputs.items():
            if _same(file, source):
                raise _over(file, name, source, "is")
            if source.is_dir() and _inside(file, source) and not _is_ours(file, main, written):
                raise _over(file, name, source, "is a file of")
        if file.is_dir():
            raise OutputError(f"{file}: expected a file to write, found a folder: give another output")
        need_place(file.parent)


def need_folder(folder: Path, inputs: Mapping[str, Path], replaced: bool = False, ours: str = "") -> None:
    """Sees that a folder can be written and is nothing that is read, before any work is done.

    Args:
        folder: Into which files are written; it need not be there.
        inputs: Setting -> the file or folder that is read.
        replaced: Whether a new folder takes its place, so that nothing in it may be read.
        ours: The file by which a folder that may be replaced is known; "" for any folder.

    Raises:
        OutputError: It is an input, holds one and is replaced, is a file, or holds something else than `ours`.
        DiskFullError: There is no room.
        LookalikeError: Nothing can be written there.
    """
    for name, source in inputs.items():
        if _same(folder, source):
            raise _over(folder, name, source, "is")
        if replaced and _inside(source, folder):
            raise _over(folder, name, source, "holds")
    need_no_special(folder)
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"{folder}: expected a folder to write, found a file: give another output, or move that file")
    others = sorted(os.listdir(folder)) if ours and folder.is_dir() and not (folder / ours).is_file() else []  # noqa: PTH208
    if others:
        raise OutputError(
            f"{folder}: expected a new folder, or an earlier one of this kind (with {ours}), found others' files "
            f"({readable(others[0])}): give another output"
        )
    need_place(folder.parent if replaced else folder)


def own_name(main: Path, source: str, apart: str) -> Path:
    """A file that holds nothing of another source, for a name that nobody chose.

    Args:
        main: What it is called where nothing speaks against it.
        source: What will be told there.
        apart: Tells the source from others; put behind the name, with a number if need be.

    Returns:
        `main`, or the first name beside it that is free, of the same source, or of an unknown one.
    """
    names = chain([main], numbered(main.with_stem(f"{main.stem}-{apart}")))
    return next(file for file in names if _written(file).source in ("", source))


def write_files(main: Path, contents: Mapping[Path, bytes], source: str = "") -> None:
    """Writes the files of one call, each whole or not at all; several are written under a lock.

    Args:
        main: The file that was asked for: the list of what was written is named after it.
        contents: File -> all of it, in the order in which they are written; all lie in the folder of `main` or below.
        source: What they tell of, see `own_name`; what was written of another one is kept, too. "" = of anything.

    Raises:
        DiskFullError: There is no room; the file that has none keeps its previous content.
    """
    with _alone(main, len(contents) > 1):
        earlier, kept = _written(main), []
        before = earlier.files if source in ("", earlier.source) else {}
        now = {_name(file, main): [hashlib.sha256(content).hexdigest()] for file, content in contents.items()}
        # A process that is killed in between leaves files that the list knows, too.
        both = {name: [*before.get(name, []), *now.get(name, [])] for name in {**before, **now}}
        write_json(_list(main), {"source": source, "files": both})
        for file, content in contents.items():
            if not os.path.lexists(file) or _is_ours(file, main, both):
                write_bytes(file, content)
            elif aside := set_aside_for(file, content):
                kept.append(aside)
        for name in set(before) - set(now):
            if _is_ours(file := main.parent / name, main, before):
                file.unlink()
        write_json(_list(main), {"source": source, "files": now})
    if kept:
        more = f" and {len(kept) - 1} more" if len(kept) > 1 else ""
        say(
            f"{main}: what stood there and was not written here, was changed since or is of other data, is kept: "
            f"{kept[0]}{more}"
        )


@contextmanager
def _alone(main: Path, several: bool) -> Iterator[None]:
    if not several:
        yield
        return

    def waiting() -> None:
        say(f"{main}: waiting for another process that writes it")

    with only_one(main.with_name(f".{main.name}.lock"), "", waiting):
        yield


def _list(main: Path) -> Path:
    return main.with_name(f".{main.name}.written")


def _name(file: Path, main: Path) -> str:
    return Path(os.path.relpath(file, main.parent)).as_posix()


def _written(main: Path) -> _Written:
    """A list that cannot be read knows nothing."""
    try:
        listed = json.loads(_list(main).read_bytes().decode("utf-8", "surrogateescape"))
        files = {
            str(name): [str(digest) for digest in digests]
            for name, digests in listed["files"].items()
            if not Path(name).is_absolute() and ".." not in Path(name).parts
        }
        return _Written(str(listed["source"]), files)
    except (OSError, ValueError, AttributeError, TypeError, KeyError):
        return _Written()


def _is_ours(file: Path, main: Path, written: Mapping[str, list[str]]) -> bool:
    digests = written.get(_name(file, main), [])
    return bool(digests) and file.is_file() and not file.is_symlink() and sha256_of(file) in digests


def _same(output: Path, source: Path) -> bool:
    try:
        return output.samefile(source)
    except OSError:  # one of them is not there
        return os.path.realpath(output) == os.path.realpath(source)


def _inside(path: Path, folder: Path) -> bool:
    """Whether a path lies below a folder, links followed."""
    return Path(os.path.realpath(folder)) in Path(os.path.realpath(path)).parents


def _over(output: Path, name: str, source: Path, what: str) -> OutputError:
    return OutputError(
        f"{output}: expected an output apart from what is read, but it {what} {name}={source}: "
        "give another output, so that nothing is lost"
    )
